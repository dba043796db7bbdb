"""Whole models on a GPU, the first fill of a process, JAX's normals: benchmarks/gpu_*.py, mostly on the host."""

from functools import partial

import bench_gpu
import gpu_calls
import gpu_models
import gpu_peers
import gpu_targets
import numpy as np
import pytest

from pyinit.arrays import dtype_of
from pyinit.bench import GENERATORS
from pyinit.initializers import normal

SIZE = 20_000
MODEL = {"a model": ({"a": (30, 40), "b": (7,), "c.bias": (11,)}, {"*.bias": "zeros", "*": normal(std=0.02)})}


@pytest.mark.parametrize("with_torch", [True, False])
def test_every_way_fills_the_whole_model(with_torch):
    """On the host: in place, and with a wait for the device."""
    memory, waits = np.zeros(gpu_models.elements(MODEL), np.float32), []
    tensor = pytest.importorskip("torch").from_numpy(memory) if with_torch else None

    def typed(array, dtype):
        return array.view(dtype_of(dtype))

    cases = gpu_models.cases(memory, tensor, partial(waits.append, 1), MODEL, typed)
    assert len(cases) == (10 if with_torch else 4)
    for case in cases:
        memory.view(np.uint8)[...] = 0xFF
        case.run()
        half = "bfloat16" in case.name
        bits = memory.view(np.uint16 if half else np.uint32)[: case.samples]
        assert (case.samples, case.bytes) == (1218, 1218 * (2 if half else 4))
        assert len(np.unique(bits)) > 500, case.name
        assert (bits != np.iinfo(bits.dtype).max).all(), case.name
        assert (bits[-11:] == 0).all() == (gpu_models.INITIALIZE in case.name)
    assert len(waits) == len(cases)


def test_models_are_those_of_the_targets():
    assert {name: len(shapes) for name, (shapes, _) in gpu_models.MODELS.items()} == {
        "GPT-2 XL": 580,
        "20,000 of 10,000": 20_000,
    }
    assert set(gpu_targets.MODELS_TO_LOOP) == set(gpu_models.MODELS)
    assert gpu_models.elements() == 1_557_611_200


def test_an_array_by_the_name_of_its_type():
    array = np.zeros(3, np.uint16)
    assert gpu_models.typed(array, "uint16") is array
    array = bench_gpu.Typed.__new__(bench_gpu.Typed)
    array.dtype, array.__cuda_array_interface__ = np.dtype(np.uint16), {"shape": (3,)}
    named = gpu_models.typed(array, "bfloat16")
    assert (named.dtype, named.__cuda_array_interface__) == ("bfloat16", {"shape": (3,)})


def test_first_fills():
    """In two processes that share a cache, which is empty at first."""
    child = """
import os, pathlib, sys, pyinit
folder = pathlib.Path(os.environ["PYINIT_CACHE_DIR"])
for generator in sys.argv[1:]:
    print(len(list(folder.iterdir())))
    (folder / generator).touch()
"""
    first = {f"{generator}, first process": i for i, generator in enumerate(GENERATORS)}
    second = {f"{generator}, second process": len(GENERATORS) for generator in GENERATORS}
    assert gpu_calls.first_fills(child) == first | second
    with pytest.raises(RuntimeError, match="the first process failed: ValueError: 5"):
        gpu_calls.first_fills("raise ValueError(5)")
    compile(gpu_calls.CHILD, "child", "exec")


def test_the_time_of_a_call():
    calls = []
    assert 0 < gpu_calls.lap(partial(calls.append, 1), laps=20) < 1e6
    assert len(calls) == 20


@pytest.mark.filterwarnings("default")  # of JAX's own
def test_cases_of_jax():
    """On the host, where `gpu_peers.jax` finds no GPU."""
    jax = pytest.importorskip("jax")
    assert gpu_peers.jax_cases(None, SIZE) == []
    cases = gpu_peers.jax_cases(jax, SIZE)
    assert cases[0].name == "JAX threefry normal float32"
    for case in cases:
        made = np.asarray(case.run()).astype(np.float64)
        assert (made.size, case.bytes) == (case.samples, SIZE * (2 if "bfloat16" in case.name else 4))
        assert abs(made.mean()) < 6 / SIZE**0.5
        assert abs(made.std() - 1) < 0.05
    if not any(device.platform == "gpu" for device in jax.devices()):
        assert gpu_peers.jax() is None


@pytest.mark.gpu
def test_models(cupy):
    memory, torch = cupy.zeros(gpu_models.elements(MODEL), np.float32), gpu_peers.pytorch()
    tensor = torch.as_tensor(memory, device="cuda") if torch else None
    for case in gpu_models.cases(memory, tensor, cupy.cuda.Device().synchronize, MODEL):
        memory.view(np.uint8)[...] = 0xFF
        case.run()
        assert len(np.unique(memory.get().view(np.uint8)[: case.bytes].view(f"u{case.bytes // case.samples}"))) > 500


@pytest.mark.gpu
def test_the_first_fill_of_a_process(cupy):
    assert all(ms > 0 for ms in gpu_calls.first_fills().values())
