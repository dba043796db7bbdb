"""The golden hashes of samples whose bits must be the same everywhere and for ever, one file for each contract.

The hashes in a file never change: regenerate.py adds new kinds of fills to it, and writes another for a new version.
"""

import hashlib
import json
from pathlib import Path

import kinds
import numpy as np

import pyinit
from pyinit import _core
from pyinit.distributions import truncated_normal, uniform

FILE = Path(__file__).parent / "vectors" / f"golden_{_core.CONTRACT_VERSION}.json"
SEED, ID, COUNT = 0x0123456789ABCDEF, 0xFEDCBA9876543210, 50_021
POSITIONS = (0, 7, 2**34 - 25_000, 2**66 - 120_000)
# In the last two cases, samples meet bounds that are 0, with either sign.
DISTRIBUTIONS = kinds.CASES | {
    "unit": uniform(),
    "uniform around 0": uniform(-1.4e-45, 1.4e-45),
    "truncated below 0": truncated_normal(0.0, 1e-45, -2.0, 0.0),
}
CASES = [
    f"{generator}, {name}, {dtype}, {position}"
    for generator in _core.GENERATORS
    for name, distribution in DISTRIBUTIONS.items()
    for dtype in kinds.DTYPES
    if (distribution.sampler == "bits") == (dtype == "uint32")
    for position in POSITIONS
]


def hashes():
    """Return the hash of each case, from the file."""
    return json.loads(FILE.read_text())


def hash_of(samples):
    """Return the hash of samples, given as little-endian bytes."""
    return hashlib.sha256(samples).hexdigest()


def digest(case):
    """Return the hash of a case's samples, as the active tier computes them."""
    generator, name, dtype, position = case.split(", ")
    stream = pyinit.Stream(SEED, generator, id=ID, position=int(position))
    bits = stream.fill(np.empty(COUNT, kinds.DTYPES[dtype]), DISTRIBUTIONS[name]).view(
        f"u{kinds.DTYPES[dtype].itemsize}"
    )
    return hash_of(bits.astype(bits.dtype.newbyteorder("<")).tobytes())


def line(case):
    """Return a case as golden.c reads it."""
    generator, name, dtype, position = case.split(", ")
    return job(generator, SEED, ID, int(position), DISTRIBUTIONS[name], dtype, COUNT)


def job(generator, seed, id, position, distribution, dtype, count):
    """Return a fill as golden.c reads it: the tables' numbers, and the bits of parameters as integers."""
    four = np.array([*distribution.parameters.values(), 0, 0, 0, 0][:4], np.float64).view(np.uint64)
    sampler, where = _core.SAMPLERS[distribution.sampler].number, (seed, id, position // 4, position % 4)
    numbers = (_core.GENERATORS[generator], *where, sampler, _core.DTYPES[dtype].number, count, *four)
    return " ".join(map(str, numbers))
