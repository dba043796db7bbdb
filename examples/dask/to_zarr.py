"""Write a matrix of initial weights to Zarr, chunk by chunk; the chunks do not change the values.

Run it with `python to_zarr.py`; it needs Dask and Zarr. Tasks need nothing from each other. The whole matrix is
never in memory, so it may be larger than the memory. The program writes it twice, in different chunks, and prints a
hash of both.
"""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import zarr

import pyinit
from pyinit.adapters import dask as pd

SEED, NAME, SHAPE = 0, "layers.0.up.weight", (4000, 1500)


def digest(path):
    """Return a hash of an array on disk, read by rows."""
    array, found = zarr.open(path, mode="r"), hashlib.sha256()
    for first in range(0, SHAPE[0], 500):
        found.update(np.ascontiguousarray(array[first : first + 500]))
    return found.hexdigest()


def main():
    with tempfile.TemporaryDirectory() as folder:
        for chunks in ((1000, 1500), (700, 400)):
            weights = pd.from_scheme("xavier_uniform", SHAPE, SEED, name=NAME, chunks=chunks)
            path = Path(folder, f"{chunks[0]}.zarr")
            weights.to_zarr(str(path))
            print(f"{weights.npartitions:2} chunks of {chunks}: {digest(str(path))}")

    row = weights[1234].compute()  # computes only the chunks that it needs
    expected = np.empty((1, SHAPE[1]), np.float32)
    scheme = pyinit.initializers.xavier_uniform()
    scheme(expected, pyinit.Stream(SEED).child(NAME), global_shape=SHAPE, offset=(1234, 0))
    assert np.array_equal(row, expected[0])


if __name__ == "__main__":
    main()
