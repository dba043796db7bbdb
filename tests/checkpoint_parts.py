"""A checkpoint of many small files."""

import subprocess
import sys
import time

import pytest

from pyinit import checkpoint

SHARD = 40_000
ENTRIES = {f"layer.{i:02}.weight": {"shape": [100, 90 + i], "scheme": "normal(std=0.02)"} for i in range(30)}
ENTRIES |= {"head.weight": {"shape": [60, 50], "scheme": "orthogonal"}, "head.bias": {"shape": [5], "scheme": "zeros"}}


def write(folder, seed=7, entries=ENTRIES, **more):
    return checkpoint.write(entries, folder, seed, shard_bytes=SHARD, **more)


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return all files of the checkpoint, written in one go."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    write(folder)
    return contents(folder)


def identities(folder):
    """Return what changes if a file is written again."""
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.iterdir()}


CHILD = """
import signal, sys
from pyinit import checkpoint
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests themselves run in the background
from pyinit.files import disk
disk.write.__defaults__ = (disk.write.__defaults__[0], 4096)  # many buffers for small files
entries = {f"layer.{i:02}.weight": {"shape": [100, 90 + i], "scheme": "normal(std=0.02)"} for i in range(30)}
entries["head.weight"] = {"shape": [60, 50], "scheme": "orthogonal"}
entries["head.bias"] = {"shape": [5], "scheme": "zeros"}
print("ready", flush=True)
sys.stdin.readline()
written = checkpoint.write(entries, sys.argv[1], int(sys.argv[2]), shard_bytes=40_000, overwrite=True)
print(written.kept)
"""


def begin(folder, seed=7):
    """Begin to write a checkpoint slowly, in another process."""
    command = [sys.executable, "-c", CHILD, folder, str(seed)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    child = subprocess.Popen(command, text=True, **pipes)
    child.stdout.readline()
    child.stdin.write("\n")
    child.stdin.flush()
    return child


def wait_for_files(folder, count):
    """Wait until a checkpoint has a number of its files, or its name."""
    partial = folder.with_name(folder.name + ".partial")
    while not folder.exists() and len(list(partial.glob("model-*"))) < count:
        time.sleep(0.0005)
