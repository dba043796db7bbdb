"""Large files from memory to the disk, for all kinds of file systems, sizes and errors."""

import contextlib
import errno
import fcntl
import itertools
import os
import resource
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from file_systems import mounted
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit import Stream, initializers
from pyinit.arrays import dtype_of
from pyinit.files import disk
from pyinit.files.formats import SAFETENSORS, safetensors_header
from pyinit.files.images import Image
from pyinit.models.tensors import drawn, kept

if not hasattr(os, "O_DIRECT"):
    pytest.skip("Linux's way to disks", allow_module_level=True)

BLOCK = disk.BLOCK
SIZES = sorted({max(0, n + d) for n in (0, BLOCK, 3 * BLOCK, 12 * BLOCK) for d in (-8, -1, 0, 1, 8)})


def pattern(begin, size):
    """Return bytes that show their position in a file."""
    return (np.arange(begin, begin + size) * 2654435761 >> 7).astype(np.uint8)


def fill(begin, out):
    out[:] = pattern(begin, len(out))


def write(path, size, buffer_bytes, fill=fill, **more):
    with path.open("xb") as file:
        disk.write(file, size, fill, buffer_bytes=buffer_bytes, **more)
    return path.read_bytes()


@pytest.fixture(params=["disk", "/dev/shm", "tmpfs", "ramfs", "ext4"])
def folder(request, tmp_path):
    """A folder of each kind of file system."""
    if request.param == "disk":
        yield tmp_path
    elif request.param == "/dev/shm":
        place = Path(f"/dev/shm/{tmp_path.name}-{os.getpid()}")
        if not os.access("/dev/shm", os.W_OK):
            pytest.skip("no /dev/shm")
        place.mkdir()
        yield place
        shutil.rmtree(place)
    else:
        with mounted(tmp_path / "mounted", request.param) as place:
            yield place


@pytest.mark.parametrize("buffer_bytes", [8, 1000, BLOCK, 2 * BLOCK, 3 * BLOCK - 8, 1 << 20])
def test_the_file_is_what_was_filled(folder, buffer_bytes):
    for size in SIZES if buffer_bytes > 8 else SIZES[:4]:
        told = []
        assert write(folder / "f", size, buffer_bytes, advance=told.append) == pattern(0, size).tobytes()
        assert sum(told) == size
        (folder / "f").unlink()


@given(st.integers(0, 9 * BLOCK), st.integers(1, 4 * BLOCK))
@settings(max_examples=40, deadline=None)
def test_any_size_and_any_buffer(tmp_path_factory, size, buffer_bytes):
    path = tmp_path_factory.getbasetemp() / "any"
    assert write(path, size, buffer_bytes) == pattern(0, size).tobytes()
    path.unlink()


def flags(monkeypatch, path, buffer_bytes):
    """Record the status flags of a file at each write."""
    seen, real = [], os.pwrite

    def pwrite(descriptor, data, begin):
        seen.append((fcntl.fcntl(descriptor, fcntl.F_GETFL), len(data), begin))
        return real(descriptor, data, begin)

    with monkeypatch.context() as patch, path.open("xb") as file:
        before = fcntl.fcntl(file, fcntl.F_GETFL)
        patch.setattr(os, "pwrite", pwrite)
        disk.write(file, 10 * BLOCK + 24, fill, buffer_bytes=buffer_bytes)
        assert fcntl.fcntl(file, fcntl.F_GETFL) == before  # the next write need not be aligned
    assert path.read_bytes() == pattern(0, 10 * BLOCK + 24).tobytes()
    return seen


def test_the_page_cache_is_passed_by_where_the_file_system_can(tmp_path, monkeypatch):
    with mounted(tmp_path / "ext4", "ext4") as folder:
        seen = flags(monkeypatch, folder / "direct", 4 * BLOCK)
        last = (10 * BLOCK, 24)
        assert all(flag & os.O_DIRECT for flag, count, begin in seen if (begin, count) != last)
        assert all(count % BLOCK == begin % BLOCK == 0 for _, count, begin in seen if (begin, count) != last)
        assert {(begin, count) for _, count, begin in seen} > {last, (0, 4 * BLOCK), (8 * BLOCK, 2 * BLOCK)}
        assert not any(flag & os.O_DIRECT for flag, _, _ in flags(monkeypatch, folder / "cached", 4 * BLOCK - 8))


def test_a_file_system_without_o_direct_takes_whole_files_too(tmp_path, monkeypatch):
    with mounted(tmp_path / "ramfs", "ramfs") as folder:
        assert not any(flag & os.O_DIRECT for flag, _, _ in flags(monkeypatch, folder / "f", 4 * BLOCK))


def test_a_file_system_that_takes_the_flag_and_refuses_to_write(tmp_path, monkeypatch):
    real = os.pwrite

    def pwrite(descriptor, data, begin):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, data, begin)

    monkeypatch.setattr(os, "pwrite", pwrite)
    assert write(tmp_path / "f", 9 * BLOCK, 2 * BLOCK) == pattern(0, 9 * BLOCK).tobytes()


@pytest.mark.parametrize("most", [1, 100, BLOCK], ids="{} bytes".format)
def test_short_writes_are_continued(tmp_path, monkeypatch, most):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, begin: real(descriptor, data[:most], begin))
    buffer_bytes = 3 * BLOCK if most == BLOCK else 3 * BLOCK - 8  # unaligned data does not bypass the cache
    assert write(tmp_path / "f", 5 * BLOCK + 8, buffer_bytes) == pattern(0, 5 * BLOCK + 8).tobytes()


def test_a_system_that_cannot_read_or_write_at_a_place(tmp_path, monkeypatch):
    """On Windows a file is moved to the position first, which two threads must not do at once."""
    monkeypatch.delattr(os, "pwrite")
    monkeypatch.delattr(os, "preadv")
    size = 9 * disk.PIECE_BYTES + 1000
    assert write(tmp_path / "f", size, 5 * BLOCK - 8) == pattern(0, size).tobytes()
    assert disk.matches(tmp_path / "f", size, fill)
    assert not disk.matches(tmp_path / "f", size, lambda begin, out: fill(begin + (begin > size // 2), out))


@contextlib.contextmanager
def largest_file(size):
    """Limit the size of this process's files: a write beyond it is short, and the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_does_not_fit_is_told_before_anything_is_made(tmp_path):
    calls = []
    with largest_file(2 * BLOCK), pytest.raises(OSError, match="large") as raised:
        write(tmp_path / "f", 3 * BLOCK, BLOCK, lambda begin, out: calls.append(begin))
    assert raised.value.errno == errno.EFBIG
    assert not calls
    with mounted(tmp_path / "small", "tmpfs", 1) as folder, pytest.raises(OSError, match="No space") as raised:
        write(folder / "f", 2 << 20, BLOCK, lambda begin, out: calls.append(begin))
    assert raised.value.errno == errno.ENOSPC
    assert not calls


@pytest.mark.parametrize("size", [100, BLOCK + 8, 5 * BLOCK - 8, 5 * BLOCK])
def test_a_file_that_is_as_large_as_a_limit_allows(tmp_path, size):
    """Not even for a moment are more than its bytes written."""
    with largest_file(size):
        assert write(tmp_path / "f", size, 2 * BLOCK) == pattern(0, size).tobytes()


@pytest.mark.parametrize("at", [0, 3, 7])
@pytest.mark.parametrize("buffer_bytes", [BLOCK, BLOCK - 8])
def test_an_error_of_a_writer_is_raised(tmp_path, at, buffer_bytes):
    """The limit is lowered while the file is written, so that a writer's thread meets it."""
    with contextlib.ExitStack() as limits:

        def limited(begin, out):
            if begin == at * buffer_bytes:
                limits.enter_context(largest_file(at * buffer_bytes + BLOCK // 2))
            fill(begin, out)

        told = []
        with pytest.raises(OSError, match="large") as raised:
            write(tmp_path / "f", 8 * buffer_bytes, buffer_bytes, limited, advance=told.append)
    assert raised.value.errno == errno.EFBIG
    assert sum(told) <= at * buffer_bytes


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), SystemExit(143)], ids=repr)
def test_after_an_error_no_thread_writes_on(tmp_path, error):
    def failing(begin, out):
        fill(begin, out)
        if begin == 5 * BLOCK:
            raise error

    threads = threading.active_count()
    with pytest.raises(type(error)):
        write(tmp_path / "f", 9 * BLOCK, BLOCK, failing)
    assert threading.active_count() == threads


def overlapped(path, monkeypatch, buffers, patience):
    """Whether the second part is made while the first is written to the disk, which waits for that."""
    second, real, timed_out = threading.Event(), os.pwrite, []

    def pwrite(descriptor, data, begin):
        if begin == 0 and not second.wait(patience):
            timed_out.append(begin)
        return real(descriptor, data, begin)

    def noting(begin, out):
        if begin:
            second.set()
        fill(begin, out)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "BUFFERS", buffers)
        patch.setattr(os, "pwrite", pwrite)
        assert write(path, 3000, 1000, noting) == pattern(0, 3000).tobytes()
    return not timed_out


def test_a_part_is_made_while_another_is_written(tmp_path, monkeypatch):
    assert overlapped(tmp_path / "f", monkeypatch, disk.BUFFERS, 60)
    assert not overlapped(tmp_path / "g", monkeypatch, 2, 0.2)  # the control: one buffer to fill, one to write, in turn


def test_a_buffer_is_not_filled_before_it_is_written(tmp_path, monkeypatch):
    """With a disk that is much slower than the fill."""
    real, slow = os.pwrite, itertools.cycle([0.02, 0.0, 0.01])

    def pwrite(descriptor, data, begin):
        threading.Event().wait(next(slow))
        return real(descriptor, data, begin)

    monkeypatch.setattr(os, "pwrite", pwrite)
    assert write(tmp_path / "f", 20 * BLOCK, BLOCK) == pattern(0, 20 * BLOCK).tobytes()


def test_matches_finds_any_byte_and_any_length(tmp_path):
    path, size = tmp_path / "f", 2 * disk.PIECE_BYTES + 1234
    data = pattern(0, size)
    path.write_bytes(data.tobytes())
    assert disk.matches(path, size, fill)
    for place in (0, 7, disk.PIECE_BYTES - 1, disk.PIECE_BYTES, size - 1):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes([data[place] ^ 1]))
            file.flush()
            assert not disk.matches(path, size, fill)
            file.seek(place)
            file.write(bytes([data[place]]))
    assert disk.matches(path, size, fill)
    for other in (data[:-1], np.append(data, np.uint8(0)), data[:0]):
        path.write_bytes(other.tobytes())
        assert not disk.matches(path, size, fill)


KINDS = [*SAFETENSORS]


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 9), max_size=3)), min_size=1, max_size=5),
    st.data(),
)
@settings(deadline=None)
def test_any_part_of_an_image_is_that_of_the_whole(entries, data):
    """At any multiple of 8 bytes; tensors with larger elements come first, as in a checkpoint."""
    entries.sort(key=lambda entry: -dtype_of(entry[0]).itemsize)
    tensors, values = [], []
    for number, (name, shape) in enumerate(entries):
        kind, stream = dtype_of(name), Stream(3).child(str(number))
        if name in ("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2"):
            scheme = "orthogonal" if len(shape) == 2 and min(shape) > 0 else "normal"
            values.append(initializers.scheme(scheme)(np.empty(shape, kind), stream))
            tensors.append(drawn(str(number), shape, kind, scheme, Stream(3).child(str(number))))
        else:
            values.append(np.random.default_rng(number).integers(0, 2, shape).astype(kind))
            tensors.append(kept(str(number), values[-1]))
    head = safetensors_header([(str(i), name, shape) for i, (name, shape) in enumerate(entries)], {})
    whole = head + b"".join(array.tobytes() for array in values)
    image = Image(head, tensors)
    assert image.size == len(whole)
    begin = 8 * data.draw(st.integers(0, len(whole) // 8))
    end = min(begin + 8 * data.draw(st.integers(0, len(whole) // 8)), len(whole))
    out = np.empty(end - begin, np.uint8)
    image.fill(begin, out)
    assert out.tobytes() == whole[begin:end]


def test_several_threads_make_parts_of_one_image():
    """Also for a tensor that can only be made whole, which is made again after another one was used."""
    tensors = [drawn(f"{i}", (40, 30), np.dtype("f4"), "orthogonal", Stream(i)) for i in range(3)]
    values = [initializers.orthogonal()(np.empty((40, 30), np.float32), Stream(i)) for i in range(3)]
    image, whole = Image(b"", tensors, 1), b"".join(array.tobytes() for array in values)
    places, found = [(i * 264) % (3 * 4800) for i in range(200)], {}

    def work(part):
        for begin in part:
            found[begin] = np.empty(min(264, len(whole) - begin), np.uint8)
            image.fill(begin, found[begin])

    threads = [threading.Thread(target=work, args=(places[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[begin].tobytes() == whole[begin : begin + 264] for begin in places)
