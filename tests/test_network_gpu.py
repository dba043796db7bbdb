"""Networks on a GPU: initial weights are bit-identical; other results differ by the order of sums and by functions."""

import re

import numpy as np
import pytest
from test_network_devices import SETTINGS, initialised, trained

from pyinit import Stream, diagnostics
from pyinit.network import Dense, Network, load, lsuv, save, train
from pyinit.network.activations import ACTIVATIONS
from pyinit.network.devices import on_host

NEAR = {np.float32: {"rtol": 1e-4, "atol": 1e-5}, np.float64: {"rtol": 1e-9, "atol": 1e-11}}


pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("settings", [{}, {"weights": "sparse(0.3)"}, {"bias": "uniform"}], ids=str)
def test_the_weights_are_those_of_the_host(cupy, settings):
    for host, there in zip(initialised("cpu", **settings), initialised("cuda", **settings), strict=True):
        assert isinstance(there, cupy.ndarray)
        assert there.get().tobytes() == host.tobytes()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_training(cupy, name, settings):
    # In float64: Adam makes a whole step from the rounding error of a gradient of 0.
    pairs = (trained(device, name, dtype=np.float64, **settings) for device in ("cpu", "cuda"))
    (host_numbers, host), (numbers, there) = pairs
    np.testing.assert_allclose(np.hstack(numbers), np.hstack(host_numbers), **NEAR[np.float64])
    for a, b in zip(host, there, strict=True):
        assert isinstance(b, cupy.ndarray)
        np.testing.assert_allclose(b.get(), a, **NEAR[np.float64])


def test_a_network_of_layers_as_wide_as_the_articles(cupy):
    nets = [Network(1000, [Dense(500, "tanh"), Dense(10, "sigmoid")], device=device) for device in ("cpu", "cuda")]
    x, y = Stream(1).normal((200, 1000)), Stream(2).uniform((200, 10))
    losses = []
    for net in nets:
        net.initialize(3)
        losses.append(train(net, x, y, epochs=10, learning_rate=0.1).loss)
    np.testing.assert_allclose(*losses, **NEAR[np.float32])
    np.testing.assert_allclose(nets[1](x).get(), nets[0](x), **NEAR[np.float32])
    np.testing.assert_array_equal(nets[1](cupy.asarray(x)).get(), nets[1](x).get())
    with pytest.raises(TypeError, match=r"x must be on the host, where the network is; got cupy\.ndarray on a GPU"):
        nets[0](cupy.asarray(x))


def split(verdict):
    """Return the words of a verdict, and its figures."""
    number = r"\d+(?:\.\d+)?"
    return re.sub(number, "#", verdict), list(map(float, re.findall(number, verdict)))


def test_files_lsuv_and_diagnoses(cupy, tmp_path):
    pytest.importorskip("safetensors")
    host, there = (Network(30, [Dense(20, "relu"), Dense(20)], device=device) for device in ("cpu", "cuda"))
    x = Stream(1).normal((100, 30))
    np.testing.assert_allclose(lsuv(there, x, 0), lsuv(host, x, 0), **NEAR[np.float32])
    save(there, tmp_path / "net")
    for device in ("cpu", "cuda"):
        for (_, a), (_, b) in zip(there.parameters(), load(tmp_path / "net", device).parameters(), strict=True):
            assert on_host(b).tobytes() == a.get().tobytes()
    for activation in ("tanh", "sigmoid", "relu", "softmax"):
        for scheme in ("xavier", "small", "normal(std=1e20)"):
            found = [diagnostics.diagnose(4, 30, scheme, activation, 50, device=device) for device in ("cpu", "cuda")]
            (words, figures), (expected, near) = (split(d.verdict) for d in reversed(found))
            assert words == expected
            np.testing.assert_allclose(figures, near, rtol=0.02)  # sums in another order, from differences that cancel
            np.testing.assert_allclose(found[1].activations.std, found[0].activations.std, rtol=1e-3)
            assert (found[1].activations.counts.sum(1) == found[0].activations.counts.sum(1)).all()
