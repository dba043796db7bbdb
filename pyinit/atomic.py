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

NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)  # a folder on a network, or one that may not be listed
NO_LOCK = (errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EACCES)


def path_text(name: str, path: Any) -> str:
    """Ask a path for its text just once, because its answer may change; a TypeError names the argument.

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
    """Return the file to write for `path`, following a link; raise OSError if it must stay or has no folder."""
    file = Path(os.path.realpath(path))
    check_parent(file)
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder")
    if file.exists() and not file.is_file():  # a device, even /dev/null, would become a regular file
        raise OSError(f"{file} is no regular file, so it cannot be replaced")
    if file.exists() and not overwrite:
        raise exists(file)
    return file


@contextmanager
def replacement(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a new file beside `path` that takes its name once everything is on the disk.

    Until then the old file stays as it was. After an error or Ctrl-C it also stays, and the new one is removed. A
    killed process leaves the new file behind, as ``.pyinit-*.tmp``.

    Parameters
    ----------
    path : str or path-like
        A link is followed. The new file keeps the mode of the old one, and its owner and group as far as this process
        may set them.
    overwrite : bool
        False: never replace a file, not even one that another process makes in the meantime.

    Yields
    ------
    file object
        Open for writing bytes.

    Raises
    ------
    OSError
        If the file cannot be written, or an old one must stay.

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
        if isinstance(error, OSError) and error.errno and error.filename is None:  # a full disk, for instance
            error.filename = os.fspath(path)
        raise


def create(temporary: Path, path: Path) -> BinaryIO:
    """Open the temporary file; an error names the file that it will replace."""
    try:
        return temporary.open("xb")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None


def copy_owner_and_mode(path: Path, temporary: Path) -> None:
    """Copy owner, group and mode from an old file, if it exists, as far as the file system has them."""
    with suppress(FileNotFoundError):
        old = path.stat()
        mode = stat.S_IMODE(old.st_mode)
        if hasattr(os, "chown"):
            for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):  # one may be allowed and the other not
                try:
                    os.chown(temporary, owner, group)
                except OSError:  # no permission, or no such owner here
                    mode &= 0o777  # without that owner, drop setuid and setgid
        with suppress(OSError):  # some file systems have one mode for all files
            temporary.chmod(mode)


def make_new(temporary: Path, path: Path) -> None:
    """Rename a file; raise FileExistsError if the new name is taken, even if another process just took it."""
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
    """Make the error for a file that must stay."""
    return FileExistsError(f"{path} exists already; --force, or overwrite=True, replaces it")


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Sync the names in a folder to the disk, if the system can do that."""
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
    """Raise OSError if a folder cannot be made, or would replace one that must stay.

    Parameters
    ----------
    folder : Path
    overwrite : bool
        Whether a folder may be replaced if everything in it is replaceable.
    replaceable : callable
        Whether a given entry of the folder may be lost.
    """
    check_parent(folder)
    if old_name(folder).is_dir() and not folder.exists():
        old_name(folder).rename(folder)  # a killed call moved it away and did not put the new one in place
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileExistsError(f"{folder} exists already, and is no folder")
    if os.path.ismount(folder):
        raise OSError(f"{folder} is a mount point, and cannot be replaced: name a folder in it")
    if folder.is_dir() and Path.cwd().is_relative_to(folder.resolve()):  # `--force .` would delete much
        raise OSError(f"{folder} is the current folder or contains it, and cannot be replaced: name a folder in it")
    for file in folder.iterdir() if folder.is_dir() else ():
        if not overwrite:
            raise exists(folder)
        if not replaceable(file):
            raise FileExistsError(f"{folder} holds {file.name}, which would be lost: move it away first")


def old_name(folder: Path) -> Path:
    """Return the temporary name of a folder while another takes its place: no longer than the name with .partial."""
    return folder.with_name(f".{folder.name}.pyinit")


def check_parent(path: Path) -> None:
    """Raise FileNotFoundError if a path has no folder to be written to."""
    if not path.parent.is_dir():
        what = "is not a folder" if path.parent.exists() else "does not exist"
        raise FileNotFoundError(f"{path.parent} {what}, so {path.name} cannot be written there")


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Make a folder unless it exists, and lock it for this process alone; at the end remove it if it is empty.

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
        os.close(descriptor)  # unlocks it, as a kill does


def lock(descriptor: int, folder: Path) -> None:
    """Lock an open folder, if the file system can do that; raise OSError if another process holds the lock."""
    import fcntl

    busy = OSError(f"another process is writing to {folder}")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy from None
    except OSError as error:
        if error.errno not in NO_LOCK:
            raise
    if not is_at(descriptor, folder):  # it was another process's, which has finished in the meantime
        raise busy


def is_at(descriptor: int, folder: Path) -> bool:
    """Whether an open folder still has its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), folder.lstat())
    except FileNotFoundError:
        return False


def put_in_place(new: Path, folder: Path, overwrite: bool) -> None:
    """Rename a complete, synced folder to its final name, and then remove the one that it replaces."""
    old = old_name(folder)
    try:
        if folder.is_dir() and any(folder.iterdir()):
            if not overwrite:
                raise exists(folder)
            shutil.rmtree(old, ignore_errors=True)  # left by an earlier call that had put the new one in place
            folder.rename(old)
        elif folder.is_dir():
            folder.rmdir()  # Windows does not replace a folder
        new.rename(folder)
    except BaseException:
        with suppress(OSError):  # there is no old one, or the new one is already in place
            old.rename(folder)
        raise
    sync_folder(folder.parent)  # before the old one is removed, so that the name always leads to a whole folder
    shutil.rmtree(old, ignore_errors=True)
