"""Fill a model whose matrices are spread over MPI processes, by rows, without communication.

Run it with `mpiexec -n 4 python fill.py`. The hash is the same for every number of processes.
"""

import hashlib

import numpy as np
from mpi4py import MPI

import pyinit

SHAPES = {"up.weight": (1000, 301), "up.bias": (1000,), "down.weight": (301, 1000)}
PLAN = {"*.bias": "zeros", "up.*": "kaiming_normal(nonlinearity='relu')", "*": "gpt2_residual(layers=12)"}


def rows_of(process, processes, rows):
    """Return the first row that a process holds, and the number of its rows."""
    first, end = (i * rows // processes for i in (process, process + 1))
    return first, end - first


def main():
    world = MPI.COMM_WORLD
    parts, shards = {}, {}
    for name, (rows, *rest) in SHAPES.items():
        first, count = rows_of(world.rank, world.size, rows)
        parts[name] = np.empty((count, *rest), np.float32)
        shards[name] = ((rows, *rest), (first, *(0 for _ in rest)))
    pyinit.initialize(parts, seed=0, plan=PLAN, shards=shards)

    gathered = world.gather(parts)  # only to print the hash of the whole
    if world.rank == 0:
        digest = hashlib.sha256()
        for name in SHAPES:
            digest.update(np.concatenate([each[name] for each in gathered]))
        print(f"{world.size} processes: {digest.hexdigest()}")


if __name__ == "__main__":
    main()
