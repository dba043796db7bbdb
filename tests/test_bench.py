"""The timing core: the numbers of calls, the comparisons, and the JSON."""

import json
import statistics
import threading
import time

import numpy as np
import pytest

from pyinit import bench, isa
from pyinit.bench import Case, Timing


@pytest.fixture(autouse=True)
def no_threads_left():
    """Wait until the threads of a memset have ended: a later test that forks must not meet them."""
    before = threading.active_count()
    yield
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def nothing(name="nothing", **more):
    return Case(name, lambda: None, samples=1, bytes=0, **more)


def as_json(**groups):
    return json.loads(json.dumps(bench.results(**groups)))


def test_repetitions_are_interleaved_after_one_untimed_call_of_each():
    calls, steps = [], []
    cases = [Case(name, lambda name=name: calls.append(name), samples=1, bytes=0) for name in "abc"]
    timings = bench.measure(cases, repetitions=3, progress=steps.append)
    assert calls == steps == list("abc") * 4
    assert [t.case for t in timings] == cases
    assert [len(t.seconds) for t in timings] == [3, 3, 3]


def test_a_case_over_its_budget_is_timed_once_and_the_others_go_on():
    steps = []
    slow, fast = Case("slow", lambda: time.sleep(0.01), samples=1, bytes=0), nothing()
    timings = bench.measure([slow, fast], repetitions=4, budget=0.005, progress=steps.append)
    assert [len(t.seconds) for t in timings] == [1, 4]
    assert len(steps) == 2 * (1 + 4)


def test_a_repetition_of_many_calls_gives_the_time_of_one():
    calls = []
    [timing] = bench.measure([Case("many", lambda: calls.append(time.sleep(0.001)), 1, 0, calls=5)], repetitions=2)
    assert len(calls) == 1 + 2 * 5
    assert all(s >= 0.001 for s in timing.seconds)


def test_ratios_compare_equal_numbers_of_threads():
    memset = [Timing(nothing("memset", threads=n), (s,)) for n, s in ((1, 4.0), (2, 2.0))]
    fill = [Timing(nothing("fill", threads=n), (9.0, 1.0, 6.0)) for n in (1, 2, 3)]
    group = [*memset, *fill]
    assert [t.over("memset", group) for t in fill] == [1.5, 3.0, None]


def test_a_part_of_a_job_is_extrapolated():
    timing = Timing(Case("part", lambda: None, samples=10, bytes=40, full=1000), (0.5,))
    assert timing.full == 50.0
    [entry] = as_json(fills=[timing])["fills"]
    assert entry["extrapolated"] == {"samples": 1000, "seconds": 50.0}
    assert (entry["samples"], entry["seconds"]) == (10, [0.5])


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_memset_sets_every_byte_and_no_other(threads):
    whole = np.full(5000, 0xAA, dtype=np.uint8)
    arrays = [whole[1:2].reshape(1, 1), whole[8:48].view(np.float32).reshape(2, 5), whole[100:4999]]
    expected = whole.copy()
    expected[1:2] = expected[8:48] = expected[100:4999] = bench.BYTE
    run = bench.memset(arrays, threads)
    for _ in range(3):
        whole[:] = 0xAA
        run()
        assert np.array_equal(whole, expected)


def test_every_case_writes_what_it_says():
    cases = bench.fill_cases(np.ones(1001, np.float32))
    half, single, double = 2 * 1001, 4 * 1001, 8 * 500
    assert {c.bytes for c in cases} == {half, single, double}
    sizes = {"float64": 8, "float16": 2, "bfloat16": 2}
    assert all(c.samples * sizes.get(c.name.split()[-1], 4) == c.bytes for c in cases if not c.full)
    for case in cases:
        case.run()


def test_cases_cover_generators_dtypes_tiers_and_peers():
    cases = bench.fill_cases(np.ones(1000, np.float32))
    names = [c.name for c in cases]
    for n in bench.thread_counts():
        on_n = {c.name for c in cases if c.threads == n}
        for g in bench.GENERATORS:
            for what in ("normal float32", "normal float64", "uniform float32", "uniform float64", "bits uint32"):
                assert f"{g} {what}" in on_n
        assert "memset" in on_n
    assert {c.tier for c in cases if c.tier} == set(isa.available())
    assert {"NumPy PCG64 normal float32", "NumPy SFC64 normal float32", "plain Python"} < set(names)
    assert len({(c.name, c.threads, c.tier) for c in cases}) == len(cases)


@pytest.mark.parametrize("name", isa.available())
def test_a_tiers_case_runs_on_it(name, monkeypatch):
    seen = []
    for fill in ("fill_normal", "fill_truncated_normal"):
        monkeypatch.setattr(f"pyinit.streams.Stream.{fill}", lambda *_, **__: seen.append(isa.active()))
    before = isa.active()
    for case in bench.fill_cases(np.ones(100, np.float32)):
        if case.tier == name:
            seen.clear()
            case.run()
            assert set(seen) <= {name}
            assert seen or "normal" not in case.name
    assert isa.active() == before


def test_small_cases_stand_beside_numpy():
    cases = bench.small_cases()
    assert {c.samples for c in cases} == {8, 1000, 100_000}
    assert {c.threads for c in cases} == {1}
    for size in (8, 1000, 100_000):
        assert sum(c.samples == size for c in cases) == len(bench.GENERATORS) + 1
    for case in cases:
        case.run()


def test_the_report_holds_the_machine_and_every_repetition():
    timings = bench.measure([nothing("memset"), nothing("fill")], repetitions=5)
    report = as_json(fills=timings, small=[])
    assert list(report) == ["machine", "fills", "small"]
    assert set(report["machine"]) == {"cpu", "processors", "platform", "compiler", "tier", "tiers", "versions"}
    assert set(report["machine"]["versions"]) == {"pyinit", "python", "numpy"}
    assert all(report["machine"].values())
    for entry, timing in zip(report["fills"], timings):
        assert entry["seconds"] == list(timing.seconds)
        assert entry["repetitions"] == 5
        assert entry["median_seconds"] == statistics.median(timing.seconds)
        assert entry["extrapolated"] is None
    assert report["fills"][0]["ratio_to_memset"] == 1.0


def test_ratios_are_to_writes_of_the_same_memory():
    new = {"writes": ("memset, new memory",)}
    cases = [nothing("memset"), nothing("streaming stores"), nothing("memset, new memory"), nothing("a", **new)]
    group = [Timing(case, (s,)) for case, s in zip([*cases, nothing("b")], (4.0, 2.0, 8.0, 16.0, 12.0))]
    entries = {e["name"]: e for e in as_json(fills=group)["fills"]}
    ratios = {n: (entries[n]["ratio_to_memset"], entries[n]["ratio_to_fastest_write"]) for n in "ab"}
    assert ratios == {"a": (2.0, 2.0), "b": (3.0, 6.0)}
    assert group[3].over_fastest_write(group[:2]) is None


def test_functions_run_together():
    meeting = threading.Barrier(3, timeout=10)
    run = bench.together([meeting.wait] * 3)
    for _ in range(2):
        run()


def test_the_articles_scalar_normals_are_normal():
    out = np.zeros(bench.PYTHON_SAMPLE + 5, dtype=np.float32)
    case = bench.python_case(out, full=10**6)
    case.run()
    sample = out[: case.samples].astype(float)
    # Four standard errors of the mean, and of the variance; the seed is fixed.
    assert abs(sample.mean()) < 4 / sample.size**0.5
    assert abs(sample.var() - 1) < 4 * (2 / sample.size) ** 0.5
    assert not out[case.samples :].any()
