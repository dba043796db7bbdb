"""Compiled kernels on disk: the next process loads them, and damaged files never lead to wrong samples."""

import os
import stat
import sys
from pathlib import Path, PureWindowsPath

import pytest
from kernel_files import DAMAGE, UNWRITABLE, folder, output, start, unwritable

from pyinit.kernels import cache

__all__ = ["folder"]

CODE = bytes(range(200))
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no modes of files")


@pytest.fixture
def path():
    """The path of a file that has been written."""
    path = cache.entry("a kernel")
    cache.write(path, CODE)
    assert cache.read(path) == CODE
    return path


def test_each_part_of_a_name_counts():
    names = [("text", "90", ("-a", "-b")), ("text", "80", ("-a", "-b")), ("text", "90", ("-a-b",)), ("text", "90-a")]
    names += [("text90",), ("text", None), ("text", "None"), ()]
    assert len({cache.entry(*parts) for parts in names}) == len(names)
    assert cache.entry(*names[0]) == cache.entry(*names[0])


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_noticed_and_replaced(path, damage):
    path.write_bytes(damage(path.read_bytes()))
    assert cache.read(path) is None
    cache.write(path, CODE)
    assert cache.read(path) == CODE


def test_each_bit_is_checked(path):
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert cache.read(path) is None
    path.write_bytes(data)
    assert cache.read(path) == CODE


def test_a_file_does_not_pass_for_another(path):
    other = path.with_name(cache.entry("another kernel").name)
    path.rename(other)
    assert cache.read(other) is None


def test_a_folder_of_that_name(path):
    path.unlink()
    path.mkdir()
    assert cache.read(path) is None
    cache.write(path, CODE)
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_file_alone(path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.write(path, b"new")
    assert list(path.parent.iterdir()) == [path]
    assert cache.read(path) == CODE


def test_the_oldest_files_go_first(monkeypatch):
    monkeypatch.setattr(cache, "MOST_FILES", 3)
    paths = [cache.entry(i) for i in range(6)]
    for age, path in zip((5, 9, 7, 3, 8, 1), paths):
        cache.write(path, CODE)
        os.utime(path, (1e9 - age, 1e9 - age))
        assert cache.read(path) == CODE  # the newest file, just written, is never removed
    assert sorted(paths[0].parent.iterdir()) == sorted(paths[i] for i in (0, 3, 5))


def test_files_of_others_stay(monkeypatch):
    monkeypatch.setattr(cache, "MOST_FILES", 1)
    cache.write(cache.entry(0), CODE)
    others = [cache.entry(0).parent / name for name in ("kernel.cu", "notes", "a" * 63)]
    for other in others:
        other.write_text("mine")
        os.utime(other, (1, 1))
    for i in range(1, 4):
        cache.write(cache.entry(i), CODE)
    assert all(other.exists() for other in others)
    assert not cache.entry(1).exists()


@posix
def test_modes(path, folder):
    previous = os.umask(0)
    try:
        cache.write(other := folder / "other" / "kernels" / path.name, CODE)
    finally:
        os.umask(previous)
    for file in (path, other):
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_may_write_to_is_not_loaded(path, mode):
    path.chmod(0o600 | mode)
    assert cache.read(path) is None
    cache.write(path, CODE)  # a new file replaces it
    assert cache.read(path) == CODE
    path.parent.chmod(0o700 | mode)
    assert cache.read(path) is None
    cache.write(path, b"new")
    path.parent.chmod(0o755)  # reading still works
    path.chmod(0o644)
    assert cache.read(path) == CODE


@posix
def test_what_belongs_to_another_user_is_not_loaded(path, monkeypatch):
    """Folder and file, one at a time; root can give them away, otherwise the test changes the user's own id."""
    if os.geteuid() == 0:
        for one in (path, path.parent):
            os.chown(one, 65534, -1)
            assert cache.read(one if one == path else path) is None
            os.chown(one, 0, -1)
        assert cache.read(path) == CODE
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.read(path) is None
    cache.write(path, b"new")
    monkeypatch.undo()
    assert cache.read(path) == CODE


def test_no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PYINIT_CACHE_DIR", "")
    monkeypatch.chdir(tmp_path)
    assert cache.folder() is cache.entry("a kernel") is cache.read(None) is None
    cache.write(None, CODE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "home/.cache/pyinit"),
        ("linux", {"XDG_CACHE_HOME": "/scratch"}, "/scratch/pyinit"),
        ("linux", {"XDG_CACHE_HOME": "scratch"}, "home/.cache/pyinit"),  # the specification says to ignore this
        ("linux", {"XDG_CACHE_HOME": ""}, "home/.cache/pyinit"),
        ("darwin", {"XDG_CACHE_HOME": "/scratch"}, "home/Library/Caches/pyinit"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/pyinit"),
        ("win32", {}, "home/AppData/Local/pyinit"),
    ],
)
def test_the_user_s_folder(monkeypatch, tmp_path, platform, environment, expected):
    for name in ("PYINIT_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert PureWindowsPath(cache.folder()) == PureWindowsPath(tmp_path / expected)


def test_no_home(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("PYINIT_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert cache.folder() is None


@pytest.mark.parametrize("kind", UNWRITABLE)
def test_a_folder_that_cannot_be_written(kind, monkeypatch, tmp_path):
    monkeypatch.setenv("PYINIT_CACHE_DIR", str(unwritable(kind, tmp_path)))
    path = cache.entry("a kernel")
    assert cache.read(path) is None
    cache.write(path, CODE)
    assert cache.read(path) is None


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_where_not_even_root_may_write(monkeypatch):
    monkeypatch.setenv("PYINIT_CACHE_DIR", "/proc/pyinit")
    cache.write(path := cache.entry("a kernel"), CODE)
    assert cache.read(path) is None


FULL = """
import resource
from pyinit.kernels import cache

path = cache.entry("a kernel")
cache.write(path, b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
cache.write(path, bytes(5000))
print(cache.read(path), len(list(path.parent.iterdir())))
"""


def test_a_full_disk():
    pytest.importorskip("resource")
    assert output(FULL) == "b'old' 1\n"


WRITERS = """
from pyinit.kernels import cache

for _ in range(300):
    cache.write(cache.entry("a kernel"), bytes(100_000))
"""


def test_processes_that_write_one_file_at_once():
    """Each starts before another has ended, and readers always find a whole file."""
    processes, path, seen = [start(WRITERS) for _ in range(4)], cache.entry("a kernel"), 0
    while any(process.poll() is None for process in processes):
        found = cache.read(path)
        assert found == bytes(100_000) or not seen
        seen += found is not None
    assert [process.communicate()[1] for process in processes] == [""] * 4
    assert seen
    assert list(path.parent.iterdir()) == [path]
