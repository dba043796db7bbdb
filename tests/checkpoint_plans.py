"""A plan with shapes, and the expected contents of its checkpoint."""

from pathlib import Path

import numpy as np

from pyinit import Stream, initializers
from pyinit.arrays import dtype_of
from pyinit.checkpoint import folders

SHAPES = {"emb.weight": [50, 16], "fc.weight": [16, 16], "fc.bias": [16], "norm.weight": [16], "scale": []}
PLAN = {
    "*.bias": "zeros",
    "norm.*": "ones",
    "emb.*": {"name": "normal", "std": 0.02},
    "scale": "constant(0.3)",
    "fc.weight": "orthogonal",
}
ENTRIES = {
    name: {
        "shape": shape,
        "scheme": next(s for p, s in PLAN.items() if Path(name).match(p)),
        "dtype": "bfloat16" if name == "emb.weight" else "float32",
    }
    for name, shape in SHAPES.items()
}


def expected(name, dtype="float32", seed=7, plan=PLAN, shape=None):
    """Return a tensor as `initialize` would fill it."""
    scheme = next(s for p, s in plan.items() if Path(name).match(p))
    out = np.empty(tuple(SHAPES[name] if shape is None else shape), dtype_of(dtype))
    return initializers.scheme(scheme)(out, Stream(seed).child(name))


def contents(folder):
    return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def values(folder):
    """Return all tensors of a checkpoint, read by pyinit: name to (dtype, bytes)."""
    found = folders.read(folder).tensors
    return {name: (s.dtype, s.shape, s.read(0, s.shape).tobytes()) for name, s in found.items()}
