"""The entries of the installed adapters for JAX, Keras and Dask, for `hostile_parameters.py`."""

import importlib
import os
from contextlib import suppress
from functools import partial

import numpy as np
from hostile_entries import PLAN

os.environ.setdefault("KERAS_BACKEND", "jax")
KERNEL = (2, 3, 4, 6)


def adapter(name):
    """Import an adapter; None if its framework is not installed."""
    with suppress(ImportError):
        return importlib.import_module(f"pyinit.adapters.{name}")
    return None


def jax_drawn(target, name, seed=0, **given):
    import jax

    from pyinit.adapters import jax as pj

    array = getattr(pj, name)(jax.random.key(0), **{"shape": (3, 4), **given})
    return array.dtype, np.asarray(array).tobytes()


def jax_initializer(target, name, shape=KERNEL, dtype=np.float32, **given):
    import jax

    from pyinit.adapters.jax import initializers

    array = getattr(initializers, name)(**given)(jax.random.key(0), shape, dtype)
    return array.shape, array.dtype, np.asarray(array).tobytes()


def jax_tree(target, **given):
    import jax

    from pyinit.adapters import jax as pj

    tree = {"0": {"w": jax.ShapeDtypeStruct((6, 4), "float32")}, "1": {"w": jax.ShapeDtypeStruct((5,), "float32")}}
    made = pj.initialize(tree, **{"seed": 1, "plan": PLAN, **given})
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(made)]


def keras_initializer(target, name, shape=KERNEL, dtype="float32", **given):
    from pyinit.adapters import keras as pk

    array = getattr(pk, name)(**given)(shape, dtype)
    return array.shape, str(array.dtype), np.asarray(array).tobytes()


def dask_array(target, name="from_scheme", **given):
    from pyinit.adapters import dask as pd

    first = {"scheme": "normal"} if name == "from_scheme" else {}
    array = getattr(pd, name)(**{**first, "shape": (6, 4), "seed": target.stream, **given})
    return array.compute(scheduler="synchronous").tobytes()


SCHEME = ({"name": "normal", "std": 0.5}, {"name": "uniform"})
SHAPE = (KERNEL, (2, 2, 3, 5))
JAX = {
    "jax.normal": (
        partial(jax_drawn, name="normal"),
        {
            "shape": ((3, 4), (2, 6)),
            "dtype": (np.float32, np.float16),
            "mean": (0.5, 1.5),
            "std": (2.0, -1.0),
            "generator": ("philox", "ars5"),
        },
    ),
    "jax.normal, a block": (
        partial(jax_drawn, name="normal"),
        {"global_shape": ((6, 8), (3, 4)), "offset": ((1, 2), (0, 1))},
    ),
    "jax.truncated_normal": (partial(jax_drawn, name="truncated_normal"), {"lower": (-1.0, 9.0), "upper": (1.0, -9.0)}),
    "jax variance_scaling": (
        partial(jax_initializer, name="variance_scaling"),
        {
            "scale": (2.0, -1.0),
            "mode": ("fan_in", "fan_out"),
            "distribution": ("normal", "uniform"),
            "in_axis": ((-2,), (0,)),
            "out_axis": ((-1,), (1,)),
            "batch_axis": ((0,), (1,)),
            "shape": SHAPE,
        },
    ),
    "jax orthogonal": (partial(jax_initializer, name="orthogonal"), {"scale": (2.0, 3.0), "column_axis": (-1, 0)}),
    "jax initialize": (
        jax_tree,
        {"seed": (1, 2), "plan": (PLAN, {"*": "zeros"}), "generator": ("philox", "ars5"), "num_threads": (2, -1)},
    ),
}
KERAS = {
    "keras VarianceScaling": (
        partial(keras_initializer, name="VarianceScaling"),
        {
            "shape": SHAPE,
            "dtype": ("float32", "float16"),
            "scale": (2.0, -1.0),
            "mode": ("fan_in", "fan_out"),
            "distribution": ("uniform", "truncated_normal"),
            "seed": (1, 2),
        },
    ),
    "keras FromScheme": (partial(keras_initializer, name="FromScheme"), {"scheme": SCHEME, "seed": (1, 2)}),
}
DASK = {
    "dask.from_scheme": (
        dask_array,
        {
            "scheme": SCHEME,
            "shape": ((6, 4), (3, 8)),
            "dtype": (np.float32, np.float64),
            "chunks": ((2, 3), (4, 4)),
            "num_threads": (2, -1),
        },
    ),
    "dask.normal": (partial(dask_array, name="normal"), {"mean": (0.5, 1.5), "std": (2.0, -1.0)}),
}
ENTRIES = {}
for name, entries in {"jax": JAX, "keras": KERAS, "dask": DASK}.items():
    if adapter(name) is not None:
        ENTRIES |= entries
