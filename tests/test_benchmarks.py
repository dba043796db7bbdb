"""The scripts in benchmarks/: every case writes what it claims, and counts and tables are right."""

import json
import math
import platform
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import bench_calls
import bench_load
import columns
import generators
import memory
import numpy as np
import peers
import pytest
import table
import timing

from pyinit import bench

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("no_threads_left")
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("2*.json"))
SIZE = 20_000
# Mean and variance. Truncated at 2: 1 - 2 * 2 * phi(2) / (Phi(2) - Phi(-2)).
MOMENTS = {"normal": (0, 1), "normal_": (0, 1), "trunc_normal_": (0, 0.7737), "uniform": (0.5, 1 / 12)}


def samples(memory, dtype):
    """Return the float64 values of samples in memory; bfloat16 is the upper half of float32."""
    if dtype == "bfloat16":
        return (memory.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return memory.view(dtype).astype(np.float64)


def test_the_construction_of_models(tmp_path):
    pytest.importorskip("transformers")
    command = [
        sys.executable,
        ROOT / "benchmarks" / "bench_torch.py",
        "--models",
        "tiny",
        "--dtypes",
        "float32",
        "--large",
        "OPT-175B",
    ]
    done = subprocess.run(
        [*command, "--repetitions", "1", "--output", tmp_path / "x.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "x.json").read_text())["torch"]
    assert [(r["model"], r["dtype"], len(r["seconds"]["plain"])) for r in results] == [("tiny", "float32", 1)]
    assert all(0 < built < whole for r in results for built, whole in zip(r["construction"], r["seconds"]["fast_init"]))
    assert "| tiny, float32 | 0 M |" in done.stdout
    assert "| OPT-175B | 174.6 · 10^9 |" in done.stdout


def test_arrays_of_dask(tmp_path):
    pytest.importorskip("dask.array")
    command = [sys.executable, ROOT / "benchmarks" / "bench_dask.py", "--rows", "100", "200", "--chunk", "70"]
    done = subprocess.run(
        [*command, "--repetitions", "1", "--output", tmp_path / "x.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "x.json").read_text())["dask"]
    assert [(r["rows"], sorted(r["seconds"])) for r in results] == [(n, ["Dask", "ars5", "philox"]) for n in (100, 200)]
    assert "| 200 x 200 |" in done.stdout


def test_checkpoints_beside_dd(tmp_path):
    pytest.importorskip("safetensors.torch")
    command = [sys.executable, ROOT / "benchmarks" / "bench_checkpoint.py", "--gigabytes", "0.5", "--large", "0"]
    command += ["--folder", tmp_path, "--repetitions", "1", "--output", tmp_path / "x.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Invalid argument" in done.stderr:
        pytest.skip("dd cannot pass the page cache of this file system by")
    assert done.returncode == 0, done.stderr
    [found] = json.loads((tmp_path / "x.json").read_text())["checkpoint"]
    sizes = {way: runs[0]["bytes"] for way, runs in found["runs"].items()}
    assert sizes["write"] == sizes["verify"] == pytest.approx(5e8, rel=0.01)
    assert sizes["save_file"] == pytest.approx(sizes["write"], rel=1e-4)
    assert found["runs"]["write"][0]["peak_bytes"] < 256e6
    assert set(found["to_dd"]) == {"write", "verify"}
    assert "| write | 0.50 |" in done.stdout


def test_bench_jax(tmp_path):
    pytest.importorskip("jax", minversion="0.9")
    command = [sys.executable, ROOT / "benchmarks" / "bench_jax.py", "--elements", "1000", "--layers", "1"]
    done = subprocess.run(
        [*command, "--repetitions", "2", "--output", tmp_path / "x.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "x.json").read_text())["jax"]
    assert [r["what"] for r in results][:2] == ["normal float32", "uniform float32"]
    assert all(len(seconds) == 2 and min(seconds) > 0 for r in results for seconds in r["seconds"].values())
    assert "| normal bfloat16 | 1,000 |" in done.stdout


@pytest.mark.parametrize("name", peers.PEERS)
@pytest.mark.filterwarnings("default")  # a peer's own warnings on import
def test_every_case_of_a_peer_writes_its_samples(name):
    if name not in peers.versions():
        pytest.skip(f"{name} is not installed")
    out = np.empty(SIZE, np.float32)
    cases = peers.PEERS[name](out)
    assert cases
    for case in cases:
        out.view(np.uint8)[:] = 0xFF  # a NaN in every type
        made = case.run()
        *_, what, dtype = case.name.split()
        x = samples(out if made is None or name != "jax" else np.array(made), dtype)
        assert (x.size, out.nbytes) == (case.samples, case.bytes)
        assert np.isfinite(x).all(), case.name
        if what == "bits":
            x, what = x / 2.0**32, "uniform"
        mean, variance = MOMENTS[what]
        # Six standard errors, for each thread's part; no kurtosis is above the normal's.
        for part in np.array_split(x, case.threads):
            assert abs(part.mean() - mean) < 6 * math.sqrt(variance / part.size), case.name
            assert abs(part.var() - variance) < 6 * variance * math.sqrt(2 / part.size), case.name
        if case.threads > 1:
            first, second, *_ = np.array_split(x, case.threads)
            assert not np.array_equal(first[: second.size], second), case.name


def test_what_calls_cost_is_timed_without_a_gpu(monkeypatch):
    monkeypatch.setattr(bench_calls, "TENSORS", 3)
    monkeypatch.setattr(bench_calls, "seconds", lambda run, calls: run() is not None)
    lines = bench_calls.on_host() | bench_calls.without_driver() | bench_calls.patterns()
    assert all(lines.values())
    assert sum("initialize" in what for what in lines) in (1, 2, 4, 5)


def test_a_primed_case_is_called_untimed_ahead_of_each_repetition():
    calls, naps = [], iter([0.0, 0.05, 0.0, 0.05, 0.0])  # every other call is untimed, starting with the first
    case = timing.Primed("primed", lambda: calls.append(time.sleep(next(naps))), samples=1, bytes=0)
    [found] = bench.measure([case], repetitions=2)
    assert len(calls) == 5
    assert len(found.seconds) == 2
    assert max(found.seconds) < 0.05


def test_a_gpu_times_calls_that_wait_behind_a_long_write(monkeypatch):
    steps = []
    ahead = SimpleNamespace(nbytes=1, data=SimpleNamespace(memset_async=lambda *_: steps.append("write")))
    start, stop = (SimpleNamespace(record=partial(steps.append, name)) for name in ("start", "stop"))
    stop.synchronize = partial(steps.append, "wait")
    events = SimpleNamespace(get_elapsed_time=lambda a, b: 6000.0 if a is start and b is stop else 0.0)
    monkeypatch.setattr(timing, "queued", lambda: (ahead, start, stop))
    monkeypatch.setattr(timing, "cupy", lambda: SimpleNamespace(cuda=events))
    case = timing.OnGPU("case", partial(steps.append, "run"), 1, 4, calls=3)
    [found] = bench.measure([case], repetitions=1)
    assert found.seconds == (2.0,)
    assert steps == ["run", *["write"] * 4, "start", *["run"] * 3, "stop", "wait"]


def test_peers_run_on_one_and_on_all_threads():
    for name in peers.versions():
        cases = peers.PEERS[name](np.empty(1000, np.float32))
        assert {c.threads for c in cases} == set(bench.thread_counts()[-1:] if name == "jax" else bench.thread_counts())
        assert len({(c.name, c.threads) for c in cases}) == len(cases)


def test_cases_of_memory_run_and_name_what_they_are_compared_with():
    out = np.ones(SIZE, np.float32)
    cases = bench.pyinit_cases(out) + memory.cases(out)
    names = {(c.name, c.threads) for c in cases}
    for case in cases:
        assert (case.writes[0], case.threads) in names
        case.run()


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("cc"), reason="needs x86-64 and a compiler")
def test_streaming_stores_write_whole_vectors():
    out = np.empty(SIZE, np.float32)
    written = out.view(np.uint8)
    for case in memory.streaming_cases(out):
        written[:] = 0
        case.run()
        assert (written[memory.VECTOR : -memory.VECTOR] == bench.BYTE).all()


@pytest.mark.parametrize("x", [0.004, 0.5, 9.876, 98.76, 987.6, 9876.0])
def test_numbers_have_three_digits(x):
    assert columns.number(x) == {0.004: "0.00", 0.5: "0.50", 9.876: "9.88", 98.76: "98.8", 987.6: "988"}.get(x, "9,876")


@pytest.mark.parametrize("case", generators.cases(1000), ids=lambda case: case.name)
def test_generators_draw_what_they_are_named_for(case):
    mean = {"random": 0.5, "integers": 499.5, "standard_normal": 0.0}[case.name.split(", ")[1].split()[0]]
    x = case.run()
    assert x.shape == (1000,)
    assert x.dtype == ("int64" if "integers" in case.name else case.name.split()[-1])
    assert abs(x.mean() - mean) < 6 * x.std() / math.sqrt(1000)


def test_fills_are_timed_beside_busy_processes(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench_load, "SETTLE", 0.0)
    file = tmp_path / "load.json"
    options = {"--elements": SIZE, "--repetitions": 3, "--busy": 1, "--output": file}
    monkeypatch.setattr(sys, "argv", ["bench_load.py", *(str(word) for option in options.items() for word in option)])
    bench_load.main()
    result = json.loads(file.read_text())
    found, medians = result["load"], result["load"]["medians"]
    assert {name: sorted(times)[1] for name, times in found["seconds"].items()} == medians
    assert list(medians) == ["default threads", "1 thread"]
    assert min(medians.values()) > 0
    assert found["ratio"] == medians["default threads"] / medians["1 thread"]
    assert "busy processes: 1;" in capsys.readouterr().out


def test_the_load_ends_with_its_block():
    with bench_load.load(2, settle=0.2) as busy:
        assert [process.poll() for process in busy] == [None, None]
    assert all(process.returncode for process in busy)


def test_the_committed_tables_are_those_of_the_committed_results():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert table.PLACE.search(text)
    assert table.filled(text) == text


@pytest.mark.parametrize("file", RESULTS, ids=lambda f: f.name)
def test_results_name_their_machine(file):
    machine = json.loads(file.read_text())["machine"]
    assert {"cpu", "compiler", "versions"} <= set(machine)


def test_the_page_of_a_machine(tmp_path):
    newest = RESULTS[-1].name[:10]
    for path in RESULTS:
        if path.name.startswith(newest):
            shutil.copy(path, tmp_path / path.name.replace(newest, "latest"))
    sizes = [sys.executable, ROOT / "benchmarks" / "bench_sizes.py", "--largest", "20000", "--repetitions", "1"]
    subprocess.run([*sizes, "--output", tmp_path / "latest-sizes.json"], check=True, capture_output=True)
    drawn = [sys.executable, ROOT / "benchmarks" / "page.py", tmp_path / "latest"]
    done = subprocess.run(drawn, capture_output=True, text=True, check=True)
    assert done.stdout == f"The page of this machine is {tmp_path / 'latest'}.html.\n"
    page = (tmp_path / "latest.html").read_text(encoding="utf-8")
    titles = re.findall("<h2>(.*?)</h2>", page)
    kinds = list(
        dict.fromkeys(re.match(r"Size|Peers|GPT-2|Building|128 shards|JAX|Dask|A checkpoint|", t)[0] for t in titles)
    )
    assert [k for k in kinds if k] == [
        "Size",
        "Peers",
        "GPT-2",
        "Building",
        "128 shards",
        "JAX",
        "Dask",
        "A checkpoint",
    ]
    assert page.count("<img ") == len(titles)
    assert "| GB/s, 1 thread | memset |" in page


def test_no_page_without_results(tmp_path):
    drawn = [sys.executable, ROOT / "benchmarks" / "page.py", tmp_path / "latest"]
    done = subprocess.run(drawn, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "run `make bench`" in done.stderr
