"""Times pyinit's fills and the article's network on a GPU, beside pure writes and peers, and writes JSON.

Fills are timed by CUDA events (timing.py) on a buffer much larger than the L2 cache. The host's time for a call is
measured separately.
"""

import argparse
import json
import math
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import gpu_peers
import gpu_targets
import numpy as np
import table
from timing import OnGPU, Primed

import pyinit
from pyinit import _core, bench, distributions
from pyinit.arrays import dtype_of
from pyinit.bench import GENERATORS, SEED
from pyinit.cli import arguments as options
from pyinit.kernels.device_arrays import KernelKey
from pyinit.network import Dense, Network, train
from pyinit.terminal import output

HERE = Path(__file__).parent
ELEMENTS = 2**30
WEIGHTS = 55_010_000  # the article's
SIZES, BATCH, EPOCHS = (10_000, 5_000, 1_000, 10), 10_000, 10  # its last network
ARTICLE_MS = {"initialization": 209, "training": 2310}
DRAWN = {
    "bits": (distributions.bits(), ("uint32",)),
    "uniform": (distributions.uniform(), ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn")),
    "normal": (distributions.normal(), ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")),
    "normal_icdf": (distributions.normal(method="icdf"), ("float32", "float64")),
    "truncated_normal": (distributions.truncated_normal(), ("float32", "float64", "bfloat16")),
    "truncated_normal from 1 on": (distributions.truncated_normal(lower=1.0, upper=math.inf), ("float32",)),
}
FILLS = [(name, dtype, distribution) for name, (distribution, dtypes) in DRAWN.items() for dtype in dtypes]


class Typed:
    """A part of a CuPy array as elements of any type, those that CuPy lacks too."""

    def __init__(self, array, dtype):
        self.dtype, size = dtype, dtype_of(dtype).itemsize
        self.part = array.view(f"u{size}")[: min(array.size, array.nbytes // size)]
        typestr = dtype_of(dtype).str if not dtype_of(dtype).names else self.part.dtype.str
        self.__cuda_array_interface__ = {**self.part.__cuda_array_interface__, "typestr": typestr}


def pyinit_cases(out):
    """Every fill; of other types as many samples, or as many as fit."""
    cases = []
    for generator in GENERATORS:
        for name, dtype, distribution in FILLS:
            given = Typed(out, dtype)
            run = partial(pyinit.Stream(SEED, generator).fill, given, distribution)
            cases.append(OnGPU(f"{generator} {name} {dtype}", run, given.part.size, given.part.nbytes, tier="cuda"))
    return cases


def keys():
    """The kernels of `pyinit_cases`, by the cases' names."""
    return {
        f"{generator} {name} {dtype}": KernelKey(number, *_core.check_dtype(distribution, dtype_of(dtype)))
        for generator, number in _core.GENERATORS.items()
        for name, dtype, distribution in FILLS
    }


def backends(cupy, out):
    """backend="host" beside its two halves, on the host's clock: what is slower of these is what it can reach."""
    stream = pyinit.Stream(SEED)
    pinned = cupy.cuda.alloc_pinned_memory(out.nbytes)
    host = np.frombuffer(pinned, np.float32, out.size)

    def synchronised(run):
        def complete():
            run()
            cupy.cuda.get_current_stream().synchronize()

        return complete

    runs = {
        'backend="host"': partial(stream.fill_normal, out, backend="host"),
        "the fill on the host alone": partial(stream.fill_normal, host),
        "the copy alone": partial(out.set, host, cupy.cuda.get_current_stream()),
        "the fill, then the copy": lambda: out.set(stream.fill_normal(host), cupy.cuda.get_current_stream()),
        'backend="device"': partial(stream.fill_normal, out),
        'backend="cupy"': partial(stream.fill_normal, out, backend="cupy"),
    }
    return [Primed(name, synchronised(run), out.size, out.nbytes) for name, run in runs.items()]


def small_calls(cupy):
    """The host's microseconds for a call, which does not wait for the GPU."""
    times = {}
    for size in (8, 1000, 100_000):
        out, stream = cupy.zeros(size, np.float32), pyinit.Stream(SEED)
        for name, run in (("pyinit", partial(stream.fill_normal, out)), *small_peers(out)):
            laps = []
            for _ in range(200):
                start = time.perf_counter_ns()
                run()
                laps.append(time.perf_counter_ns() - start)
            cupy.cuda.get_current_stream().synchronize()
            times[f"{name}, {size:,} elements"] = statistics.median(laps[20:]) / 1e3
    return times


def small_peers(out):
    """PyTorch's call for the same."""
    torch = gpu_peers.pytorch()
    return [("PyTorch", torch.as_tensor(out, device="cuda").normal_)] if torch else []


def article(cupy, repetitions):
    """The article's last example: its network initialised, and trained for ten epochs on one batch, in ms."""
    sizes = zip(SIZES[1:], ("tanh", "sigmoid", "sigmoid"))
    net = Network(SIZES[0], [Dense(n, name) for n, name in sizes], device="cuda")
    x, y = cupy.full((BATCH, SIZES[0]), 0.1, np.float32), cupy.full((BATCH, SIZES[-1]), 0.1, np.float32)
    pyinit.Stream(SEED).child("x").fill_uniform(x)
    times = {"initialization": [], "training": []}
    for repetition in range(1 + repetitions):
        for what, run in (
            ("initialization", partial(net.initialize, SEED)),
            ("training", partial(train, net, x, y, epochs=EPOCHS, learning_rate=0.01)),
        ):
            cupy.cuda.get_current_stream().synchronize()
            start = time.perf_counter()
            run()
            cupy.cuda.get_current_stream().synchronize()
            if repetition:
                times[what].append(1e3 * (time.perf_counter() - start))
    return {what: {"ms": laps, "median_ms": statistics.median(laps)} for what, laps in times.items()}


def write(path, result):
    """The results as JSON."""
    path.write_text(json.dumps(result, indent=1) + "\n")


def main():
    """Time, print and write."""
    parser = argparse.ArgumentParser(description="Time pyinit on a GPU, beside pure writes and peers.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-gpu.json")
    parser.add_argument("--elements", type=int, default=ELEMENTS, help="float32 in the buffer; 2**30, unless said")
    parser.add_argument("--repetitions", type=int, default=11)
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    cupy = gpu_peers.device()
    device = gpu_peers.describe(cupy)
    result = {"article": article(cupy, 5), "article_asked_ms": ARTICLE_MS}
    cupy.get_default_memory_pool().free_all_blocks()
    out = cupy.empty(arguments.elements, np.float32)
    groups = {}
    for name, part in (("fills", out), ("weights", out[:WEIGHTS])):
        groups[name] = [*gpu_peers.write_cases(cupy, part), *pyinit_cases(part), *gpu_peers.cupy_cases(cupy, part)]
        groups[name] += [*gpu_peers.curand_cases(cupy, part), *gpu_peers.torch_cases(cupy, part)]
    moved = backends(cupy, out[: min(out.size, 2**28)])
    with output().progress((len(moved) + sum(map(len, groups.values()))) * (1 + arguments.repetitions)) as tell:
        timings = {name: bench.measure(cases, arguments.repetitions, progress=tell) for name, cases in groups.items()}
        timings["backends"] = bench.measure(moved, arguments.repetitions, budget=6.0, progress=tell)
    result = {**bench.results(**timings), **result, "device": device}
    write(arguments.output, result)  # before what could fail on a GPU that nobody has seen
    result["calls_us"] = small_calls(cupy)
    result["targets"] = gpu_targets.reached(result)
    result["kernels_share"] = gpu_targets.shares(result, keys())
    write(arguments.output, result)
    print(table.tables(result))
    print(f"Every repetition's time is in {arguments.output}.")


if __name__ == "__main__":
    sys.exit(main())
