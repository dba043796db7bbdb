"""After a power cut at any moment a name has its old contents, nothing, or its complete new contents."""

import os
import random
import shutil

import pytest
from power_cut import GARBAGE, Disk, contents, is_whole

from pyinit import checkpoint, files

if os.name != "posix" or not os.path.exists("/proc/self/fd"):
    pytest.skip("needs POSIX's files and /proc", allow_module_level=True)

PLAN = {f"layer.{i}.weight": {"shape": [30 + i, 40], "scheme": "normal"} for i in range(7)}


def write_checkpoint(path, seed=0, **more):
    checkpoint.write(PLAN, path, seed, shard_bytes=12_000, overwrite=True, num_threads=1, **more)


def write_file(suffix):
    def write(path, seed=0):
        files.fill(path, (60, 50), "normal", seed, chunk_bytes=3 * 4096, overwrite=True, num_threads=1)

    write.suffix = suffix
    return write


def write_parts(path, seed=0):
    for part in (1, 0):
        files.fill(path, (60, 50), "normal", seed, chunks=(20, 50), part=(part, 2), num_threads=1)


write_parts.suffix = ".zarr"
write_checkpoint.suffix = ""
WRITERS = [write_checkpoint, *map(write_file, [".npy", ".npz", ".safetensors", ".zarr"])]


def one_file(path, seed=0):
    checkpoint.write(PLAN, path, seed, overwrite=True, num_threads=1)


one_file.suffix = ".safetensors"
WRITERS.append(one_file)
IDS = ["checkpoint", "npy", "npz", "safetensors", "zarr", "one-file checkpoint"]


def expected_of(tmp_path, write, seed=0):
    path = tmp_path / f"expected{write.suffix}"
    write(path, seed)
    found = contents(path)
    (shutil.rmtree if path.is_dir() else os.remove)(path)
    return found


def cut(tmp_path, write, allowed, expected, forgetful=lambda path: False):
    """Write with a check after each step; return the forbidden states that were seen, and the number of steps."""
    root = tmp_path / "disk"
    root.mkdir(exist_ok=True)
    path, wrong = root / f"w{write.suffix}", []
    disk = Disk(root, forgetful)

    def check():
        for seen in disk.may_be(path.name):
            if not any(is_whole(seen, each) for each in (None, *allowed, expected)):
                wrong.append((disk.steps, seen))

    with disk.recording(check):
        write(path)
    if not all(is_whole(seen, expected) for seen in disk.may_be(path.name)):
        wrong.append(("done", disk.may_be(path.name)))
    assert contents(path) == expected
    return wrong, disk


@pytest.mark.parametrize("write", WRITERS, ids=IDS)
def test_a_new_name_has_nothing_or_all(tmp_path, write):
    wrong, disk = cut(tmp_path, write, [], expected_of(tmp_path, write))
    assert disk.steps >= 3
    assert not wrong


@pytest.mark.parametrize("write", WRITERS, ids=IDS)
def test_a_name_that_is_there_has_the_old_nothing_or_all(tmp_path, write):
    new, old = expected_of(tmp_path, write), expected_of(tmp_path, write, seed=1)
    (tmp_path / "disk").mkdir()
    write(tmp_path / "disk" / f"w{write.suffix}", 1)
    wrong, _ = cut(tmp_path, write, [old], new)
    assert not wrong


def has_values_or_none(seen, expected):
    """Whether a Zarr array is right except for missing shards, whose values are nan."""
    if seen is None or not isinstance(seen, dict):
        return seen is not GARBAGE and (seen is None or seen == expected)
    return all(
        has_values_or_none(found, expected.get(name) if isinstance(expected, dict) else None)
        for name, maybe in seen.items()
        if not name.startswith(".pyinit-")
        for found in maybe
    )


def cut_parts(tmp_path, forgetful=lambda path: False):
    expected = expected_of(tmp_path, write_parts)
    root = tmp_path / "disk"
    root.mkdir()
    disk, wrong = Disk(root, forgetful), []

    def check():
        wrong.extend(seen for seen in disk.may_be("w.zarr") if not has_values_or_none(seen, expected))

    with disk.recording(check):
        write_parts(root / "w.zarr")
    return wrong, [seen for seen in disk.may_be("w.zarr") if not is_whole(seen, expected)]


def test_a_shard_of_an_array_that_is_written_in_parts_has_nothing_or_all(tmp_path):
    assert cut_parts(tmp_path) == ([], [])


def test_the_model_finds_a_shard_that_is_not_synced(tmp_path):
    wrong, _ = cut_parts(tmp_path, lambda path: path.endswith(".tmp"))
    assert wrong


@pytest.mark.parametrize("write", WRITERS, ids=IDS)
def test_the_model_finds_files_that_are_not_synced(tmp_path, write):
    """The control: without the effect of `fsync`, the same steps are not enough."""
    wrong, _ = cut(tmp_path, write, [], expected_of(tmp_path, write), lambda path: not os.path.isdir(path))
    assert any(step != "done" for step, _ in wrong)


@pytest.mark.parametrize("write", WRITERS, ids=IDS)
def test_the_model_finds_a_name_that_is_not_synced(tmp_path, write):
    """Without a sync of its parent folder, the name may be gone again afterwards."""
    wrong, _ = cut(tmp_path, write, [], expected_of(tmp_path, write), lambda path: path.endswith("/disk"))
    assert [step for step, _ in wrong] == ["done"]


@pytest.mark.parametrize("write", [write_checkpoint, WRITERS[4]], ids=["checkpoint", "zarr"])
def test_the_model_finds_names_in_a_folder_that_are_not_synced(tmp_path, write):
    inside = ("/w.partial", ".tmp", "/c")
    wrong, _ = cut(tmp_path, write, [], expected_of(tmp_path, write), lambda path: path.endswith(inside))
    assert any(step != "done" for step, _ in wrong)


def test_the_model_finds_an_old_folder_that_goes_too_early(tmp_path):
    """Before the new name is on the disk the old name may return, and must then be whole."""
    new, old = (expected_of(tmp_path, write_checkpoint, seed) for seed in (0, 1))
    (tmp_path / "disk").mkdir()
    write_checkpoint(tmp_path / "disk" / "w", 1)
    wrong, _ = cut(tmp_path, write_checkpoint, [old], new, lambda path: path.endswith("/disk"))
    assert any(step != "done" for step, _ in wrong)


def taken_up(tmp_path, forgetful=lambda path: False):
    """Resume a copied checkpoint that is not on the disk; the only file is whole, and others must be removed."""
    one = PLAN | {"layer.0.weight": {"shape": [3], "scheme": "zeros"}}
    checkpoint.write(one, tmp_path / "expected", 0)
    root = tmp_path / "disk"
    shutil.copytree(tmp_path / "expected", root / "w.partial")
    for name in (".pyinit-0123.tmp", "model.safetensors.index.json", "model-00001-of-00002.safetensors"):
        (root / "w.partial" / name).write_text("{}")
    disk, wrong = Disk(root, forgetful), []
    disk.contents = {inode: (GARBAGE, now) for inode, (_, now) in disk.contents.items()}
    allowed = (None, contents(tmp_path / "expected"))

    def check():
        wrong.extend(seen for seen in disk.may_be("w") if not any(is_whole(seen, each) for each in allowed))

    with disk.recording(check):
        assert checkpoint.write(one, root / "w", 0).kept == 1
    return wrong


def test_what_is_found_whole_is_on_the_disk_and_what_goes_is_gone(tmp_path):
    assert not taken_up(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "w.partial"])
def test_the_model_finds_what_was_found_and_is_not_synced(tmp_path, name):
    assert taken_up(tmp_path, lambda path: path.endswith(name))


class Stop(BaseException):
    """The power is cut, or the process killed."""


def build(where, seen, rng):
    """Make one of a disk's possible states after a power cut; garbage is truncated or has other bytes."""
    if isinstance(seen, dict):
        where.mkdir()
        for name, maybe in seen.items():
            build(where / name, rng.choice(maybe), rng)
    elif seen is GARBAGE:
        where.write_bytes(rng.choice([b"", bytes(5000), rng.randbytes(12_345)]))
    elif seen is not None:
        where.write_bytes(seen)


@pytest.mark.parametrize("seed", range(12))
def test_after_a_power_cut_at_any_moment_the_next_call_makes_a_whole_checkpoint(tmp_path, seed):
    rng, expected = random.Random(seed), expected_of(tmp_path, write_checkpoint)
    root, last, steps = tmp_path / "0", tmp_path / "last", []
    root.mkdir()
    for cuts in range(1, 4):  # one after another, each from the state of the last one
        disk = Disk(root)

        at = rng.randrange(1, 50 // cuts)

        def check(disk=disk, at=at):
            if disk.steps >= at:
                raise Stop

        try:
            with disk.recording(check):
                write_checkpoint(root / "w")
        except Stop:
            steps.append(disk.steps)
        root = tmp_path / str(cuts)
        build(root, disk.seen(os.stat(disk.root).st_ino), rng)
        found = contents(root)
        assert found.get("w") in (None, expected)
    shutil.copytree(root, last)
    write_checkpoint(last / "w")
    assert contents(last / "w") == expected
    assert os.listdir(last) == ["w"]
    assert steps
