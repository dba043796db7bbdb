"""Peers, as cases next to pyinit's: NumPy, randomgen, MKL, JAX and PyTorch.

All write a given buffer, except JAX, whose arrays cannot be written: it makes a new one each time. A peer without
threads of its own gets what its users would write: a stream for each thread.
"""

import ctypes
import sys
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
from timing import Primed

from pyinit.bench import SEED, Case, numpy_normal, thread_counts, together

RANDOMGEN = ("SFC64", "Xoshiro256", "JSF", "Romu", "EFIIX64", "SFMT", "PCG64DXSM", "AESCounter", "Philox", "ThreeFry")
# Without R250 and WH, which are no faster than these, and the quasi-random generators.
MKL_BRNG = {
    "ARS5": 15 << 20,
    "Philox": 16 << 20,
    "SFMT19937": 13 << 20,
    "MT19937": 8 << 20,
    "MT2203": 9 << 20,
    "MCG31": 1 << 20,
    "MCG59": 4 << 20,
    "MRG32K3A": 3 << 20,
}
MKL_GAUSSIAN = {"BoxMuller": 0, "BoxMuller2": 1, "ICDF": 2}
MKL_WORDS = ("ARS5", "Philox", "SFMT19937")  # their uniform samples and bits are timed too
MKL_SKIP = 1 << 28  # between the streams of two threads: more than the words that a thread needs
MKL_SEQUENTIAL = 1


def numpy_cases(out):
    """NumPy's bit generators; with several threads, one each, with spawned seeds."""
    return [
        case(f"NumPy {bits.__name__} normal float32", spawned(bits, out, n), out, n)
        for bits in (np.random.PCG64, np.random.SFC64, np.random.Philox, np.random.MT19937)
        for n in thread_counts()
    ]


def randomgen_cases(out):
    """randomgen's bit generators that NumPy lacks, with NumPy's normal samples."""
    import randomgen

    return [
        case(f"randomgen {name} normal float32", spawned(getattr(randomgen, name), out, n), out, n)
        for name in RANDOMGEN
        for n in thread_counts()
    ]


def spawned(bits, out, threads):
    """Return a function that fills each thread's part of an array from its own bit generator."""
    seeds = np.random.SeedSequence(SEED).spawn(threads)
    parts = np.array_split(out, threads)
    return together([numpy_normal(bits(seed), part) for seed, part in zip(seeds, parts)])


def mkl_cases(out):
    """MKL's vector statistics; with several threads, a stream each, skipped ahead of the previous one."""
    [library, *_] = sorted((Path(sys.prefix) / "lib").glob("libmkl_rt.so*"))
    library = ctypes.CDLL(str(library))
    library.MKL_Set_Threading_Layer(MKL_SEQUENTIAL)
    zero, one, cases = ctypes.c_float(0), ctypes.c_float(1), []
    for name, brng in MKL_BRNG.items():
        for n in thread_counts():
            parts = [(mkl_stream(library, brng, i), part) for i, part in enumerate(np.array_split(out, n))]
            fills = {
                f"{method} normal float32": (library.vsRngGaussian, number, zero, one)
                for method, number in MKL_GAUSSIAN.items()
            }
            if name in MKL_WORDS:
                fills["uniform float32"] = (library.vsRngUniform, 0, zero, one)
                fills["bits uint32"] = (library.viRngUniformBits32, 0)
            for what, (function, method, *parameters) in fills.items():
                run = together([partial(mkl_fill, function, method, *part, *parameters) for part in parts])
                cases.append(case(f"MKL {name} {what}", run, out, n))
    return cases


def mkl_stream(library, brng, thread):
    """Return a new stream, `thread` parts ahead."""
    stream = ctypes.c_void_p()
    if library.vslNewStream(ctypes.byref(stream), brng, ctypes.c_uint(SEED)):
        raise RuntimeError(f"MKL made no stream of generator {brng >> 20}")
    if thread and library.vslSkipAheadStream(stream, ctypes.c_longlong(thread * MKL_SKIP)):
        raise RuntimeError(f"MKL's generator {brng >> 20} does not skip ahead")
    return stream


def mkl_fill(function, method, stream, out, *parameters):
    """Call a function that writes samples; ctypes lets other threads run meanwhile."""
    status = function(method, stream, out.size, ctypes.c_void_p(out.ctypes.data), *parameters)
    if status:
        raise RuntimeError(f"MKL's {function.__name__} returned {status}")


def jax_cases(out):
    """JAX's two generators, with its own number of threads, which cannot be set."""
    import jax

    jax.config.update("jax_platforms", "cpu")

    def run(key):
        return jax.random.normal(key, out.shape, "float32").block_until_ready()

    keys = {name: jax.random.key(SEED, impl=impl) for name, impl in (("threefry", "threefry2x32"), ("rbg", "rbg"))}
    # Primed, like every case with new memory (memory.py).
    return [
        Primed(f"JAX {name} normal float32", partial(run, key), out.size, out.nbytes, threads=thread_counts()[-1])
        for name, key in keys.items()
    ]


def torch_cases(out):
    """PyTorch's initialisers, in place; there are twice as many bfloat16 in the same memory."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    single = torch.from_numpy(out)
    half = torch.from_numpy(out.view(np.int16)).view(torch.bfloat16)
    fills = {
        "normal_ float32": (torch.nn.init.normal_, single),
        "normal_ bfloat16": (torch.nn.init.normal_, half),
        "trunc_normal_ float32": (torch.nn.init.trunc_normal_, single),
    }

    def run(fill, tensor, threads):
        torch.set_num_threads(threads)
        fill(tensor, generator=generator)

    return [
        Case(f"PyTorch {what}", partial(run, fill, tensor, n), tensor.numel(), out.nbytes, threads=n)
        for what, (fill, tensor) in fills.items()
        for n in thread_counts()
    ]


def case(name, run, out, threads):
    """Return a case that writes all of `out`."""
    return Case(name, run, out.size, out.nbytes, threads=threads)


# By the name of the package that must be installed. Peers with thread pools come last: their threads may spin for a
# while after their work.
PEERS = {
    "numpy": numpy_cases,
    "randomgen": randomgen_cases,
    "mkl": mkl_cases,
    "jax": jax_cases,
    "torch": torch_cases,
}


def versions():
    """Return the versions of the installed peers."""
    found = {}
    for name in PEERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def pytorch():
    """Return the torch module, or None."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def dask_normal(shape, chunks):
    """Return Dask's own array of normal samples, in float32."""
    import dask.array

    return dask.array.random.default_rng(SEED).standard_normal(shape, chunks=chunks, dtype=np.float32)


def torch_loop(memory, dtype, starts, sizes):
    """Return a loop of PyTorch's `normal_` over parts of a float32 buffer, viewed as a dtype; None without PyTorch."""
    torch = pytorch()
    if torch is None:
        return None
    whole = torch.from_numpy(memory).view(getattr(torch, dtype))
    tensors = [whole[start : start + size] for start, size in zip(starts, sizes)]

    def fill():
        for tensor in tensors:
            tensor.normal_(0.0, 0.02)

    return fill
