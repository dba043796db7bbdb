"""Tests of streams with close seeds, ids, names or positions: short streams, and single flipped bits."""

import numpy as np

from quality.cells import p_value, statistic
from quality.evidence import ORIGIN, Sampler, of_chi2, of_many_z, of_poisson, of_z

WIDTH = 8  # words per stream: two blocks
BITS = 32 * WIDTH
MIX = 0x9E3779B97F4A7C15  # odd, so k MIX mod 2^64 is different for each k, with many bits set


def one_bit_apart(k):
    """Return the k-th number: each run of 64 differs in single bits from one number with many bits set."""
    return (k // 64 + 1) * MIX % 2**64 ^ 1 << k % 64


# The address of the k-th stream.
FAMILIES = {
    "seeds k": lambda k: {"seed": k},
    "seeds 2^32 k": lambda k: {"seed": k << 32},
    "seeds one bit apart": lambda k: {"seed": one_bit_apart(k)},
    "ids k": lambda k: {"id": k},
    "ids 1000 k": lambda k: {"id": 1000 * k},
    "ids 2^32 k": lambda k: {"id": k << 32},
    "ids one bit apart": lambda k: {"id": one_bit_apart(k)},
    "children layers.k.weight": lambda k: {"child": (f"layers.{k}.weight",)},
    "children of child k": lambda k: {"child": (str(k), "weight")},
    "positions 2^34 k": lambda k: {"position": k << 34},
}


def words_of(generator, addresses, words=WIDTH):
    """Return the first words of streams, as a table with a row for each."""
    sampler = Sampler(generator, "bits", "uint32")
    return np.stack([sampler.stream(**ORIGIN | address).bits(words) for address in addresses])


def repeating(table):
    """A flaw: every 32nd stream repeats the one before it, with one bit always set."""
    table = table.copy()
    table[32::32] = table[31:-1:32] | np.uint32(1 << 7)
    return table


def statistics(table):
    """Return the p-values of a table of words, one stream per row.

    bits: whether each bit of a stream is fair over all streams. neighbours: whether a bit of a stream equals that of a
    word 0 to 7 places further on in the next one. bytes: chi-squared of a byte and the same byte of the next stream.
    equal words: the number of equal pairs of words in the whole table, compared with the Poisson law.
    """
    count = len(table)
    ones = set_bits(table)
    result = {"bits": of_squares((2 * ones - count) / np.sqrt(count))}
    for shift in range(WIDTH):
        changed = set_bits(table[1:] ^ np.roll(table[:-1], shift, axis=1)).sum()
        pairs = BITS * (count - 1)
        result[f"neighbours, {shift} words on"] = of_z((2 * changed - pairs) / np.sqrt(pairs))
    octets = table.view(np.uint8).astype(np.int32)
    counts = np.bincount((octets[1:] << 8 | octets[:-1]).ravel(), minlength=2**16)
    result["bytes"] = p_value(statistic(counts, np.full(2**16, 2.0**-16)))
    _, often = np.unique(table, return_counts=True)
    result["equal words"] = of_poisson(int((often * (often - 1)).sum()) // 2, table.size * (table.size - 1) / 2**33)
    return result


def set_bits(table, lines=2**14):
    """Count the rows in which each bit is set, some rows at a time."""
    parts = (table[first : first + lines].view(np.uint8) for first in range(0, len(table), lines))
    return sum(np.unpackbits(part, axis=1).sum(axis=0, dtype=np.int64) for part in parts)


def of_squares(z):
    """Return the p-value of a sum of squares."""
    return of_chi2(np.sum(z**2), np.size(z))


# The parts of an address in which one bit is flipped.
FLIPS = {
    "seed": lambda at, bit: at | {"seed": at["seed"] ^ 1 << bit},
    "id": lambda at, bit: at | {"id": at["id"] ^ 1 << bit},
    "position": lambda at, bit: at | {"position": at["position"] ^ 4 << bit},
}


def avalanche(generator, bases, flaw=lambda address: address):
    """Test whether a flipped bit of an address flips each bit of a block with probability 1/2.

    Parameters
    ----------
    generator : str
    bases : int
        How many addresses. The 64 bits of each one's seed, id and position are flipped, one by one.
    flaw : callable, optional
        Changes an address before it is used.
    """
    counts = {what: np.zeros((64, 128), np.int64) for what in FLIPS}
    numbers = np.random.default_rng(20140707).integers(0, 2**64, (bases, 3), np.uint64).tolist()
    for seed, number, block in numbers:
        base = {"seed": seed, "id": number, "position": 4 * block}
        for what, flip in FLIPS.items():
            addresses = [flaw(address) for address in (base, *(flip(base, bit) for bit in range(64)))]
            words = words_of(generator, addresses, 4)
            counts[what] += np.unpackbits((words[1:] ^ words[0]).view(np.uint8), axis=1)
    result = {}
    for what, flipped in counts.items():
        z = (2 * flipped - bases) / np.sqrt(bases)
        result |= {f"{what}: chi2": of_squares(z), f"{what}: largest": of_many_z(z)}
    return result


def ids_of_32_bits(address):
    """A flaw: the upper halves of id, seed and block number are ignored."""
    return {what: number % (2**34 if what == "position" else 2**32) for what, number in address.items()}
