"""The recorded contents of the storages that a block allocates and writes: edits, not numbers.

A draw writes nothing: it adds an edit to its storage's contents (see `tape`). So do later operations on the storage. If
values are needed immediately, they are made.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from pyinit.adapters.torch.operators import filled, has_no_memory
from pyinit.adapters.torch.playing import Player
from pyinit.adapters.torch.sharding import UNSHARDED, is_distributed
from pyinit.adapters.torch.tape import Contents, Draw, Edit, Geometry, Given, draws, storage_of
from pyinit.initializers import Constant

__all__ = ["Early", "Entry", "Moved", "Storages", "caller", "check_whole"]


class Entry:
    """A storage whose contents are known.

    Attributes
    ----------
    storage : StorageWeakRef
        A weak reference, which keeps the storage's address from being reused.
    contents : Contents
    is_made : bool
        Whether the contents are already in memory.
    has_old : bool
        Whether the edits apply on top of earlier values, which are not recorded.
    """

    def __init__(self, tensor: torch.Tensor, contents: Contents, has_old: bool) -> None:
        self.storage = StorageWeakRef(storage_of(tensor))
        self.device = tensor.device
        self.contents = contents
        self.is_made = False
        self.has_old = has_old

    @property
    def is_pending(self) -> bool:
        """Whether the contents are not in memory yet."""
        return not self.is_made and bool(self.contents.edits)

    def flat(self) -> torch.Tensor | None:
        """Return the storage as a flat tensor; None if it has been freed."""
        storage = torch.UntypedStorage._new_with_weak_ptr(self.storage.cdata)
        if storage is None:
            return None
        return torch.empty(0, dtype=self.contents.dtype, device=self.device).set_(
            storage, 0, (self.contents.size,), (1,)
        )


class Moved:
    """A real tensor that a meta tensor replaced in a module.

    Attributes
    ----------
    entry : Entry
        The real tensor's entry; it keeps the storage's address from being reused.
    before : Contents
        The real tensor's contents at the replacement.
    geometry : Geometry
        The real tensor's geometry.
    meta : weakref of Tensor
    given : Contents
        The meta tensor's first contents.
    is_written : bool
        Whether an unrecorded operation has written the real memory since.
    """

    def __init__(self, entry: Entry, before: Contents, geometry: Geometry, meta: torch.Tensor, given: Contents) -> None:
        self.entry = entry
        self.before = before
        self.geometry = geometry
        self.meta = weakref.ref(meta)
        self.given = given
        self.is_written = False


class Early(NamedTuple):
    """Values made before the block ended, with their own key, because something read them."""

    key: str
    shape: tuple[int, ...]
    reader: str


def caller() -> str:
    """Return the user's file and line: the innermost frame outside torch and pyinit."""
    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<")
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(ours):
        frame = frame.f_back  # type: ignore[assignment]
    return "" if frame is None else f" at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def check_whole(tensor: torch.Tensor) -> None:
    """Raise RuntimeError for a draw into a DTensor: it would fill the shards of all processes alike."""
    if is_distributed(tensor):
        raise RuntimeError(
            f"draws into a DTensor{caller()} are not recorded: {UNSHARDED}. To fill a sharded model, use "
            "initialize_module(), or pyinit.adapters.torch.init with stream="
        )


class Storages:
    """The storages whose contents this thread records.

    Parameters
    ----------
    player : Player or None
        Makes values that are read in the block. None: values cannot be read.
    outer : tuple of Storages
        The storages of the blocks around this one.

    Attributes
    ----------
    entries : dict of int to Entry
        The known storages by their addresses.
    keys : dict of int to str
        The stream names of draws by their numbers.
    early : list of Early
    moved : dict of int to list of Moved
        The tensors that meta tensors replaced, by the addresses of their storages.
    shown : dict of int to StorageWeakRef
        The storages that code outside torch may read at any time, by their addresses.
    read : dict of int to StorageWeakRef
        The storages whose random values were made early, by their addresses.
    drawn, replaced : int
        The numbers of draws, and of draws that a later write replaced.
    """

    def __init__(self, player: Player | None, outer: tuple[Storages, ...] = ()) -> None:
        self.player = player
        self.outer = outer
        self.entries: dict[int, Entry] = {}
        self.keys: dict[int | str, str] = {}
        self.early: list[Early] = []
        self.moved: dict[int, list[Moved]] = {}
        self.shown: dict[int, StorageWeakRef] = {}
        self.read: dict[int, StorageWeakRef] = {}
        self.drawn = self.replaced = 0
        self.numbers, self.ordinals = itertools.count(), itertools.count()

    def entry(self, tensor: torch.Tensor) -> Entry | None:
        """Return the entry of a tensor's storage; None if its contents are not known."""
        try:
            return self.entries.get(storage_of(tensor)._cdata) if self.entries else None
        except (NotImplementedError, RuntimeError, ValueError):  # a sparse or lazy tensor has no storage
            return None

    def is_pending(self, tensor: torch.Tensor) -> bool:
        """Whether the contents of a tensor's storage are not in memory yet."""
        entry = self.entry(tensor)
        return entry is not None and entry.is_pending

    def is_whole(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor covers all of a known storage."""
        entry = self.entry(tensor)
        if entry is None or entry.contents.dtype != tensor.dtype:
            return False
        return Geometry.of(tensor).is_dense and tensor.numel() == entry.contents.size

    def enter(self, tensor: torch.Tensor, edits: tuple[Edit, ...] = (), has_old: bool = False) -> Entry:
        """Add an entry for a tensor's storage."""
        storage = storage_of(tensor)
        self.take(tensor)
        contents = Contents(edits, storage.nbytes() // tensor.element_size(), tensor.dtype)
        entry = self.entries[storage._cdata] = Entry(tensor, contents, has_old)
        return entry

    def take(self, tensor: torch.Tensor) -> None:
        """Let the blocks around this one write a tensor that they know, and forget it."""
        for other in self.outer:
            other.make([tensor], "a block inside this one")
            other.forget(tensor)

    def show(self, tensor: torch.Tensor) -> None:
        """Note that code outside torch may read a tensor: from now on, draws into it are made at once."""
        storage = storage_of(tensor)
        self.shown[storage._cdata] = StorageWeakRef(storage)

    def is_shown(self, tensor: torch.Tensor) -> bool:
        """Whether code outside torch may read a tensor at any time."""
        storage = storage_of(tensor)
        return storage._cdata in self.shown or not (has_no_memory(tensor) or storage.resizable())

    def forget(self, *tensors: torch.Tensor) -> None:
        """Drop the entries of tensors' storages."""
        for tensor in tensors:
            if self.entry(tensor) is not None:
                del self.entries[storage_of(tensor)._cdata]

    def edit(self, tensor: torch.Tensor, what: Any, overwrites: bool = True) -> None:
        """Record a write to a tensor."""
        entry = self.entry(tensor)
        if entry is not None and entry.contents.dtype != tensor.dtype:
            self.make([tensor], "a view of another dtype")
            self.forget(tensor)
            entry = None
        if entry is None:
            entry = self.enter(tensor, *self.before(tensor, overwrites))
        elif entry.is_made and entry.has_old:
            entry.contents = Contents((), entry.contents.size, entry.contents.dtype)
        before = entry.contents
        entry.contents = before.edited(Edit(Geometry.of(tensor), what, overwrites))
        entry.is_made = False
        if entry.contents.source is not None:
            entry.has_old = False
            if len(entry.contents.edits) == 1:
                self.replaced += sum(isinstance(edit.what, Draw) for edit in before.edits)
        if self.is_shown(tensor):
            self.make([tensor], "NumPy or another process, with which it shares memory")

    def before(self, tensor: torch.Tensor, overwrites: bool) -> tuple[tuple[Edit, ...], bool]:
        """Return edits for an unknown storage's values before a write, and whether it has unrecorded values."""
        if has_no_memory(tensor):
            return (), False
        storage = storage_of(tensor)
        size = storage.nbytes() // tensor.element_size()
        if overwrites and tensor.numel() == size and Geometry.of(tensor).is_dense:
            return (), True
        values = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(storage, 0, (size,), (1,))
        return (Edit(Geometry.whole((size,)), Given(values.clone())),), False

    def draw(self, tensor: torch.Tensor, sampler: Any) -> torch.Tensor:
        """Record a draw into a tensor."""
        check_whole(tensor)
        if isinstance(sampler, Constant):
            self.edit(tensor, filled(sampler.value, tensor.dtype))
            return tensor
        if any(n > 1 and s == 0 for n, s in zip(tensor.shape, tensor.stride())):
            raise RuntimeError("cannot draw into a tensor with overlapping elements; clone() it first")
        self.drawn += 1
        self.edit(tensor, Draw(sampler, tensor.dtype in (torch.float64, torch.complex128), next(self.numbers)))
        return tensor

    def make(self, tensors: list[torch.Tensor], reader: str) -> None:
        """Make the values of tensors now, because `reader` reads them."""
        for tensor in tensors:
            entry = self.entry(tensor)
            if entry is None or not entry.is_pending:
                continue
            if has_no_memory(tensor) or self.player is None:
                raise RuntimeError(
                    f"{reader}{caller()} reads random values, which are only recorded here: build the model inside "
                    "fast_init(seed), which makes values when they are read"
                )
            self.make_entry(entry, tuple(tensor.shape), reader)

    def make_entry(self, entry: Entry, shape: tuple[int, ...], reader: str) -> None:
        """Make the contents of a live storage; draws without a key get their own keys."""
        if (flat := entry.flat()) is None or self.player is None:
            return
        for draw, _ in draws(entry.contents):
            if draw.key not in self.keys:
                key = self.keys[draw.key] = f"#{next(self.ordinals)}"
                self.early.append(Early(key, shape, reader + caller()))
                self.read[entry.storage.cdata] = entry.storage
        self.player.play([(entry.contents, flat)], self.keys)
        entry.is_made = True
