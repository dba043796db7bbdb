"""Numbers drawn through numpy.random.Generator: from NumPy's Philox, and from pyinit.BitGenerator."""

from functools import partial

import numpy as np

import pyinit
from pyinit.bench import GENERATORS, SEED, Case

DRAWS = 1_000_000
FUNCTIONS = {
    "random float64": lambda rng, n: rng.random(n),
    "random float32": lambda rng, n: rng.random(n, dtype=np.float32),
    "integers below 1000": lambda rng, n: rng.integers(0, 1000, n),
    "standard_normal float64": lambda rng, n: rng.standard_normal(n),
}


def cases(draws=DRAWS):
    """List every function with every bit generator, on one thread."""
    bits = {"NumPy Philox": np.random.Philox(SEED), "NumPy PCG64": np.random.PCG64(SEED)}
    bits |= {f"pyinit {g}": pyinit.BitGenerator(pyinit.Stream(SEED, g)) for g in GENERATORS}
    return [
        Case(f"{name}, {what}", partial(draw, np.random.Generator(generator), draws), draws, 0)
        for name, generator in bits.items()
        for what, draw in FUNCTIONS.items()
    ]
