"""benchmarks/bench_gpu.py: its cases write what they say, where there is a GPU; its tables, where there is none."""

import subprocess
import sys

import bench_gpu
import gpu_peers
import gpu_targets
import kernel_limits
import numpy as np
import nvrtc
import pytest
import table
from conftest import ROOT

from pyinit import _core

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
    """Results as of a GPU on which nothing is short of its target but truncated normals."""
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
    }
    fills = [entry(name, 10**9, seconds / 1e3, 1e-3) for name, seconds in times.items()]
    weights = [entry(name, 55_010_000, seconds / 1e4, 1e-4) for name, seconds in times.items()]
    result = {
        "machine": {"processors": 2, "cpu": "a CPU", "compiler": "GCC", "versions": {"numpy": "2"}},
        "device": {"gpu": "a GPU", "multiprocessors": 132, "clock_hz": 0.99e9, "versions": {"cupy": "14"}},
        "fills": fills,
        "weights": weights,
        "backends": [entry('backend="host"', 2**28, 0.02, 0.02)],
        "article": {"initialization": {"median_ms": 0.25}, "training": {"median_ms": 400.0}},
        "article_asked_ms": bench_gpu.ARTICLE_MS,
        "calls_us": {"pyinit, 8 elements": 30.0},
        "kernels_share": {"missing": "there is no disassembler"},
    }
    return result | {"targets": gpu_targets.reached(result)}


def test_targets():
    targets = {t["what"]: t for t in made_up()["targets"]}
    assert [t["reached"] for t in targets.values()] == [True, True, True, True, False, True]
    assert targets["share of the write bandwidth, philox normal float32"]["measured"] == pytest.approx(0.8)
    assert targets["speed, philox normal float32 to cuRAND Philox normal float32"]["measured"] == pytest.approx(1.04)
    assert targets["0.15 ms to the time for 55,010,000 weights"]["measured"] == pytest.approx(1.2)


def test_tables():
    text = table.tables(made_up())
    assert "2 processors of a CPU; GCC; a GPU, 132 multiprocessors; numpy 2, cupy 14." in text
    assert "| speed, truncated to plain normals | 1.00 | 0.50 | no |" in text
    assert "| philox normal float32 | 3.20 | 0.80 | 800 | 0.12 |" in text
    assert "| training | 400 | 2,310 |" in text


def test_kernels_beside_their_limits():
    if nvrtc.library() is None or nvrtc.disassembler() is None:
        pytest.skip("no nvidia-cuda-nvrtc or nvidia-cuda-nvdisasm")
    result, name = made_up(), "philox normal float32"
    result["kernels_share"] = gpu_targets.shares(result, {name: bench_gpu.keys()[name]})
    counted = kernel_limits.limits(bench_gpu.keys()[name])
    found = result["kernels_share"][name]
    assert found["limited_by"] == "issue"  # which at half the clock allows less than the 10^12 of the pure write
    assert found["limit_samples_per_second"] == pytest.approx(counted["samples_per_second"]["issue"] / 2)
    assert found["share_of_limit"] == pytest.approx(8e11 / found["limit_samples_per_second"])
    assert found["share_of_each"]["writes"] == pytest.approx(0.8)
    text = table.tables(result)
    assert f"| {name} | {counted['instructions_per_sample']:.1f} | {counted['registers']} | issue |" in text


def test_every_case_has_its_kernel():
    keys = bench_gpu.keys()
    assert len(set(keys.values())) == len(keys) == 2 * len(bench_gpu.FILLS)
    assert keys["ars5 normal_icdf float64"] == (1, 3, 2)


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
        assert len(np.unique(words)) > 100 or case.name in ("memset", "CuPy fill"), case.name
        assert case.bytes == case.samples * size
        assert case.time() > 0


@pytest.mark.gpu
def test_backends(cupy):
    out = cupy.zeros(SIZE, np.float32)
    for case in bench_gpu.backends(cupy, out)[:1]:
        case.run()
        assert out.any()
    assert all(case.time() > 0 for case in bench_gpu.backends(cupy, out))
    assert len(bench_gpu.small_calls(cupy)) >= 3
