"""Statistical tests of every generator, sampler, method and dtype, with controls that have to fail; `make quality`.

The parts, each of which can be made alone and again (`--only`):

cells      10^10 samples of each sampler in 2^16 cells, with pairs, lags, moments and tails (quality_statistics.py)
values     how often each value of the halves and of float8 occurs (quality_values.py)
samples    what the two samples of a pair, three samples in a row, and all bits know of each other (evidence.py)
streams    streams whose seeds, ids, names or positions are close (quality_streams.py)
dieharder  R. G. Brown's tests on raw words (quality_dieharder.py)

The file of results is written after each job, so an interrupted run keeps what it has.

All results are p-values. The families of p-values are judged one by one: the smallest one times the number of all
p-values of the run (Bonferroni, the first step of Holm's), and whether the p-values of a family are uniform together
(Kolmogorov and Smirnov). dieharder has a rule of its own. A control must be noticed by each family that it is for.

The exit code is 1 if a family fails or a control is not noticed.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import evidence_flaws
import numpy as np
import quality_dieharder as dieharder
import quality_streams as streams
import quality_values as values
from evidence import Sampler, of_ks
from quality_host import COMPILER, draws, tally
from quality_laws import SAMPLERS, law_of
from quality_statistics import controls_of, ideal_distance, of_few, p_values

import pyinit
from pyinit import _core, machine
from pyinit.bench import SEED
from pyinit.cli import arguments as options
from pyinit.parallel import parallel
from pyinit.terminal import output, progress

HERE = Path(__file__).parent
GENERATORS = tuple(_core.GENERATORS)
ALPHA = 1e-3  # the probability that a family of right samples fails, about
SAMPLES = 10**10


@dataclass(frozen=True)
class Entry:
    """The p-values of some samples, by family and name.

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
        What is told beside.
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
    """Some work that gives entries: how many steps of the progress bar it makes, and what it calls with those done."""

    steps: int
    make: Callable


@dataclass(frozen=True)
class Sizes:
    """How many samples: of float32 in cells, and what follows from it; `stride` is that of the walks over all words."""

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
        """A count of a statistic of evidence.py: what its slow test has, or less."""
        return int(max(1, min(most, most * self.samples / SAMPLES)))


def even(number):
    """The next even number, as samples come in pairs."""
    return 2 * int(number / 2)


# The parts: each gives its jobs.


def cells(sizes):
    """Every sampler, in float32 (words: uint32) and float64."""
    for name in SAMPLERS:
        for dtype in ("uint32",) if name == "bits" else ("float32", "float64"):
            count = sizes.samples if dtype != "float64" else sizes.doubles
            law = cache(partial(law_of, name, "float64" if dtype == "float64" else "float32", sizes.stride))
            for generator in GENERATORS:
                yield Job(count, partial(counted, generator, name, dtype, count, law))
            for control in controls_of(name, dtype, sizes.controls):
                yield Job(sizes.controls, partial(counted, GENERATORS[0], name, dtype, sizes.controls, law, control))


def counted(generator, name, dtype, count, law, control="", tell=None):
    """One sampler, or one control."""
    flaw, noticed_by = controls_of(name, dtype, count)[control] if control else (None, ())
    stream = pyinit.Stream(SEED, generator).child(f"{name} {dtype} {control}")
    law = law()
    seen = tally(draws(stream, SAMPLERS[name][0], dtype), count, law.cells, law.centre, law.scale, tell, flaw)
    more = {} if control else ideal_distance(seen, law, count) | {"falls": law.falls}
    return [Entry("cells", generator, name, dtype, count, p_values(seen, law, count), control, noticed_by, more)]


def values_of_types(sizes):
    """Every sampler in every dtype of 16 and 8 bits."""
    for name in SAMPLERS:
        for dtype in values.DTYPES if name != "bits" else ():
            law = cache(partial(values.probabilities_of_values, name, values.values_of(dtype), dtype))
            for generator in GENERATORS:
                yield Job(sizes.values, partial(counted_values, generator, name, dtype, sizes.values, law))
            yield Job(
                sizes.controls, partial(counted_values, GENERATORS[0], name, dtype, sizes.controls, law, "is cut")
            )


def counted_values(generator, name, dtype, count, law, control="", tell=None):
    """One sampler in one dtype, or one control: values that are now and then cut and not rounded."""
    stream, flaw = pyinit.Stream(SEED, generator).child(f"{name} {dtype} {control}"), values.truncating
    p, groups = values.measure(stream, name, dtype, count, law(), flaw if control else None, tell)
    noticed_by = ("values",) if control else ()
    more = {"groups": groups}
    return [Entry("values", generator, name, dtype, count, {"values": {"chi2": p}}, control, noticed_by, more)]


# Of evidence.py, what quality.c does not count, and the most samples.
EVIDENCE = {"triples": 3 * 2**26, "halves": 2**28, "polar": 2**28, "grain": 2**28, "bits": 2**26, "related": 2**20}


def samples(sizes):
    """The statistics of evidence.py."""
    for statistic in evidence_flaws.STATISTICS:
        name = statistic.measure.__name__
        for distribution in statistic.distributions if name in EVIDENCE else ():
            count = max(statistic.count, sizes.evidence(EVIDENCE[name]))
            for dtype in ("float32", "float64"):
                for generator in GENERATORS:
                    yield Job(1, partial(by_evidence, statistic, Sampler(generator, distribution, dtype), count))
            for flaw in statistic.flaws:
                sampler = Sampler(GENERATORS[0], distribution, "float32", evidence_flaws.FLAWS[flaw])
                few = evidence_flaws.FEWER.get(flaw, statistic.count)
                yield Job(1, partial(by_evidence, statistic, sampler, few, flaw))


def by_evidence(statistic, sampler, count, control="", tell=None):
    """One statistic of one sampler, or of one flaw."""
    name = statistic.measure.__name__
    p = {name: statistic.measure(sampler, count)}
    p[name].pop("a multiple of 2^-24 in [0, 1)", None)  # 0 or 1, and so no p-value
    p[name].pop("a multiple of 2^-53 in [0, 1)", None)
    tell(1)
    noticed_by = (name,) if control else ()
    return [Entry("samples", sampler.generator, sampler.distribution, sampler.dtype, count, p, control, noticed_by)]


def many_streams(sizes):
    """Addresses that are close, and bits of an address flipped."""
    for generator in GENERATORS:
        for name in streams.FAMILIES:
            yield Job(1, partial(of_addresses, generator, name, sizes.streams))
        yield Job(1, partial(flipped, generator, sizes.bases))
    yield Job(1, partial(of_addresses, GENERATORS[0], "seeds k", sizes.streams, "every 32nd repeats"))
    yield Job(1, partial(flipped, GENERATORS[0], sizes.bases, "numbers of 32 bits"))


def of_addresses(generator, name, count, control="", tell=None):
    """The first words of many streams."""
    table = streams.words_of(generator, [streams.FAMILIES[name](k) for k in range(count)])
    p = {"streams": streams.statistics(streams.repeating(table) if control else table)}
    tell(1)
    return [Entry("streams", generator, name, "uint32", table.size, p, control, ("streams",) if control else ())]


def flipped(generator, bases, control="", tell=None):
    """Single bits of seeds, ids and positions."""
    flaw = [streams.ids_of_32_bits] if control else []
    p = {"flipped bits": streams.avalanche(generator, bases, *flaw)}
    tell(1)
    noticed_by = ("flipped bits",) if control else ()
    return [Entry("streams", generator, "one bit flipped", "uint32", bases * 193 * 4, p, control, noticed_by)]


def by_dieharder(sizes):
    """Each test on each source."""
    if dieharder.missing():
        print(f"Without {dieharder.missing()} there is no dieharder part.", file=sys.stderr)
        return
    for number in dieharder.TESTS:
        for source, generator in dieharder.sources():
            yield Job(1, partial(one_test, source, generator, number))


def one_test(source, generator, number, tell=None):
    """One test of dieharder on one source."""
    p, again = dieharder.measure(source, generator, number)
    tell(1)
    control = source if source in dieharder.CONTROLS else ""
    noticed_by = ("dieharder",) if control else ()
    return [Entry("dieharder", generator or "", source, "uint32", 0, {"dieharder": p}, control, noticed_by, again)]


# The jobs of a part, and whether they are made side by side: those that use no threads of their own.
PARTS = {
    "cells": (cells, False),
    "values": (values_of_types, False),
    "samples": (samples, True),
    "streams": (many_streams, True),
    "dieharder": (by_dieharder, True),
}


def made(part, sizes, save):
    """Make a part; `save` is called with what there is of it after each job."""
    jobs, side_by_side = PARTS[part]
    jobs, begin, entries = list(jobs(sizes)), time.perf_counter(), []
    with progress(sum(job.steps for job in jobs), part) as tell:
        results = parallel(lambda job: job.make(tell=tell), jobs, _core.default_threads() if side_by_side else 1)
        for n, result in enumerate(results, 1):
            entries += (asdict(entry) for entry in result)
            state = {"samples": sizes.samples, "seconds": time.perf_counter() - begin, "finished": n == len(jobs)}
            save(state | {"entries": joined(entries)})


def joined(entries):
    """dieharder's tests of one source together."""
    sources = {}
    for entry in entries:
        if entry["part"] != "dieharder":
            return entries
        key = entry["generator"], entry["what"]
        before = sources.get(key, {"p": {"dieharder": {}}, "more": {}})
        p = {"dieharder": before["p"]["dieharder"] | entry["p"]["dieharder"]}
        sources[key] = entry | {"p": p, "more": before["more"] | entry["more"]}
    return list(sources.values())


# The verdict.


@dataclass(frozen=True)
class Verdict:
    """What a family came to.

    Attributes
    ----------
    family : str
    count : int
        Of p-values.
    smallest : float
    corrected : float
        Times the number of p-values of the run, or of dieharder's.
    uniform : float or None
        The p-value of the family's p-values together; None where they are too few, or not uniform by their nature.
    controls, noticed : int
        How many flaws it has to notice, and how many it does.
    good : bool
    """

    family: str
    count: int
    smallest: float
    corrected: float
    uniform: float | None
    controls: int
    noticed: int
    good: bool


def verdicts(document):
    """Judge each family of a run, and all together; not the generators beside ours."""
    entries = [entry for part in document["parts"].values() for entry in part["entries"] if entry["generator"]]
    right, flawed = defaultdict(dict), defaultdict(list)
    for i, entry in enumerate(entries):
        for family, p in entry["p"].items():
            if not entry["control"]:
                right[family] |= {(i, name): value for name, value in p.items()}
            elif family in entry["noticed_by"]:
                flawed[family].append(min(p.values()))
    total = sum(len(p) for family, p in right.items() if family != "dieharder")
    result = [judged(family, p, total, flawed[family]) for family, p in right.items()]
    together = {key: value for family, p in right.items() if family != "dieharder" for key, value in p.items()}
    return [*result, replace(judged("all but dieharder", together, total, []), controls=0)] if together else result


def judged(family, p, total, flawed):
    """The verdict on a family."""
    smallest, uniform = min(p.values()), None
    if family == "dieharder":
        total, least = len(p), dieharder.RETRY
        bad = smallest < least
    else:
        least = ALPHA / total
        bad = not smallest >= least
        even_ones = [value for (_, name), value in p.items() if not of_few(name)]
        uniform = of_ks(np.array(even_ones)) if len(even_ones) >= 20 else None
        bad = bad or (uniform is not None and uniform < ALPHA)
    noticed = sum(value < least for value in flawed)
    good = not bad and noticed == len(flawed) and (len(flawed) > 0 or family == "all but dieharder")
    return Verdict(family, len(p), smallest, min(1.0, smallest * total), uniform, len(flawed), noticed, good)


COLUMNS = ("family", "p-values", "smallest", "corrected", "together", "controls", "noticed", "")


def rows(found):
    """The table's rows."""
    for v in found:
        together = "" if v.uniform is None else f"{v.uniform:.2g}"
        numbers = str(v.count), f"{v.smallest:.2g}", f"{v.corrected:.2g}", together, str(v.controls), str(v.noticed)
        yield v.family, *numbers, "passes" if v.good else "FAILS"


def written(document):
    """JSON with an entry to a line."""
    parts = []
    for name, part in document["parts"].items():
        entries = ",\n".join("   " + json.dumps(shortened(entry)) for entry in part["entries"])
        head = json.dumps({key: value for key, value in part.items() if key != "entries"})[1:-1]
        parts.append(f'  "{name}": {{{head}, "entries": [\n{entries}\n  ]}}')
    head = json.dumps(shortened({key: value for key, value in document.items() if key != "parts"}), indent=1)[1:-2]
    return f"{{{head},\n" + ' "parts": {\n' + ",\n".join(parts) + "\n }\n}\n"


def shortened(x):
    """The same with floats of five digits."""
    if isinstance(x, dict):
        return {key: shortened(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [shortened(value) for value in x]
    return float(f"{x:.5g}") if isinstance(x, float) else x


def main():
    """Make the parts that are wanted, put them into the file, and judge all that is there."""
    parser = argparse.ArgumentParser(description="Statistical tests of all samplers, with controls that have to fail.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--samples", type=lambda text: even(float(text)), default=SAMPLES, help="of float32 in cells")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-quality-host.json")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    document = json.loads(arguments.output.read_text()) if arguments.output.exists() else {"parts": {}}
    parts = document["parts"]
    document = {"machine": machine.describe(), "compiler": COMPILER, "seed": SEED, "alpha": ALPHA, "parts": parts}

    def save(part, made_of_it):
        parts[part] = made_of_it
        arguments.output.write_text(written(document))

    for part in arguments.only:
        made(part, Sizes(arguments.samples), partial(save, part))
    found = verdicts(document)
    document["verdicts"] = [asdict(v) for v in found]
    arguments.output.write_text(written(document))
    output().table(COLUMNS, list(rows(found)))
    output().text(f"All figures are in {arguments.output}.")
    unfinished = [part for part in PARTS if not parts.get(part, {}).get("finished")]
    if unfinished:
        output().text(f"Not in it, or not to the end: {', '.join(unfinished)}.")
    return int(not all(v.good for v in found))


if __name__ == "__main__":
    sys.exit(main())
