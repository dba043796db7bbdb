"""A model of a disk that loses its power: the possible states of a folder after each operation on it.

The contents of a file are safe after an `fsync` of the file; before that, and after a change, anything may be in it.
Changes of names are safe after an `fsync` of their folder; before that, each name may be as it was at any time since
the last `fsync`. Real file systems promise more.
"""

import os
import threading
from contextlib import contextmanager

GARBAGE = object()  # the contents of a file that was never synced to the disk
OPERATIONS = ("fsync", "replace", "rename", "link", "unlink", "rmdir", "mkdir", "pwrite", "ftruncate")


class Disk:
    """The possible states of a folder and its contents after a power cut, while programs use it.

    Parameters
    ----------
    root : Path
        Its present contents count as synced.
    forgetful : callable, optional
        Called with each path that is synced; if it returns True, the path silently is not.
    """

    def __init__(self, root, forgetful=lambda path: False):
        self.root = root
        self.forgetful = forgetful
        self.contents = {}  # inode of a file: the contents on the disk, and the present ones
        self.names = {}  # inode of a folder: {name: inodes that it may have}
        self.now = {}  # inode of a folder: {name: inode}
        self.steps = 0
        self.lock = threading.RLock()
        self.observe()
        for inode, (_, data) in self.contents.items():
            self.contents[inode] = (data, data)
        self.names = {inode: {name: {other} for name, other in names.items()} for inode, names in self.now.items()}

    def observe(self):
        """Look at the folder, and note the names and contents that are possible now."""
        alive, self.now = set(), {}
        for folder, folders, files in os.walk(self.root):
            inodes = {name: os.stat(os.path.join(folder, name)).st_ino for name in (*folders, *files)}
            here = os.stat(folder).st_ino
            alive |= {here, *inodes.values()}
            self.now[here] = inodes
            maybe = self.names.setdefault(here, {})
            for name in maybe.keys() | inodes.keys():
                maybe.setdefault(name, {None}).add(inodes.get(name))
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    safe, _ = self.contents.get(inodes[name], (GARBAGE, None))
                    self.contents[inodes[name]] = (safe, file.read())
        alive |= {inode for names in self.names.values() for maybe in names.values() for inode in maybe}
        for known in (self.contents, self.names):  # a free inode number may be used again
            for inode in known.keys() - alive:
                del known[inode]

    def sync(self, descriptor):
        """Note the contents of an open file or folder as synced."""
        inode = os.fstat(descriptor).st_ino
        if self.forgetful(os.readlink(f"/proc/self/fd/{descriptor}")):
            return
        if inode in self.now:
            self.names[inode] = {name: {other} for name, other in self.now[inode].items()}
        elif inode in self.contents:
            self.contents[inode] = (self.contents[inode][1],) * 2

    @contextmanager
    def recording(self, check=lambda: None):
        """Call a check after each operation on files, in any thread."""
        real = {name: getattr(os, name) for name in OPERATIONS}

        def recorded(name):
            def operation(*arguments, **keywords):
                with self.lock:
                    if name == "fsync":
                        self.observe()  # writes before the sync are on the disk, later ones are not
                    result = real[name](*arguments, **keywords)
                    self.observe()
                    if name == "fsync":
                        self.sync(*arguments)
                    self.steps += 1
                    check()
                return result

            return operation

        try:
            for name in OPERATIONS:
                setattr(os, name, recorded(name))
            yield
        finally:
            for name, function in real.items():
                setattr(os, name, function)

    def may_be(self, name):
        """Return the possible states of a name in the root: None for nothing.

        A file is its bytes, or `GARBAGE`; a folder is a dict of the possible states of each of its names.
        """
        return [self.seen(inode) for inode in self.names[os.stat(self.root).st_ino].get(name, {None})]

    def seen(self, inode):
        """Return the possible contents of an inode."""
        if inode is None:
            return None
        if inode in self.contents:
            safe, now = self.contents[inode]
            return safe if safe is not GARBAGE and safe == now else GARBAGE
        return {name: [self.seen(other) for other in maybe] for name, maybe in self.names[inode].items()}


def is_whole(seen, expected):
    """Whether the only possible state is the expected one."""
    if not isinstance(expected, dict) or not isinstance(seen, dict):
        return seen is not GARBAGE and seen == expected
    return all(
        is_whole(found, expected.get(name))
        for name in seen.keys() | expected.keys()
        for found in seen.get(name, [None])
    )


def contents(path):
    """Return the contents of a folder or a file, as `is_whole` expects them."""
    if path.is_dir():
        return {file.name: contents(file) for file in path.iterdir()}
    return path.read_bytes()
