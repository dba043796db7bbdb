"""Compare two files of results, and print which timings of pyinit became slower or faster beyond the noise.

    python benchmarks/compare.py OLD.json NEW.json

Both files must come from the same benchmark. The peers (memset, NumPy, PyTorch, dd ...) are the same code in both runs.
The median of their ratios, new to old, shows how much faster or slower the machine was; all ratios are divided by it.
The spread of their ratios is the noise between two runs. A timing has changed if its ratio differs from 1 by more than
5% and by more than three standard errors of the noise and of the repetitions in both runs.

The exit code is 1 if a timing of pyinit became slower.
"""

import argparse
import json
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

# The names of timings of peers begin with these.
PEERS = (
    "memset",
    "streaming stores",
    "NumPy",
    "MKL",
    "randomgen",
    "JAX",
    "PyTorch",
    "plain",
    "torch.save",
    "save_file",
)
PEERS += ("threefry", "rbg", "Dask", "dd", "no_init_weights", "CuPy", "cuRAND")
# The keys that tell apart the timings of a list.
IDENTITY = ("name", "tier", "threads", "model", "generator", "dtype", "case", "shards", "what", "elements", "rows")
IDENTITY += ("chunk", "gigabytes", "ranks", "tensor_parallel", "bytes")
LEAST, ERRORS = 0.05, 3.0  # a change is larger than both: a share, and a number of standard errors
FEW = 3  # the fewest peers whose spread means something


def timings(node, key=(), found=None):
    """Return all timings of a file: a dict of lists of seconds, by what is timed."""
    found = {} if found is None else found
    if isinstance(node, list):
        for item in node:
            timings(item, key, found)
    elif isinstance(node, dict):
        key += tuple(str(node[k]) for k in IDENTITY if node.get(k) is not None)
        for name, value in node.items():
            if name in ("seconds", "calls"):
                add(value, key, found)
            elif name != "extrapolated":
                timings(value, key if name == "runs" else (*key, name), found)
    return found


def add(value, key, found):
    """Add a number, a list of numbers, or a dict of these."""
    if isinstance(value, dict):
        for name, part in value.items():
            add(part, (*key, name), found)
    else:
        found.setdefault(key, []).extend(value if isinstance(value, list) else [value])


@dataclass(frozen=True)
class Change:
    """The change of a timing: its ratio, new to old, and how large that must be to exceed the noise, as logarithms."""

    key: tuple
    old: float
    new: float
    log_ratio: float
    limit: float

    @property
    def is_peer(self):
        """Whether the timing is a peer's."""
        return any(part.startswith(PEERS) for part in self.key)

    @property
    def verdict(self):
        """ "slower", "faster" or "same"."""
        return "same" if abs(self.log_ratio) <= self.limit else "slower" if self.log_ratio > 0 else "faster"


def changes(old, new):
    """Compare the timings that both files have.

    Returns
    -------
    list of Change
        Without the speed of the machine.
    float
        The factor by which the machine was slower in the new run.
    float
        The noise between the runs: the standard deviation of a ratio's logarithm. nan without enough peers.
    """
    old, new = timings(old), timings(new)
    both = {key: (old[key], new[key]) for key in old if key in new and min(*old[key], *new[key]) > 0}
    logs = {key: math.log(statistics.median(b) / statistics.median(a)) for key, (a, b) in both.items()}
    peers = [logs[key] for key in logs if any(part.startswith(PEERS) for part in key)]
    drift = statistics.median(peers) if len(peers) >= FEW else 0.0
    noise = spread(peers) if len(peers) >= FEW else math.nan
    found = []
    for key, (a, b) in both.items():
        error = math.hypot(0.0 if math.isnan(noise) else noise, error_of_median(a), error_of_median(b))
        limit = max(math.log1p(LEAST), ERRORS * error)
        found.append(Change(key, statistics.median(a), statistics.median(b), logs[key] - drift, limit))
    return found, math.exp(drift), noise


def spread(values):
    """The standard deviation of a normal distribution that has the median absolute deviation of these values."""
    middle = statistics.median(values)
    return 1.4826 * statistics.median(abs(v - middle) for v in values)


def error_of_median(seconds):
    """The standard error of the logarithm of a median; 0 for a single number, whose error is unknown."""
    return 1.2533 * spread([math.log(s) for s in seconds]) / math.sqrt(len(seconds))


def text(found, factor, noise):
    """Return a report for people: the changes of pyinit, largest first, and how noise was judged."""
    own = [change for change in found if not change.is_peer]
    lines = []
    for verdict in ("slower", "faster"):
        changed = sorted((c for c in own if c.verdict == verdict), key=lambda c: -abs(c.log_ratio))
        lines += [
            f"{verdict} {math.exp(abs(c.log_ratio)):.2f} times: {', '.join(c.key)} "
            f"({c.old:.4g} s, then {c.new:.4g} s; noise up to {math.exp(c.limit):.2f})"
            for c in changed
        ]
    same = sum(change.verdict == "same" for change in own)
    if math.isnan(noise):
        lines.append(f"These files have fewer than {FEW} peers: the machine's speed is taken to be the same.")
    else:
        lines.append(f"By its peers, the machine took {factor:.3f} times as long; noise between the runs {noise:.1%}.")
    lines.append(f"{len(own)} timings of pyinit: {len(own) - same} changed, {same} did not.")
    return "\n".join(lines)


def main():
    """Compare two files and print what changed."""
    parser = argparse.ArgumentParser(description="Print which timings changed beyond the noise between two results.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    arguments = parser.parse_args()
    found, factor, noise = changes(*(json.loads(path.read_text()) for path in (arguments.old, arguments.new)))
    if not found:
        sys.exit("These files have no timing in common.")
    print(text(found, factor, noise))
    return int(any(change.verdict == "slower" and not change.is_peer for change in found))


if __name__ == "__main__":
    sys.exit(main())
