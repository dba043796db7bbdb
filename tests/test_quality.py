"""benchmarks/quality: its p-values are right, small numbers of samples pass, and flaws are noticed."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import quality.dieharder
import quality.host
import quality.parts
import quality.program
import quality.statistics
import quality.streams
import quality.table
import table
from quality import flaws
from quality.laws import SAMPLERS, law_of

import pyinit
from pyinit import _core

no_dieharder = pytest.mark.skipif(bool(quality.dieharder.missing()), reason=f"no {quality.dieharder.missing()}")


# The p-values.


@pytest.mark.parametrize(
    ("a2", "p"), [(1.9329578327415937, 0.1), (2.4923671600494096, 0.05), (3.8781250216053948, 0.01)]
)
def test_anderson_darling_is_that_of_the_tables(a2, p):
    """Tables of G. and J. Marsaglia, Evaluating the Anderson-Darling distribution, J. Statistical Software 9 (2004)."""
    assert quality.statistics.of_anderson_darling(a2) == pytest.approx(p, rel=1e-4)


def test_anderson_darling_of_cells_is_that_of_samples():
    u = np.sort(np.random.default_rng(1).random(1000))
    i = np.arange(1, 1001)
    expected = -1000 - np.mean((2 * i - 1) * (np.log(u) + np.log1p(-u[::-1])))
    counts = np.bincount((u * 2**16).astype(int), minlength=2**16)
    assert quality.statistics.anderson_darling(counts, np.full(2**16, 2.0**-16)) == pytest.approx(expected, abs=0.02)


def test_moments_are_uncorrelated():
    """Over 1000 times 1000 samples, each of the eight has the right number of p-values below 1/4."""
    law = law_of("uniform", "float64")
    x = (pyinit.Stream(6).uniform((1000, 1000), "float64") - law.centre) * law.scale
    powers = np.stack([(x**k).sum(axis=1) for k in range(1, 9)], axis=1)
    p = np.array([list(quality.statistics.moments(row, law.moments, 1000).values()) for row in powers])
    assert (abs((p < 0.25).sum(axis=0) - 250) < 5 * np.sqrt(187.5)).all()
    both = np.corrcoef((p < 0.25).T.astype(float))
    assert abs(both[np.triu_indices(8, 1)]).max() < 0.16


# The parts.


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """The command's results for few samples, and its exit code."""
    if not shutil.which(quality.host.COMPILER):
        pytest.skip(f"no C compiler {quality.host.COMPILER}")
    file = tmp_path_factory.mktemp("quality") / "quality.json"
    with pytest.MonkeyPatch.context() as patch:
        arguments = ["--samples", "2e6", "--only", "cells", "values", "streams", "--output", str(file)]
        patch.setattr("sys.argv", ["quality", *arguments])
        patch.setattr(quality.parts.Sizes, "controls", 2**23)
        code = quality.program.main()
    return code, json.loads(file.read_text())


def test_few_samples_pass_and_flaws_are_noticed(document):
    code, written = document
    found = quality.program.verdicts(written)
    assert not [verdict for verdict in found if not verdict.good]
    assert code == 0
    assert {verdict.family for verdict in found} == {
        *("cells", "kolmogorov_smirnov", "anderson_darling", "moments", "pairs", "lags", "tails"),
        *("values", "streams", "flipped bits", "all but dieharder"),
    }


def test_every_generator_sampler_and_dtype_is_there(document):
    parts = document[1]["parts"]
    assert all(part["finished"] for part in parts.values())
    entries = [entry for name in ("cells", "values") for entry in parts[name]["entries"] if not entry["control"]]
    found = {(entry["generator"], entry["what"], entry["dtype"]) for entry in entries}
    dtypes = {name: {"uint32"} if name == "bits" else set(_core.DTYPES) - {"uint32"} for name in SAMPLERS}
    assert found == {(g, name, d) for g in _core.GENERATORS for name in SAMPLERS for d in dtypes[name]}


def test_the_distance_from_the_ideal_law_is_the_expected_one(document):
    for entry in document[1]["parts"]["cells"]["entries"]:
        if not entry["control"]:
            assert abs(entry["more"]["z_ideal"] - entry["more"]["z_ideal_expected"]) < 5


def test_every_method_makes_samples_of_some_sampler():
    """Except for the constant, which takes no words."""
    kinds = {name: ["uint32"] if name == "bits" else ["float32", "float64"] for name in SAMPLERS}
    used = {_core.check_dtype(SAMPLERS[name][0], np.dtype(kind))[0] for name in SAMPLERS for kind in kinds[name]}
    assert {_core.METHODS[method] for method in used} == set(_core.METHODS) - {"PYI_METHOD_CONSTANT"}


# The verdict.


def part_of(p, control="", noticed_by=("cells",)):
    entry = quality.parts.Entry("cells", "philox", "normal", "float32", 1, {"cells": p}, control, noticed_by)
    return asdict(entry)


def judged(*entries):
    return quality.program.verdicts({"parts": {"cells": {"entries": entries}}})[0]


EVEN = {str(i): (i + 0.5) / 40 for i in range(40)}
FLAWED = part_of({"a": 1e-20}, "a flaw")


def test_verdicts():
    assert judged(part_of(EVEN), FLAWED).good
    assert not judged(part_of(EVEN)).good  # without a flaw, nothing shows that it can fail
    assert not judged(part_of(EVEN), FLAWED, part_of({"a": 0.01}, "another")).good
    assert not judged(part_of(EVEN | {"0": 1e-5}), FLAWED).good
    assert judged(part_of(EVEN | {"0": 1e-4}), FLAWED).good  # one value of 40
    assert not judged(part_of(EVEN | {"0": float("nan")}), FLAWED).good
    assert judged(part_of(EVEN), FLAWED, part_of({"a": 0.0}) | {"generator": ""}).good  # not pyinit's
    assert not judged(part_of({name: 0.5 + p / 2 for name, p in EVEN.items()}), FLAWED).good  # too good


def test_an_unfinished_part_is_told(monkeypatch, tmp_path, capsys):
    file = tmp_path / "quality.json"
    file.write_text(json.dumps({"parts": {"streams": {"finished": False, "entries": [part_of(EVEN), FLAWED]}}}))
    monkeypatch.setattr(quality.program, "made", lambda *arguments: None)
    monkeypatch.setattr("sys.argv", ["quality", "--output", str(file)])
    assert quality.program.main() == 0
    assert "unfinished parts: cells, values, samples, streams, dieharder" in " ".join(capsys.readouterr().out.split())


# Streams: each flaw alone; the command has all of them in one.


def test_streams_that_overlap_are_noticed():
    """A seed that only advances the position: each stream shares half of its words with the next one."""
    words = pyinit.Stream(1).bits(4 * 2**12 + 4)
    table = np.lib.stride_tricks.sliding_window_view(words, 8)[::4]
    p = quality.streams.statistics(np.ascontiguousarray(table))
    assert p["neighbours, 4 words on"] < 1e-10
    assert p["equal words"] < 1e-10


def test_each_flipped_bit_is_looked_at():
    """Bits of the seed only; then its low half has no effect either."""
    p = quality.streams.avalanche("philox", 2**6, lambda address: address | {"seed": address["seed"] >> 32})
    assert {name for name, value in p.items() if value < 1e-10} == {"seed: chi2", "seed: largest"}


# The statistics of quality/evidence.py.


@pytest.mark.parametrize("name", quality.parts.EVIDENCE)
def test_the_samples_part_has_flaws_for_each_statistic(name):
    statistic = next(s for s in flaws.STATISTICS if s.measure.__name__ == name)
    jobs = [job for job in quality.parts.samples(quality.parts.Sizes(2**20)) if job.make.args[0] is statistic]
    assert len(jobs) == len(statistic.distributions) * (2 * len(quality.parts.GENERATORS) + len(statistic.flaws))
    told = []
    flaw = next(job for job in jobs if len(job.make.args) == 4 and job.make.args[2] <= 2**25)
    (entry,) = flaw.make(tell=told.append)
    assert told == [1]
    assert entry.noticed_by == (name,)
    assert min(entry.p[name].values()) < 1e-10


# dieharder.


@pytest.mark.parametrize("source", quality.dieharder.SOURCES)
def test_sources_write_words(source):
    if quality.dieharder.SOURCES[source] is None:
        assert quality.dieharder.writer(source, None, 3)[0] == "openssl"
        return
    words = quality.dieharder.SOURCES[source]("ars5", 3)
    got = np.concatenate([next(words).ravel() for _ in range(3)])
    assert got.dtype == np.uint32
    first = {
        "one stream": lambda: pyinit.Stream(42, "ars5", position=3 << 40).bits(8),
        "64 children, interleaved": lambda: [
            pyinit.Stream(45, "ars5").child(f"layers.{k}.weight").bits(1)[0] for k in range(8)
        ],
        "short tensors": lambda: pyinit.Stream(45, "ars5").child("layers.0.weight").bits(1),
        "adjacent seeds": lambda: pyinit.Stream(3 << 40, "ars5").bits(8),
        "23 bits": lambda: pyinit.Stream(42, "ars5", position=3 << 40).bits(8) >> 9 << 9,
        "a stuck bit": lambda: pyinit.Stream(42, "ars5", position=3 << 40).bits(8) | 1 << 12,
    }
    if source in first:
        expected = first[source]()
        assert np.array_equal(got[: len(expected)], expected)


@no_dieharder
def test_dieharder_passes_a_stream_and_finds_controls():
    """With the test that counts ones, the fastest that finds all three."""
    p, again = quality.dieharder.measure("one stream", "philox", 8)
    assert min(p.values()) > quality.dieharder.RETRY
    assert not again
    for control in quality.dieharder.CONTROLS:
        p, again = quality.dieharder.measure(control, "philox", 8)
        assert min(p.values()) < quality.dieharder.CERTAIN
        assert not again


@no_dieharder
def test_what_is_weak_is_made_again_on_other_words(monkeypatch):
    first = quality.dieharder.run("one stream", "philox", 8)
    monkeypatch.setattr(quality.dieharder, "RETRY", 2.0)  # all of them
    p, again = quality.dieharder.measure("one stream", "philox", 8)
    assert again == {name: quality.dieharder.both_tails(value) for name, (_, value) in first.items()}
    assert set(p) == set(again)
    assert p != again


def test_tests_of_one_source_are_joined():
    entries = [
        {"part": "dieharder", "generator": "", "what": what, "p": {"dieharder": p}, "more": {}}
        for what, p in (("a", {"x": 0.1}), ("b", {"x": 0.2}), ("a", {"y": 0.3}))
    ]
    joined = quality.program.joined(entries)
    assert [entry["p"]["dieharder"] for entry in joined] == [{"x": 0.1, "y": 0.3}, {"x": 0.2}]


# The page.


def test_the_tables(document):
    """A row for each family and each sampler, with the verdict and figures from the file."""
    written = document[1]
    run, verdicts, laws = quality.table.tables(written)
    assert [line.split(" | ")[:2] for line in run.splitlines()[2:]] == [
        [f"| {part}", "2 · 10^6"] for part in ("cells", "values", "streams")
    ]
    lines = verdicts.splitlines()[2:]
    assert len(lines) == len(written["verdicts"])
    assert all(line.endswith("| passes |") for line in lines)
    assert lines[0].startswith("| cells | 26 | " if len(_core.GENERATORS) == 2 else "| cells | ")
    entries = [entry for entry in written["parts"]["cells"]["entries"] if not entry["control"]]
    assert len(laws.splitlines()) == 2 + len(entries)
    assert f"| philox bits, uint32 | 2 · 10^6 | {entries[0]['more']['z']:+.2f} |" in laws


def test_what_is_drawn(document):
    right, flawed = quality.table.p_values(document[1])
    assert set(right) == set(flawed) == {v["family"] for v in document[1]["verdicts"]} - {"all but dieharder"}
    counts = {v["family"]: v["count"] for v in document[1]["verdicts"]}
    assert all(len(p) == counts[family] for family, p in right.items() if family != "tails")
    assert max(max(p) for p in flawed.values()) < 1e-6


def test_the_page_shows_the_newest_results():
    text = table.QUALITY.read_text()
    assert table.PLACE.search(text)
    assert table.filled(text) == text
    assert json.loads((table.HERE / table.PLACE.search(text)[2]).read_text()) == quality.table.newest()
