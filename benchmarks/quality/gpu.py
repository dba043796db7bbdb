"""Chi-squared tests of the float32 samplers: a GPU makes and counts 10^12 samples of each.

The device that makes the samples also counts them, in 2^16 cells (cells.py, devices.py, counting.cl).
The counts of a sampler are compared with two laws.

Its own law is the distribution of its samples if all words are equally likely. This comparison decides whether the
sampler passes: it tests the generator, and that the device computes the same function for every word. For a sampler of
one word per sample, bisection over the 2^32 words gives the exact law. Words and uniform samples have it by definition.
Box-Muller's own law is assumed to be the ideal one, because 10^12 samples cannot tell them apart; see `BOX_MULLER`.

The ideal law is that of a real number rounded to the nearest float32. This comparison only informs. A sampler of 2^32
words cannot meet the ideal law exactly: n samples are expected to raise the statistic by
n sum (own - ideal)^2 / ideal. The table shows this next to the measured value, both in standard deviations of the
statistic, and the number of samples at which it reaches five.

Each sampler has a positive control that must fail in the same run: the sampler with its lowest bits cleared, or with a
standard deviation slightly too large. The size of the flaw depends on the number of samples, so that it raises the
statistic by about 40 of its standard deviations.

The exit code is 1 if a sampler fails or a control passes.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

import pyinit
from pyinit import distributions
from pyinit.bench import GENERATORS, SEED
from pyinit.cli import arguments as options
from pyinit.terminal import output, steps
from quality.cells import (
    CELLS,
    DF,
    LAWS,
    SIGMA,
    Cells,
    Normal,
    cells_for,
    noncentrality,
    p_value,
    probabilities_of_words,
    statistic,
)
from quality.devices import DEVICES

BENCHMARKS = Path(__file__).parents[1]
SAMPLES, LEAST = 10**12, 2**22  # LEAST: 25 samples expected in the least likely cell
ALPHA = 1e-3  # the probability that a run of perfect samplers has one that fails
CONTROL = 40  # a flaw raises the statistic by about this many SIGMA
# sum (own - ideal)^2 / ideal of Box-Muller. Both samples of a pair are exactly 0 with probability 2^-25, which gives
# 5.7e-11. The smallest radii are sqrt(2 k) 2^-12 for whole k, few to a cell, which gives 2.2e-11. A test computes both.
# Other cells get samples from so many radii and angles that their rounding errors average out.
BOX_MULLER = 8e-11


@dataclass(frozen=True, eq=False)
class Case:
    """A sampler to test, or a control.

    Attributes
    ----------
    name : str
    sampler : str
        A key of `LAWS`.
    distribution : pyinit.distributions.Distribution
        The distribution to draw from.
    cells : Cells
    ideal, own : ndarray of float64
        The probability of each cell by the ideal law and by the sampler's own.
    from_ideal : float
        sum (own - ideal)^2 / ideal.
    excess : float
        For a control: sum (flawed - ideal)^2 / ideal, where both are real numbers rounded to float32. A flaw in the
        standard deviation also changes last digits, which adds to that.
    cleared : int
        Lowest bits that are cleared.
    """

    name: str
    sampler: str
    distribution: distributions.Distribution
    cells: Cells
    ideal: np.ndarray
    own: np.ndarray
    from_ideal: float
    excess: float = 0.0
    cleared: int = 0


@dataclass(frozen=True)
class Result:
    """The result of a case. `z` is in SIGMA; the values for the ideal law are None for controls."""

    name: str
    control: bool
    samples: int
    chi2: float
    z: float
    p: float
    z_expected: float
    z_ideal: float | None
    z_ideal_expected: float | None
    ideal_seen_from: float | None
    seconds: float
    good: bool


def sampler_case(name, device):
    """Return the case of a sampler."""
    distribution, law = LAWS[name]
    cells = cells_for(law)
    ideal = cells.probabilities(law)
    own, from_ideal = ideal, 0.0
    if name == "normal":
        from_ideal = BOX_MULLER
    elif isinstance(law, Normal):
        own = probabilities_of_words(cells, lambda words: device.samples(distribution, words))
        from_ideal = noncentrality(own, ideal)
    return Case(name, name, distribution, cells, ideal, own, from_ideal)


def control_of(case, samples):
    """Return the control of a case: a flaw that raises the statistic by about CONTROL or more for `samples`."""
    law, due = LAWS[case.sampler][1], CONTROL * SIGMA / samples
    if not isinstance(law, Normal):
        cleared, excess = 0, 0.0
        while excess < due:
            cleared += 1
            excess = noncentrality(case.cells.probabilities(replace(law, cleared=cleared)), case.ideal)
        bits = "its lowest bit" if cleared == 1 else f"its lowest {cleared} bits"
        return replace(case, name=f"{case.name} without {bits}", excess=excess, cleared=cleared)
    std = 1 + math.sqrt(due / 2)  # a factor 1 + d to the deviation of a normal gives 2 d^2
    excess = noncentrality(case.cells.probabilities(replace(law, std=std)), case.ideal)
    drawn = case.distribution.parameters | {"std": std}
    drawn |= {name: drawn[name] / std for name in ("lower", "upper") if name in drawn}  # the bounds stay
    distribution = distributions.Distribution(case.distribution.sampler, *drawn.values())
    return replace(case, name=f"{case.name} with std {std:.7g}", distribution=distribution, excess=excess)


def count(device, case, stream, samples, elements, backend="device", tell=lambda name: None):
    """Count a stream's samples in each cell.

    Parameters
    ----------
    device : quality.devices.Device
    case : Case
    stream : pyinit.Stream
        Moves on: each buffer takes the next samples.
    samples, elements : int
        How many in all, and in the buffer: below 2^32, the limit of a counter on the device.
    backend : {"device", "host"}
        What makes the samples.
    tell : callable
        Called with the case's name after each buffer.

    Returns
    -------
    ndarray of int64
    """
    buffer, buckets = device.empty(min(samples, elements)), device.send(case.cells.buckets)
    if case.sampler == "bits":
        buffer = buffer.view(np.uint32)
    total = np.zeros(CELLS, np.int64)
    counts = device.send(total.astype(np.uint32))
    for begin in range(0, samples, elements):
        size = min(elements, samples - begin)
        stream.fill(buffer[:size], case.distribution, backend=backend)
        if case.cleared:
            device.drop_bits(case.distribution, buffer, size, case.cleared)
        counts.fill(0)
        device.count(case.distribution, buffer, size, buckets, counts)
        total += counts.get()
        tell(case.name)
    assert total.sum() == samples
    return total


def judge(case, counts, seconds, threshold):
    """Return the result of a case from its counts; `threshold` is the least p-value with which a sampler passes."""
    samples, is_control = int(counts.sum()), case.excess > 0
    chi2 = statistic(counts, case.own)
    p = p_value(chi2)
    ideal = (None, None, None)
    if not is_control:
        seen = 5 * SIGMA / case.from_ideal if case.from_ideal else None
        ideal = ((statistic(counts, case.ideal) - DF) / SIGMA, samples * case.from_ideal / SIGMA, seen)
    expected = samples * case.excess / SIGMA
    good = (p < threshold) == is_control
    return Result(case.name, is_control, samples, chi2, (chi2 - DF) / SIGMA, p, expected, *ideal, seconds, good)


def measure(device, names, samples, *, generator="philox", seed=SEED, elements=None, backend="device", tell=None):
    """Test samplers and their controls.

    Parameters
    ----------
    device : quality.devices.Device
    names : sequence of str
        Keys of `LAWS`.
    samples : int
        For each sampler and each control.
    generator, seed : str, int
        The stream's; the cases draw from its children.
    elements : int, optional
        Samples in the buffer; None: the device's own choice.
    backend : {"device", "host"}
    tell : callable, optional
        Called with a case's name after each buffer.

    Returns
    -------
    list of Result
    """
    results, elements = [], elements or device.elements
    for name in names:
        case = sampler_case(name, device)
        for each in (case, control_of(case, samples)):
            stream = pyinit.Stream(seed, generator).child(each.name)
            start = time.perf_counter()
            counts = count(device, each, stream, samples, elements, backend, tell or (lambda name: None))
            results.append(judge(each, counts, time.perf_counter() - start, ALPHA / len(names)))
    return results


def rows(results):
    """The table's rows."""

    def number(x, digits="+.1f"):
        return "" if x is None else format(x, digits)

    for r in results:
        verdict = {(False, True): "passes", (False, False): "FAILS", (True, True): "found", (True, False): "MISSED"}
        yield (
            *(r.name, number(r.z, "+.2f"), number(r.p, ".2g"), verdict[r.control, r.good]),
            *(number(r.z_expected) if r.control else "", number(r.z_ideal), number(r.z_ideal_expected)),
            *(number(r.ideal_seen_from, ".1e"), number(r.samples / r.seconds / 1e9, ".3g")),
        )


COLUMNS = ("", "z", "p", "verdict", "z expected", "z, ideal", "expected", "5 from", "10^9 a s")


def count_of(text):
    """Read a number of samples, such as 1e12."""
    try:
        samples = int(float(text))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"must be a number; got {text!r}") from None
    if samples < LEAST:
        raise argparse.ArgumentTypeError(f"must be at least {LEAST}, so that every cell gets some; got {text}")
    return samples


def main():
    """Fill, count, print and write."""
    parser = argparse.ArgumentParser(description="Chi-squared tests of the float32 samplers in 2^16 cells.")
    parser.add_argument("--samples", type=count_of, default=SAMPLES, help="for each sampler and control (1e12)")
    parser.add_argument("--samplers", nargs="+", choices=LAWS, default=list(LAWS), metavar="NAME", help=", ".join(LAWS))
    parser.add_argument("--generator", choices=GENERATORS, default="philox")
    parser.add_argument("--seed", type=options.integer(0, 2**64), default=SEED)
    parser.add_argument("--device", choices=DEVICES, default="cuda", help="where samples are made and counted")
    parser.add_argument("--backend", choices=("device", "host"), default="device", help="what makes the samples")
    parser.add_argument("--elements", type=options.integer(2, 2**32), help="float32 in the buffer (4 GiB on CUDA)")
    parser.add_argument("--output", type=Path, default=BENCHMARKS / "results" / "latest-quality-gpu.json")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    device = DEVICES[arguments.device]()
    names, samples = arguments.samplers, arguments.samples
    elements = arguments.elements or device.elements
    with steps(2 * len(names) * -(-samples // elements)) as tell:
        drawn = {"generator": arguments.generator, "seed": arguments.seed, "backend": arguments.backend}
        results = measure(device, names, samples, elements=elements, tell=tell, **drawn)
    result = {"device": device.name, **drawn, "samples": samples, "cells": CELLS, "alpha": ALPHA}
    result["results"] = [asdict(r) for r in results]
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    output().text(
        f"{device.name}: {samples:.3g} samples of each sampler, {arguments.generator}, in {CELLS:,} cells. z is in "
        f"standard deviations of chi-squared; a sampler passes with p of at least {ALPHA / len(names):.1g}. Ideal is "
        "the exact distribution, rounded; from the number of samples in the column '5 from' on a sampler is expected "
        "to be 5 standard deviations away from it."
    )
    output().table(COLUMNS, list(rows(results)))
    output().text(f"All figures are in {arguments.output}.")
    return int(not all(r.good for r in results))


if __name__ == "__main__":
    sys.exit(main())
