"""Time a fill on a busy machine, with the default number of threads and with one.

First it starts processes that only compute, two for each processor. Then it times both ways in turn. Starting threads
should cost little there: a fill must not wait for a thread that the machine has not run yet.

Choose a fill that is shorter than the scheduler's time slice, some 3 ms. The clock tick that ends the slice stops a
longer fill midway, and as the ways take turns, this hits the same way again and again.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from pyinit import Stream, _core, bench
from pyinit.bench import SEED
from pyinit.cli import arguments as options

ELEMENTS, REPETITIONS = 2_000_000, 400
SETTLE = 1.0  # seconds until the load runs and the scheduler has spread it
# It ends with the benchmark, even if that crashes.
BUSY = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    sum(range(100_000))
"""


@contextlib.contextmanager
def load(processes, settle):
    """Keep that many processes busy for the length of a `with` block."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY, str(os.getpid())]) for _ in range(processes)]
    try:
        time.sleep(settle)
        yield busy
    finally:
        for process in busy:
            process.kill()
            process.wait()


def ways(out, generator="ars5"):
    """Return the two fills to compare."""
    fill = Stream(SEED, generator).fill_normal
    return {"default threads": partial(fill, out), "1 thread": partial(fill, out, num_threads=1)}


def measure(elements, repetitions, processes):
    """Time both ways in turn, after an untimed round, in seconds."""
    runs = ways(np.ones(elements, np.float32))
    seconds = {name: [] for name in runs}
    with load(processes, SETTLE):
        for repetition in range(1 + repetitions):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                if repetition:
                    seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "elements": elements,
        "busy_processes": processes,
        "seconds": seconds,
        "medians": medians,
        "ratio": medians["default threads"] / medians["1 thread"],
    }


def main():
    """Time, print and write."""
    parser = argparse.ArgumentParser(description="Time a fill of ARS-5 normals while other processes are busy.")
    parser.add_argument("--elements", type=options.integer(1), default=ELEMENTS)
    parser.add_argument("--repetitions", type=options.integer(1), default=REPETITIONS)
    parser.add_argument(
        "--busy", type=options.integer(0), default=2 * _core.processors(), help="processes (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE.json")
    arguments = parser.parse_args()
    if arguments.output:
        options.check_writable(arguments.output)
    found = measure(arguments.elements, arguments.repetitions, arguments.busy)
    print(
        f"{arguments.elements:,} float32; processors: {_core.processors()}; busy processes: {arguments.busy}; "
        f"medians of {arguments.repetitions}:"
    )
    for name, median in found["medians"].items():
        print(f"{name:>16} {median * 1e3:8.3f} ms")
    print(f"{'ratio':>16} {found['ratio']:8.2f}")
    if arguments.output:
        arguments.output.write_text(json.dumps({**bench.results(), "load": found}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
