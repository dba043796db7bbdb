"""benchmarks/quality/gpu.py: counts are exact; 10^9 samples pass on an OpenCL device, and flawed ones fail."""

import json
import math
from dataclasses import replace

import numpy as np
import nvrtc
import pytest
import quality.cells
import quality.devices
import quality.gpu
from opencl_device import queue
from quality.cells import CELLS, LAWS, WORDS, cells_for

from pyinit import Stream, _core, distributions

__all__ = ["queue"]

FLOATS = [name for name in LAWS if name != "bits"]
ONE_WORD = ["normal_icdf", "truncated_normal", "truncated_normal from 1 on"]


@pytest.fixture(scope="module")
def device(queue):
    return quality.devices.OpenCL(queue)


@pytest.fixture(scope="module", params=[True, False], ids=["local counters", "global counters"])
def counter(request, queue):
    """A device that counts in local or in global memory."""
    device = quality.devices.OpenCL(queue)
    if request.param and not device.count_locally:
        pytest.skip(f"{device.name} has too little local memory")
    device.count_locally = request.param
    return device


# The counts.


def adversarial(edges):
    """Return samples with likely wrong counts, and random bits."""
    ends = [0.0, -0.0, math.inf, -math.inf, math.nan, -math.nan, 1e-45, -1e-45, 1.0, 3.4e38, -3.4e38]
    bits = np.random.default_rng(2).integers(0, 2**32, 300_000, np.uint32).view(np.float32)
    around = [np.nextafter(edges, np.float32(limit)) for limit in (-np.inf, np.inf)]
    return np.concatenate([edges, *around, np.float32(ends), bits])


def counted(device, name, samples, size=None):
    """Return the counts of samples, on the device and by NumPy."""
    distribution, law = LAWS[name]
    cells, size = cells_for(law), size or len(samples)
    counts, buckets = device.send(np.zeros(CELLS, np.uint32)), device.send(cells.buckets)
    device.count(distribution, device.send(samples), size, buckets, counts)
    edges, of_numpy = cells.edges, samples[:size]
    if name == "bits":
        edges, of_numpy = cells.first, of_numpy << 16 | of_numpy >> 16
    return counts.get(), np.bincount(np.searchsorted(edges, of_numpy, side="right"), minlength=CELLS)


@pytest.mark.parametrize("name", FLOATS)
def test_counts_are_those_of_searchsorted(counter, name):
    samples = adversarial(cells_for(LAWS[name][1]).edges)
    got, expected = counted(counter, name, samples)
    assert np.array_equal(got, expected)
    drawn = Stream(3).fill(np.empty(1_000_003, np.float32), LAWS[name][0])
    got, expected = counted(counter, name, drawn, size=999_999)
    assert np.array_equal(got, expected)


def test_counts_of_words(counter):
    got, expected = counted(counter, "bits", Stream(3).bits(1_000_003))
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_no_counter_overflows(counter, distinct):
    """Hundreds of thousands of samples in one cell, or in two that share a word."""
    samples = np.tile(np.arange(distinct, dtype=np.uint32), 700_000)
    got, expected = counted(counter, "bits", samples)
    assert np.array_equal(got, expected)
    assert got.max() == 700_000


@pytest.mark.parametrize("name", ["bits", "uniform"])
@pytest.mark.parametrize("bits", [1, 5])
def test_dropped_bits(device, name, bits):
    distribution, kind = LAWS[name][0], np.uint32 if name == "bits" else np.float32
    samples = Stream(5).fill(np.empty(100_003, kind), distribution)
    there = device.send(samples)
    device.drop_bits(distribution, there, 100_000, bits)
    scale = 1 if name == "bits" else 2.0**24
    expected = (samples * scale).astype(np.uint32) >> bits << bits
    expected[100_000:] = (samples * scale).astype(np.uint32)[100_000:]
    assert np.array_equal(there.get() * scale, expected)


@pytest.mark.parametrize("name", LAWS)
def test_buffers_follow_each_other_in_the_stream(device, name):
    case = quality.gpu.control_of(sampler(name), 10**9)
    case = replace(case, cleared=0)
    whole, parts = Stream(9, position=6), Stream(9, position=6)
    counts = quality.gpu.count(device, case, whole, 300_001, 300_001)
    told = []
    assert np.array_equal(quality.gpu.count(device, case, parts, 300_001, 65_536, "host", told.append), counts)
    assert whole == parts
    assert told == 5 * [case.name]
    drawn = Stream(9, position=6).fill(np.empty(300_001, "u4" if name == "bits" else "f4"), case.distribution)
    keys = quality.cells.keys_of(drawn)
    assert np.array_equal(counts, np.bincount(np.searchsorted(case.cells.first, keys, side="right"), minlength=CELLS))


def sampler(name):
    """Return the case of a sampler without its own law."""
    distribution, law = LAWS[name]
    cells = cells_for(law)
    ideal = cells.probabilities(law)
    return quality.gpu.Case(name, name, distribution, cells, ideal, ideal, 0.0)


# The whole.


def assert_good(results, samples):
    """Check that samplers pass and controls fail as expected; a control may fail by more, as it changes last digits."""
    for r in results:
        assert r.good, r
        assert r.samples == samples
        if r.control:
            assert r.z_expected > 12
            assert r.z > 0.9 * r.z_expected - 5, r
        else:
            assert abs(r.z) < 4
            assert abs(r.z_ideal - r.z_ideal_expected) < 5


def test_ten_to_the_nine_samples(device):
    """All samplers and controls together, made by the host, which is faster than an OpenCL device of processors."""
    samples = 5 * 2**24
    results = quality.gpu.measure(device, list(LAWS), samples, backend="host")
    assert len(results) == 2 * len(LAWS)
    assert len(results) * samples > 10**9
    assert_good(results, samples)


@pytest.mark.slow
def test_ten_to_the_nine_samples_of_each(device, generator):
    results = quality.gpu.measure(device, list(LAWS), 10**9, generator=generator, backend="host")
    assert_good(results, 10**9)
    ideal = {r.name: r.z_ideal for r in results}
    assert ideal["truncated_normal from 1 on"] > 10  # because of the root's 24 bits, as benchmarks/README.md says


def test_the_device_makes_the_same_counts(device):
    by_device = quality.gpu.measure(device, ["normal"], 2**22, elements=2**21)
    by_host = quality.gpu.measure(device, ["normal"], 2**22, elements=2**21, backend="host")
    assert [r.chi2 for r in by_device] == [r.chi2 for r in by_host]
    assert_good(by_device, 2**22)


def run(monkeypatch, tmp_path, *arguments):
    file = tmp_path / "quality.json"
    monkeypatch.setattr("sys.argv", ["quality/gpu.py", "--device", "opencl", "--output", str(file), *arguments])
    return quality.gpu.main(), json.loads(file.read_text())


SMALL = ("--samples", "4194304", "--samplers", "uniform", "normal_icdf")


def test_the_command(device, monkeypatch, tmp_path, capsys):
    code, document = run(monkeypatch, tmp_path, *SMALL, "--backend", "host")
    assert code == 0
    assert document["samples"] == 2**22
    assert [r["control"] for r in document["results"]] == [False, True] * 2
    text = capsys.readouterr().out
    assert "normal_icdf with std 1.0" in text
    assert text.count("passes") == 3  # one of them in the paragraph
    assert text.count("found") == 2


def test_a_wrong_sampler_fails(device, monkeypatch, tmp_path, capsys):
    wrong = distributions.normal(std=1.05)
    monkeypatch.setitem(LAWS, "normal", (wrong, LAWS["normal"][1]))
    code, document = run(monkeypatch, tmp_path, "--samples", "4.2e6", "--samplers", "normal", "--backend", "host")
    assert code == 1
    assert not document["results"][0]["good"]
    assert "FAILS" in capsys.readouterr().out


def test_a_control_that_passes_fails(device, monkeypatch, tmp_path, capsys):
    flawless = {"excess": 1e-9, "cleared": 0}
    given = quality.gpu.control_of
    monkeypatch.setattr(quality.gpu, "control_of", lambda *arguments: replace(given(*arguments), **flawless))
    code, _ = run(monkeypatch, tmp_path, "--samples", "4.2e6", "--samplers", "uniform", "--backend", "host")
    assert code == 1
    assert "MISSED" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "message"), [("much", "must be a number"), ("1e6", "must be at least 4194304")])
def test_samples_that_are_no_number_or_too_few(monkeypatch, tmp_path, capsys, text, message):
    with pytest.raises(SystemExit) as error:
        run(monkeypatch, tmp_path, "--samples", text)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def assert_own_law_of_all_words(device, name, at_once):
    """Check that each cell has the right number of words, after making and counting all of them."""
    distribution, law = LAWS[name]
    cells = cells_for(law)
    own = quality.cells.probabilities_of_words(cells, lambda words: device.samples(distribution, words))
    counts, buckets = device.send(np.zeros(CELLS, np.uint32)), device.send(cells.buckets)
    for first in range(0, WORDS, at_once):
        samples = device.send(device.samples(distribution, np.arange(first, first + at_once, dtype=np.uint32)))
        device.count(distribution, samples, at_once, buckets, counts)
    assert np.array_equal(counts.get(), own * WORDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_WORD)
def test_the_own_law_counts_all_words(device, name):
    assert_own_law_of_all_words(device, name, 2**24)


# CUDA.


@pytest.mark.skipif(nvrtc.library() is None, reason="no nvidia-cuda-nvrtc")
@pytest.mark.parametrize("method", range(len(_core.METHODS)), ids=_core.METHODS)
def test_cuda_compiles_the_kernels(method):
    for count_locally in (True, False):
        text = quality.devices.source(method, quality.devices.Cuda.group_threads, count_locally)
        ptx = nvrtc.compiled(text).ptx
        assert ptx.count(".entry") == 3
        assert ("atom.shared" in ptx) == count_locally


@pytest.mark.gpu
@pytest.mark.parametrize("count_locally", [True, False])
def test_counts_on_a_gpu(cupy, count_locally):
    device = quality.devices.Cuda()
    device.count_locally = device.count_locally and count_locally
    for name in FLOATS:
        got, expected = counted(device, name, adversarial(cells_for(LAWS[name][1]).edges))
        assert np.array_equal(got, expected), name
    got, expected = counted(device, "bits", np.tile(np.arange(2, dtype=np.uint32), 700_000))
    assert np.array_equal(got, expected)


@pytest.mark.gpu
def test_samplers_on_a_gpu(cupy, generator):
    samples = 2**30
    results = quality.gpu.measure(quality.devices.Cuda(), list(LAWS), samples, generator=generator, elements=2**28)
    assert_good(results, samples)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ONE_WORD)
def test_the_own_law_on_a_gpu(cupy, name):
    assert_own_law_of_all_words(quality.devices.Cuda(), name, 2**28)
