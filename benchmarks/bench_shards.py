"""Time the shards of a matrix next to the whole, and one rank's part of a large model, and write all times as JSON.

K shards, each filled by its own call, as one process fills it, are timed together. They are compared with the whole
matrix, filled in one call, and with K whole arrays of the same sizes in the same memory. The second ratio is the cost
of being a shard. The first ratio also includes that smaller arrays are not written past the caches.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import table

from pyinit import bench
from pyinit.bench import GENERATORS, SEED
from pyinit.cli import arguments as options
from pyinit.initializers import normal
from pyinit.models import Cut, Parameter, fill, shards
from pyinit.terminal import steps

HERE = Path(__file__).parent
ELEMENTS = 1 << 28  # 1 GiB of float32
WIDTH = 1 << 14
SCHEME = normal(std=0.02)


def strided(dim, k, shards_in_all, factor=8):
    """Return the cuts of FSDP2 on a dimension that tensor parallelism has already cut into `factor` pieces."""
    return [Cut(dim, shards_in_all // factor, k // factor, factor), Cut(dim, factor, k % factor)]


# Ways to cut a matrix: its width, the numbers of shards, and the cuts of shard k.
CASES = {
    "rows": (WIDTH, (2, 8, 64), lambda k, n: [Cut(0, n, k)]),
    "columns": (WIDTH, (2, 8, 64), lambda k, n: [Cut(1, n, k)]),
    "128 columns of 16384": (WIDTH, (128,), lambda k, n: [Cut(1, n, k)]),
    "rows, FSDP2 after TP of 8": (WIDTH, (16, 64), lambda k, n: strided(0, k, n)),
    "columns, FSDP2 after TP of 8": (WIDTH, (16, 64), lambda k, n: strided(1, k, n)),
    "rows, partition_stride 4": (WIDTH, (8, 64), lambda k, n: [Cut(0, n, k, 4)]),
    "columns, partition_stride 4": (WIDTH, (8, 64), lambda k, n: [Cut(1, n, k, 4)]),
    "2 columns of 128": (128, (64,), lambda k, n: [Cut(1, n, k)]),
    "1 column of 128": (128, (128,), lambda k, n: [Cut(1, n, k)]),
}
RANKS = [("Llama 70B", 512, 1, 3), ("Llama 70B", 512, 8, 77)]  # model, ranks, tensor parallel, rank


def parameters(local, held):
    """Return the arguments that fill a shard: one for each of its blocks."""
    return [Parameter("w", local[shard.where], SCHEME, shard.global_shape, shard.offset) for shard in held]


def jobs(buffer, width, count, cuts):
    """Return the arguments of `fill` for the whole, the shards and arrays of their sizes, call by call."""
    shape = (len(buffer) // width, width)
    each, start = [], 0
    for k in range(count):
        held = shards(shape, cuts(k, count))
        size = tuple(max(shard.where[dim].stop for shard in held) for dim in (0, 1))
        flat = buffer[start : start + math.prod(size)]
        each.append((flat.reshape(size), held))
        start += len(flat)
    assert start == len(buffer)
    return {
        "whole": [[Parameter("w", buffer.reshape(shape), SCHEME)]],
        "shards": [parameters(local, held) for local, held in each],
        "arrays": [[Parameter("w", local, SCHEME)] for local, _ in each],
    }


def seconds(calls, generator):
    """Return the seconds that the calls take."""
    start = time.perf_counter()
    for call in calls:
        fill(call, SEED, generator=generator)
    return time.perf_counter() - start


def measure(name, buffer, count, generator, repetitions, tell):
    """Time the three ways in turn."""
    width, _, cuts = CASES[name]
    ways = jobs(buffer, width, count, cuts)
    times = {way: [] for way in ways}
    for repetition in range(1 + repetitions):
        tell(f"{name}, {count} shards, {generator}")
        for way, calls in ways.items():
            taken = seconds(calls, generator)
            if repetition:
                times[way].append(taken)
    ratios = {way: statistics.median(a / b for a, b in zip(times["shards"], times[way])) for way in ("whole", "arrays")}
    blocks = len(ways["shards"][0])
    return {"case": name, "shards": count, "blocks": blocks, "generator": generator, "seconds": times, "ratio": ratios}


def rank_of(model, ranks, tensor_parallel, rank, repetitions, tell):
    """Time the work of one rank of many, in new processes."""
    runs = []
    for _ in range(repetitions):
        tell(f"{model}, rank {rank} of {ranks}")
        command = [sys.executable, HERE / "torch_shards.py", model, *map(str, (ranks, tensor_parallel, rank))]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr.strip())
        runs.append({**json.loads(done.stdout.splitlines()[-1]), "process": time.perf_counter() - start})
    medians = {key: statistics.median(run["seconds"][key] for run in runs) for key in runs[0]["seconds"]}
    medians["process"] = statistics.median(run["process"] for run in runs)
    return {"model": model, "ranks": ranks, "tensor_parallel": tensor_parallel, "medians": medians, "runs": runs}


def main():
    """Time the shards, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Time the shards of a matrix next to the whole.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-shards.json")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--elements", type=int, default=ELEMENTS, help="elements of the matrix; a multiple of 2**21")
    parser.add_argument("--no-model", action="store_true", help="leave out the large model, which needs PyTorch")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    memory = np.ones(arguments.elements + 16, np.float32)
    buffer = memory[-memory.ctypes.data % 64 // 4 :][: arguments.elements]  # as frameworks align their tensors
    cases = [(name, count) for name, (_, counts, _) in CASES.items() for count in counts]
    models = [] if arguments.no_model else RANKS
    total = len(cases) * len(GENERATORS) * (1 + arguments.repetitions) + 3 * len(models)
    with steps(total) as tell:
        results = [
            measure(name, buffer, count, generator, arguments.repetitions, tell)
            for name, count in cases
            for generator in GENERATORS
        ]
        ranks = [rank_of(*model, 3, tell) for model in models]
    result = {**bench.results(), "shards": results, "ranks": ranks, "elements": arguments.elements}
    if ranks:
        result["machine"]["versions"] |= ranks[0]["runs"][0]["versions"]
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table.tables(result))
    print(f"Every repetition's time is in {arguments.output}.")


if __name__ == "__main__":
    sys.exit(main())
