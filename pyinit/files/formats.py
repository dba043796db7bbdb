"""The two formats: what stands ahead of a tensor's bytes, which are little-endian and in row-major order."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import _core
from pyinit.arrays import dtype_of

__all__ = ["DTYPES", "dtype_name", "little_endian", "npy_header", "safetensors_header"]

SAFETENSORS = {
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
DTYPES = {name: dtype_of(name) for name in SAFETENSORS}


def dtype_name(dtype: Any) -> str:
    """Give the name of a dtype that can be filled.

    Parameters
    ----------
    dtype : str or dtype
        A key of `DTYPES`; NumPy's, ml_dtypes' or one of `pyinit.arrays`.

    Returns
    -------
    str
        A key of `DTYPES`.

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> dtype_name(np.float32), dtype_name("bfloat16")
    ('float32', 'bfloat16')
    """
    try:
        found = dtype_of(dtype)
        row = _core.dtype_row(found)
        name = str(found) if row is None else row.name
    except TypeError:
        name = repr(dtype)
    if name not in DTYPES:
        raise TypeError(f"dtype must be {', '.join(DTYPES)}; got {name}")
    return name


def npy_header(dtype: str, shape: Sequence[int]) -> bytes:
    """Write the head of a .npy file.

    Parameters
    ----------
    dtype : str
        A key of `DTYPES` that NumPy has.
    shape : sequence of int

    Returns
    -------
    bytes
        A multiple of 64.

    Raises
    ------
    TypeError
        For the others, which the format has no names for.

    Source
    ------
    NumPy's documentation of `numpy.lib.format`, version 1.0.

    Examples
    --------
    >>> npy_header("float32", (2, 3))[:6], len(npy_header("float32", (2, 3)))
    (b'\\x93NUMPY', 128)
    """
    if dtype in _core.RECORDS:
        raise TypeError(f"a .npy file cannot hold {dtype}, which NumPy has no name for; name the file .safetensors")
    file = io.BytesIO()
    descr = DTYPES[dtype].newbyteorder("<").str
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": tuple(shape)})
    return file.getvalue()


def safetensors_header(name: str, dtype: str, shape: Sequence[int], metadata: Mapping[str, str]) -> bytes:
    """Write the head of a .safetensors file of one tensor.

    Parameters
    ----------
    name : str
        The tensor's.
    dtype : str
        A key of `DTYPES`.
    shape : sequence of int
    metadata : mapping of str to str

    Returns
    -------
    bytes
        A multiple of 8: the length of what follows, in 8 bytes; and JSON, padded with spaces.

    Raises
    ------
    TypeError
        If the name is no str.
    ValueError
        If the name is the one that the format keeps for the metadata, or is not to be encoded.

    Source
    ------
    The README of https://github.com/huggingface/safetensors, section "Format".

    Examples
    --------
    >>> safetensors_header("w", "float32", (2,), {})[8:].decode().rstrip()
    '{"__metadata__":{},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    """
    if not isinstance(name, str):
        raise TypeError(f"a tensor's name must be a str; got {name!r}")
    name.encode()  # raises UnicodeEncodeError for what no reader could decode
    if name == "__metadata__":
        raise ValueError("a tensor in a .safetensors file cannot be called __metadata__")
    size = math.prod(shape) * DTYPES[dtype].itemsize
    entry = {"dtype": SAFETENSORS[dtype], "shape": list(shape), "data_offsets": [0, size]}
    text = json.dumps({"__metadata__": dict(metadata), name: entry}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def little_endian(block: NDArray[Any]) -> NDArray[Any]:
    """Give the elements one after the other as little-endian numbers; no copy on a machine that has them so."""
    return block.reshape(-1).view(f"u{block.itemsize}").astype(f"<u{block.itemsize}", copy=False)
