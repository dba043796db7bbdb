"""Print the results of kernel_limits.py and the bench_*.py scripts (except bench_load.py) as README.md's tables.

Usage: python benchmarks/table.py benchmarks/results/FILE.json
       python benchmarks/table.py --readme       writes them into README.md, and those of quality into
                                                 docs/quality.md, between the comments that name the file
"""

import json
import re
import statistics
import sys
import textwrap
from pathlib import Path

import gpu_table
import model_tables
import quality.table
from columns import markdown, number, of_bytes

HERE = Path(__file__).parent
README, QUALITY = HERE / "README.md", HERE.parent / "docs" / "quality.md"
PLACE = re.compile(r"(<!-- table\.py (\S+) -->\n)(.*?)(<!-- end -->)", re.S)
FRACTIONS = {0.5: "half as many", 2: "twice as many"}


def tables(result):
    """Return the tables of a file of results, in Markdown."""
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
        parts = gpu_table.tables(result)
    elif "parts" in result:
        parts = quality.table.tables(result)
    elif "torch" in result:
        parts = [model_tables.torch_models(result["torch"]), *model_tables.without_memory(result["without_memory"])]
    elif "checkpoint" in result:
        parts = [model_tables.checkpoints(result["checkpoint"])]
    elif "dask" in result:
        parts = [model_tables.dask_arrays(result["dask"])]
    elif "jax" in result:
        parts = [model_tables.jax_arrays(result["jax"])]
    elif "shards" in result:
        parts = [model_tables.matrix_shards(result["shards"]), *model_tables.ranks(result["ranks"])]
    elif "initialize" in result:
        parts = model_tables.models(result["initialize"])
    elif "sizes" in result:
        parts = sizes(result["sizes"])
    elif "calls" in result:
        rows = [[what, number(1e6 * seconds)] for what, seconds in result["calls"].items()]
        parts = [markdown(["what a call costs on the host", "us"], rows)]
    else:
        parts = times_and_calls(result)
    return "\n\n".join([head, *parts]) + "\n"


def sizes(timings):
    """The throughput by size, in GB/s: a table for each number of threads."""
    parts = []
    for threads in sorted({t["threads"] for t in timings}):
        chosen = [t for t in timings if t["threads"] == threads]
        names = list(dict.fromkeys(t["what"] for t in chosen))
        speed = {(t["what"], t["bytes"]): t["bytes"] / statistics.median(t["seconds"]) / 1e9 for t in chosen}
        rows = [
            [of_bytes(size), *(number(speed.get((name, size))) for name in names)]
            for size in sorted({t["bytes"] for t in chosen})
        ]
        parts.append(markdown([f"GB/s, {threads} thread{'s' * (threads > 1)}", *names], rows))
    return parts


def kernels(result):
    """The limits of the GPU kernels: instructions by kind, and samples and bytes per second."""
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


def times_and_calls(result):
    """All fills, calls on small arrays, numbers from NumPy's generators, instructions."""
    fills = result["fills"]
    own = [f for f in fills if f["tier"] or f["name"].startswith(("memset", "streaming"))]
    groups = [("pyinit and pure writes", own), ("Peers", [f for f in fills if f not in own])]
    parts = [times(title, group, fills, result) for title, group in groups]
    parts.append(calls("A call on normal float32, 1 thread, ns", result["small"], 1e9))
    if "generators" in result:
        parts.append(calls("A million numbers of numpy.random.Generator, 1 thread, ms", result["generators"], 1e3))
    return [*parts, *kinds(result)]


def times(title, group, fills, result):
    """A row for each name, columns for each number of threads."""
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
    """A row for each function, a column for each argument."""
    across = dict.fromkeys(f["name"].split(", ")[1] for f in group)
    names = dict.fromkeys(f["name"].split(", ")[0] for f in group)
    times = {tuple(f["name"].split(", ")): f["median_seconds"] * unit for f in group}
    return markdown([title, *across], [[name, *(number(times[name, what]) for what in across)] for name in names])


def kinds(result):
    """Instructions by kind, for 32 samples; or why there are none."""
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


def filled(text):
    """Return a page with its tables rebuilt from the files that they name."""
    return PLACE.sub(lambda m: m[1] + "\n" + tables(json.loads((HERE / m[2]).read_text())) + "\n" + m[4], text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--readme":
        for page in (README, QUALITY):
            page.write_text(filled(page.read_text()))
    else:
        print(tables(json.loads(Path(sys.argv[1]).read_text())), end="")
