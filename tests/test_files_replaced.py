"""The files that are replaced, the state after an error or interrupt, and the mode and owner of a new file."""

import os
import shutil
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
from recording_scheme import Recorder

from pyinit import files
from pyinit.atomic import replacement


def fail(error):
    raise error


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), SystemExit(143), MemoryError()], ids=repr)
def test_an_error_on_the_way_leaves_the_folder_as_it_was(tmp_path, error):
    path = tmp_path / "w.npy"
    path.write_bytes(b"before")
    scheme = Recorder(at=3, do=lambda: fail(error))
    with pytest.raises(type(error)):
        files.fill(path, (30, 40), scheme, 7, chunk_bytes=160, overwrite=True)
    assert os.listdir(tmp_path) == ["w.npy"]
    assert path.read_bytes() == b"before"


def test_the_file_is_not_to_be_seen_before_it_is_whole(tmp_path):
    seen = []
    scheme = Recorder(at=3, do=lambda: seen.extend(os.listdir(tmp_path)))
    files.fill(tmp_path / "w.npy", (30, 40), scheme, 7, chunk_bytes=160)
    assert len(seen) == 1
    assert seen[0].startswith(".pyinit-")
    assert os.listdir(tmp_path) == ["w.npy"]


def test_a_file_is_replaced_only_where_that_is_asked_for(tmp_path):
    path = tmp_path / "w.npy"
    path.write_bytes(b"before")
    with pytest.raises(FileExistsError, match="exists already"):
        files.fill(path, (2, 2), "zeros", 0)
    assert path.read_bytes() == b"before"
    files.fill(path, (2, 2), "zeros", 0, overwrite=True)
    assert not np.load(path).any()


def test_a_file_that_came_to_be_in_the_meantime_stays(tmp_path):
    path = tmp_path / "w.npy"
    scheme = Recorder(at=2, do=lambda: path.write_bytes(b"another's"))
    with pytest.raises(FileExistsError):
        files.fill(path, (30, 40), scheme, 7, chunk_bytes=160)
    assert path.read_bytes() == b"another's"
    assert os.listdir(tmp_path) == ["w.npy"]


RACE = """
import sys
from pathlib import Path
from pyinit.atomic import replacement
folder, mine, rounds = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
done = []
for i in range(rounds):
    (folder / f"{sys.argv[2]}{i}").touch()
    while len(list(folder.glob(f"[ab]{i}"))) < 2:
        pass
    try:
        with replacement(folder / f"{i}.bin", overwrite=False) as file:
            file.write(mine)
        done.append(i)
    except FileExistsError:
        pass
print(*done)
"""


@pytest.mark.parametrize("links", [True, False])
def test_of_two_processes_that_make_one_new_file_one_fails(tmp_path, links):
    code = RACE if links else "import os\ndel os.link\n" + RACE
    racers = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, name, "100"], stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    won = [set(map(int, racer.communicate()[0].split())) for racer in racers]
    assert won[0] | won[1] == set(range(100))
    assert not won[0] & won[1]
    assert {i: (tmp_path / f"{i}.bin").read_text() for i in won[0]} == dict.fromkeys(won[0], "a")
    assert {i: (tmp_path / f"{i}.bin").read_text() for i in won[1]} == dict.fromkeys(won[1], "b")
    assert not list(tmp_path.glob(".pyinit-*"))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_a_file_that_appears_while_another_is_made_stays(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"

    def meanwhile(out, stream, **_):
        path.write_bytes(b"theirs")
        out[...] = 0

    with pytest.raises(FileExistsError, match="exists already"):
        files.fill(path, (2, 2), meanwhile, 0)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {path.name: b"theirs"}


def test_without_links_an_error_leaves_nothing(tmp_path, monkeypatch):
    def fails(*names):
        raise OSError(5, "Input/output error")

    monkeypatch.delattr(os, "link")
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="Input/output"):
        files.fill(tmp_path / "w.npy", (2, 2), "zeros", 0)
    assert os.listdir(tmp_path) == []


UNMAPPED = """
import sys
from pyinit import files
files.fill(sys.argv[1], (2, 2), "zeros", 0, overwrite=True)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_whose_owner_does_not_exist_here_is_replaced(tmp_path):
    """As in a container that lacks some users: there chown fails with EINVAL."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces")
    path = tmp_path / "w.npy"
    path.touch()
    path.chmod(0o666)
    os.chown(path, 1234, 1234)
    subprocess.run(["unshare", "-Ur", sys.executable, "-c", UNMAPPED, path], check=True)
    assert np.load(path).shape == (2, 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("mode", [0o600, 0o4640], ids=oct)
def test_a_file_that_root_replaces_keeps_its_owner(tmp_path, mode):
    path = tmp_path / "w.npy"
    path.touch()
    os.chown(path, 65534, 65533)
    path.chmod(mode)
    files.fill(path, (2, 2), "zeros", 0, overwrite=True)
    now = path.stat()
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (65534, 65533, mode)


@pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")
def test_a_link_is_followed_and_the_mode_is_that_of_any_new_file(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "w.npy").symlink_to(tmp_path / "disk" / "real.npy")
    files.fill(tmp_path / "w.npy", (2, 2), "zeros", 0)
    assert (tmp_path / "w.npy").is_symlink()
    (tmp_path / "other").touch()
    mode = stat.S_IMODE((tmp_path / "other").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "disk" / "real.npy").stat().st_mode) == mode


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444], ids=oct)
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "w.npy"
    path.touch()
    path.chmod(mode)
    seen = []
    scheme = Recorder(at=1, do=lambda: seen.extend(stat.S_IMODE(f.stat().st_mode) for f in tmp_path.iterdir()))
    files.fill(path, (2, 2), scheme, 0, overwrite=True)
    assert seen == [mode] * 2  # the temporary file is not readable by more users
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that is none")
def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    path = tmp_path / "w.npy"
    os.mkfifo(path)
    with pytest.raises(OSError, match="is no regular file"):
        files.fill(path, (2, 3), "zeros", 0, overwrite=True)
    assert path.is_fifo()
    assert os.listdir(tmp_path) == ["w.npy"]


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "w.npy").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        files.fill(tmp_path / "w.npy", (2, 3), "zeros", 0, overwrite=True)


def test_a_file_that_cannot_be_made_is_told_by_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"w\.npy") as raised, replacement(tmp_path / "gone" / "w.npy", False):
        pass
    assert ".pyinit" not in str(raised.value)


INTERRUPTED = """
import signal, sys
from pyinit import files
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests themselves run in the background
def scheme(out, stream, **place):
    print("begun", flush=True)
    return stream.fill_normal(out, **place)
files.fill(sys.argv[1], (2000, 30000), scheme, 7, chunk_bytes=3 << 16, overwrite=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGINT of POSIX")
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_ctrl_c_leaves_the_folder_as_it_was(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(b"before")
    command = [sys.executable, "-c", INTERRUPTED, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        for _ in range(20):
            child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate()
    assert child.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_bytes() == b"before"
