"""Checkpoints whose writing is stopped: by a kill, Ctrl-C or a full disk; and taken up again."""

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from file_systems import mounted

from pyinit import Stream, atomic, checkpoint
from pyinit.checkpoint import writing
from pyinit.files import disk

if os.name != "posix":
    pytest.skip("signals and limits of POSIX", allow_module_level=True)

SHARD = 40_000
ENTRIES = {f"layer.{i:02}.weight": {"shape": [100, 90 + i], "scheme": "normal(std=0.02)"} for i in range(30)}
ENTRIES |= {"head.weight": {"shape": [60, 50], "scheme": "orthogonal"}, "head.bias": {"shape": [5], "scheme": "zeros"}}


def write(folder, seed=7, entries=ENTRIES, **more):
    return checkpoint.write(entries, folder, seed, shard_bytes=SHARD, **more)


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def identities(folder):
    """What changes when a file is written again."""
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All files of the checkpoint, written in one go."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    write(folder)
    return contents(folder)


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
    """Begin to write a checkpoint in another process, which takes a while."""
    command = [sys.executable, "-c", CHILD, folder, str(seed)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    child = subprocess.Popen(command, text=True, **pipes)
    child.stdout.readline()
    child.stdin.write("\n")
    child.stdin.flush()
    return child


def wait_for_files(folder, count):
    """Wait until a checkpoint has so many of its files, or its name."""
    partial = folder.with_name(folder.name + ".partial")
    while not folder.exists() and len(list(partial.glob("model-*"))) < count:
        time.sleep(0.0005)


@pytest.mark.parametrize("trial", [*range(6), *(pytest.param(t, marks=pytest.mark.slow) for t in range(6, 60))])
def test_after_a_kill_the_checkpoint_is_absent_or_whole_and_the_next_call_makes_it(tmp_path, whole, trial):
    """Three kills, then a call that is left alone."""
    rng, folder = random.Random(trial), tmp_path / "out"
    for _ in range(3):
        child = begin(folder)
        wait_for_files(folder, rng.randrange(len(whole)))
        time.sleep(rng.random() * 0.003)
        child.kill()
        child.communicate()
        assert not folder.exists() or contents(folder) == whole
        if folder.exists():
            break
    partial = tmp_path / "out.partial"
    names = {name for name in whole if name.endswith("ors")}
    there = {name for name in names if (partial / name).exists()}
    assert all((partial / name).read_bytes() == whole[name] for name in there)  # a file has its name when it is whole
    before = identities(partial) if there else {}
    finished = folder.exists()
    written = write(folder, overwrite=True)
    assert contents(folder) == whole
    assert os.listdir(tmp_path) == ["out"]
    assert written.kept == (0 if finished else len(there))
    after = identities(folder)
    assert all(after[name] == before[name] for name in there)


def test_a_kill_while_another_is_replaced_leaves_the_old_one_the_new_one_or_none(tmp_path, whole):
    folder, rng = tmp_path / "out", random.Random(1)
    for _ in range(4):
        shutil.rmtree(folder, ignore_errors=True)
        write(folder, 8, overwrite=True)
        old = contents(folder)
        child = begin(folder)
        while not (tmp_path / "out.partial" / "model.safetensors.index.json").exists() and child.poll() is None:
            pass
        time.sleep(rng.random() * 0.002)
        child.kill()
        child.communicate()
        found = contents(folder) if folder.exists() else None
        assert found in (None, old, whole)
    write(folder, overwrite=True)
    assert contents(folder) == whole
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_is_taken_up_again(tmp_path, whole, number):
    folder = tmp_path / "out"
    for at in (3, 9, 15):
        for _ in range(20):
            child = begin(folder)
            wait_for_files(folder, at)
            child.send_signal(number)
            _, errors = child.communicate()
            if child.returncode != 0:
                break
            shutil.rmtree(folder)  # it was done before the signal came
        assert child.returncode == -number
        assert number != signal.SIGINT or errors.splitlines()[-1] == "KeyboardInterrupt"
        assert not folder.exists()
    partial = tmp_path / "out.partial"
    there = {name for name in os.listdir(partial) if name.startswith("model-")}
    assert number != signal.SIGINT or there == set(os.listdir(partial))  # what was not whole is removed
    assert write(folder).kept == len(there) >= 15
    assert contents(folder) == whole


class Counted:
    """A scheme of the user's that fails at some call."""

    def __init__(self, at, error):
        self.calls, self.at, self.error = 0, at, error

    def __call__(self, out, stream, **place):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return stream.fill_normal(out, std=0.02, **{k: v for k, v in place.items() if k != "num_threads"})


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), RuntimeError("no")], ids=repr)
@pytest.mark.parametrize("at", [1, 2, 9])
def test_an_error_leaves_whole_files_alone_and_an_empty_folder_not_at_all(tmp_path, error, at):
    entries = {f"{i}": {"shape": [100, 95], "scheme": scheme} for i, scheme in enumerate([Counted(at, error)] * 12)}
    with pytest.raises(type(error)):
        write(tmp_path / "out", entries=entries)
    assert os.listdir(tmp_path) == (["out.partial"] if at > 1 else [])
    if at > 1:
        assert len(os.listdir(tmp_path / "out.partial")) == at - 1


def stopped(tmp_path, keep=None):
    """A checkpoint that another call has left before it had its name."""
    write(tmp_path / "out")
    partial = (tmp_path / "out").rename(tmp_path / "out.partial")
    (partial / "model.safetensors.index.json").unlink()
    for number, file in enumerate(sorted(partial.iterdir())):
        if keep is not None and number >= keep:
            file.unlink()
    return partial


@pytest.mark.parametrize("damage", ["a bit", "cut off", "too long", "empty", "other values", "zeros"])
def test_a_damaged_file_is_written_again_and_no_other(tmp_path, whole, damage):
    partial = stopped(tmp_path)
    files = sorted(partial.iterdir())
    file, data = files[4], bytearray(files[4].read_bytes())
    if damage == "a bit":
        data[-1] ^= 1
    elif damage == "other values":
        data[-36_000:] = Stream(8).normal(9_000).tobytes()
    elif damage == "zeros":
        data[4096:] = bytes(len(data) - 4096)
    file.write_bytes({"cut off": data[:4096], "too long": data + b"\0", "empty": b""}.get(damage, data))
    before = identities(partial)
    written = write(tmp_path / "out")
    assert contents(tmp_path / "out") == whole
    after = identities(tmp_path / "out")
    assert written.kept == len(files) - 1
    assert {name for name in before if after[name] != before[name]} == {file.name}


def test_what_is_whole_is_not_written_again(tmp_path, whole):
    before = identities(stopped(tmp_path, keep=10))
    written = write(tmp_path / "out")
    assert written.kept == len(before) == 10
    after = identities(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize("change", ["seed", "files", "generator"])
def test_the_leftovers_of_another_configuration_are_removed(tmp_path, change):
    partial = stopped(tmp_path)
    (partial / ".pyinit-0123456789abcdef.tmp").write_bytes(b"half of a file")
    (partial / "model.safetensors.index.json").write_text("{}")
    if change == "files":
        written = checkpoint.write(ENTRIES, tmp_path / "out", 7)
        assert os.listdir(tmp_path / "out") == ["model.safetensors"]
    else:
        more = {"seed": 8} if change == "seed" else {"generator": "ars5"}
        written = write(tmp_path / "out", **more)
    assert written.kept == 0
    assert os.listdir(tmp_path) == ["out"]
    assert checkpoint.verify(tmp_path / "out").equal
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("stranger", ["notes.txt", "config.json", "folder", "link"])
def test_what_is_not_ours_in_the_way_is_an_error_and_stays(tmp_path, stranger):
    partial = stopped(tmp_path)
    (partial / ".pyinit-0123456789abcdef.tmp").write_bytes(b"half of a file")
    if stranger == "folder":
        (partial / "model-00099-of-00099.safetensors").mkdir()
    elif stranger == "link":
        (partial / "model.safetensors").symlink_to("/etc/passwd")
    else:
        (partial / stranger).write_text("mine")
    before = sorted(os.listdir(partial))
    with pytest.raises(FileExistsError, match="where the checkpoint is written"):
        write(tmp_path / "out")
    assert sorted(os.listdir(partial)) == before
    assert os.listdir(tmp_path) == ["out.partial"]


@pytest.mark.parametrize("way", ["file", "link"])
def test_what_is_no_folder_is_in_the_way_of_the_partial_one(tmp_path, way):
    partial = tmp_path / "out.partial"
    if way == "file":
        partial.write_text("mine")
    else:
        (tmp_path / "elsewhere").mkdir()
        partial.symlink_to(tmp_path / "elsewhere")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(FileExistsError):
        write(tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == before


def test_one_process_writes_at_a_time(tmp_path, whole):
    """Two of different seeds would otherwise leave files of both under one index."""
    folder = tmp_path / "out"
    child = begin(folder)
    wait_for_files(folder, 2)
    child.send_signal(signal.SIGSTOP)
    before = identities(tmp_path / "out.partial")
    for _ in range(2):
        with pytest.raises(OSError, match="another process is writing"):
            write(folder, 8)
    assert identities(tmp_path / "out.partial") == before
    child.send_signal(signal.SIGCONT)
    child.communicate()
    assert child.returncode == 0
    assert contents(folder) == whole
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_another_process_has_put_in_place_is_not_written_to(tmp_path):
    """It was opened as the partial one, and has its name when the lock is free."""
    partial = tmp_path / "out.partial"
    partial.mkdir()
    descriptor = os.open(partial, os.O_RDONLY)
    partial.rename(tmp_path / "out")
    for again in (False, True):
        if again:
            partial.mkdir()
        with pytest.raises(OSError, match="another process is writing"):
            atomic.lock(descriptor, partial)
    os.close(descriptor)


def test_of_many_at_the_same_time_one_makes_all(tmp_path):
    folders = {seed: {} for seed in (1, 2)}
    for seed in folders:
        write(tmp_path / f"{seed}", seed)
        folders[seed] = contents(tmp_path / f"{seed}")
    (tmp_path / "race").mkdir()
    for _ in range(3):
        children = [begin(tmp_path / "race" / "out", seed) for seed in (1, 2)]
        errors = [child.communicate()[1] for child in children]
        assert any(child.returncode == 0 for child in children)
        assert all(child.returncode == 0 or "another process" in e for child, e in zip(children, errors))
        assert contents(tmp_path / "race" / "out") in folders.values()
        assert os.listdir(tmp_path / "race") == ["out"]


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(tmp_path):
    with mounted(tmp_path / "small", megabytes=1) as folder:
        for name in ("out", "out.safetensors"):
            with pytest.raises(OSError, match="bytes are needed"):
                write(folder / name)
            assert os.listdir(folder) == []


def test_a_disk_that_fills_up_meanwhile(tmp_path, whole):
    with mounted(tmp_path / "small", megabytes=2) as folder:
        other, calls = (folder / "other").open("wb"), []

        def scheme(out, stream, **place):
            calls.append(place)
            if len(calls) == 6:
                os.posix_fallocate(other.fileno(), 0, shutil.disk_usage(folder).free)
            return stream.fill_normal(out, std=0.02, global_shape=place["global_shape"], offset=place["offset"])

        entries = {name: entry | {"scheme": scheme} for name, entry in ENTRIES.items() if "layer" in name}
        with pytest.raises(OSError, match="No space") as raised:
            write(folder / "out", entries=entries)
        assert raised.value.errno == errno.ENOSPC
        assert sorted(os.listdir(folder)) == ["other", "out.partial"]
        there = os.listdir(folder / "out.partial")
        assert 5 <= len(there) <= 7
        assert all(name.startswith("model-") for name in there)
        other.truncate(0)
        other.close()
        assert write(folder / "out", entries=entries).kept == len(there)
        expected = Stream(7).child("layer.29.weight").normal((100, 119), std=0.02)
        assert (folder / "out" / "model-00030-of-00030.safetensors").read_bytes().endswith(expected.tobytes())


def test_a_limit_to_the_size_of_files(tmp_path, whole):
    """The first of 36,000 bytes and a head can be written, and those that are larger cannot."""
    folder, before = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    sizes = [len(whole[name]) for name in sorted(whole)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[7], before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not folder.exists()
    there = os.listdir(tmp_path / "out.partial")
    assert 1 <= len(there) < len(whole) - 1
    assert write(folder).kept == len(there)
    assert contents(folder) == whole


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("buffer_bytes", [8, 1000, 4096, 1 << 20])
def test_the_bytes_depend_on_neither_buffers_nor_threads(tmp_path, monkeypatch, whole, buffer_bytes, threads):
    real = disk.write
    if buffer_bytes == 8:
        entries = {"a": {"shape": [13, 7], "scheme": "normal", "dtype": "bfloat16"}, "b": ENTRIES["head.bias"]}
        write(tmp_path / "same", entries=entries)
        expected = contents(tmp_path / "same")
    else:
        entries, expected = ENTRIES, whole
    monkeypatch.setattr(writing.disk, "write", lambda *a: real(*a[:4], buffer_bytes))
    write(tmp_path / "out", entries=entries, num_threads=threads)
    assert contents(tmp_path / "out") == expected


def test_a_large_file_is_looked_through_by_several_threads(tmp_path):
    """Of a tensor that only exists as a whole, too."""
    entries = {
        "large": {"shape": [1000, 1500], "scheme": "normal"},
        "whole": {"shape": [200, 150], "scheme": "orthogonal", "dtype": "float64"},
    }
    written = checkpoint.write(entries, tmp_path / "out", 3)
    data = (tmp_path / "out" / "model.safetensors").read_bytes()
    for place in (None, -1, 9000, len(data) // 2):
        partial = (tmp_path / "out").rename(tmp_path / "out.partial")
        if place is not None:
            changed = np.frombuffer(data, np.uint8).copy()
            changed[place] ^= 128
            (partial / "model.safetensors").write_bytes(changed.tobytes())
        written = checkpoint.write(entries, tmp_path / "out", 3)
        assert written.kept == (place is None)
        assert (tmp_path / "out" / "model.safetensors").read_bytes() == data


def test_what_a_killed_call_has_moved_away_comes_back(tmp_path):
    """The old checkpoint, where the new one was not there yet; it is not removed, and not replaced unless asked."""
    plan = {"w": {"shape": [3], "scheme": "normal"}}
    checkpoint.write(plan, tmp_path / "out", 7)
    (tmp_path / "out").rename(tmp_path / ".out.pyinit")
    with pytest.raises(FileExistsError):
        checkpoint.write(plan, tmp_path / "out", 8)
    assert os.listdir(tmp_path) == ["out"]
    assert checkpoint.verify(tmp_path / "out", {"w": "normal"}, 7).equal
    (tmp_path / "out").rename(tmp_path / ".out.pyinit")
    checkpoint.write(plan, tmp_path / "out", 8, overwrite=True)
    assert os.listdir(tmp_path) == ["out"]
    assert checkpoint.verify(tmp_path / "out", {"w": "normal"}, 8).equal
