"""Counting for program.py on the processors: counting.c, compiled when it is needed, on all threads."""

import ctypes
import subprocess
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

import pyinit
from pyinit import _core, isa
from pyinit.arrays import dtype_of
from pyinit.parallel import parallel

SOURCES = [Path(__file__).with_name(name) for name in ("counting.c", "words.c")]
COMPILER = (sysconfig.get_config_var("CC") or "cc").split()[0]
FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fPIC", "-shared"]
CELLS, LAGS = 2**16, 8
TAILS, RADII = 4 + 0.5 * np.arange(6), 5.5 + 0.5 * np.arange(3)
CHUNK, PART = 2**16, 2**24  # samples made before they are counted, and those of a tally, which holds at most 2^32

# counting.c's `tally`, described there.
TALLY = np.dtype(
    [
        ("cells", "u4", CELLS),
        ("pairs", "u4", CELLS),
        ("powers", "f8", 16),
        ("products", "f8", (2, LAGS)),
        ("tails", "u8", len(TAILS)),
        ("radii", "u8", len(RADII)),
        ("falls", "u8"),
    ]
)
ADD = {"uint32": "add_words", "float32": "add_floats", "float64": "add_doubles"}


@cache
def library():
    """Return the compiled counter."""
    flags = [*FLAGS, f"-I{pyinit.get_include()}"]
    if "avx2" in isa.available():
        flags += ["-march=native", "-DQUALITY_AVX2"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quality.so"
        subprocess.run([COMPILER, *flags, *SOURCES, "-o", path, "-lm"], check=True)
        loaded = ctypes.CDLL(str(path))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name in ADD.values():
        getattr(loaded, name).argtypes = pointer, size, pointer, ctypes.c_double, ctypes.c_double, pointer
    for name in ("add_values8", "add_values16"):
        getattr(loaded, name).argtypes = pointer, size, pointer
    loaded.samples_of_words.argtypes = pointer, pointer, size, pointer
    return loaded


def samples_of_words(distribution, words, dtype="float32"):
    """Return the samples of given words, as float32 (words unchanged), not yet rounded to a narrower type.

    Parameters
    ----------
    distribution : pyinit.distributions.Distribution
        It must take one word per sample.
    words : ndarray of uint32
    dtype : str
    """
    shape, words = words.shape, np.ravel(words).astype(np.uint32)
    padded = np.zeros(-(-words.size // 16) * 16, np.uint32)  # whole vectors
    padded[: words.size] = words
    kind = np.uint32 if distribution.sampler == "bits" else np.float32
    out = np.empty(padded.size, kind)
    number = _core.DTYPES["uint32" if kind is np.uint32 else dtype].number
    job = _core.make_job(pyinit.Stream(0), distribution, number)
    library().samples_of_words(job, padded.ctypes.data, padded.size, out.ctypes.data)
    return out[: words.size].reshape(shape)


def totals(records):
    """Return the sums of tallies, as a dict of arrays."""
    sums = {}
    for record in records:
        for name in TALLY.names:
            value = record[name].astype(np.float64 if record[name].dtype.kind == "f" else np.int64)
            sums[name] = sums.get(name, 0) + value
    return sums


def tally(make, count, cells, centre, scale, tell=lambda samples: None, flaw=None):
    """Count samples on all processors.

    Parameters
    ----------
    make : callable
        Takes the number of the first sample and the number of samples; returns them as uint32, float32 or float64.
    count : int
        How many samples in all; even.
    cells : quality.cells.Cells
    centre, scale : float
        They define z = (x - centre) scale, whose powers and products are summed.
    tell : callable
        Called with the number of samples counted since the last call.
    flaw : callable, optional
        Changes samples before they are counted.

    Returns
    -------
    dict of str to ndarray
        The fields of `TALLY`, as int64 or float64.
    """
    functions = {np.dtype(dtype): getattr(library(), name) for dtype, name in ADD.items()}
    buckets = cells.buckets

    def count_part(first):
        record = np.zeros((), TALLY)
        end = min(first + PART, count)
        for begin in range(first, end, CHUNK):
            x = make(begin, min(CHUNK, end - begin))
            x = flaw(x) if flaw else x
            functions[x.dtype](x.ctypes.data, x.size, buckets.ctypes.data, centre, scale, record.ctypes.data)
        tell(end - first)
        return record

    return totals(parallel(count_part, range(0, count, PART), _core.default_threads()))


def walk(distribution, stride, cells, centre, scale, tell=lambda samples: None):
    """Count the samples of every `stride`-th of the 2^32 words, the middle one of each run; stride 1 takes all."""

    def make(first, count):
        words = np.arange(first * stride + stride // 2, (first + count) * stride, stride, dtype=np.uint32)
        return samples_of_words(distribution, words)

    return tally(make, 2**32 // stride, cells, centre, scale, tell)


def draws(stream, distribution, dtype):
    """Return a function that makes a stream's samples for `tally`."""
    words, kind = _core.DTYPES[dtype].words, dtype_of(dtype)

    def make(first, count):
        part = pyinit.Stream.from_state(stream.state)
        part.skip_ahead(first * words)
        return part.fill(np.empty(count, kind), distribution, num_threads=1)

    return make


def value_counts(make, count, tell=lambda samples: None, flaw=None):
    """Count each value of 8 or 16 bits among the samples of `make`, which is as for `tally`."""
    bits = 8 * make(0, 2).dtype.itemsize
    add = getattr(library(), f"add_values{bits}")

    def count_part(first):
        counts = np.zeros(2**bits, np.uint32)
        end = min(first + PART, count)
        for begin in range(first, end, CHUNK):
            x = make(begin, min(CHUNK, end - begin))
            x = flaw(x) if flaw else x
            add(x.ctypes.data, x.size, counts.ctypes.data)
        tell(end - first)
        return counts.astype(np.int64)

    return sum(parallel(count_part, range(0, count, PART), _core.default_threads()))
