"""benchmarks/bench_gpu.py: with a GPU, its cases write what they claim; without one, its tables are tested."""

import json
import subprocess
import sys
from functools import partial

import bench_gpu
import gpu_calls
import gpu_peers
import gpu_targets
import kernel_limits
import numpy as np
import nvrtc
import pytest
import table
from conftest import ROOT

from pyinit import _core, bench

SIZE = 20_000


def entry(name, samples, seconds, fastest):
    return {
        "name": name,
        "samples": samples,
        "bytes": 4 * samples,
        "median_seconds": seconds,
        "million_samples_per_second": samples / seconds / 1e6,
        "ratio_to_fastest_write": seconds / fastest,
    }


def made_up():
    """Results of an imaginary GPU on which all but truncated normals reach their targets."""
    times = {
        "memset": 1.0,
        "philox normal float32": 1.25,
        "philox uniform float32": 1.1,
        "philox normal bfloat16": 1.25,
        "philox truncated_normal float32": 2.5,
        "PyTorch normal_ float32": 1.5,
        "CuPy XORWOW normal float32": 6.0,
        "cuRAND Philox normal float32": 1.3,
        "cuRAND Philox uniform float32": 1.2,
        "JAX rbg normal float32": 7.0,
    }
    models = {
        "GPT-2 XL float32: pyinit.initialize": 3.0,
        "GPT-2 XL float32: PyTorch's loop of normal_": 5.0,
        "GPT-2 XL float32: pyinit, flat": 2.0,
        "20,000 of 10,000 float32: pyinit.initialize": 80.0,
        "20,000 of 10,000 float32: PyTorch's loop of normal_": 160.0,
    }
    halves = {gpu_calls.HOST: 22.0, gpu_calls.HOST_FILL: 20.0, gpu_calls.HOST_COPY: 19.0}
    fills = [entry(name, 10**9, seconds / 1e3, 1e-3) for name, seconds in times.items()]
    weights = [entry(name, 55_010_000, seconds / 1e4, 1e-4) for name, seconds in times.items()]
    result = {
        "machine": {"processors": 2, "cpu": "a CPU", "compiler": "GCC", "versions": {"numpy": "2"}},
        "device": {"gpu": "a GPU", "multiprocessors": 132, "clock_hz": 0.99e9, "versions": {"cupy": "14"}},
        "fills": fills,
        "weights": weights,
        "models": [entry(name, 10**9, ms / 1e3, 1.0) for name, ms in models.items()],
        "backends": [entry(name, 2**28, ms / 1e3, 0.02) for name, ms in halves.items()],
        "article": {"initialization": {"median_ms": 0.25}, "training": {"median_ms": 400.0}},
        "article_asked_ms": bench_gpu.ARTICLE_MS,
        "calls_us": {"pyinit, 8 elements": 30.0, "pyinit on PyTorch's tensor, 8 elements": 11.0},
        "first_fill_ms": {"philox, first process": 500.0, "philox, second process": 12.0},
        "kernels_share": {"missing": "there is no disassembler"},
    }
    return result | {"targets": gpu_targets.reached(result)}


def test_targets():
    targets = {t["what"]: t for t in made_up()["targets"]}
    missed = {what for what, t in targets.items() if not t["reached"]}
    assert missed == {
        "speed, truncated to plain normals",
        "time, initialize to PyTorch's loop, 20,000 of 10,000 float32",
        "us, pyinit, 8 elements",
    }
    assert len(targets) == 12
    assert targets["share of the write bandwidth, philox normal float32"]["measured"] == pytest.approx(0.8)
    assert targets["speed, philox normal float32 to cuRAND Philox normal float32"]["measured"] == pytest.approx(1.04)
    assert targets["0.15 ms to the time for 55,010,000 weights"]["measured"] == pytest.approx(1.2)
    assert targets["time, initialize to PyTorch's loop, GPT-2 XL float32"]["measured"] == pytest.approx(0.6)
    assert targets['time, backend="host" to the slower of its fill and its copy']["measured"] == pytest.approx(1.1)
    assert targets["ms, first fill, philox, second process"]["at_most"] == 20


def test_what_is_not_there_has_no_target():
    result = made_up()
    for name in ("weights", "models", "backends", "first_fill_ms", "article", "calls_us", "kernels_share"):
        del result[name]
        result["targets"] = gpu_targets.reached(result)
        assert "philox normal float32" in table.tables(result)
    assert len(result["targets"]) == 5
    without = made_up()
    without["models"] = [f for f in without["models"] if "PyTorch" not in f["name"]]
    assert len(gpu_targets.reached(without)) == 10


def test_tables():
    text = table.tables(made_up())
    assert "2 processors of a CPU; GCC; a GPU, 132 multiprocessors; numpy 2, cupy 14." in text
    assert "| speed, truncated to plain normals | 1.00 |  | 0.50 | no |" in text
    assert "| ms, first fill, philox, second process |  | 20.0 | 12.0 | yes |" in text
    assert "| A model, ms | pyinit.initialize | PyTorch's loop of normal_ | pyinit, flat |" in text
    assert "| 20,000 of 10,000 float32 | 80.0 | 160 |  |" in text
    assert '| backend="host" | 22.0 |' in text
    assert "| philox normal float32 | 3.20 | 0.80 | 800 | 0.12 |" in text
    assert "| training | 400 | 2,310 |" in text


def test_kernels_beside_their_limits():
    if nvrtc.library() is None or nvrtc.disassembler() is None:
        pytest.skip("no nvidia-cuda-nvrtc or nvidia-cuda-nvdisasm")
    result, name = made_up(), "philox normal float32"
    result["kernels_share"] = gpu_targets.shares(result, {name: bench_gpu.keys()[name]})
    counted = kernel_limits.limits(bench_gpu.keys()[name])
    found = result["kernels_share"][name]
    assert found["limited_by"] == "issue"  # at half the clock this allows less than the 10^12 of the pure write
    assert found["limit_samples_per_second"] == pytest.approx(counted["samples_per_second"]["issue"] / 2)
    assert found["share_of_limit"] == pytest.approx(8e11 / found["limit_samples_per_second"])
    assert found["share_of_each"]["writes"] == pytest.approx(0.8)
    text = table.tables(result)
    assert f"| {name} | {counted['instructions_per_sample']:.1f} | {counted['registers']} | issue |" in text


def test_every_case_has_its_kernel():
    keys = bench_gpu.keys()
    assert len(set(keys.values())) == len(keys) == len(bench.GENERATORS) * len(bench_gpu.FILLS)
    assert keys["ars5 normal_icdf float64"] == (1, 3, 2, "run")


def test_without_a_gpu():
    try:
        gpu_peers.device()
    except SystemExit:
        pass
    else:
        pytest.skip("there is a GPU")
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "bench_gpu.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("There is no GPU to measure: an array on a GPU needs ")
    assert done.stderr.count("\n") == 1


def test_results_are_written_after_each_part(tmp_path):
    """And a part that fails does not stop the others."""
    path, seen = tmp_path / "result.json", []

    def see(found):
        seen.append(json.loads(path.read_text()) if path.exists() else None)
        if isinstance(found, Exception):
            raise found
        return found

    timings = bench.measure([bench.Case("a", lambda: None, 1, 4), bench.Case("b", lambda: None, 1, 4)], 1)
    result = {"device": {}}
    parts = [
        ("backends", partial(see, ZeroDivisionError("at first"))),
        ("calls_us", partial(see, {"pyinit, 8 elements": 1.0})),
        ("parts", partial(see, timings[:1])),
        ("parts", partial(see, timings[1:])),
        ("backends", partial(see, ValueError("again"))),
    ]
    bench_gpu.collect(parts, result, path)
    assert seen[0] is None
    assert seen[1]["failed"] == {"backends": "ZeroDivisionError: at first"}
    assert seen[2]["targets"][0]["reached"]
    assert [f["name"] for f in seen[3]["parts"]] == ["a"]
    written = json.loads(path.read_text())
    assert [f["name"] for f in written["parts"]] == ["a", "b"]
    assert written["failed"] == {"backends": "ZeroDivisionError: at first"}


@pytest.mark.gpu
def test_every_case_writes_its_samples(cupy):
    out = cupy.empty(SIZE, np.float32)
    cases = bench_gpu.pyinit_cases(out) + gpu_peers.write_cases(cupy, out) + gpu_peers.cupy_cases(cupy, out)
    cases += gpu_peers.curand_cases(cupy, out) + gpu_peers.torch_cases(cupy, out)
    for case in cases:
        out.view(np.uint8)[...] = 0xFF  # a NaN in every type
        case.run()
        dtype = case.name.split()[-1]
        bits = out.get().view(np.uint8)[: case.bytes]
        size = _core.DTYPES[dtype].bytes if dtype in _core.DTYPES else 4
        words = bits.view(f"u{min(size, 4)}")
        assert (words != np.iinfo(words.dtype).max).mean() > 0.98, case.name
        alike = case.name in ("memset", "CuPy fill") or " constant " in case.name
        # float8_e4m3fn has 57 numbers in [0, 1], and normals in float8_e5m2 are some 100 different ones.
        least = 100 if size > 1 else 50 if "uniform" in case.name else 90
        assert alike or len(np.unique(words)) > least, case.name
        assert case.bytes == case.samples * size
        assert case.time() > 0


@pytest.mark.gpu
def test_backends(cupy):
    out = cupy.zeros(SIZE, np.float32)
    for case in gpu_calls.backends(cupy, out)[:1]:
        case.run()
        assert out.any()
    assert all(case.time() > 0 for case in gpu_calls.backends(cupy, out))
    assert len(gpu_calls.small_calls(cupy)) >= 3
