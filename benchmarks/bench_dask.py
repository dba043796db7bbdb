"""Time the mean of large Dask arrays of normal samples, by pyinit and by Dask, and write all times as JSON.

Nothing is kept, so the arrays may be larger than memory. Threads of this process compute them, in float32.
"""

import argparse
import json
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path

import peers
import table

from pyinit import Stream, bench
from pyinit.adapters import dask as pd
from pyinit.bench import SEED
from pyinit.cli import arguments as options
from pyinit.terminal import steps

HERE = Path(__file__).parent
WAYS = {
    "philox": lambda shape, chunks: pd.normal(shape, SEED, chunks=chunks),
    "ars5": lambda shape, chunks: pd.normal(shape, Stream(SEED, "ars5"), chunks=chunks),
    "Dask": peers.dask_normal,
}


def seconds(make, shape, chunks, workers):
    """Return the time to make an array's graph and compute its mean."""
    start = time.perf_counter()
    make(shape, chunks).mean().compute(scheduler="threads", num_workers=workers)
    return time.perf_counter() - start


def measure(rows, chunk, workers, repetitions, tell):
    """Time all ways in turn, and return the times of each for a matrix of `rows` by `rows`."""
    times = {way: [] for way in WAYS}
    for _ in range(repetitions):
        for way, make in WAYS.items():
            tell(f"{rows} x {rows}, {way}")
            times[way].append(seconds(make, (rows, rows), (chunk, chunk), workers))
    ratio = statistics.median(own / dask for own, dask in zip(times["philox"], times["Dask"]))
    return {"rows": rows, "chunk": chunk, "workers": workers, "seconds": times, "ratio": ratio}


def main():
    """Time the arrays, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Time the mean of Dask arrays of normal samples.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-dask.json")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 40_000])
    parser.add_argument("--chunk", type=int, default=4000, help="rows and columns of a block")
    parser.add_argument("--workers", type=int, default=bench.thread_counts()[-1], help="Dask's threads")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    with steps(len(arguments.rows) * len(WAYS) * arguments.repetitions) as tell:
        results = [
            measure(rows, arguments.chunk, arguments.workers, arguments.repetitions, tell) for rows in arguments.rows
        ]
    result = {**bench.results(), "dask": results}
    result["machine"]["versions"]["dask"] = metadata.version("dask")
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table.tables(result))
    print(f"Every repetition's time is in {arguments.output}.")


if __name__ == "__main__":
    sys.exit(main())
