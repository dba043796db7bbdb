"""Find tensors in .safetensors and .npy files, whoever wrote them.

Every claim of a header is checked against the file's size before it is used, so no memory is taken for data that is not
there.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.arrays import dtype_of
from pyinit.files.disk import get
from pyinit.files.formats import MOST_HEADER, SAFETENSORS
from pyinit.files.parsing import entries
from pyinit.models.comparison import Block, Empty
from pyinit.models.tensors import boxes
from pyinit.untrusted import opened, shown, wrong

__all__ = ["Header", "Stored", "header", "npy_file", "safetensors_file"]

MOST_DIMENSIONS = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32  # of an array
NAMES = {theirs: ours for ours, theirs in SAFETENSORS.items()}
OTHERS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "C64": 64}
"""Bits per element of the .safetensors dtypes that pyinit lacks. The size of a newer dtype is not checked."""

NPY_NAMES = {dtype_of(name).newbyteorder("<").str: name for name in SAFETENSORS if name not in _core.RECORDS}
NPY_HEADER = re.compile(
    r"""\{(?:\s*(?:
        (['"])descr\1\s*:\s*(['"])(?P<descr>[^'"\\]{1,32})\2
        | (['"])fortran_order\4\s*:\s*(?P<order>True|False)
        | (['"])shape\6\s*:\s*\((?P<shape>(?:\s*\d{1,20}\s*,)*(?:(?<=,)\s*\d{1,20})?\s*)\)
    )\s*(?:,|(?=\}))){3}\s*\}""",
    re.VERBOSE | re.ASCII,
)
MOST_NPY_HEADER = 65536  # bytes


class Stored(NamedTuple):
    """A tensor in a file.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
        A key of `formats.SAFETENSORS`; the file's own name if pyinit lacks the dtype.
    path : Path
    begin : int
        The offset of its values in the file; they are little-endian and in row-major order.
    nbytes : int
    stays : bool
        Whether the bytes that are read stay in the page cache.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    path: Path
    begin: int
    nbytes: int
    stays: bool = True

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def kind(self) -> np.dtype[Any] | None:
        """Its dtype; None if pyinit lacks it."""
        return dtype_of(self.dtype) if self.dtype in SAFETENSORS else None

    @property
    def problem(self) -> str | None:
        """Why its values cannot be read; None if they can."""
        return None if self.dtype in SAFETENSORS else f"not compared: its dtype is {self.dtype}"

    def blocks(self, nbytes: int) -> Iterator[Block]:
        """Yield the tensor in order, in blocks of at most `nbytes` bytes."""
        assert self.kind is not None
        step = max(1, nbytes // self.kind.itemsize)
        for start in range(0, self.size, step):
            done = start
            for offset, shape in boxes(self.shape, start, min(start + step, self.size)):
                read = functools.partial(self.read, done, shape)
                done += math.prod(shape)
                yield Block(offset, shape, read)

    def box(self, offset: tuple[int, ...], shape: tuple[int, ...], empty: Empty = np.empty) -> NDArray[Any]:
        """Return a block. Whole rows are read, along the block's first dimension that is longer than 1."""
        axis = next((i for i, n in enumerate(shape) if n != 1), len(shape))
        if not math.prod(shape):
            return np.empty(shape, dtype_of(self.dtype))
        start = 0
        for place, n in zip(offset[: axis + 1], self.shape):
            start = start * n + place
        inner = self.shape[axis + 1 :]
        rows = self.read(start * math.prod(inner), (*shape[axis : axis + 1], *inner), empty)
        part = tuple(slice(o, o + n) for o, n in zip(offset[axis + 1 :], shape[axis + 1 :]))
        return rows[(slice(None), *part)].reshape(shape) if part else rows.reshape(shape)

    def read(self, start: int, shape: tuple[int, ...], empty: Empty = np.empty) -> NDArray[Any]:
        """Return consecutive elements in row-major order, in a given shape; `empty` allocates the memory.

        Raises
        ------
        DamagedError
            If the file has been shortened or replaced.
        OSError
            If it cannot be read.
        """
        kind = dtype_of(self.dtype)
        values = empty((math.prod(shape),), kind)
        with opened(self.path) as file:
            place = self.begin + start * kind.itemsize
            if get(file.fileno(), values.view(np.uint8), place, self.stays) < values.nbytes:
                raise wrong(self.path, f"the file ends in the middle of {shown(self.name)}")
        return native(values).reshape(shape)


def native(values: NDArray[Any]) -> NDArray[Any]:
    """Convert numbers from a little-endian file to this machine's byte order."""
    if values.itemsize == 1:
        return values
    bits = values.view(f"<u{values.itemsize}")
    return bits.astype(f"=u{values.itemsize}", copy=False).view(values.dtype)


class Header(NamedTuple):
    """The header of a .safetensors file: its tensors, in the order of their values, and its metadata."""

    tensors: list[Stored]
    metadata: dict[str, str]


def safetensors_file(path: str | os.PathLike[str]) -> Header:
    """Read the header of a .safetensors file.

    Raises
    ------
    DamagedError
        If the file is not a .safetensors file, or is not complete.
    OSError
        If it cannot be read.

    Source
    ------
    The README of https://github.com/huggingface/safetensors, section "Format".
    """
    path = Path(path)
    size, data = head_of(path)
    return header(data, path, size)


def head_of(path: Path) -> tuple[int, bytes]:
    """Return a .safetensors file's size and its header, without the header's length."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if size < 8 or length > size - 8:
            if start[:4] in (b"PK\3\4", b"\x80\2\x8a\n"):
                raise wrong(path, "it is a pickle of torch.save, and pickles are not read: save it as .safetensors")
            raise wrong(path, f"its header should have {length:,} bytes, and the file has {size:,}")
        if length > MOST_HEADER:
            raise wrong(path, f"its header has {length:,} bytes; {MOST_HEADER:,} are allowed")
        data = file.read(length)
    if len(data) < length:
        raise wrong(path, "it ends in the middle of its header")
    return size, data


def header(data: bytes, path: Path, size: int) -> Header:
    """Read a header, and check that its tensors fill the rest of the file, which has `size` bytes."""
    found: list[Stored] = []
    metadata: dict[str, str] = {}
    names: set[str] = set()
    for name, entry in entries(data, path):
        if name in names:
            raise wrong(path, f"{shown(name)} appears twice")
        names.add(name)
        if name == "__metadata__":
            metadata = entry
        else:
            found.append(stored(name, entry, path, 8 + len(data)))
    found.sort(key=lambda tensor: (tensor.begin, tensor.nbytes))
    place = 8 + len(data)
    for tensor in found:
        if tensor.begin != place:
            what = "overlaps the tensor before it" if tensor.begin < place else "does not follow the tensor before it"
            raise wrong(path, f"{shown(tensor.name)} {what}")
        place += tensor.nbytes
    if place != size:
        raise wrong(path, f"its tensors end at byte {place:,}, and the file has {size:,}")
    return Header(found, metadata)


def stored(name: str, entry: Any, path: Path, data: int) -> Stored:
    """Check a header's entry for one tensor; `data` is the start of the values in the file."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise wrong(path, f"{shown(name)} must have dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not re.fullmatch("[A-Z][A-Z0-9_]{0,31}", dtype):
        raise wrong(path, f"{shown(name)}: its dtype is not one of the format; got {shown(dtype)}")
    if not is_shape(shape):
        raise wrong(path, f"{shown(name)}: its shape is not an array's; got {shown(shape)}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(is_count, offsets)) or offsets[0] > offsets[1]:
        raise wrong(path, f"{shown(name)}: its data_offsets must be two counts of bytes, the smaller one first")
    begin, nbytes = data + offsets[0], offsets[1] - offsets[0]
    bits = dtype_of(NAMES[dtype]).itemsize * 8 if dtype in NAMES else OTHERS.get(dtype)
    if bits is not None and (needed := math.prod(shape) * bits) != nbytes * 8:
        raise wrong(path, f"{shown(name)}: its shape needs {needed // 8:,} bytes, and data_offsets give it {nbytes:,}")
    return Stored(name, tuple(shape), NAMES.get(dtype, dtype), path, begin, nbytes)


def is_count(value: Any) -> bool:
    """Whether a JSON value is an integer in [0, 2**63)."""
    return type(value) is int and 0 <= value < 2**63


def is_shape(value: Any) -> bool:
    """Whether a JSON value is the shape of a possible array; an empty array must not be too long either."""
    return (
        isinstance(value, list)
        and len(value) <= MOST_DIMENSIONS
        and all(map(is_count, value))
        and math.prod(n for n in value if n) < 2**60  # so that NumPy can count its bytes
    )


def npy_file(path: str | os.PathLike[str], name: str) -> Stored:
    """Read the header of a .npy file of numbers; its tensor is called `name`.

    Raises
    ------
    DamagedError
        If the file is not a .npy file, or is not complete; or if its array is in column-major order or big-endian.
    OSError
        If it cannot be read.

    Source
    ------
    NumPy's documentation of `numpy.lib.format`.
    """
    path = Path(path)
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(12)
        if start[:6] != b"\x93NUMPY" or len(start) < 12 or start[6] not in (1, 2, 3):
            raise wrong(path, "it is not a .npy file")
        wide = 2 if start[6] == 1 else 4
        length = int.from_bytes(start[8 : 8 + wide], "little")
        if length > MOST_NPY_HEADER:
            raise wrong(path, f"its header has {length:,} bytes; {MOST_NPY_HEADER:,} are allowed")
        file.seek(8 + wide)
        text = file.read(length).decode("latin-1").strip()
    found = NPY_HEADER.fullmatch(text)
    if not found or None in (descr := found["descr"], order := found["order"], numbers := found["shape"]):
        raise wrong(path, "its header does not describe an array of numbers")
    shape = [int(number) for number in numbers.split(",") if number.strip()]
    if not is_shape(shape):
        raise wrong(path, f"its shape is not an array's; got {shown(tuple(shape))}")
    if order == "True" or descr not in NPY_NAMES:
        raise wrong(
            path,
            f"only little-endian numbers in row-major order are read; got {shown(descr)}, fortran_order={order}",
        )
    kind, begin = dtype_of(NPY_NAMES[descr]), 8 + wide + length
    nbytes = math.prod(shape) * kind.itemsize
    if size != begin + nbytes:
        raise wrong(path, f"its header and its shape need {begin + nbytes:,} bytes, and the file has {size:,}")
    return Stored(name, tuple(shape), NPY_NAMES[descr], path, begin, nbytes)
