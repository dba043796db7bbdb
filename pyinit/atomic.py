"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacement", "target"]


def target(path: str | os.PathLike[str], overwrite: bool = True) -> Path:
    """Say which file is to be written for `path`, a link followed; raise OSError where it exists or has no folder."""
    file = Path(os.path.realpath(path))
    if not file.parent.is_dir():
        raise FileNotFoundError(f"{file.parent} is not a folder, so {file.name} cannot be written there")
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder")
    if file.exists() and not file.is_file():  # a device, /dev/null even, would become a file of ours
        raise OSError(f"{file} is no regular file, so none can take its place")
    if file.exists() and not overwrite:
        raise exists(file)
    return file


@contextmanager
def replacement(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a new file beside `path` that takes its name once all is on the disk.

    Until then, and after any error or Ctrl-C, the old file stays as it was, and the new one is removed. A process that
    is killed leaves it behind, as ``.pyinit-*.tmp``.

    Parameters
    ----------
    path : str or path-like
        A link is followed. The new file keeps the mode of the one it replaces, and its owner and group as far as this
        process may set them.
    overwrite : bool
        False: no file is replaced, even one that another process makes in the meantime.

    Yields
    ------
    file object
        Open for writing bytes.

    Raises
    ------
    OSError
        If the file cannot be written, or there is another that must stay.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with replacement(file, overwrite=False) as new:
    ...     _ = new.write(b"all of it")
    >>> file.read_text(), len(list(file.parent.iterdir()))
    ('all of it', 1)
    """
    path = target(path, overwrite)
    temporary = path.with_name(f".pyinit-{secrets.token_hex(8)}.tmp")
    try:
        with create(temporary, path) as file:
            copy_owner_and_mode(path, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            target(path)
            os.replace(temporary, path)
        else:
            make_new(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def create(temporary: Path, path: Path) -> BinaryIO:
    """Open the temporary file; an error names the file that it stands for."""
    try:
        return temporary.open("xb")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None


def copy_owner_and_mode(path: Path, temporary: Path) -> None:
    """Give a file the owner, group and mode of another, if there is one, as far as the file system has them."""
    with suppress(FileNotFoundError):
        old = path.stat()
        mode = stat.S_IMODE(old.st_mode)
        if hasattr(os, "chown"):
            for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):  # one may be allowed where the other is not
                try:
                    os.chown(temporary, owner, group)
                except OSError:  # no right to, or no such owner where this runs
                    mode &= 0o777  # no file runs as somebody that it was not given by
        with suppress(OSError):  # some file systems have one mode for all files
            temporary.chmod(mode)


def make_new(temporary: Path, path: Path) -> None:
    """Rename a file; raise FileExistsError if the new name is taken, even if another process takes it just now."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise exists(path) from None
    except (AttributeError, OSError):  # no links on this system, or on this file system: an empty file takes the name
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            raise exists(path) from None
        try:
            os.replace(temporary, path)
        except BaseException:
            path.unlink()
            raise
    else:
        temporary.unlink()


def exists(path: Path) -> FileExistsError:
    """Say that a file must stay."""
    return FileExistsError(f"{path} exists already; --force, or overwrite=True, replaces it")
