"""The statistics of evidence.py with the number of samples for each, and the flaws that each must notice.

tests/test_distribution.py tests every sampler with them; program.py runs those that need more samples than a test can
make.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from quality import evidence

# A test run has about 1300 p-values. For a right sampler, each is below this limit with this probability: 1.3e-7 for
# all. A flaw is noticed if its p-value is below the limit.
ALPHA = 1e-10


def altered(change):
    """Change right samples, scaled to mean 0 and variance 1 and back."""
    return lambda right, count, **address: right.from_unit(change(right.to_unit(right(count, **address))))


def readdressed(change):
    """Draw the samples of a wrong address."""
    return lambda right, count, **address: right(count, **address | change(address))


def neighbours(x):
    """Make each sample depend on the eight before it."""
    return (x + 0.01 * sum(np.roll(x, k) for k in range(1, 9))) / np.sqrt(1 + 8 * 0.01**2)


def lulls(x):
    """Make runs of 64 samples too small and too large in turn."""
    return x * (1 + 0.1 * (-1.0) ** (np.arange(len(x)) // 64))


def second_halves(scale, lean):
    def change(x):
        x[1::2] = scale * x[1::2] + lean * x[0::2]
        return x

    return altered(change)


def leaning_on_squares(x):
    a, b = x[0::2], x[1::2]
    return np.stack([a + 0.01 * (b * b - 1), b + 0.01 * (a * a - 1)], axis=1).ravel()


def coarse(bits, masked=False):
    """Draw samples from words of which only the leading bits count; masked: followed by zeros to a whole word."""

    def draw(right, count, **address):
        # float32 is fast and enough for few bits, but loses low bits of an angle near the half turn.
        dtype, size = np.dtype(right.dtype if bits < 24 else "float64"), 32 * right.words
        words = right.stream(**address).bits(count * right.words).view(f"u{size // 8}") >> size - bits
        if right.distribution == "uniform":
            return (words * 2.0**-bits).astype(right.dtype)
        half = 0.5 * 2.0 ** (bits - size) if masked else 0.5
        u = (words[0::2].astype(dtype) + dtype.type(half)) * dtype.type(2.0**-bits)
        angle = words[1::2].astype(dtype) * dtype.type(2 * np.pi * 2.0**-bits)
        radius = np.sqrt(-2 * np.log(u))
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel().astype(right.dtype)

    return draw


def unfair_bits(right, count, **address):
    """Set each bit once too often in 64."""
    size = 24 if right.dtype == "float32" else 53
    x = np.ldexp(right(count, **address).astype(np.float64), size).astype(np.int64)
    some = np.bitwise_and.reduce(np.random.default_rng(0).integers(0, 2**size, (5, count)))
    return np.ldexp((x | some).astype(np.float64), -size).astype(right.dtype)


FLAWS = {
    "mean 0.01": altered(lambda x: x + 0.01),
    "mean 0.05": altered(lambda x: x + 0.05),
    "variance 0.5% off": altered(lambda x: x * 1.0025),
    "variance 4% off": altered(lambda x: x * 1.02),
    "variance 50% off": altered(lambda x: x * 1.25),
    "kurtosis 0.024": altered(lambda x: x + 0.001 * x * (x * x - 3)),
    "steps of 2^-10": altered(lambda x: np.round(x * 2**10) / 2**10),
    "no tail beyond 5": altered(lambda x: np.clip(x, -5, 5)),
    "neighbours 1%": altered(neighbours),
    "lulls": altered(lulls),
    "second halves 0.5% wide": second_halves(1.005, 0),
    "second halves 2% wide": second_halves(1.02, 0),
    "second halves lean 1%": second_halves(1, 0.01),
    "second halves lean 10%": second_halves(1, 0.1),
    "halves lean on squares": altered(leaning_on_squares),
    "20 bits": coarse(20),
    "23 bits": coarse(23),
    "23 bits, masked": coarse(23, masked=True),
    "unfair bits": unfair_bits,
    "25 bits": altered(lambda x: x + np.sqrt(12) * 2.0**-25),
    "seeds are offsets": readdressed(lambda at: {"seed": 0, "position": at["position"] + 4 * at["seed"]}),
    "seeds into counters": readdressed(lambda at: {"seed": 0, "position": 4 * (at["position"] // 4 ^ at["seed"])}),
    "seeds of 32 bits": readdressed(lambda at: {"seed": at["seed"] % 2**32}),
    "ids are offsets": readdressed(lambda at: {"id": 0, "position": at["position"] + 4 * at["id"]}),
    "ids of 32 bits": readdressed(lambda at: {"id": at["id"] % 2**32}),
    "children are offsets": readdressed(
        lambda at: {"child": (), "position": at["position"] + 4 * sum(map(ord, "".join(at["child"])))}
    ),
    "children are their parents": readdressed(lambda at: {"child": ()}),
    "children forget their parents": readdressed(lambda at: {"child": at["child"][-1:]}),
    "children forget their seeds": readdressed(lambda at: {"seed": 0 if at["child"] else at["seed"]}),
    "positions of 32 bits": readdressed(lambda at: {"position": at["position"] % 2**32}),
}
# Enough samples for such gross flaws.
FEWER = {"no tail beyond 5": 2**26, "variance 50% off": 2**24, "unfair bits": 2**20}


@dataclass
class Statistic:
    """A statistic, its number of samples, and the flaws that it notices with that many."""

    measure: Callable[..., dict[str, float]]
    count: int
    flaws: tuple[str, ...]
    slow: dict[str, int] = field(default_factory=dict)  # arguments of the slow run
    distributions: tuple[str, ...] = ("normal", "uniform")

    def failures(self, sampler, **arguments):
        """Return the names of all p-values, and of those that are too small; nan counts as too small."""
        p = self.measure(sampler, **({"count": self.count} | arguments))
        return set(p), {name: value for name, value in p.items() if not value >= ALPHA}


NORMAL, UNIFORM = ("normal",), ("uniform",)
STATISTICS = [
    Statistic(evidence.moments, 2**25, ("mean 0.01", "variance 0.5% off", "kurtosis 0.024"), slow={"count": 2**30}),
    Statistic(
        evidence.equal_cells, 2**24, ("variance 4% off", "steps of 2^-10"), slow={"count": 2**30, "cells": 2**16}
    ),
    Statistic(evidence.kolmogorov_smirnov, 2**22, ("mean 0.01", "variance 4% off")),
    Statistic(evidence.triples, 3 * 2**22, ("neighbours 1%", "lulls"), slow={"count": 2**30}),
    Statistic(evidence.lags, 2**24, ("neighbours 1%", "lulls"), slow={"count": 2**30}),
    # 2^30 samples show that 23 bits make no radius beyond 5.77; 2^34 show that they make no |x| > 6.
    Statistic(
        evidence.tails,
        2**30,
        ("23 bits", "23 bits, masked", "no tail beyond 5", "variance 50% off"),
        slow={"count": 2**34},
        distributions=NORMAL,
    ),
    Statistic(
        evidence.halves,
        2**24,
        ("second halves 0.5% wide", "second halves lean 1%", "halves lean on squares", "lulls"),
        slow={"count": 2**30},
        distributions=NORMAL,
    ),
    Statistic(
        evidence.polar,
        2**24,
        ("second halves 2% wide", "variance 4% off"),
        slow={"count": 2**28, "cells": 2**14},
        distributions=NORMAL,
    ),
    Statistic(evidence.grain, 2**25, ("20 bits", "23 bits"), slow={"count": 2**30}, distributions=NORMAL),
    Statistic(evidence.bits, 2**22, ("23 bits", "unfair bits", "25 bits"), distributions=UNIFORM),
    Statistic(
        evidence.related,
        2**17,
        (
            "seeds are offsets",
            "seeds into counters",
            "seeds of 32 bits",
            "ids are offsets",
            "ids of 32 bits",
            "children are offsets",
            "children are their parents",
            "children forget their parents",
            "children forget their seeds",
            "positions of 32 bits",
        ),
        slow={"count": 2**21},
    ),
    Statistic(evidence.across_seeds, 2**14, ("mean 0.05", "second halves lean 10%", "seeds are offsets")),
    Statistic(evidence.across_children, 2**14, ("mean 0.05", "second halves lean 10%", "children are offsets")),
]
