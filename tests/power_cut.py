"""A model of a disk that loses its power: what may be seen of a folder after each step of what was done to it.

What is in a file counts from the `fsync` of the file on; before that, and after a change, anything may be in it. That a
name was given or taken away counts from the `fsync` of its folder on; before that each name may be as it was at any
time since the last one. Real file systems promise more.
"""

import os
import threading
from contextlib import contextmanager

GARBAGE = object()  # what is in a file that nobody has written to the disk
OPERATIONS = ("fsync", "replace", "rename", "link", "unlink", "rmdir", "mkdir", "pwrite", "ftruncate")


class Disk:
    """What a folder and all in it may be after a power cut, while it is worked with.

    Parameters
    ----------
    root : Path
        All that is there now is on the disk.
    forgetful : callable, optional
        Told the path of what is synced; True: it is not, and nobody notices.
    """

    def __init__(self, root, forgetful=lambda path: False):
        self.root = root
        self.forgetful = forgetful
        self.contents = {}  # inode of a file: what is on the disk, and what is there now
        self.names = {}  # inode of a folder: {name: inodes that it may have}
        self.now = {}  # inode of a folder: {name: inode}
        self.steps = 0
        self.lock = threading.RLock()
        self.observe()
        for inode, (_, data) in self.contents.items():
            self.contents[inode] = (data, data)
        self.names = {inode: {name: {other} for name, other in names.items()} for inode, names in self.now.items()}

    def observe(self):
        """Look at what is there, and note which names and contents there may be now."""
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
        for known in (self.contents, self.names):  # a number that nothing has any more may come again
            for inode in known.keys() - alive:
                del known[inode]

    def sync(self, descriptor):
        """Note what an open file or folder holds as being on the disk."""
        inode = os.fstat(descriptor).st_ino
        if self.forgetful(os.readlink(f"/proc/self/fd/{descriptor}")):
            return
        if inode in self.now:
            self.names[inode] = {name: {other} for name, other in self.now[inode].items()}
        elif inode in self.contents:
            self.contents[inode] = (self.contents[inode][1],) * 2

    @contextmanager
    def recording(self, check=lambda: None):
        """Call a check after each operation on files, whichever thread does it."""
        real = {name: getattr(os, name) for name in OPERATIONS}

        def recorded(name):
            def operation(*arguments, **keywords):
                with self.lock:
                    if name == "fsync":
                        self.observe()  # what is written before it is synced; what comes later is not
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
        """All that may be seen under a name in the root: None for nothing.

        A file is its bytes, or `GARBAGE`; a folder is the set of all that each of its names may be, as a dict.
        """
        return [self.seen(inode) for inode in self.names[os.stat(self.root).st_ino].get(name, {None})]

    def seen(self, inode):
        """What an inode may hold."""
        if inode is None:
            return None
        if inode in self.contents:
            safe, now = self.contents[inode]
            return safe if safe is not GARBAGE and safe == now else GARBAGE
        return {name: [self.seen(other) for other in maybe] for name, maybe in self.names[inode].items()}


def is_whole(seen, expected):
    """Whether what is seen is what is expected, and can be nothing else."""
    if not isinstance(expected, dict) or not isinstance(seen, dict):
        return seen is not GARBAGE and seen == expected
    return all(
        is_whole(found, expected.get(name))
        for name in seen.keys() | expected.keys()
        for found in seen.get(name, [None])
    )


def contents(path):
    """What is in a folder or a file, as `is_whole` expects it."""
    if path.is_dir():
        return {file.name: contents(file) for file in path.iterdir()}
    return path.read_bytes()
