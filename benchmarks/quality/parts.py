"""The parts of program.py: the samples they take, what they count, and the flaws they must notice."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial

import pyinit
from pyinit import _core
from pyinit.bench import SEED
from quality import dieharder, flaws, streams, values
from quality.evidence import Sampler
from quality.host import draws, tally
from quality.laws import SAMPLERS, law_of
from quality.statistics import controls_of, ideal_distance, p_values

GENERATORS = tuple(_core.GENERATORS)
SAMPLES = 10**10


@dataclass(frozen=True)
class Entry:
    """The p-values of a set of samples, by family and name.

    Attributes
    ----------
    part, generator, what, dtype : str
    samples : int
    p : dict of str to dict of str to float
    control : str
        The flaw, if there is one.
    noticed_by : tuple of str
        The families that must notice it.
    more : dict
        Further results.
    """

    part: str
    generator: str
    what: str
    dtype: str
    samples: int
    p: dict
    control: str = ""
    noticed_by: tuple = ()
    more: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """Work that gives entries: its number of steps in the progress bar, and a function that reports them."""

    steps: int
    make: Callable


@dataclass(frozen=True)
class Sizes:
    """The number of float32 samples in cells, and sizes derived from it; `stride` is that of walks over all words."""

    samples: int

    @property
    def doubles(self):
        return even(self.samples / 5)

    @property
    def values(self):
        return even(self.samples / 10)

    @property
    def controls(self):
        return even(max(self.samples / 50, 2**24))

    @property
    def streams(self):
        return max(2**14, min(2**18, self.samples // 2**14))

    @property
    def bases(self):
        return max(2**9, min(2**14, self.samples // 2**18))

    @property
    def stride(self):
        return 1 << max(0, min(8, (2**32 // self.samples).bit_length() - 1))

    def evidence(self, most):
        """Return the number of samples of a statistic of evidence.py: that of its slow test, or less."""
        return int(max(1, min(most, most * self.samples / SAMPLES)))


def even(number):
    """Return the next even number, since samples come in pairs."""
    return 2 * int(number / 2)


# Each part yields its jobs.


def cells(sizes):
    """Test every sampler, in float32 (words: uint32) and float64."""
    for name in SAMPLERS:
        for dtype in ("uint32",) if name == "bits" else ("float32", "float64"):
            count = sizes.samples if dtype != "float64" else sizes.doubles
            law = cache(partial(law_of, name, "float64" if dtype == "float64" else "float32", sizes.stride))
            for generator in GENERATORS:
                yield Job(count, partial(counted, generator, name, dtype, count, law))
            for control in controls_of(name, dtype, sizes.controls):
                yield Job(sizes.controls, partial(counted, GENERATORS[0], name, dtype, sizes.controls, law, control))


def counted(generator, name, dtype, count, law, control="", tell=None):
    """Test one sampler, or one control."""
    flaw, noticed_by = controls_of(name, dtype, count)[control] if control else (None, ())
    stream = pyinit.Stream(SEED, generator).child(f"{name} {dtype} {control}")
    law = law()
    seen = tally(draws(stream, SAMPLERS[name][0], dtype), count, law.cells, law.centre, law.scale, tell, flaw)
    more = {} if control else ideal_distance(seen, law, count) | {"falls": law.falls}
    return [Entry("cells", generator, name, dtype, count, p_values(seen, law, count), control, noticed_by, more)]


def values_of_types(sizes):
    """Test every sampler in every dtype of 16 and 8 bits."""
    for name in SAMPLERS:
        for dtype in values.DTYPES if name != "bits" else ():
            law = cache(partial(values.probabilities_of_values, name, values.values_of(dtype), dtype))
            for generator in GENERATORS:
                yield Job(sizes.values, partial(counted_values, generator, name, dtype, sizes.values, law))
            yield Job(
                sizes.controls, partial(counted_values, GENERATORS[0], name, dtype, sizes.controls, law, "is cut")
            )


def counted_values(generator, name, dtype, count, law, control="", tell=None):
    """Test one sampler in one dtype, or one control: values that are sometimes truncated instead of rounded."""
    stream, flaw = pyinit.Stream(SEED, generator).child(f"{name} {dtype} {control}"), values.truncating
    p, groups = values.measure(stream, name, dtype, count, law(), flaw if control else None, tell)
    noticed_by = ("values",) if control else ()
    more = {"groups": groups}
    return [Entry("values", generator, name, dtype, count, {"values": {"chi2": p}}, control, noticed_by, more)]


# The statistics of evidence.py that counting.c does not count, and their largest number of samples.
EVIDENCE = {"triples": 3 * 2**26, "halves": 2**28, "polar": 2**28, "grain": 2**28, "bits": 2**26, "related": 2**20}


def samples(sizes):
    """Run the statistics of evidence.py."""
    for statistic in flaws.STATISTICS:
        name = statistic.measure.__name__
        for distribution in statistic.distributions if name in EVIDENCE else ():
            count = max(statistic.count, sizes.evidence(EVIDENCE[name]))
            for dtype in ("float32", "float64"):
                for generator in GENERATORS:
                    yield Job(1, partial(by_evidence, statistic, Sampler(generator, distribution, dtype), count))
            for flaw in statistic.flaws:
                sampler = Sampler(GENERATORS[0], distribution, "float32", flaws.FLAWS[flaw])
                few = flaws.FEWER.get(flaw, statistic.count)
                yield Job(1, partial(by_evidence, statistic, sampler, few, flaw))


def by_evidence(statistic, sampler, count, control="", tell=None):
    """Run one statistic on one sampler, or on one flaw."""
    name = statistic.measure.__name__
    p = {name: statistic.measure(sampler, count)}
    p[name].pop("a multiple of 2^-24 in [0, 1)", None)  # 0 or 1, so not a p-value
    p[name].pop("a multiple of 2^-53 in [0, 1)", None)
    tell(1)
    noticed_by = (name,) if control else ()
    return [Entry("samples", sampler.generator, sampler.distribution, sampler.dtype, count, p, control, noticed_by)]


def many_streams(sizes):
    """Test streams at close addresses, and flipped bits of an address."""
    for generator in GENERATORS:
        for name in streams.FAMILIES:
            yield Job(1, partial(of_addresses, generator, name, sizes.streams))
        yield Job(1, partial(flipped, generator, sizes.bases))
    yield Job(1, partial(of_addresses, GENERATORS[0], "seeds k", sizes.streams, "every 32nd repeats"))
    yield Job(1, partial(flipped, GENERATORS[0], sizes.bases, "numbers of 32 bits"))


def of_addresses(generator, name, count, control="", tell=None):
    """Test the first words of many streams."""
    table = streams.words_of(generator, [streams.FAMILIES[name](k) for k in range(count)])
    p = {"streams": streams.statistics(streams.repeating(table) if control else table)}
    tell(1)
    return [Entry("streams", generator, name, "uint32", table.size, p, control, ("streams",) if control else ())]


def flipped(generator, bases, control="", tell=None):
    """Flip single bits of seeds, ids and positions."""
    flaw = [streams.ids_of_32_bits] if control else []
    p = {"flipped bits": streams.avalanche(generator, bases, *flaw)}
    tell(1)
    noticed_by = ("flipped bits",) if control else ()
    return [Entry("streams", generator, "one bit flipped", "uint32", bases * 193 * 4, p, control, noticed_by)]


def by_dieharder(sizes):
    """Run each test on each source."""
    if dieharder.missing():
        print(f"Without {dieharder.missing()} there is no dieharder part.", file=sys.stderr)
        return
    for number in dieharder.TESTS:
        for source, generator in dieharder.sources():
            yield Job(1, partial(one_test, source, generator, number))


def one_test(source, generator, number, tell=None):
    """Run one of dieharder's tests on one source."""
    p, again = dieharder.measure(source, generator, number)
    tell(1)
    control = source if source in dieharder.CONTROLS else ""
    noticed_by = ("dieharder",) if control else ()
    return [Entry("dieharder", generator or "", source, "uint32", 0, {"dieharder": p}, control, noticed_by, again)]


# The jobs of a part, and whether they run in parallel: those without threads of their own do.
PARTS = {
    "cells": (cells, False),
    "values": (values_of_types, False),
    "samples": (samples, True),
    "streams": (many_streams, True),
    "dieharder": (by_dieharder, True),
}
