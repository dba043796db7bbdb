"""The cost of a call on the host's clock: for a small array, the first fill in a process, and `backend="host"`."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import gpu_peers
import numpy as np
from timing import Primed

import pyinit
from pyinit.bench import GENERATORS, SEED

HOST, HOST_FILL, HOST_COPY = 'backend="host"', "the fill on the host alone", "the copy alone"
CUPY, TORCH = "pyinit", "pyinit on PyTorch's tensor"
FIRST, SECOND = "first process", "second process"
CHILD = """
import sys, time
import cupy
from pyinit import Stream
out, stream = cupy.zeros(1000, cupy.float32), cupy.cuda.get_current_stream()
stream.synchronize()
for generator in sys.argv[1:]:
    start = time.perf_counter()
    Stream(1, generator).fill_normal(out)
    stream.synchronize()
    print(1e3 * (time.perf_counter() - start))
"""


def backends(cupy, out):
    """Time backend="host" next to its two halves, on the host's clock: it can be as fast as the slower one."""
    stream = pyinit.Stream(SEED)
    pinned = cupy.cuda.alloc_pinned_memory(out.nbytes)
    host = np.frombuffer(pinned, np.float32, out.size)

    def synchronised(run):
        def complete():
            run()
            cupy.cuda.get_current_stream().synchronize()

        return complete

    runs = {
        HOST: partial(stream.fill_normal, out, backend="host"),
        HOST_FILL: partial(stream.fill_normal, host),
        HOST_COPY: partial(out.set, host, cupy.cuda.get_current_stream()),
        "the fill, then the copy": lambda: out.set(stream.fill_normal(host), cupy.cuda.get_current_stream()),
        'backend="device"': partial(stream.fill_normal, out),
        'backend="cupy"': partial(stream.fill_normal, out, backend="cupy"),
    }
    return [Primed(name, synchronised(run), out.size, out.nbytes) for name, run in runs.items()]


def small_calls(cupy):
    """Return the host's microseconds for a call, which does not wait for the GPU."""
    times, torch = {}, gpu_peers.pytorch()
    for size in (8, 1000, 100_000):
        out, stream = cupy.zeros(size, np.float32), pyinit.Stream(SEED)
        runs = {CUPY: partial(stream.fill_normal, out)}
        if torch:
            tensor = torch.as_tensor(out, device="cuda")
            runs |= {TORCH: partial(stream.fill_normal, tensor), "PyTorch": tensor.normal_}
        for name, run in runs.items():
            times[f"{name}, {size:,} elements"] = lap(run)
            cupy.cuda.get_current_stream().synchronize()
    return times


def lap(run, laps=200):
    """Return the median microseconds of a call, without the first ones."""
    times = []
    for _ in range(laps):
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times[laps // 10 :]) / 1e3


def first_fills(child=CHILD):
    """Time the first fill by each generator, in ms, in two processes that share a cache of kernels, empty at first."""
    package = str(Path(pyinit.__file__).parents[1])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONPATH": path, "PYINIT_CACHE_DIR": folder}
        for which in (FIRST, SECOND):
            command = [sys.executable, "-c", child, *GENERATORS]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
            if done.returncode:
                raise RuntimeError(f"the {which} failed: {done.stderr.strip().splitlines()[-1]}")
            laps = map(float, done.stdout.split())
            times |= {f"{generator}, {which}": ms for generator, ms in zip(GENERATORS, laps, strict=True)}
    return times
