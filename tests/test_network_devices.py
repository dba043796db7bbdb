"""Networks on a device: the same code as on the host, on stand-ins for CuPy's arrays."""

import copy
import sys

import device_array
import numpy as np
import pytest
from cuda_stand_in import OnDevice, host_kernels
from device_array import COUNTS, MADE, DeviceArray

from pyinit import Stream, diagnostics
from pyinit.network import SGD, Adam, Dense, Network, gradients, load, lsuv, save, train
from pyinit.network.activations import ACTIVATIONS
from pyinit.network.devices import NAMESPACES, on_host

__all__ = ["host_kernels"]

SETTINGS = {
    "whole": {"loss": "quadratic"},
    "momentum": {"loss": "quadratic", "batch_size": 2, "optimizer": SGD(0.1, 0.5)},
    "softmax": {"loss": "cross_entropy", "last": "softmax", "batch_size": 2, "optimizer": Adam(0.01)},
    "sigmoid": {"loss": "cross_entropy", "last": "sigmoid"},
}
X, LABELS = Stream(1).normal((5, 3)), np.array([0, 1, 2, 0, 1])


@pytest.fixture
def cuda(monkeypatch, host_kernels):
    """Arrays of the stand-in, filled by the kernels' own source."""
    monkeypatch.setitem(NAMESPACES, "cuda", lambda: device_array.NAMESPACE)
    COUNTS.clear()
    MADE.clear()


def of_both(make):
    """Return the result of `make` for a network on the host, and for one whose arrays must be on the device."""
    host, there = (make(device) for device in ("cpu", "cuda"))
    assert all(isinstance(array, np.ndarray) for array in host)
    assert not any(isinstance(array, np.ndarray) for array in there)
    return zip(host, map(on_host, there), strict=True)


def initialised(device, **settings):
    net = Network(3, [Dense(40, "tanh"), Dense(30, bias="big"), Dense(7, weights="orthogonal")], device=device)
    net.initialize(4, **settings)
    return [array for _, array in net.parameters()]


def trained(device, name, loss, last=None, dtype=np.float32, **settings):
    """Return all results of training and of forward and backward passes, except the history, which is on the host."""
    net = Network(3, [Dense(4, name), Dense(3, last or name)], dtype, device)
    net.initialize(7, weights="normal(std=0.5)")
    y = LABELS if loss == "cross_entropy" else np.eye(3)[LABELS]
    history = train(net, X, y, loss, epochs=3, validation=(X, y), **settings)
    numbers = [history.loss, history.accuracy, history.validation_loss, history.validation_accuracy]
    numbers = [n for n in numbers if n is not None]
    assert all(isinstance(n, np.ndarray) and n.dtype == dtype for n in numbers)
    value, by_layer = gradients(net, X, y, loss)
    numbers.append(float(value))
    arrays = [net(X), *net.activations(X), *net.gradient_flow(X, np.eye(3)[LABELS])]
    return numbers, [a for _, a in net.parameters()] + [g for pair in by_layer for g in pair] + arrays


@pytest.mark.parametrize("settings", [{}, {"weights": "sparse(0.3)"}, {"bias": "uniform"}], ids=str)
def test_the_weights_are_those_of_the_host(cuda, settings):
    for host, there in of_both(lambda device: initialised(device, **settings)):
        assert there.tobytes() == host.tobytes()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_training_asks_only_what_any_array_answers(cuda, name, settings):
    (host_numbers, host), (numbers, there) = (trained(device, name, **settings) for device in ("cpu", "cuda"))
    np.testing.assert_array_equal(np.hstack(numbers), np.hstack(host_numbers))
    for a, b in zip(host, there, strict=True):
        assert isinstance(b, DeviceArray)
        np.testing.assert_array_equal(b.host, a)


def test_lsuv_and_copies(cuda):
    nets = [Network(3, [Dense(20, "relu"), Dense(20)], device=device) for device in ("cpu", "cuda")]
    host, there = (lsuv(net, X, seed=2) for net in nets)
    assert isinstance(there, np.ndarray)
    np.testing.assert_array_equal(there, host)
    for net in (nets[1], copy.deepcopy(nets[1])):
        for (_, a), (_, b) in zip(nets[0].parameters(), net.parameters(), strict=True):
            np.testing.assert_array_equal(b.host, a)


@pytest.mark.parametrize(("saved", "loaded"), [("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")])
def test_files_do_not_know_devices(cuda, tmp_path, saved, loaded):
    pytest.importorskip("safetensors")
    net = Network(3, [Dense(4, "tanh"), Dense(2)], device=saved)
    net.initialize(1, bias="normal")
    save(net, tmp_path / "net")
    read = load(tmp_path / "net", device=loaded)
    assert read.device == loaded
    for (_, a), (_, b) in zip(net.parameters(), read.parameters(), strict=True):
        assert on_host(a).tobytes() == on_host(b).tobytes()
    with pytest.raises(ValueError, match="device must be 'cpu' or 'cuda'; got 'gpu'"):
        load(tmp_path / "net", "gpu")


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "softmax"])
@pytest.mark.parametrize("scheme", ["xavier", "small", "normal(std=1e20)"])
def test_diagnoses_are_those_of_the_host(cuda, activation, scheme):
    host, there = (diagnostics.diagnose(4, 30, scheme, activation, 50, device=device) for device in ("cpu", "cuda"))
    for a, b in ((host.activations, there.activations), (host.gradients, there.gradients)):
        for name, expected in vars(a).items():
            assert type(getattr(b, name)) is type(expected)
            np.testing.assert_array_equal(getattr(b, name), expected, err_msg=name)
    assert there.verdict == host.verdict
    assert there.table() == host.table()


@pytest.mark.parametrize(
    ("name", "optimizer"), [("tanh", SGD(0.1)), ("tanh", SGD(0.1, 0.9)), *((name, Adam()) for name in ACTIVATIONS)]
)
def test_batches_are_not_waited_for_and_make_no_large_arrays(cuda, name, optimizer, monkeypatch):
    net = Network(20, [Dense(30, name), Dense(10, "softmax")], device="cuda")
    net.initialize(0)
    x, y = Stream(1).normal((64, 20)), np.arange(64) % 10
    waits = {}
    for size in (64, 32, 16):
        COUNTS.clear()
        train(net, x, y, "cross_entropy", epochs=3, batch_size=size, optimizer=optimizer)
        waits[size] = COUNTS["waits"]
    # Two numbers per epoch, after the checks of targets and weights.
    assert waits[64] == waits[32] == waits[16] <= 3 * 2 + 10
    monkeypatch.setattr(device_array, "MADE", made := [])
    train(net, x, y, "cross_entropy", epochs=1, batch_size=16, optimizer=optimizer)
    once = made.copy()
    made.clear()
    train(net, x, y, "cross_entropy", epochs=2, batch_size=16, optimizer=optimizer)
    assert len(made) > len(once)
    for array in once:
        made.remove(array)
    # An order per epoch; per batch at most a number for each row: its answer, its largest, its sum.
    assert all(shape in ((), (16,), (16, 1), (64,)) for shape, _ in made)
    assert all(dtype != np.float64 for shape, dtype in once + made if shape)


def test_a_batch_of_all_is_not_copied(cuda, monkeypatch):
    net = Network(20, [Dense(30), Dense(10)], device="cuda")
    net.initialize(0)
    x, y = (device_array.NAMESPACE.asarray(Stream(i).normal((64, n))) for i, n in ((1, 20), (2, 10)))
    monkeypatch.setattr(device_array, "MADE", made := [])
    train(net, x, y, epochs=2)
    assert ((64, 20), np.float32) not in made


def test_values_come_to_the_device_and_not_back(cuda):
    host, there = (Network(3, [Dense(2, "softmax")], device=device) for device in ("cpu", "cuda"))
    for net in (host, there):
        net.initialize(0)
    x, y = device_array.NAMESPACE.asarray(X), device_array.NAMESPACE.asarray(LABELS % 2)
    for given in (X, X.astype(np.float64), X.tolist(), x):
        np.testing.assert_array_equal(there(given).host, host(X))
    assert not any(dtype == np.float64 for _, dtype in MADE)  # converted before they were copied
    history = train(there, x, y, "cross_entropy")
    np.testing.assert_array_equal(history.loss, train(host, X, LABELS % 2, "cross_entropy").loss)
    message = r"{} must be on the host, where the network is; got device_array.DeviceArray on a GPU: .* device=\"cuda\""
    for do, name in (
        (lambda: host(x), "x"),
        (lambda: train(host, X, y, "cross_entropy"), "y"),
        (lambda: train(host, x, LABELS % 2, "cross_entropy"), "x"),
        (lambda: host.gradient_flow(X, x[:, :2]), "gradient"),
        (lambda: lsuv(host, x, 0), "x"),
    ):
        with pytest.raises(TypeError, match=message.format(name)):
            do()
    with pytest.raises(TypeError, match=r"got cuda_stand_in\.OnDevice on a GPU"):
        host(OnDevice(X))


@pytest.mark.parametrize(
    ("y", "message"),
    [([0, 1, 2, 0, 7], r"class labels in \[0, 3\); got 0 to 7"), (np.full((5, 3), 0.5), "each row of y must sum to 1")],
)
def test_errors_of_targets_on_a_device(cuda, y, message):
    net = Network(3, [Dense(3, "softmax")], device="cuda")
    with pytest.raises(ValueError, match=message):
        train(net, X, y, "cross_entropy")
    with pytest.raises(ValueError, match=r"layers\[0\].weights must be numbers; got NaN"):
        net(X)


def test_the_stand_in_has_nothing_that_cupy_lacks():
    cupy = pytest.importorskip("cupy", reason="no CuPy to compare with")
    names = {name for name in dir(DeviceArray) if not name.startswith("_")}
    assert names <= {"host", *dir(cupy.ndarray)}
    assert all(hasattr(cupy, name) for name in vars(device_array.NAMESPACE))


def test_what_is_no_device():
    with pytest.raises(ValueError, match="device must be 'cpu' or 'cuda'; got 'gpu'"):
        Network(3, [Dense(3)], device="gpu")


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="needs CuPy: pip install cupy-cuda13x"):
        Network(3, [Dense(3)], device="cuda")
    assert Network(3, [Dense(3)]).device == "cpu"


def test_without_a_driver():
    cupy = pytest.importorskip("cupy", reason="no CuPy, whose driver could be missing")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        for make in (lambda: Network(3, [Dense(3)], device="cuda"), lambda: diagnostics.diagnose(1, 2, device="cuda")):
            with pytest.raises(RuntimeError, match="needs a CUDA driver and device; CUDA says: "):
                make()
    else:
        pytest.skip("there is a GPU")
