"""Cases in which memory matters more than samples: pure writes, new memory, shards, another order of elements."""

import ctypes
import inspect
import math
import os
import platform
import shlex
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from timing import Primed

from pyinit import isa
from pyinit.bench import GENERATORS, SEED, Case, memset, numpy_normal, thread_counts, together
from pyinit.streams import Stream

VECTOR = 64
SHARD, WHOLE, OFFSET = (4096, 128), (4096, 16384), (0, 8192)  # some columns of a matrix spread over many machines
SHARD_CALLS = 20


def cases(out):
    """Return all cases; those on the buffer itself write all of `out`, or all but a few elements."""
    windows = "global_shape" in inspect.signature(Stream.fill_normal).parameters
    return [*streaming_cases(out), *new_cases(out), *(shard_cases() + transposed_cases(out) if windows else [])]


def streaming_cases(out):
    """Stores past the caches; no case without a compiler or such a store."""
    function = stream_bytes()
    if function is None:
        return []
    start = -out.ctypes.data % VECTOR
    whole = out.view(np.uint8)[start : start + (out.nbytes - start) // VECTOR * VECTOR]
    found = []
    for n in thread_counts():
        parts = np.array_split(whole.reshape(-1, VECTOR), n)
        # The pointer keeps its array alive.
        at = [(part.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(part.nbytes)) for part in parts]
        run = together([partial(function, *place) for place in at])
        found.append(Case("streaming stores", run, out.size, out.nbytes, threads=n))
    return found


def stream_bytes():
    """Return the function of stores.c, compiled for this machine, or None."""
    if platform.machine() != "x86_64":
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "stores.so"
        compiler = shlex.split(os.environ.get("CC") or "cc")
        source = Path(__file__).parent / "stores.c"
        try:
            subprocess.run([*compiler, "-O2", "-march=native", "-fPIC", "-shared", source, "-o", library], check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return ctypes.CDLL(str(library)).stream_bytes


def new_cases(out):
    """New memory from the system, filled and freed: the cost of its pages, whoever fills them.

    Primed, because a virtual machine's host takes free pages back within seconds: the first case to ask for them again
    would pay for all.
    """
    name, found = "memset, new memory", []

    def write(threads):
        memset([np.empty(out.size, np.float32)], threads)()

    for n in thread_counts():
        runs = {name: (partial(write, n), None)}
        for generator in GENERATORS:
            run = partial(Stream(SEED, generator).normal, out.size, num_threads=n)
            runs[f"{generator} normal float32, new memory"] = run, isa.active()
        if n == 1:
            draw = np.random.Generator(np.random.SFC64(SEED)).standard_normal
            runs["NumPy SFC64 normal float32, new memory"] = partial(draw, out.size, np.float32), None
        found += [
            Primed(what, run, out.size, out.nbytes, threads=n, tier=tier, writes=(name,))
            for what, (run, tier) in runs.items()
        ]
    return found


def shard_cases():
    """Columns of a matrix, as one of many machines holds them: each row begins elsewhere in the stream."""
    part, size = np.ones(SHARD, np.float32), " x ".join(map(str, SHARD))
    name, found = f"memset, {size}", []
    for n in thread_counts():
        runs = {name: (memset([part], n), None)}
        for generator in GENERATORS:
            fill = partial(Stream(SEED, generator).fill_normal, part, num_threads=n)
            runs[f"{generator} normal float32, {size}"] = fill, isa.active()
            columns = partial(fill, global_shape=WHOLE, offset=OFFSET)
            runs[f"{generator} normal float32, {size} columns of {WHOLE[1]}"] = columns, isa.active()
        found += [
            Case(what, run, part.size, part.nbytes, threads=n, calls=SHARD_CALLS, tier=tier, writes=(name,))
            for what, (run, tier) in runs.items()
        ]
    numpy = numpy_normal(np.random.SFC64(SEED), part)
    peer = f"NumPy SFC64 normal float32, {size}"
    found.append(Case(peer, numpy, part.size, part.nbytes, calls=SHARD_CALLS, writes=(name,)))
    return found


def transposed_cases(out):
    """A square matrix in column-major order."""
    side = math.isqrt(out.size)
    square = out[: side * side].reshape(side, side).T
    return [
        Case(
            f"{generator} normal float32, transposed",
            partial(Stream(SEED, generator).fill_normal, square, num_threads=n),
            square.size,
            square.nbytes,
            threads=n,
            tier=isa.active(),
        )
        for generator in GENERATORS
        for n in thread_counts()
    ]


def peak():
    """Return the most memory that this process has used, in bytes."""
    return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
