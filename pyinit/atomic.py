"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
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
        raise FileExistsError(f"{file} exists already; --force, or overwrite=True, replaces it")
    return file


@contextmanager
def replacement(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a new file beside `path` that takes its name once all is on the disk.

    Until then, and after an error, a Ctrl-C or whatever else raises, what `path` named before is as it was, and the
    new file is removed. A process that is killed leaves it behind, as ``.pyinit-*.tmp``.

    Parameters
    ----------
    path : str or path-like
        A link is followed. Who may read and write the file that is replaced may do so with the new one.
    overwrite : bool
        False: neither a file that is there is replaced, nor one that has come to be there in the meantime.

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
            with suppress(FileNotFoundError, PermissionError):  # some file systems have one mode for all files
                shutil.copymode(path, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
        target(path, overwrite)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def create(temporary: Path, path: Path) -> BinaryIO:
    """Open the temporary file; an error names the file that it stands for."""
    try:
        return temporary.open("xb")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
