"""Resumed checkpoints: the files that are kept, and other files in the folder."""

import os
import signal

import pytest

from pyinit import Stream, atomic, checkpoint

if os.name != "posix":
    pytest.skip("signals and limits of POSIX", allow_module_level=True)
from checkpoint_parts import ENTRIES, begin, contents, identities, wait_for_files, whole, write

__all__ = ["whole"]


class Counted:
    """A user's scheme that fails at some call."""

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
    """A checkpoint that another call left unfinished, before it had its name."""
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
    """Otherwise two processes with different seeds would leave files of both under one index."""
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
    """It was opened as the partial folder, and has its final name when the lock is free."""
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


def test_what_a_killed_call_has_moved_away_comes_back(tmp_path):
    """The old checkpoint, if the new one was not in place yet; it is not removed, and only replaced on request."""
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
