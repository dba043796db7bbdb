"""Statistical tests of every generator, sampler, method and dtype, with controls that must fail; `make quality`.

The parts, each of which can be run alone and again (`--only`):

cells      10^10 samples of each sampler in 2^16 cells, with pairs, lags, moments and tails (statistics.py)
values     how often each value of the halves and of float8 occurs (values.py)
samples    correlations within a pair, between three consecutive samples, and between all bits (evidence.py)
streams    streams whose seeds, ids, names or positions are close (streams.py)
dieharder  R. G. Brown's tests on raw words (dieharder.py)

The file of results is written after each job, so an interrupted run keeps what it has.

All results are p-values. Each family of p-values is judged by its smallest value times the number of all p-values of
the run (Bonferroni, the first step of Holm's), and by whether its p-values together are uniform (Kolmogorov and
Smirnov). dieharder has its own rule. Each family must notice the controls that are meant for it.

The exit code is 1 if a family fails or a control is not noticed.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from pyinit import _core, machine
from pyinit.bench import SEED
from pyinit.cli import arguments as options
from pyinit.parallel import parallel
from pyinit.terminal import output, progress
from quality import dieharder
from quality.evidence import of_ks
from quality.host import COMPILER
from quality.parts import PARTS, SAMPLES, Sizes, even
from quality.statistics import of_few

BENCHMARKS = Path(__file__).parents[1]
ALPHA = 1e-3  # about the probability that a family of right samples fails


def made(part, sizes, save):
    """Run a part; `save` is called with its results so far after each job."""
    jobs, side_by_side = PARTS[part]
    jobs, begin, entries = list(jobs(sizes)), time.perf_counter(), []
    with progress(sum(job.steps for job in jobs), part) as tell:
        results = parallel(lambda job: job.make(tell=tell), jobs, _core.default_threads() if side_by_side else 1)
        for n, result in enumerate(results, 1):
            entries += (asdict(entry) for entry in result)
            state = {"samples": sizes.samples, "seconds": time.perf_counter() - begin, "finished": n == len(jobs)}
            save(state | {"entries": joined(entries)})


def joined(entries):
    """Combine dieharder's tests of one source."""
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
    """The verdict on a family.

    Attributes
    ----------
    family : str
    count : int
        The number of p-values.
    smallest : float
    corrected : float
        The smallest times the number of p-values of the run, or of dieharder's.
    uniform : float or None
        The p-value of the family's p-values together; None if they are too few, or not uniform even for right samples.
    controls, noticed : int
        How many flaws it must notice, and how many it does.
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
    """Judge each family of a run, and all together, without the other generators."""
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
    """Return the verdict on a family."""
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
    """Return JSON with one entry per line."""
    parts = []
    for name, part in document["parts"].items():
        entries = ",\n".join("   " + json.dumps(shortened(entry)) for entry in part["entries"])
        head = json.dumps({key: value for key, value in part.items() if key != "entries"})[1:-1]
        parts.append(f'  "{name}": {{{head}, "entries": [\n{entries}\n  ]}}')
    head = json.dumps(shortened({key: value for key, value in document.items() if key != "parts"}), indent=1)[1:-2]
    return f"{{{head},\n" + ' "parts": {\n' + ",\n".join(parts) + "\n }\n}\n"


def shortened(x):
    """Return the same with floats of five digits."""
    if isinstance(x, dict):
        return {key: shortened(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [shortened(value) for value in x]
    return float(f"{x:.5g}") if isinstance(x, float) else x


def main():
    """Run the chosen parts, write them into the file, and judge everything in it."""
    parser = argparse.ArgumentParser(description="Statistical tests of all samplers, with controls that must fail.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--samples", type=lambda text: even(float(text)), default=SAMPLES, help="float32 samples in cells"
    )
    parser.add_argument("--output", type=Path, default=BENCHMARKS / "results" / "latest-quality.json")
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
        output().text(f"Missing or unfinished parts: {', '.join(unfinished)}.")
    return int(not all(v.good for v in found))


if __name__ == "__main__":
    sys.exit(main())
