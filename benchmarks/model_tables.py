"""Tables of whole models, shards, frameworks and files."""

import statistics

from columns import markdown, number

WAYS = ("plain", "fast_init", "no_init_weights", "deferred")  # to build a PyTorch model


def models(results):
    """`initialize` of whole models, next to a flat fill of the same size and PyTorch's loop over the tensors."""
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
        for r in results
    ]
    return [markdown(header, rows)]


def torch_models(results):
    """The construction of PyTorch models, in seconds, and the share of it that is not drawing."""
    header = ["s", "parameters", "plain", "fast_init", "ratio", "not drawing", "no_init_weights", "deferred"]
    rows = []
    for r in results:
        plain, fast, none, deferred = (statistics.median(r["seconds"][way]) for way in WAYS)
        built = statistics.median(r["construction"])
        not_drawing = f"{100 * none / plain:.1f}% / {100 * built / fast:.0f}%"
        row = [f"{r['parameters'] / 1e6:,.0f} M", number(plain), number(fast), f"{r['ratio']:.3f}", not_drawing]
        rows.append([f"{r['model']}, {r['dtype']}", *row, number(none), number(deferred)])
    return markdown(header, rows)


def without_memory(results):
    """The construction of models without memory: at most one table."""
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


def matrix_shards(results):
    """The shards of a matrix together, next to the whole and to arrays of their sizes."""
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
    """The work of one rank of many: at most one table."""
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
