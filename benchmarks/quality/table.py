"""The results of program.py as Markdown tables, for table.py, and the numbers that docs/pictures.py draws."""

import json
import math
from pathlib import Path

from columns import markdown

RESULTS = Path(__file__).parents[1] / "results"
RETRY = 1e-4  # below this, a test of dieharder is repeated, and then fails


def newest():
    """Return the results that the documentation shows: those of the last date."""
    return json.loads(sorted(RESULTS.glob("20*-quality.json"))[-1].read_text())


def tables(result):
    """Return all tables, as a list of texts."""
    parts = result["parts"]
    made = [verdicts(result)]
    made += [laws(parts["cells"]["entries"])] if "cells" in parts else []
    made += [dieharder(parts["dieharder"]["entries"])] if "dieharder" in parts else []
    return [run(result), *made]


def run(result):
    """The number of samples, and the time."""
    rows = [
        [
            name,
            "" if name == "dieharder" else power(part["samples"]),
            f"{part['seconds'] / 60:,.1f}",
            "" if part["finished"] else "**no**",
        ]
        for name, part in result["parts"].items()
    ]
    return markdown(["part", "`--samples`", "minutes", "to the end"], rows)


def power(samples):
    """Format a number of samples: 10^9, 2 * 10^8."""
    exponent = int(math.log10(samples)) if samples else 0
    digits = f"{samples / 10**exponent:.2g}"
    return f"10^{exponent}" if digits == "1" else f"{digits} · 10^{exponent}"


def verdicts(result):
    """A row for each family of p-values."""
    rows = [
        [
            v["family"].replace("_", " "),
            f"{v['count']:,}",
            f"{v['smallest']:.2g}",
            f"{v['corrected']:.2g}",
            "" if v["uniform"] is None else f"{v['uniform']:.2g}",
            f"{v['noticed']} of {v['controls']}" if v["controls"] else "",
            "passes" if v["good"] else "**fails**",
        ]
        for v in result["verdicts"]
    ]
    header = ["family", "p-values", "smallest", "corrected", "all together", "flaws noticed", "verdict"]
    return markdown(header, rows)


def laws(entries):
    """Chi-squared in 2^16 cells: samples, and deviations from the sampler's own law and from the ideal one."""
    rows = [
        [
            f"{entry['generator']} {entry['what']}, {entry['dtype']}",
            power(entry["samples"]),
            f"{entry['more']['z']:+.2f}",
            f"{entry['more']['z_ideal']:+.2f}",
            f"{entry['more']['z_ideal_expected']:.2f}",
        ]
        for entry in entries
        if not entry["control"]
    ]
    header = ["sampler", "samples", "z, its own law", "z, the ideal law", "expected of that"]
    return markdown(header, rows)


def dieharder(entries):
    """A row for each source of words."""
    rows = []
    for entry in entries:
        p = entry["p"]["dieharder"]
        failed = sum(value < RETRY for value in p.values())
        name = f"{entry['generator']}, {entry['what']}" if entry["generator"] else entry["what"]
        kind = "a control" if entry["control"] else "beside ours" if not entry["generator"] else "ours"
        rows.append([name, kind, str(len(p)), f"{min(p.values()):.2g}", str(len(entry["more"])), str(failed)])
    header = ["words", "", "p-values", "smallest", "made again", "failed"]
    return markdown(header, rows)


def p_values(result):
    """Return the p-values of right samples, by family, and for each control the smallest one by family."""
    right, flawed = {}, {}
    for part in result["parts"].values():
        for entry in part["entries"]:
            for family, p in entry["p"].items() if entry["generator"] else ():
                if not entry["control"]:
                    right.setdefault(family, []).extend(
                        value for name, value in p.items() if not name.endswith("(few expected)")
                    )
                elif family in entry["noticed_by"]:
                    flawed.setdefault(family, []).append(min(p.values()))
    return right, flawed
