"""Draw the results of `make bench` as one HTML page, with a picture of each kind of result.

    python benchmarks/page.py benchmarks/results/latest

This reads the files whose names begin with the argument: latest.json, latest-sizes.json and so on, and writes
latest.html next to them. Missing results are left out.
"""

import argparse
import json
import statistics
import sys
from html import escape
from pathlib import Path

import model_tables
import table

from pyinit.plots.canvas import COLOURS, figure, line, style
from pyinit.report import document, picture

PYINIT, PEER, WRITE = COLOURS[0], COLOURS[1], COLOURS[2]
OF_A_LIBRARY = 3  # the number of fastest generators and methods to show of each peer; MKL has 22


def median(seconds):
    """Return the median of a list of seconds, or of runs that have seconds."""
    return statistics.median(s["seconds"] if isinstance(s, dict) else s for s in seconds)


def colour(name):
    """Return the colour of pyinit, of pure writes or of peers."""
    if name.startswith(("memset", "streaming", "dd", "flat", "whole")):
        return WRITE
    own = ("philox", "ars", "pyinit", "initialize", "fast_init", "deferred", "write", "verify", "shards")
    return PYINIT if name.startswith(own) else PEER


@style()
def bars(values, axis, limit=None, log=False):
    """Draw horizontal bars, smallest first, from names and values; `limit` is a line across."""
    rows = sorted(values.items(), key=lambda row: row[1])
    drawing = figure(8.0, 0.9 + 0.28 * len(rows))
    axes = drawing.subplots()
    drawn = axes.barh([name for name, _ in rows], [x for _, x in rows], color=[colour(name) for name, _ in rows])
    axes.bar_label(drawn, [f"{x:,.4g}" for _, x in rows], padding=3, fontsize=9)
    axes.set(xlabel=axis, xscale="log" if log else "linear")
    axes.margins(x=0.15, y=0.02)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    if limit:
        axes.axvline(limit, color=WRITE, linestyle="--", linewidth=1)
    return drawing


@style()
def throughput(timings):
    """The bytes a second by size, a panel for each number of threads."""
    threads = sorted({t["threads"] for t in timings})
    names = list(dict.fromkeys(t["what"] for t in timings))
    drawing = figure(10.0, 4.2)
    panels = drawing.subplots(1, len(threads), sharey=True, squeeze=False)[0]
    for axes, n in zip(panels, threads):
        for i, name in enumerate(names):
            points = sorted(
                (t["bytes"], t["bytes"] / median(t["seconds"]) / 1e9)
                for t in timings
                if t["threads"] == n and t["what"] == name
            )
            if points:
                axes.plot(*zip(*points), label=name, **line(i))
        axes.set(title=f"{n} thread{'s' * (n > 1)}", xlabel="bytes of the array", xscale="log", yscale="log")
        axes.set_xscale("log", base=2)
    panels[0].set_ylabel("GB/s")
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawing


def sizes(result):
    """Draw the throughput by size."""
    caption = "Throughput of Python calls by array size, next to memset, the limit of the memory."
    return [("Size", throughput(result["sizes"]), caption)]


def peers(result):
    """Draw the fills of one size with one thread, normals in float32, next to all peers."""
    found = []
    for n in sorted({fill["threads"] for fill in result["fills"]}):
        times = {
            fill["name"].removesuffix(" float32"): 1e3 * fill["median_seconds"]
            for fill in result["fills"]
            if fill["threads"] == n
            and fill["tier"] in (None, result["machine"]["tier"])
            and fill["name"].endswith(("normal float32", "normal_ float32", "memset", "icdf float32"))
        }
        ranked = sorted(times, key=times.get)
        shown = {name: times[name] for name in ranked if rank_in_library(name, ranked) < OF_A_LIBRARY}
        caption = f"Milliseconds for {result['fills'][0]['samples']:,} float32: each library's fastest {OF_A_LIBRARY}."
        found.append((f"Peers, {n} thread{'s' * (n > 1)}", bars(shown, "ms", times.get("memset"), log=True), caption))
    return found


def rank_in_library(name, ranked):
    """Count the names of the same library (the first word) before a name; 0 for pyinit's own."""
    library = name.split()[0]
    return 0 if colour(name) != PEER else [n for n in ranked if n.split()[0] == library].index(name)


def models(result):
    """Draw whole models by `initialize`."""
    caption = "A whole model by initialize, by one flat fill, and by PyTorch's loop over the tensors."
    return [
        (
            f"{r['model']}, {r['generator']}, {r['dtype']}",
            bars({way: median(seconds) for way, seconds in r["seconds"].items()}, "s"),
            caption,
        )
        for r in result["initialize"]
        if "PyTorch" in r["seconds"]
    ]


def construction(result):
    """Draw the construction of PyTorch models."""
    return [
        (
            f"Building {r['model']}, {r['dtype']}, in PyTorch",
            bars({way: median(r["seconds"][way]) for way in model_tables.WAYS}, "s", log=True),
            "Seconds to build the model; no_init_weights draws nothing, and deferred has no memory.",
        )
        for r in result["torch"]
    ]


def shards(result):
    """Draw the time of all shards of a matrix, relative to the whole."""
    most = max(r["shards"] for r in result["shards"])
    ratios = {
        f"shards by {r['case']}, {r['generator']}": r["ratio"]["whole"] for r in result["shards"] if r["shards"] == most
    }
    caption = f"The time of {most} shards filled one by one, relative to the whole matrix."
    return [(f"{most} shards", bars(ratios, "to the whole", 1.0), caption)]


def frameworks(key, what):
    """Return a function that draws the pictures of a framework's arrays."""

    def draw(result):
        return [
            (
                f"{what}: " + (r.get("what") or f"the mean of {r['rows']:,} x {r['rows']:,}"),
                bars({way: median(seconds) for way, seconds in r["seconds"].items()}, "s"),
                "Seconds, by pyinit and by the framework's own generators.",
            )
            for r in result[key]
        ]

    return draw


def files(result):
    """Draw checkpoints, written and read."""
    return [
        (
            f"A checkpoint of {r['gigabytes']:g} GB",
            bars({way: runs[0]["bytes"] / median(runs) / 1e9 for way, runs in r["runs"].items()}, "GB/s"),
            "Speed by way: dd writes and reads past the page cache; the others wait for the disk as well.",
        )
        for r in result["checkpoint"]
    ]


DRAWN = {
    "sizes": sizes,
    "fills": peers,
    "initialize": models,
    "torch": construction,
    "shards": shards,
    "jax": frameworks("jax", "JAX"),
    "dask": frameworks("dask", "Dask"),
    "checkpoint": files,
}


def page(results):
    """Return the HTML of some results from JSON, in the order of `DRAWN`."""
    machine = results[0]["machine"]
    head = f"{machine['processors']} processors of {machine['cpu']}, tier {machine['tier']}; {machine['platform']}"
    parts = ["<h1>pyinit on this machine</h1>", f"<p>{escape(head)}</p>"]
    for kind, draw in DRAWN.items():
        for result in results:
            if kind in result and not (kind == "fills" and "device" in result):
                parts += [f"<h2>{escape(title)}</h2>\n{picture(*rest)}" for title, *rest in draw(result)]
                parts.append(
                    f"<details><summary>In numbers</summary><pre>{escape(table.tables(result))}</pre></details>"
                )
    return document("pyinit on this machine", "\n".join(parts))


def main():
    """Draw the files whose names begin with the argument."""
    parser = argparse.ArgumentParser(description="Draw the results of `make bench` as one HTML page.")
    parser.add_argument("results", type=Path, help="the start of the files' names, such as benchmarks/results/latest")
    arguments = parser.parse_args()
    found = sorted(arguments.results.parent.glob(f"{arguments.results.name}*.json"))
    results = [result for path in found if set(result := json.loads(path.read_text())) & set(DRAWN)]
    if not results:
        sys.exit(f"There are no results in {arguments.results}*.json: run `make bench`.")
    out = arguments.results.with_name(arguments.results.name + ".html")
    out.write_text(page(results), encoding="utf-8")
    print(f"The page of this machine is {out}.")


if __name__ == "__main__":
    main()
