"""The results of bench_gpu.py as Markdown tables, for table.py."""


def tables(result, number, markdown):
    """All of them, as a list of texts; `number` and `markdown` are table.py's."""
    return [
        targets(result, number, markdown),
        fills(result, number, markdown),
        kernels(result, number, markdown),
        article(result, number, markdown),
        pairs(
            "backend, 1 GiB of float32",
            "ms",
            {f["name"]: 1e3 * f["median_seconds"] for f in result["backends"]},
            number,
            markdown,
        ),
        pairs("A call, on the host's clock", "us", result["calls_us"], number, markdown),
    ]


def targets(result, number, markdown):
    """What is asked, and what was measured."""
    rows = [
        [t["what"], number(t["at_least"]), number(t["measured"]), "yes" if t["reached"] else "no"]
        for t in result["targets"]
    ]
    return markdown(["Target", "at least", "measured", "reached"], rows)


def fills(result, number, markdown):
    """Every case: bandwidth and speed on the large buffer, time for the article's weights."""
    count = result["weights"][0]["samples"]
    weights = {f["name"]: f["median_seconds"] for f in result["weights"] if f["samples"] == count}
    rows = [
        [
            f["name"],
            number(f["bytes"] / f["median_seconds"] / 1e12),
            number(1 / f["ratio_to_fastest_write"]),
            number(f["million_samples_per_second"] / 1e3),
            number(1e3 * weights[f["name"]]) if f["name"] in weights else "",
        ]
        for f in result["fills"]
    ]
    header = ["Fill", "TB/s", "share of the fastest write", "10^9 samples/s", f"{count:,} samples, ms"]
    return markdown(header, rows)


def kernels(result, number, markdown):
    """What limits each kernel, and how near it comes; why that is not known, where it is not."""
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


def article(result, number, markdown):
    """Its last network: initialised, and trained for ten epochs."""
    rows = [
        [what, number(times["median_ms"]), number(result["article_asked_ms"][what])]
        for what, times in result["article"].items()
    ]
    return markdown(["10000, 5000, 1000, 10; batch 10000", "ms", "the article's, ms"], rows)


def pairs(title, unit, values, number, markdown):
    """Names and numbers."""
    return markdown([title, unit], [[name, number(value)] for name, value in values.items()])
