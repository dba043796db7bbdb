"""The results of bench_gpu.py as Markdown tables, for table.py; missing parts are left out."""

from columns import markdown, number


def tables(result):
    """Return all tables, as a list of texts."""
    parts = {
        "targets": targets,
        "fills": fills,
        "kernels_share": kernels,
        "article": article,
        "models": models,
        "backends": backends,
        "calls_us": calls,
        "first_fill_ms": first_fills,
        "failed": failed,
    }
    return [make(result) for name, make in parts.items() if name in result]


def targets(result):
    """The targets, and the measured values."""
    rows = [
        [
            t["what"],
            number(t.get("at_least")),
            number(t.get("at_most")),
            number(t["measured"]),
            "yes" if t["reached"] else "no",
        ]
        for t in result["targets"]
    ]
    return markdown(["Target", "at least", "at most", "measured", "reached"], rows)


def fills(result):
    """Every case: bandwidth and speed on the large buffer, and the time for the article's weights."""
    weights = {f["name"]: f for f in result.get("weights", ())}
    count = max((f["samples"] for f in weights.values()), default=0)
    rows = [
        [
            f["name"],
            number(f["bytes"] / f["median_seconds"] / 1e12),
            number(1 / f["ratio_to_fastest_write"]),
            number(f["million_samples_per_second"] / 1e3),
            number(1e3 * weights[f["name"]]["median_seconds"]) if samples(weights, f["name"]) == count else "",
        ]
        for f in result["fills"]
    ]
    header = ["Fill", "TB/s", "share of the fastest write", "10^9 samples/s", f"{count:,} samples, ms"]
    return markdown(header, rows)


def samples(entries, name):
    """Return the number of samples of the case with that name; None if there is no such case."""
    return entries[name]["samples"] if name in entries else None


def kernels(result):
    """The limit of each kernel, and the share that it reaches; or why these are unknown."""
    found = result["kernels_share"]
    if "missing" in found:
        return f"No kernel was counted: {found['missing']}."
    rows = [
        [
            name,
            number(k["instructions_per_sample"]),
            str(k["registers"]),
            k["limited_by"],
            number(k["limit_samples_per_second"] / 1e9),
            number(k["share_of_limit"]),
        ]
        for name, k in found.items()
    ]
    header = ["Kernel", "instructions a sample", "registers", "limited by", "limit, 10^9 samples/s", "share reached"]
    return markdown(header, rows)


def article(result):
    """The article's last network: initialised, and trained for ten epochs."""
    rows = [
        [what, number(times["median_ms"]), number(result["article_asked_ms"][what])]
        for what, times in result["article"].items()
    ]
    return markdown(["10000, 5000, 1000, 10; batch 10000", "ms", "the article's, ms"], rows)


def models(result):
    """A row for each model, a column for each way, in ms."""
    times = {tuple(f["name"].rsplit(": ", 1)): 1e3 * f["median_seconds"] for f in result["models"]}
    ways = list(dict.fromkeys(way for _, way in times))
    rows = [
        [model, *(number(times.get((model, way))) for way in ways)]
        for model in dict.fromkeys(model for model, _ in times)
    ]
    return markdown(["A model, ms", *ways], rows)


def backends(result):
    """Each backend, and the halves of backend="host"."""
    times = {f["name"]: 1e3 * f["median_seconds"] for f in result["backends"]}
    return pairs(f"backend, {result['backends'][0]['bytes'] / 2**30:.3g} GiB of float32", "ms", times)


def calls(result):
    """Small arrays."""
    return pairs("A call, on the host's clock", "us", result["calls_us"])


def first_fills(result):
    """The first fill with kernels to compile, and with kernels that another process has compiled."""
    return pairs("The first fill in a process", "ms", result["first_fill_ms"])


def failed(result):
    """The parts that could not be measured, and why."""
    return "\n".join(f"- {name} failed: {error}" for name, error in result["failed"].items())


def pairs(title, unit, values):
    """A table of names and numbers."""
    return markdown([title, unit], [[name, number(value)] for name, value in values.items()])
