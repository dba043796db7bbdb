"""Time what a call costs on the host apart from the samples: small arrays, many parameters, name patterns.

The calls for a GPU use CuPy arrays, with CUDA's driver replaced by functions that do nothing: this leaves pyinit's
part. The first fill of a process is timed on an OpenCL device, in processes that share a cache of kernels, empty at
first. If CuPy, PyTorch or an OpenCL device is missing, its lines are left out. No GPU is needed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import peers
import table

import pyinit
from pyinit import bench
from pyinit.bench import SEED
from pyinit.cli import arguments as options
from pyinit.cuda import compiler
from pyinit.cuda.driver import contexts, cupy
from pyinit.models import plan

HERE = Path(__file__).parent
ELEMENTS, TENSORS, NAMES = 1000, 2000, 2048
PLAN = {"*": "normal(std=0.02)"}
FIRST_FILL = """
import time
import numpy as np
import pyopencl as cl
import pyopencl.array
import pyinit
queue = cl.CommandQueue(cl.create_some_context(interactive=False))
out = cl.array.empty(queue, 1000, np.float32)
queue.finish()
start = time.perf_counter()
pyinit.Stream(1).fill_normal(out)
queue.finish()
print(time.perf_counter() - start)
"""


def seconds(run, calls):
    """Return the median time of a call, over several runs of many calls."""
    laps = []
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        laps.append((time.perf_counter() - start) / calls)
    return statistics.median(laps)


def fill_and_initialize(kind, make, calls=5000):
    """Time one kind of arrays: a fill of 1,000 elements, and `initialize` of many arrays, per array."""
    out = make(ELEMENTS)
    params = {f"layers.{i}.weight": make(100) for i in range(TENSORS)}
    return {
        f"fill of {ELEMENTS:,} float32, {kind}": seconds(partial(pyinit.Stream(SEED).fill_normal, out), calls),
        f"initialize, a tensor of 100, {kind}": seconds(partial(pyinit.initialize, params, SEED, PLAN), 3) / TENSORS,
    }


def on_host():
    """Time NumPy arrays and, next to `normal_`, PyTorch tensors."""
    lines = fill_and_initialize("NumPy", partial(np.ones, dtype=np.float32))
    torch = peers.pytorch()
    if torch:
        lines |= fill_and_initialize("torch.Tensor", torch.ones)
        lines |= fill_and_initialize("torch.nn.Parameter", lambda n: torch.nn.Parameter(torch.ones(n)))
        lines |= fill_and_initialize("torch bfloat16", partial(torch.ones, dtype=torch.bfloat16))
        lines[f"PyTorch's normal_ of {ELEMENTS:,} float32"] = seconds(torch.ones(ELEMENTS).normal_, 5000)
    return lines


def giving(value):
    """Return a function that ignores its arguments; a Mock would take longer than the code that is timed."""
    return lambda *_: value


def without_driver():
    """Time CuPy arrays on the host's memory, which nothing writes."""
    try:
        cuda = cupy().cuda
    except ImportError:
        return {}
    host = np.empty(1 << 20, np.uint8)
    memory = cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, 0)

    starts = iter(range(0, 400 * TENSORS, 400))

    def apart(size):  # parameters may not share memory
        return cupy().ndarray((size,), np.float32, cuda.MemoryPointer(memory, next(starts) if size == 100 else 0))

    with (
        mock.patch.object(cuda.driver, "ctxGetCurrent", giving(1)),
        mock.patch.dict(contexts, {1: 0}),
        mock.patch.object(cuda, "get_current_stream", giving(SimpleNamespace(ptr=0))),
        mock.patch.object(cuda.driver, "launchKernel", giving(None)),
        mock.patch.object(cuda, "alloc", giving(SimpleNamespace(ptr=0, copy_from_host_async=giving(None)))),
        mock.patch.object(compiler, "compiled", giving(compiler.Kernel(None, 1, 256, 132, 8))),
    ):
        return fill_and_initialize("CuPy without a driver", apart)


def patterns():
    """Time names with a pattern each."""
    names = [f"layers.{i // 16}.block{i % 16}.weight" for i in range(NAMES)]
    run = partial(plan.matched, names, dict.fromkeys(names, "normal(std=0.02)"))
    return {f"{NAMES:,} names matched with a pattern each": seconds(run, 1)}


def first_fills():
    """Time the first fill of a process on an OpenCL device, if there is one."""
    package = str(Path(pyinit.__file__).parents[1])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    laps = []
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONPATH": path, "PYINIT_CACHE_DIR": folder, "POCL_CACHE_DIR": f"{folder}/pocl"}
        for _ in range(8):
            done = subprocess.run(
                [sys.executable, "-c", FIRST_FILL], env=env, capture_output=True, text=True, check=False
            )
            if done.returncode:
                return {}
            laps.append(float(done.stdout))
    return {
        "first fill of a process on OpenCL, no kernel on disk": laps[0],
        "first fill of a later process, median of 7": statistics.median(laps[1:]),
    }


def main():
    """Time, print and write."""
    parser = argparse.ArgumentParser(description="Time what calls cost on the host, apart from the samples.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-calls.json")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    result = {**bench.results(), "calls": on_host() | without_driver() | patterns() | first_fills()}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table.tables(result))


if __name__ == "__main__":
    sys.exit(main())
