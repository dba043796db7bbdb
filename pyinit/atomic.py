"""Files and folders that appear whole or not at all, whether the program or the machine stops."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["check_folder", "check_parent", "path_text", "put_in_place", "replacement", "sole", "sync_folder", "target"]

NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)  # of a folder: a network's, or one that may not be listed
NO_LOCK = (errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EACCES)


def path_text(name: str, path: Any) -> str:
    """Ask a path once for its text, for it may answer otherwise the next time; TypeError names the argument.

    Examples
    --------
    >>> path_text("path", Path("a") / "b.npy") == os.path.join("a", "b.npy")
    True
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str or path-like; got {type(text).__name__}")
    return text


def target(path: str | os.PathLike[str], overwrite: bool = True) -> Path:
    """Say which file is to be written for `path`, a link followed; raise OSError where it exists or has no folder."""
    file = Path(os.path.realpath(path))
    check_parent(file)
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
        sync_folder(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:  # of a disk that is full, say
            error.filename = os.fspath(path)
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


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """See to it that the names in a folder are on the disk, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def check_folder(folder: Path, overwrite: bool, replaceable: Callable[[Path], bool] = lambda file: True) -> None:
    """Raise OSError if a folder cannot be made, or would replace another that must stay.

    Parameters
    ----------
    folder : Path
    overwrite : bool
        Whether a folder may be replaced that holds nothing but what is replaceable.
    replaceable : callable
        Whether something that is in the folder may be lost.
    """
    check_parent(folder)
    if old_name(folder).is_dir() and not folder.exists():
        old_name(folder).rename(folder)  # which a call had moved away that was killed before the new one was there
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileExistsError(f"{folder} exists already, and is no folder")
    if os.path.ismount(folder):
        raise OSError(f"{folder} is where a disk is mounted, and cannot be replaced: name a folder in it")
    if folder.is_dir() and Path.cwd().is_relative_to(folder.resolve()):  # `--force .` would take much away
        raise OSError(f"{folder} is the current folder, or around it, and cannot be replaced: name a folder in it")
    for file in folder.iterdir() if folder.is_dir() else ():
        if not overwrite:
            raise exists(folder)
        if not replaceable(file):
            raise FileExistsError(f"{folder} holds {file.name}, which would be lost: move it away first")


def old_name(folder: Path) -> Path:
    """Return where a folder is while another takes its place: as long as the name with .partial, so not too long."""
    return folder.with_name(f".{folder.name}.pyinit")


def check_parent(path: Path) -> None:
    """Raise FileNotFoundError if there is no folder to write to."""
    if not path.parent.is_dir():
        what = "is not a folder" if path.parent.exists() else "does not exist"
        raise FileNotFoundError(f"{path.parent} {what}, so {path.name} cannot be written there")


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Make a folder unless it is there, and be the only process that writes to it; in the end an empty one is removed.

    Raises
    ------
    OSError
        If another process writes to it, or it is a link or no folder.
    """
    if folder.is_symlink():
        raise FileExistsError(f"{folder} is a link: remove it")
    folder.mkdir(exist_ok=True)
    if not hasattr(os, "O_DIRECTORY"):
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lock(descriptor, folder)
        try:
            yield
        finally:
            with suppress(OSError):
                if is_at(descriptor, folder):
                    folder.rmdir()
    finally:
        os.close(descriptor)  # which unlocks it, as a kill does


def lock(descriptor: int, folder: Path) -> None:
    """Lock an open folder, where the file system can do that; raise OSError if another process has."""
    import fcntl

    busy = OSError(f"another process is writing to {folder}")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy from None
    except OSError as error:
        if error.errno not in NO_LOCK:
            raise
    if not is_at(descriptor, folder):  # it was that of another process, which has finished in the meantime
        raise busy


def is_at(descriptor: int, folder: Path) -> bool:
    """Whether an open folder still has its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), folder.lstat())
    except FileNotFoundError:
        return False


def put_in_place(new: Path, folder: Path, overwrite: bool) -> None:
    """Give a folder that is whole and on the disk its name; one that it replaces is removed after that."""
    old = old_name(folder)
    try:
        if folder.is_dir() and any(folder.iterdir()):
            if not overwrite:
                raise exists(folder)
            shutil.rmtree(old, ignore_errors=True)  # that of an earlier call, which has put the new one in its place
            folder.rename(old)
        elif folder.is_dir():
            folder.rmdir()  # which Windows does not replace
        new.rename(folder)
    except BaseException:
        with suppress(OSError):  # there is none, or the new one has its place already
            old.rename(folder)
        raise
    sync_folder(folder.parent)  # before the old one goes: the name is of the one or the other
    shutil.rmtree(old, ignore_errors=True)
