"""Checkpoints whose writing is stopped by a kill, Ctrl-C or a full disk."""

import errno
import os
import random
import resource
import shutil
import signal
import time

import numpy as np
import pytest
from file_systems import mounted

from pyinit import Stream, checkpoint
from pyinit.checkpoint import writing
from pyinit.files import disk

if os.name != "posix":
    pytest.skip("signals and limits of POSIX", allow_module_level=True)
from checkpoint_parts import ENTRIES, begin, contents, identities, wait_for_files, whole, write

__all__ = ["whole"]


@pytest.mark.parametrize("trial", [*range(6), *(pytest.param(t, marks=pytest.mark.slow) for t in range(6, 60))])
def test_after_a_kill_the_checkpoint_is_absent_or_whole_and_the_next_call_makes_it(tmp_path, whole, trial):
    """Three kills, then an undisturbed call."""
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
    assert all((partial / name).read_bytes() == whole[name] for name in there)  # a file gets its name when it is whole
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
    assert number != signal.SIGINT or there == set(os.listdir(partial))  # files that were not whole are removed
    assert write(folder).kept == len(there) >= 15
    assert contents(folder) == whole


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
    """The first file, of 36,000 bytes and a header, can be written; the larger ones cannot."""
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
    """Also for a tensor that can only be made whole."""
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
