"""Time pyinit's fills, whole models and the article's network on a GPU, next to pure writes and peers; write JSON.

Fills are timed by CUDA events (timing.py) on a buffer much larger than the L2 cache. The host's time for a call
(gpu_calls.py) and for whole models (gpu_models.py) is measured apart.
"""

import argparse
import json
import math
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import gpu_calls
import gpu_models
import gpu_peers
import gpu_targets
import numpy as np
import table
from timing import OnGPU

import pyinit
from pyinit import _core, bench, distributions
from pyinit.arrays import dtype_of
from pyinit.bench import GENERATORS, SEED
from pyinit.cli import arguments as options
from pyinit.kernels.device_arrays import KernelKey
from pyinit.network import Dense, Network, train
from pyinit.terminal import steps

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
    "constant": (distributions.constant(0.02), ("float32", "bfloat16")),
    "truncated_normal from 1 on": (distributions.truncated_normal(lower=1.0, upper=math.inf), ("float32",)),
}
FILLS = [(name, dtype, distribution) for name, (distribution, dtypes) in DRAWN.items() for dtype in dtypes]


class Typed:
    """A part of a CuPy array as elements of any type, also of types that CuPy lacks."""

    def __init__(self, array, dtype):
        self.dtype, size = dtype, dtype_of(dtype).itemsize
        self.part = array.view(f"u{size}")[: min(array.size, array.nbytes // size)]
        typestr = dtype_of(dtype).str if not dtype_of(dtype).names else self.part.dtype.str
        self.__cuda_array_interface__ = {**self.part.__cuda_array_interface__, "typestr": typestr}


def pyinit_cases(out):
    """List every fill; other types get the same number of samples, or as many as fit."""
    cases = []
    for generator in GENERATORS:
        for name, dtype, distribution in FILLS:
            given = Typed(out, dtype)
            run = partial(pyinit.Stream(SEED, generator).fill, given, distribution)
            cases.append(OnGPU(f"{generator} {name} {dtype}", run, given.part.size, given.part.nbytes, tier="cuda"))
    return cases


def keys():
    """Map the names of `pyinit_cases` to their kernels."""
    return {
        f"{generator} {name} {dtype}": KernelKey(number, *_core.check_dtype(distribution, dtype_of(dtype)))
        for generator, number in _core.GENERATORS.items()
        for name, dtype, distribution in FILLS
    }


def article(cupy, repetitions):
    """Time the article's last example, in ms: initialise its network, and train it for ten epochs on one batch."""
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


def fills(cupy, out):
    """Time pyinit's fills and its peers', all in place, without JAX."""
    cases = [*gpu_peers.write_cases(cupy, out), *pyinit_cases(out), *gpu_peers.cupy_cases(cupy, out)]
    return [*cases, *gpu_peers.curand_cases(cupy, out), *gpu_peers.torch_cases(cupy, out)]


def jax_fills(size, result):
    """Time JAX's fills, and add its version to the others."""
    if "fills" not in result:
        raise RuntimeError("there are no other fills to compare JAX's with")
    if module := gpu_peers.jax():
        result["device"]["versions"]["jax"] = module.__version__
    return gpu_peers.jax_cases(module, size)


def models(cupy):
    """Time whole models, in their own memory."""
    memory, torch = cupy.empty(gpu_models.elements(), np.float32), gpu_peers.pytorch()
    tensor = torch.as_tensor(memory, device="cuda") if torch else None
    return gpu_models.cases(memory, tensor, cupy.cuda.Device().synchronize)


def parts(cupy, size, repetitions, result):
    """List what is measured, most important first: names of results, and functions that return timings or values."""
    out = cupy.empty(size, np.float32)

    def timed(make, *arguments, repetitions=repetitions, budget=3.0):
        return lambda: bench.measure(make(*arguments), repetitions, budget)

    return [
        ("fills", timed(fills, cupy, out)),
        ("models", timed(models, cupy, repetitions=min(repetitions, 5), budget=2.0)),
        ("backends", timed(gpu_calls.backends, cupy, out[: 2**28])),
        ("calls_us", partial(gpu_calls.small_calls, cupy)),
        ("first_fill_ms", gpu_calls.first_fills),
        ("article", partial(article, cupy, min(repetitions, 5))),
        ("weights", timed(fills, cupy, out[:WEIGHTS])),
        ("kernels_share", lambda: gpu_targets.shares(result, keys())),
        ("fills", timed(jax_fills, size, result)),  # last: JAX has its own streams and memory
    ]


def collect(parts, result, path):
    """Run all parts and write the results after each, so that a failing part loses none of the others."""
    timings = {}
    with steps(len(parts)) as tell:
        for name, part in parts:
            try:
                found = part()
            except Exception as error:  # any error: this may be a GPU that nobody has tried
                result.setdefault("failed", {}).setdefault(name, f"{type(error).__name__}: {error}")
            else:
                if isinstance(found, list):
                    timings[name] = timings.get(name, []) + found
                    found = bench.results(**{name: timings[name]})[name]
                result[name] = found
            result["targets"] = gpu_targets.reached(result)
            path.write_text(json.dumps(result, indent=1) + "\n")
            tell(name)


def main():
    """Time, print and write."""
    parser = argparse.ArgumentParser(description="Time pyinit on a GPU, next to pure writes and peers.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-gpu.json")
    parser.add_argument("--elements", type=int, default=ELEMENTS, help="float32 in the buffer (default: 2**30)")
    parser.add_argument("--repetitions", type=int, default=11)
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    cupy = gpu_peers.device()
    result = {**bench.results(), "device": gpu_peers.describe(cupy), "article_asked_ms": ARTICLE_MS}
    collect(parts(cupy, arguments.elements, arguments.repetitions, result), result, arguments.output)
    print(table.tables(result))
    print(f"Every repetition's time is in {arguments.output}.")
    return 1 if "failed" in result else 0


if __name__ == "__main__":
    sys.exit(main())
