"""Prints the results of the bench_*.py scripts but bench_load.py, and of kernel_limits.py, as README.md's tables.

Usage: python benchmarks/table.py results/FILE.json
       python benchmarks/table.py --readme       puts them into README.md, between the comments that name the file
"""

import json
import re
import statistics
import sys
import textwrap
from pathlib import Path

import gpu_table

HERE = Path(__file__).parent
README = HERE / "README.md"
PLACE = re.compile(r"(<!-- table\.py (\S+) -->\n)(.*?)(<!-- end -->)", re.S)
WAYS = ("plain", "fast_init", "no_init_weights", "deferred")  # of building a PyTorch model
FRACTIONS = {0.5: "half as many", 2: "twice as many"}


def tables(result):
    """The tables of a file of results, in Markdown."""
    if "kernels" in result:
        return kernels(result) + "\n"
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    gpu = result.get("device")
    if gpu:
        versions += "".join(f", {name} {version}" for name, version in gpu["versions"].items())
        versions = f"{gpu['gpu']}, {gpu['multiprocessors']} multiprocessors; {versions}"
    head = textwrap.fill(
        f"{machine['processors']} processors of {machine['cpu']}; {machine['compiler']}; {versions}.",
        width=120,
        break_on_hyphens=False,
    )
    if "device" in result:
        parts = gpu_table.tables(result, number, markdown)
    elif "torch" in result:
        parts = [torch_models(result["torch"]), *without_memory(result["without_memory"])]
    elif "checkpoint" in result:
        parts = [checkpoints(result["checkpoint"])]
    elif "dask" in result:
        parts = [dask_arrays(result["dask"])]
    elif "jax" in result:
        parts = [jax_arrays(result["jax"])]
    elif "shards" in result:
        parts = [matrix_shards(result["shards"]), *ranks(result["ranks"])]
    elif "calls" in result:
        rows = [[what, number(1e6 * seconds)] for what, seconds in result["calls"].items()]
        parts = [markdown(["what a call costs on the host", "us"], rows)]
    else:
        parts = models(result) if "initialize" in result else times_and_calls(result)
    return "\n\n".join([head, *parts]) + "\n"


def kernels(result):
    """What limits the kernels for a GPU: instructions by kind, and samples and bytes a second."""
    kinds = ["float32", "product", "integer", "special", "float64", "memory", "control"]
    header = ["kernel", "instructions a sample", *kinds, "registers", "10^9 samples/s", "TB/s", "limited by"]
    rows = [
        [
            r["name"],
            number(r["instructions_per_sample"]),
            *(number(r["kinds_per_sample"][k]) if k in r["kinds_per_sample"] else "" for k in kinds),
            f"{r['registers']}" + (f", {r['spilled_bytes']} bytes spilled" if r["spilled_bytes"] else ""),
            f"{r['samples_per_second'][r['limited_by']] / 1e9:,.0f}",
            number(r["bytes_per_second"] / 1e12),
            r["limited_by"],
        ]
        for r in result["kernels"]
    ]
    return markdown(header, rows)


def torch_models(results):
    """The construction of PyTorch models, in seconds, and what part of it is not drawing."""
    header = ["s", "parameters", "plain", "fast_init", "ratio", "not drawing", "no_init_weights", "deferred"]
    rows = []
    for r in results:
        plain, fast, none, deferred = (statistics.median(r["seconds"][way]) for way in WAYS)
        built = statistics.median(r["construction"])
        not_drawing = f"{100 * none / plain:.1f}% / {100 * built / fast:.0f}%"
        row = [f"{r['parameters'] / 1e6:,.0f} M", number(plain), number(fast), f"{r['ratio']:.3f}", not_drawing]
        rows.append([f"{r['model']}, {r['dtype']}", *row, number(none), number(deferred)])
    return markdown(header, rows)


def jax_arrays(results):
    """Random arrays in JAX: by its own generators, and by pyinit."""
    ways = list(results[0]["seconds"])
    header = ["ms", "elements", *ways, *(f"{way}, times as fast" for way in results[0]["times_as_fast"])]
    rows = [
        [
            r["what"],
            f"{r['elements']:,}",
            *(number(1e3 * statistics.median(r["seconds"][way])) for way in ways),
            *(f"{ratio:.1f}" for ratio in r["times_as_fast"].values()),
        ]
        for r in results
    ]
    return markdown(header, rows)


def without_memory(results):
    """The construction of models that have no memory: none, or one table."""
    header = ["deferred", "parameters", "s", "the whole process, s", "its peak memory, MB"]
    rows = [
        [
            r["model"],
            f"{r['parameters'] / 1e9:,.1f} · 10^9",
            number(r["seconds"]),
            number(r["process"]),
            f"{r['peak_bytes'] / 1e6:,.0f}",
        ]
        for r in results
    ]
    return [markdown(header, rows)] if rows else []


def dask_arrays(results):
    """The mean of Dask arrays of normal samples, by pyinit and by Dask's own generator."""
    ways = list(results[0]["seconds"])
    header = ["the mean of normal float32, s", "GB", "threads", *ways, "ratio"]
    rows = [
        [
            f"{r['rows']:,} x {r['rows']:,}",
            number(4e-9 * r["rows"] ** 2),
            str(r["workers"]),
            *(number(statistics.median(r["seconds"][way])) for way in ways),
            f"{r['ratio']:.3f}",
        ]
        for r in results
    ]
    return markdown(header, rows)


def checkpoints(results):
    """Checkpoints written and read: the speed, the processor's time and the memory of each way."""
    header = ["", "GB", "s", "GB/s", "to dd", "of it drawing, s", "processor, s a GB", "peak memory, MB"]
    rows = []
    for r in results:
        for way, runs in r["runs"].items():
            size, seconds = runs[0]["bytes"] / 1e9, statistics.median(run["seconds"] for run in runs)
            more = [
                statistics.median(run[key] for run in runs)
                for key in ("drawing", "processor", "peak_bytes")
                if key in runs[0]
            ]
            row = [way, number(size), number(seconds), number(size / seconds), number(r["to_dd"].get(way))]
            if more:
                row += [number(more[0]) if more[0] > 0.01 else "", number(more[1] / size), f"{more[2] / 1e6:,.0f}"]
            rows.append([*row, *[""] * (len(header) - len(row))])
    return markdown(header, rows)


def matrix_shards(results):
    """The shards of a matrix together, beside the whole and beside arrays of their sizes."""
    header = [
        "shards of a matrix",
        "shards",
        "blocks each",
        "generator",
        "whole, ms",
        "shards, ms",
        "to whole",
        "to arrays",
    ]
    rows = [
        [
            r["case"],
            str(r["shards"]),
            str(r["blocks"]),
            r["generator"],
            *(number(1e3 * statistics.median(r["seconds"][way])) for way in ("whole", "shards")),
            *(f"{r['ratio'][way]:.2f}" for way in ("whole", "arrays")),
        ]
        for r in results
    ]
    return markdown(header, rows)


def ranks(results):
    """What one rank of many does: none, or one table."""
    keys = {"deferred": "deferred", "sharding": "sharding", "materialize": "materialize", "again": "filled again"}
    header = ["one rank, s", "ranks", "it holds", *keys.values(), "flat fill", "the process"]
    rows = [
        [
            r["model"],
            f"{r['ranks']}" + (f", {r['tensor_parallel']} of them tensor parallel" if r["tensor_parallel"] > 1 else ""),
            f"{r['runs'][0]['held'] / 1e6:,.0f} M of {r['runs'][0]['parameters'] / 1e9:,.1f} · 10^9",
            *(number(r["medians"][key]) for key in (*keys, "flat", "process")),
        ]
        for r in results
    ]
    return [markdown(header, rows)] if rows else []


def models(result):
    """`initialize` of whole models, beside a flat fill of as many elements and PyTorch's loop over the tensors."""
    header = ["pyinit.initialize", "tensors", "elements", "ms", "us a tensor", "flat fill, ms", "ratio", "PyTorch, ms"]
    rows = [
        [
            f"{r['model']}, {r['generator']}, {r['dtype']}",
            f"{r['tensors']:,}",
            f"{r['elements']:,}",
            f"{statistics.median(r['seconds']['initialize']) * 1e3:,.0f}",
            number(r["microseconds_each"]),
            f"{statistics.median(r['seconds']['flat']) * 1e3:,.0f}",
            f"{r['ratio']:.3f}",
            f"{statistics.median(r['seconds']['PyTorch']) * 1e3:,.0f}" if "PyTorch" in r["seconds"] else "",
        ]
        for r in result["initialize"]
    ]
    return [markdown(header, rows)]


def times_and_calls(result):
    """All fills, calls on small arrays, numbers of NumPy's generators, instructions."""
    fills = result["fills"]
    own = [f for f in fills if f["tier"] or f["name"].startswith(("memset", "streaming"))]
    groups = [("pyinit and pure writes", own), ("Peers", [f for f in fills if f not in own])]
    parts = [times(title, group, fills, result) for title, group in groups]
    parts.append(calls("A call on normal float32, 1 thread, ns", result["small"], 1e9))
    if "generators" in result:
        parts.append(calls("A million numbers of numpy.random.Generator, 1 thread, ms", result["generators"], 1e3))
    return [*parts, *kinds(result)]


def times(title, group, fills, result):
    """Names down, numbers of threads across."""
    counts = {(c["name"], c["tier"]): c["per_sample"] for c in result.get("instructions", {}).get("fills", [])}
    threads = sorted({f["threads"] for f in fills})
    elements = next(f["samples"] for f in fills if f["name"] == "memset")
    header = [title, "tier", "instructions a sample"]
    for n in threads:
        header += [f"{n} thread{'s' * (n > 1)}, ms", "to `memset`", "to the fastest write"]
    rows = {}
    for fill in group:
        name, tier = fill["name"], fill["tier"]
        more = "extrapolated" if fill["extrapolated"] else FRACTIONS.get(round(fill["samples"] / elements, 3))
        label = f"{name} ({more})" if more else name
        count = counts.get((name, tier))
        row = rows.setdefault((name, tier), [label, tier or "", number(count), *[""] * (3 * len(threads))])
        seconds = (fill["extrapolated"] or {"seconds": fill["median_seconds"]})["seconds"]
        at = 3 + 3 * threads.index(fill["threads"])
        ratios = [number(fill.get(f"ratio_to_{what}")) for what in ("memset", "fastest_write")]
        row[at : at + 3] = [number(seconds * 1e3), *ratios]
    return markdown(header, rows.values())


def calls(title, group, unit):
    """Who is called down, what it does across."""
    across = dict.fromkeys(f["name"].split(", ")[1] for f in group)
    names = dict.fromkeys(f["name"].split(", ")[0] for f in group)
    times = {tuple(f["name"].split(", ")): f["median_seconds"] * unit for f in group}
    return markdown([title, *across], [[name, *(number(times[name, what]) for what in across)] for name in names])


def kinds(result):
    """Instructions by kind, for 32 samples; why there are none, where there are none."""
    counted = result.get("instructions", {})
    if "missing" in counted:
        return [f"No instructions were counted: {counted['missing']}."]
    rows = [
        [
            fill["name"],
            fill["tier"],
            f"{fill['per_sample'] * 32:,.0f}",
            ", ".join(f"{n * 32 / fill['samples']:,.0f} {kind}" for kind, n in fill["kinds"].items()),
        ]
        for fill in counted.get("fills", [])
    ]
    return [markdown(["Instructions for 32 samples", "tier", "all", "kinds"], rows)] if rows else []


def number(x):
    """Three digits, or all before the point."""
    return "" if x is None else f"{x:,.{max(0, 2 - len(str(int(x))) + 1)}f}"


def markdown(header, rows):
    """A table without the columns that are empty."""
    columns = [column for column in zip(header, *rows) if any(column[1:])]
    lines = [f"| {' | '.join(row)} |" for row in zip(*columns)]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])


def filled(text):
    """A README with its tables made anew from the files that they name."""
    return PLACE.sub(lambda m: m[1] + "\n" + tables(json.loads((HERE / m[2]).read_text())) + "\n" + m[4], text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--readme":
        README.write_text(filled(README.read_text()))
    else:
        print(tables(json.loads(Path(sys.argv[1]).read_text())), end="")
