"""Compiled kernels on disk, so that the next process does not compile them again."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from contextlib import suppress
from pathlib import Path

OWN_NAME = re.compile(r"[0-9a-f]{64}|\.pyinit-[0-9a-f]{16}\.tmp")  # the folder may hold other programs' files
MOST_FILES = 512  # a device has some 70 kernels, of up to 130 kB each; the oldest files go first
DIGEST_BYTES = hashlib.sha256().digest_size


def folder() -> Path | None:
    """Return the folder of pyinit's cache: `PYINIT_CACHE_DIR`, or one of the user's; None for no cache.

    Examples
    --------
    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, PYINIT_CACHE_DIR="/scratch/pyinit"):
    ...     folder().as_posix()
    '/scratch/pyinit'
    """
    chosen = os.environ.get("PYINIT_CACHE_DIR")
    if chosen is not None:
        return Path(chosen) if chosen else None
    try:
        return user_folder() / "pyinit"
    except RuntimeError:  # the user has no home
        return None


def user_folder() -> Path:
    """Return the folder of the user's caches; raise RuntimeError if the user has no home."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return chosen if chosen.is_absolute() else Path.home() / ".cache"


def entry(*parts: object) -> Path | None:
    """Return the file for a compiled kernel, named by a hash of all that determines it; None without a cache.

    Examples
    --------
    >>> one, other = (entry("CUDA", "a source text", target) for target in ("8.0", "9.0"))
    >>> one.name == other.name
    False
    """
    cache = folder()
    return cache and cache / "kernels" / hashlib.sha256(repr(parts).encode()).hexdigest()


def read(path: Path | None) -> bytes | None:
    """Return the code that `write` put into a file; None if there is no such file, or it cannot be trusted.

    Parameters
    ----------
    path : Path or None
        The result of `entry`.

    Returns
    -------
    bytes or None

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "kernels" / "box_muller"
    >>> write(path, b"machine code")
    >>> read(path)
    b'machine code'
    >>> path.write_bytes(b"machine c0de")
    12
    >>> read(path) is None
    True
    """
    if path is None:
        return None
    try:
        if not is_private(path.parent.stat()):
            return None
        with path.open("rb") as file:
            if not is_private(os.fstat(file.fileno())):
                return None
            digest, code = file.read(DIGEST_BYTES), file.read()
    except OSError:
        return None
    return code if digest == checksum(path, code) else None


def write(path: Path | None, code: bytes) -> None:
    """Keep compiled code in a file; do nothing if that fails, because a cache only saves time.

    The file appears whole or not at all, so several processes may write the same one.
    """
    if path is None:
        return
    with suppress(OSError):
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        if is_private(path.parent.stat()):
            replace(path, checksum(path, code) + code)
            remove_oldest(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Write a file that only the user may read and write; it is written under another name, then renamed."""
    temporary = path.with_name(f".pyinit-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def checksum(path: Path, code: bytes) -> bytes:
    """Return the hash at the head of the file; it covers the name, so that no file passes for another."""
    return hashlib.sha256(path.name.encode() + code).digest()


def is_private(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to the user, and only the user may write to it.

    The machine runs the code in these files, so another user's code would run with this user's rights. Windows has no
    such modes, and lets no other user write to the folders of `user_folder`.
    """
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def remove_oldest(kernels: Path) -> None:
    """Remove the oldest files if there are more than `MOST_FILES`."""
    files = [file for file in kernels.iterdir() if OWN_NAME.fullmatch(file.name) and file.is_file()]
    if len(files) > MOST_FILES:
        for file in sorted(files, key=lambda file: file.stat().st_mtime)[:-MOST_FILES]:
            file.unlink(missing_ok=True)
