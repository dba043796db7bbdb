"""Schemes and plans on a GPU; without one, the error."""

import pickle
import sys

import numpy as np
import pytest
from cuda_stand_in import OnDevice
from test_initializers_devices import SCHEMES, shape_for

import pyinit
from pyinit import Stream, initializers


def test_without_cupy_nothing_is_touched(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    host, there = np.full((3, 4), 7, np.float32), np.full((3, 4), 7, np.float32)
    for text in ("xavier_normal", "zeros"):
        with pytest.raises(ImportError, match="an array on a GPU needs CuPy"):
            pyinit.initialize({"host": host, "there": OnDevice(there)}, 0, {"*": text})
    assert (host == 7).all()
    assert (there == 7).all()


@pytest.mark.gpu
@pytest.mark.parametrize("text", SCHEMES)
def test_the_bits_of_a_gpu(cupy, text):
    scheme, shape = initializers.scheme(text), shape_for(text)
    for dtype in (np.float32, np.float64, np.float16):
        host = scheme(np.zeros(shape, dtype), Stream(3))
        gaps = cupy.zeros([2 * n for n in shape], dtype)[tuple(slice(None, None, -2) for _ in shape)]
        for there in (cupy.zeros(shape, dtype), cupy.zeros(shape, dtype, order="F"), gaps):
            assert scheme(there, Stream(3)).get().tobytes() == host.tobytes()


@pytest.mark.gpu
def test_constants_of_integers_on_a_gpu(cupy):
    for dtype in ("int64", "uint8", "bool"):
        for there in (cupy.zeros((3, 4), dtype), cupy.zeros((3, 8), dtype)[:, ::2]):
            assert (initializers.ones()(there, None).get() == np.ones((3, 4), dtype)).all()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_of_torch_on_a_gpu(cupy, dtype):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    nn = torch.nn
    here = nn.Sequential(nn.Linear(30, 700), nn.Tanh(), nn.Linear(700, 10)).to(getattr(torch, dtype))
    plan = {"*.bias": "zeros", "0.*": "orthogonal", "*": "kaiming_normal"}
    there = pickle.loads(pickle.dumps(here)).cuda()
    for net in (here, there):
        with torch.cuda.stream(torch.cuda.Stream()):
            pyinit.initialize(dict(net.named_parameters()), 3, plan)
        torch.cuda.synchronize()
    for a, b in zip(here.parameters(), there.parameters(), strict=True):
        assert torch.equal(a, b.cpu())
