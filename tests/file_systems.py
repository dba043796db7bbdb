"""Small file systems for tests, of any kind and size, if this process may mount them."""

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

KINDS = {
    "tmpfs": ("-t", "tmpfs", "-o", "size={}m"),
    "ramfs": ("-t", "ramfs"),  # has no fallocate and no O_DIRECT, and is never full
    "ext4": ("-o", "loop"),
}


@contextmanager
def mounted(folder, kind="tmpfs", megabytes=16):
    """Mount a file system at a new folder; skip the test if that is impossible."""
    if not hasattr(os, "geteuid") or os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root mounts file systems")
    folder.mkdir()
    options, source = [option.format(megabytes) for option in KINDS[kind]], "none"
    if kind == "ext4":
        source = folder.with_suffix(".image")
        with source.open("wb") as image:
            image.truncate(megabytes << 20)
        if not shutil.which("mkfs.ext4") or subprocess.run(["mkfs.ext4", "-q", source], check=False).returncode:
            pytest.skip("no mkfs.ext4")
    result = subprocess.run(["mount", *options, source, folder], capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"cannot mount a {kind}: {result.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
