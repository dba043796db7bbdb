"""dieharder on raw words: pyinit's streams, other generators for comparison, and flawed ones that it must find.

R. G. Brown's dieharder (packaged in Debian) reads words from its standard input; this file is also the program that
writes them. Each test reads new words.

A test fails if its two-sided p-value is below CERTAIN. If it is between CERTAIN and RETRY, the test runs once more,
with four times the samples and on other words, and fails if it is below RETRY again. A source fails if one of its
tests fails.

Usage, in benchmarks/: python -m quality.dieharder SOURCE GENERATOR NUMBER    writes words without end
"""

import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np

import pyinit
from pyinit import _core
from pyinit.bench import SEED
from quality.table import RETRY

BENCHMARKS = Path(__file__).parents[1]
CERTAIN = 1e-7  # dieharder prints eight digits
LIMIT = 900  # seconds for one test; a busy machine is slow
# dieharder's tests by number, fastest first: a fifth of a second to half a minute. Left out: 5, 6, 7 and 14, which it
# calls suspect itself; 17, 201 and 203, which read 10^9 words and more; 200, which needs a choice of bits, unlike 102.
TESTS = (8, 15, 100, 11, 206, 0, 4, 12, 10, 204, 16, 9, 202, 13, 1, 208, 209, 3, 205, 207, 101, 102, 2)
AES_CTR = ["openssl", "enc", "-aes-128-ctr", "-nosalt", "-in", "/dev/zero"]
AT_ONCE = 2**18


def one_stream(generator, number):
    """One stream, from a large position on."""
    stream = pyinit.Stream(SEED, generator, position=number << 40)
    while True:
        yield stream.bits(AT_ONCE)


def interleaved_children(generator, number):
    """One word from each of 64 children in turn."""
    children = [pyinit.Stream(SEED + number, generator).child(f"layers.{k}.weight") for k in range(64)]
    while True:
        yield np.stack([child.bits(AT_ONCE // 64) for child in children], axis=1)


def short_tensors(generator, number):
    """Tensors of 1 to 1000 words, each from its own child."""
    parent = pyinit.Stream(SEED + number, generator)
    for k in count():
        yield parent.child(f"layers.{k}.weight").bits(1 + k * 619 % 1000)


def adjacent_seeds(generator, number):
    """Eight words from each seed, for consecutive seeds."""
    for seed in count(number << 40):
        yield pyinit.Stream(seed, generator).bits(8)


def mersenne_twister(generator, number):
    """NumPy's MT19937."""
    drawn = np.random.Generator(np.random.MT19937(SEED + number))
    while True:
        yield drawn.integers(0, 2**32, AT_ONCE, np.uint32)


def of_23_bits(generator, number):
    """Control: words with their lowest nine bits 0."""
    return (words & np.uint32(2**32 - 2**9) for words in one_stream(generator, number))


def with_a_stuck_bit(generator, number):
    """Control: bit 12 is always set."""
    return (words | np.uint32(1 << 12) for words in one_stream(generator, number))


def correlated(generator, number):
    """Control: every fourth word has the upper byte of the word before it."""
    for words in one_stream(generator, number):
        words[3::4] = words[3::4] & np.uint32(2**24 - 1) | words[2::4] & np.uint32(255 << 24)
        yield words


OURS = {
    "one stream": one_stream,
    "64 children, interleaved": interleaved_children,
    "short tensors": short_tensors,
    "adjacent seeds": adjacent_seeds,
}
BESIDE = {"MT19937": mersenne_twister, "AES-128-CTR": None}
CONTROLS = {"23 bits": of_23_bits, "a stuck bit": with_a_stuck_bit, "correlated words": correlated}
SOURCES = OURS | BESIDE | CONTROLS


def missing():
    """Return the tools that are not installed, as text; empty if all are."""
    return " and ".join(name for name in ("dieharder", "openssl") if not shutil.which(name))


def sources():
    """Return the sources as pairs of a name and a generator; None for those that are not pyinit's."""
    yield from ((name, generator) for generator in _core.GENERATORS for name in OURS)
    yield from ((name, None) for name in BESIDE)
    yield from ((name, "philox") for name in CONTROLS)


def writer(source, generator, number):
    """Return the command that writes endless words."""
    if source == "AES-128-CTR":
        return [*AES_CTR, "-K", f"{SEED:032x}", "-iv", f"{number << 64:032x}"]
    return [sys.executable, "-m", "quality.dieharder", source, str(generator), str(number)]


def run(source, generator, number, samples=None, start=0):
    """Run one of dieharder's tests.

    Parameters
    ----------
    source : str
        A key of `SOURCES`.
    generator : str or None
    number : int
        One of `TESTS`.
    samples : int, optional
        How many p-values dieharder combines; None: its own choice.
    start : int
        Each number gives other words.

    Returns
    -------
    dict of str to (int, float)
        For each printed name, the number of combined p-values and the p-value.
    """
    options = ["-g", "200", "-d", str(number), "-c", ","]
    options += [option for name in ("test_name", "ntuple", "psamples", "pvalues") for option in ("-D", name)]
    options += ["-p", str(samples)] if samples else []
    command = writer(source, generator, number + start)
    with subprocess.Popen(command, cwd=BENCHMARKS, stdout=subprocess.PIPE) as words:
        try:
            found = subprocess.run(
                ["dieharder", *options], stdin=words.stdout, capture_output=True, text=True, timeout=LIMIT, check=True
            )
        finally:
            words.kill()
    result = {}
    for name, size, taken, p in (line.split(",") for line in found.stdout.splitlines() if line.count(",") == 3):
        name = f"{name.strip()} {size.strip()}"
        printed = sum(known.startswith(name + ",") for known in result)  # some names are printed twice
        result[f"{name}, {printed + 1}"] = int(taken), float(p)
    return result


def both_tails(p):
    """Return a two-sided p-value: too good a fit is as bad."""
    return 2 * min(p, 1 - p)


def measure(source, generator, number):
    """Return the two-sided p-values of a test, by name; those of the second run if there was one.

    Returns
    -------
    p, again : dict of str to float
        `again` has the first run's values if a second run followed.
    """
    first = run(source, generator, number)
    result = {name: both_tails(p) for name, (_, p) in first.items()}
    again = {name: p for name, p in result.items() if CERTAIN <= p < RETRY}
    if again:
        taken = next(iter(first.values()))[0]
        second = run(source, generator, number, 4 * taken, start=1000)
        result |= {name: both_tails(second[name][1]) for name in again}
    return result, again


if __name__ == "__main__":
    name, generator, number = sys.argv[1:]
    try:
        for words in SOURCES[name](generator, int(number)):
            sys.stdout.buffer.write(words)
    except BrokenPipeError:
        sys.stderr.close()
