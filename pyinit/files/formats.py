"""The headers of .npy and .safetensors files. The values after them are little-endian and in row-major order."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pyinit import _core
from pyinit.arrays import dtype_of

__all__ = [
    "DTYPES",
    "MOST_HEADER",
    "SAFETENSORS",
    "dtype_name",
    "npy_header",
    "safetensors_header",
]

FLOATS = {
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
DTYPES = {name: dtype_of(name) for name in FLOATS}
"""The dtypes that can be filled."""

INTEGERS = {"bool": "BOOL"} | {
    f"{sign}int{n}": f"{sign.upper() or 'I'}{n}" for sign in ("", "u") for n in (8, 16, 32, 64)
}
SAFETENSORS = FLOATS | INTEGERS
"""The names of dtypes in .safetensors files. Those that cannot be filled hold constants."""

MOST_HEADER = 100_000_000  # bytes; the readers of safetensors refuse more


def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype that can be filled.

    Parameters
    ----------
    dtype : str or dtype
        A key of `DTYPES`, or a dtype of NumPy, ml_dtypes or `pyinit.arrays`.

    Returns
    -------
    str
        A key of `DTYPES`.

    Raises
    ------
    TypeError
        If `dtype` is none of these.

    Examples
    --------
    >>> dtype_name(np.float32), dtype_name("bfloat16")
    ('float32', 'bfloat16')
    """
    try:
        found = dtype_of(dtype)
        row = _core.dtype_row(found)
        name = str(found) if row is None else row.name
    except (TypeError, ValueError):  # NumPy raises a UnicodeError for half of a surrogate pair
        name = _core.text_of(dtype)
    if name not in DTYPES:
        raise TypeError(f"dtype must be {', '.join(DTYPES)}; got {name}")
    return name


def npy_header(dtype: str, shape: Sequence[int]) -> bytes:
    """Make the header of a .npy file.

    Parameters
    ----------
    dtype : str
        A key of `DTYPES` that NumPy has.
    shape : sequence of int

    Returns
    -------
    bytes
        The length is a multiple of 64.

    Raises
    ------
    TypeError
        If NumPy lacks the dtype: the format has no name for it.

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


def safetensors_header(tensors: Iterable[tuple[str, str, Sequence[int]]], metadata: Mapping[str, str]) -> bytes:
    """Make the header of a .safetensors file.

    Parameters
    ----------
    tensors : iterable of (name, dtype, shape)
        In the order of their values; a dtype is a key of `SAFETENSORS`.
    metadata : mapping of str to str

    Returns
    -------
    bytes
        The length of the JSON, in 8 bytes, then the JSON, padded with spaces to a multiple of 8 bytes.

    Raises
    ------
    TypeError
        If a name is not a str.
    ValueError
        If a name is the format's own for the metadata, appears twice, or cannot be encoded; or if the header would be
        longer than the format allows.

    Source
    ------
    The README of https://github.com/huggingface/safetensors, section "Format".

    Examples
    --------
    >>> safetensors_header([("w", "float32", (2,))], {})[8:].decode().rstrip()
    '{"__metadata__":{},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    """
    entries: dict[str, Any] = {"__metadata__": dict(metadata)}
    begin = 0
    for name, dtype, shape in tensors:
        if not isinstance(name, str):
            raise TypeError(f"a tensor's name must be a str; got {_core.text_of(name)}")
        name.encode()  # UnicodeEncodeError for a name that no reader could decode
        if name in entries:
            raise ValueError(
                f"a tensor in a .safetensors file cannot be called {name}"
                if name == "__metadata__"
                else f"two tensors are called {name!r}"
            )
        end = begin + math.prod(shape) * dtype_of(dtype).itemsize
        entries[name] = {"dtype": SAFETENSORS[dtype], "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER:
        raise ValueError(f"the names and shapes take {len(text):,} bytes; one file can have {MOST_HEADER:,}")
    return len(text).to_bytes(8, "little") + text
