"""Programs that use the kernel cache, and folders that it cannot write."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache for each test, and for the processes that it starts."""
    path = tmp_path / "cache"
    monkeypatch.setenv("PYINIT_CACHE_DIR", str(path))
    return path


def start(script, *arguments):
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(script, *arguments):
    """Return the output of a new process."""
    process = start(script, *arguments)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


DAMAGE = {
    "empty": lambda data: b"",
    "within the checksum": lambda data: data[:20],
    "the checksum alone": lambda data: data[:32],
    "one byte short": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "another start": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "another end": lambda data: data[:-1] + bytes([data[-1] ^ 0x80]),
    "foreign": lambda data: b"something else " * 100,
}
UNWRITABLE = ["a file", "kernels is a file", "no right to make it", "no right to write"]


def unwritable(kind, tmp_path):
    """Return a folder that cannot be made or written."""
    cache_dir, kernels = tmp_path / kind, tmp_path / kind / "kernels"
    if kind == "a file":
        cache_dir.touch()
    elif kind == "kernels is a file":
        cache_dir.mkdir()
        kernels.touch()
    else:
        closed = cache_dir if kind == "no right to make it" else kernels
        closed.mkdir(0o500, parents=True)
        if os.access(closed, os.W_OK):
            pytest.skip("this user may write anywhere")
    return cache_dir
