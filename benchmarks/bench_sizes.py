"""Time fills of arrays from 1 KiB to 1 GiB, next to memset, NumPy and PyTorch, and write all times as JSON.

Small arrays are in the caches and show a call's own cost; large ones show how fast the memory takes samples. page.py
draws the throughput by size.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import peers
import table

from pyinit import Stream, bench
from pyinit.bench import GENERATORS, SEED, Case
from pyinit.cli import arguments as options
from pyinit.terminal import steps

HERE = Path(__file__).parent
LEAST, LARGEST, STEP = 2**10, 2**30, 4  # bytes, and the factor between two sizes
A_REPETITION = 2**25  # bytes, written by as many calls as needed
MOST_CALLS = 2000


def cases(memory, size):
    """Return the calls that fill the first `size` bytes of a float32 array."""
    out = memory[: size // memory.itemsize]
    calls = max(1, min(MOST_CALLS, A_REPETITION // size))
    normal = peers.torch_loop(out, "float32", [0], [out.size])
    found = []
    for n in bench.thread_counts():
        runs = {"memset": bench.memset([out], n)}
        for generator in GENERATORS:
            stream = Stream(SEED, generator)
            runs[f"{generator} normal float32"] = partial(stream.fill_normal, out, num_threads=n)
            runs[f"{generator} uniform float32"] = partial(stream.fill_uniform, out, num_threads=n)
        if n == 1:
            runs["NumPy PCG64 normal float32"] = bench.numpy_normal(np.random.PCG64(SEED), out)
            if normal:
                runs["PyTorch normal_ float32"] = normal
        found += [Case(name, run, out.size, out.nbytes, threads=n, calls=calls) for name, run in runs.items()]
    return found


def main():
    """Time all sizes, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Time fills of arrays of many sizes.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-sizes.json")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of the largest array; the default is 1 GiB")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    sizes = [size for k in range(32) if (size := LEAST * STEP**k) <= arguments.largest]
    memory = np.ones(sizes[-1] // 4, np.float32)
    groups = [cases(memory, size) for size in sizes]
    with steps(sum(map(len, groups)) * (1 + arguments.repetitions)) as tell:
        timed = [timing for group in groups for timing in bench.measure(group, arguments.repetitions, 2.0, tell)]
    result = bench.results()
    result["sizes"] = [
        {"what": t.case.name, "bytes": t.case.bytes, "threads": t.case.threads, "seconds": t.seconds} for t in timed
    ]
    installed = peers.versions()
    result["machine"]["versions"] |= {name: installed[name] for name in ("torch",) if name in installed}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table.tables(result))
    print(f"Every repetition's time is in {arguments.output}.")


if __name__ == "__main__":
    sys.exit(main())
