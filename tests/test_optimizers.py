"""The optimisers equal PyTorch's, step by step."""

import math
import tracemalloc

import numpy as np
import pytest

from pyinit import Stream
from pyinit.network import SGD, Adam, Dense, Network, train


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(0.1), lambda torch, p: torch.optim.SGD(p, lr=0.1)),
        (SGD(0.1, momentum=0.9), lambda torch, p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (Adam(), lambda torch, p: torch.optim.Adam(p)),
        (Adam(0.02, 0.8, 0.95, 1e-4), lambda torch, p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-4)),
    ],
    ids=["SGD", "SGD with momentum", "Adam", "Adam of other numbers"],
)
def test_training_takes_torchs_steps(ours, theirs):
    torch = pytest.importorskip("torch")
    x, labels = Stream(1).normal((20, 3), np.float64), np.arange(20) % 4
    net = Network(3, [Dense(6, "gelu"), Dense(4, "softmax")], dtype=np.float64)
    net.initialize(seed=0)
    twin = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.GELU(approximate="tanh"), torch.nn.Linear(6, 4)).double()
    with torch.no_grad():
        for layer, copy in zip(net.layers, (twin[0], twin[2]), strict=True):
            copy.weight.copy_(torch.tensor(layer.weights))
            copy.bias.copy_(torch.tensor(layer.bias))
    optimizer, losses = theirs(torch, twin.parameters()), []
    for _ in range(20):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(twin(torch.tensor(x)), torch.tensor(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    start = net.layers[0].weights.copy()
    found = train(net, x, labels, "cross_entropy", epochs=20, optimizer=ours).loss
    np.testing.assert_allclose(found, losses, rtol=1e-12)
    assert np.abs(net.layers[0].weights - start).max() > 1e-3
    for layer, copy in zip(net.layers, (twin[0], twin[2]), strict=True):
        np.testing.assert_allclose(layer.weights, copy.weight.detach().numpy(), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(layer.bias, copy.bias.detach().numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("optimizer", [SGD(np.float64(0.1), momentum=np.float64(0.9)), Adam(np.float64(0.1))], ids=repr)
def test_a_number_of_numpys_is_a_number(optimizer):
    """In float32, a float64 scalar of NumPy's would compute in float64."""
    plain = type(optimizer)(0.1, 0.9) if isinstance(optimizer, SGD) else Adam(0.1)
    assert optimizer == plain
    parameters = [np.ones(1000, np.float32) for _ in range(2)]
    for parameter, one in zip(parameters, (optimizer, plain), strict=True):
        state = one.state(parameter)
        for number in range(1, 6):
            one.step(parameter, Stream(number).normal(1000), state, number)
    np.testing.assert_array_equal(*parameters)


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, momentum=0.9), Adam()], ids=repr)
def test_a_step_makes_no_array(optimizer):
    parameter, gradient = np.ones(100_000, np.float32), np.ones(100_000, np.float32)
    state = optimizer.state(parameter)
    tracemalloc.start()
    try:
        optimizer.step(parameter, gradient, state, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (parameter < 1).all()
    assert peak < parameter.nbytes / 4


@pytest.mark.parametrize(
    ("message", "make"),
    [
        ("learning_rate must be finite and at least 0; got nan", lambda: SGD(math.nan)),
        ("learning_rate must be finite and at least 0; got -1", lambda: Adam(-1)),
        ("momentum must be at least 0 and below 1; got 1.0", lambda: SGD(0.1, momentum=1.0)),
        ("beta1 must be at least 0 and below 1; got -0.1", lambda: Adam(beta1=-0.1)),
        ("beta2 must be at least 0 and below 1; got nan", lambda: Adam(beta2=math.nan)),
        ("epsilon must be finite and above 0; got 0", lambda: Adam(epsilon=0)),
    ],
)
def test_errors_say_what_was_expected_and_what_came(message, make):
    with pytest.raises(ValueError, match=message):
        make()
