"""What golden.json pins: the samples whose bits must be the same everywhere and for ever."""

import hashlib
from pathlib import Path

import numpy as np

import pyinit

FILE = Path(__file__).parent / "vectors" / "golden.json"
SEED, ID, COUNT = 0x0123456789ABCDEF, 0xFEDCBA9876543210, 100_003
POSITIONS = (0, 7, 2**34 - 50_000, 2**66 - 250_000)
GENERATORS = ("philox", "ars5")  # in the order of pyinit.h, as all that follows
DTYPES = {
    "uint32": np.dtype(np.uint32),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": pyinit.arrays.BFLOAT16,
}
NORMAL = {"mean": 0.25, "std": 1.5}
# A method of Stream, the number of the sampler in pyinit.h, and the parameters in its order. The three intervals
# take the three ways of truncated.h, in float32.
SAMPLERS = {
    "bits": ("bits", 0, {}),
    "uniform": ("uniform", 1, {"low": 0.0, "high": 1.0}),
    "normal": ("normal", 2, {"mean": 0.0, "std": 1.0}),
    "normal_icdf": ("normal", 3, NORMAL),
    "truncated_normal_centre": ("truncated_normal", 4, NORMAL | {"lower": -2.0, "upper": 2.0}),
    "truncated_normal_tail": ("truncated_normal", 4, NORMAL | {"lower": 6.0, "upper": np.inf}),
    "truncated_normal_narrow": ("truncated_normal", 4, NORMAL | {"lower": 0.3, "upper": 0.31}),
}
CASES = [
    f"{generator} {sampler} {dtype} {position}"
    for generator in GENERATORS
    for sampler in SAMPLERS
    for dtype in DTYPES
    if (sampler == "bits") == (dtype == "uint32")
    for position in POSITIONS
]


def digest(case):
    """The hash of a case's samples, as the active tier computes them."""
    generator, sampler, dtype, position = case.split()
    stream = pyinit.Stream(SEED, generator, id=ID, position=int(position))
    method, _, parameters = SAMPLERS[sampler]
    if method == "bits":
        values = stream.bits(COUNT)
    elif sampler == "normal_icdf":
        values = stream.normal(COUNT, DTYPES[dtype], **parameters, method="icdf")
    else:
        values = getattr(stream, method)(COUNT, DTYPES[dtype], **parameters)
    return hashlib.sha256(values.astype(values.dtype.newbyteorder("<")).tobytes()).hexdigest()


def line(case):
    """A case as golden.c reads it."""
    generator, sampler, dtype, position = case.split()
    _, number, parameters = SAMPLERS[sampler]
    return job(generator, SEED, ID, int(position), number, dtype, COUNT, *parameters.values())


def job(generator, seed, id, position, sampler, dtype, count, *parameters):
    four = [*parameters, 0, 0, 0, 0][:4]
    where = (seed, id, position // 4, position % 4)
    return " ".join(map(str, (GENERATORS.index(generator), *where, sampler, list(DTYPES).index(dtype), count, *four)))
