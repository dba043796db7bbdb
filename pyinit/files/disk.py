"""Write and read large files at the disk's speed, with little memory, bypassing the page cache."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pyinit.parallel import Scratch, parallel

__all__ = ["BUFFERS", "BUFFER_BYTES", "fits_memory", "get", "matches", "require_room", "rounded", "write"]

BUFFERS = 3  # one is filled while the others are written
BUFFER_BYTES = 1 << 25  # large enough that a disk's latency does not matter
BLOCK = 4096  # O_DIRECT needs addresses, offsets and lengths that are multiples of this

PIECE_BYTES = 1 << 20  # one thread compares this much at a time: the expected and the read bytes fit the cache

SEEKING = threading.Lock()  # for systems without pread and pwrite, such as Windows

Bytes = NDArray[np.uint8]


def write(
    file: BinaryIO,
    size: int,
    fill: Callable[[int, Bytes], object],
    advance: Callable[[int], object] = lambda n: None,
    buffer_bytes: int = BUFFER_BYTES,
) -> None:
    """Write a new file: one part is computed while others are written to the disk.

    Parameters
    ----------
    file : file object
        Open for writing, empty.
    size : int
        The size of the file in bytes.
    fill : callable
        ``fill(begin, out)`` makes the bytes of the file from `begin` on. It is called in order.
    advance : callable
        Called with the number of bytes just written.
    buffer_bytes : int
        The size of each of three buffers. If it is a multiple of 4096 and the file system supports it, all but the last
        bytes of the file bypass the page cache.

    Raises
    ------
    OSError
        If the disk is full, or the file cannot be written.
    """
    descriptor = file.fileno()
    allocate(descriptor, size)
    length = min(buffer_bytes, -(-size // BLOCK) * BLOCK) or BLOCK
    memory = np.frombuffer(mmap.mmap(-1, BUFFERS * length), np.uint8).reshape(BUFFERS, length)  # begins on a page
    on_the_way: deque[tuple[Future[None], int]] = deque()
    rest = memory[0, :0]

    def wait() -> None:
        future, count = on_the_way.popleft()
        future.result()
        advance(count)

    with unbuffered(descriptor, size, length) as multiple, ThreadPoolExecutor(BUFFERS - 1) as writers:
        try:
            for number, begin in enumerate(range(0, size, length)):
                buffer, count = memory[number % BUFFERS], min(length, size - begin)
                if len(on_the_way) == BUFFERS - 1:
                    wait()
                fill(begin, buffer[:count])
                whole = count - count % multiple
                rest = buffer[whole:count]
                on_the_way.append((writers.submit(put, descriptor, buffer[:whole], begin), whole))
            while on_the_way:
                wait()
        except BaseException:
            writers.shutdown(cancel_futures=True)
            raise
    put(descriptor, rest, size - len(rest))  # less than a block; padding could exceed a limit on file sizes
    advance(len(rest))


def require_room(folder: Path, size: int) -> None:
    """Raise OSError if a folder's disk has fewer than `size` bytes free."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(f"{size:,} bytes are needed, and the disk of {folder} has {free:,} left")


def rounded(size: int) -> int:
    """Round the size of a buffer down to whole elements, and to whole blocks of the disk if it is large."""
    return max(8, size - size % (BLOCK if size >= BLOCK else 8))


def matches(path: Path, size: int, fill: Callable[[int, Bytes], object]) -> bool:
    """Whether a file has this size and the bytes that `fill` makes, as in `write`; several threads call `fill`."""
    with path.open("rb") as file:
        descriptor = file.fileno()
        if os.fstat(descriptor).st_size != size:
            return False

        empty = Scratch()

        def is_same(begin: int) -> bool:
            made, there = empty((2, min(PIECE_BYTES, size - begin)), np.dtype(np.uint8))
            fill(begin, made)
            return get(descriptor, there, begin, stays=False) == len(made) and np.array_equal(made, there)

        return all(parallel(is_same, range(0, size, PIECE_BYTES)))


def get(descriptor: int, out: Bytes, begin: int, stays: bool = True) -> int:
    """Read bytes from a position of a file; return their number, which is smaller than asked for at the file's end.

    With `stays` False the bytes leave the page cache afterwards. Otherwise a file larger than memory would push out
    everything else, which costs more than reading the file.
    """
    done = 0
    while done < len(out):
        if hasattr(os, "preadv"):
            count = os.preadv(descriptor, [out[done:].data], begin + done)
        else:
            with SEEKING:
                os.lseek(descriptor, begin + done, os.SEEK_SET)
                part = os.read(descriptor, len(out) - done)
            count = len(part)
            out[done : done + count] = np.frombuffer(part, np.uint8)
        if not count:
            break
        done += count
    if not stays and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, begin, done, os.POSIX_FADV_DONTNEED)
    return done


def fits_memory(size: int) -> bool:
    """Whether `size` bytes are at most half of the machine's memory."""
    try:
        return size <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):  # Windows
        return True


def allocate(descriptor: int, size: int) -> None:
    """Reserve a file's blocks, so that a full disk raises now, and the file is not fragmented."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
                raise


@contextmanager
def unbuffered(descriptor: int, size: int, length: int) -> Iterator[int]:
    """Make writes bypass the page cache, if possible; yield the number that their lengths must be a multiple of."""
    direct = getattr(os, "O_DIRECT", 0)
    if not direct or length % BLOCK or size < BLOCK:
        yield 1
        return
    import fcntl

    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | direct)
        # Some file systems accept the flag and then refuse writes. Only a real write shows that, so write a block.
        put(descriptor, np.frombuffer(mmap.mmap(-1, BLOCK), np.uint8), 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
        yield 1
        return
    try:
        yield BLOCK
    finally:
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


def put(descriptor: int, data: Bytes, begin: int) -> None:
    """Write all bytes at a position of a file."""
    view = data.data
    while len(view):
        if hasattr(os, "pwrite"):
            count = os.pwrite(descriptor, view, begin)
        else:
            with SEEKING:
                os.lseek(descriptor, begin, os.SEEK_SET)
                count = os.write(descriptor, view)
        view, begin = view[count:], begin + count
