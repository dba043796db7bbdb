"""Networks in files."""

import json
import os
import pickle
import tracemalloc

import numpy as np
import pytest

from pyinit import Stream, initializers
from pyinit.network import Dense, Network, load, save

safetensors = pytest.importorskip("safetensors.numpy")


def network(dtype=np.float32):
    layers = [
        Dense(5, "gelu", "kaiming_normal"),
        Dense(4, "leaky_relu", "orthogonal", "normal(std=0.1)"),
        Dense(3, "softmax"),
    ]
    net = Network(2, layers, dtype=dtype)
    net.initialize(seed=7)
    return net


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_comes_back_to_the_bit(tmp_path, dtype):
    net, x = network(dtype), Stream(1).normal((6, 2), dtype)
    save(net, tmp_path / "net.safetensors")
    again = load(str(tmp_path / "net.safetensors"))
    assert repr(again) == repr(net)
    assert [layer.description for layer in again.layers] == [layer.description for layer in net.layers]
    for (name, array), (same, other) in zip(net.parameters(), again.parameters(), strict=True):
        assert name == same
        np.testing.assert_array_equal(array, other)
    np.testing.assert_array_equal(again(x), net(x))
    again.initialize(seed=8)
    net.initialize(seed=8)
    np.testing.assert_array_equal(again(x), net(x))


def test_weights_that_lie_transposed_in_memory_come_back(tmp_path):
    net = network()
    net.layers[0].weights = np.asfortranarray(net.layers[0].weights)
    save(net, tmp_path / "net.safetensors")
    again = load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.layers[0].weights, net.layers[0].weights)


def test_other_programs_find_the_names(tmp_path):
    net = network()
    save(net, tmp_path / "net.safetensors")
    tensors = safetensors.load_file(tmp_path / "net.safetensors")
    assert tensors.keys() == {f"layers.{i}.{kind}" for i in range(3) for kind in ("weights", "bias")}
    np.testing.assert_array_equal(tensors["layers.1.bias"], net.layers[1].bias)


@pytest.mark.parametrize(
    "make", [getattr(initializers, name) for name in ("zeros", "big", "xavier_normal", "orthogonal")]
)
def test_a_schemes_print_is_its_text(make):
    assert initializers.scheme(repr(make())) == make()


def test_a_function_of_ones_own_is_told_and_left_out(tmp_path):
    def mine(out, stream):
        out[...] = 0.25
        return out

    net = Network(2, [Dense(3), Dense(1, weights=mine)])
    net.initialize(0)
    with pytest.warns(UserWarning, match=r"layers\[1\].weights cannot be saved as text, .*mine") as warned:
        save(net, tmp_path / "net.safetensors")
    assert len(warned) == 1
    again = load(tmp_path / "net.safetensors")
    assert (again.layers[1].weights == 0.25).all()
    assert again.layers[1].description == Dense(1)


def test_a_scheme_that_prints_as_another_is_left_out(tmp_path):
    class Odd:
        def __call__(self, out, stream):
            out[...] = 1

        def __repr__(self):
            return "zeros()"

    with pytest.warns(UserWarning, match=r"layers\[0\].weights cannot be saved as text"):
        save(Network(2, [Dense(3, weights=Odd())]), tmp_path / "net.safetensors")
    assert load(tmp_path / "net.safetensors").layers[0].description == Dense(3)


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "net.safetensors"
    save(network(), file)
    before = file.read_bytes()

    def fail(*args):
        raise OSError("no room")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no room"):
            save(Network(2, [Dense(1)]), file)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.safetensors"]
    save(Network(2, [Dense(1)]), file)
    assert len(load(file).layers) == 1
    assert os.listdir(tmp_path) == ["net.safetensors"]


def written(path, change=lambda architecture, tensors: None, metadata=True):
    """Write a file like that of `network`, with a change."""
    net = network()
    save(net, path)
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    architecture = json.loads(header["__metadata__"]["pyinit.network"])
    tensors = dict(net.parameters())
    change(architecture, tensors)
    safetensors.save_file(tensors, path, metadata={"pyinit.network": json.dumps(architecture)} if metadata else None)
    return path


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("version 2 is not 1", lambda a, t: a.update(version=2)),
        ("cannot be read: KeyError.'inputs'", lambda a, t: a.pop("inputs")),
        ("activation must be one of .*; got 'swish'", lambda a, t: a["layers"][0].update(activation="swish")),
        ("no scheme is called '__import__'", lambda a, t: a["layers"][0].update(weights="__import__('os')")),
        ("unexpected keyword argument 'dropout'", lambda a, t: a["layers"][0].update(dropout=0.5)),
        ("cannot be read: AttributeError", lambda a, t: a.update(layers=["tanh"])),
        ("dtype must be float32 or float64; got int8", lambda a, t: a.update(dtype="int8")),
        ("other tensors than its architecture: layers.2.bias", lambda a, t: t.pop("layers.2.bias")),
        ("other tensors than its architecture: more", lambda a, t: t.update(more=np.ones(2))),
        (
            r"layers.0.weights must be float32 of shape \(5, 2\); got float32 of shape \(2, 5\)",
            lambda a, t: t.update({"layers.0.weights": np.ones((2, 5), np.float32)}),
        ),
        (
            r"layers.0.bias must be float32 of shape \(5,\); got float64",
            lambda a, t: t.update({"layers.0.bias": np.ones(5)}),
        ),
    ],
)
def test_a_file_that_does_not_fit_is_told(tmp_path, message, change):
    assert written(tmp_path / "same").stat().st_size > 0
    load(tmp_path / "same")
    with pytest.raises(ValueError, match=message):
        load(written(tmp_path / "changed", change))


def test_a_nest_of_brackets_and_a_strange_dtype_are_told(tmp_path):
    tensors, metadata = dict(network().parameters()), {"pyinit.network": "[" * 100_000}
    safetensors.save_file(tensors, tmp_path / "deep", metadata=metadata)
    with pytest.raises(ValueError, match="cannot be read: RecursionError"):
        load(tmp_path / "deep")
    content = safetensors.save({"a": np.zeros(4, np.int8)}).replace(b'"I8"', b'"F8_E4M3"')
    size = int.from_bytes(content[:8], "little") + len(b'"F8_E4M3"') - len(b'"I8"')
    (tmp_path / "float8").write_bytes(size.to_bytes(8, "little") + content[8:])
    with pytest.raises(ValueError, match="float8 holds "):
        load(tmp_path / "float8")


def test_what_is_no_network_is_told(tmp_path):
    with pytest.raises(ValueError, match="holds no pyinit network"):
        load(written(tmp_path / "tensors", metadata=False))
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="text is not a safetensors file"):
        load(tmp_path / "text")
    save(network(), tmp_path / "cut")
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut is not a safetensors file"):
        load(tmp_path / "cut")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        save(network(), tmp_path / "nowhere" / "net")


def test_a_pickled_network_is_not_a_file_of_ours(tmp_path):
    (tmp_path / "pickle").write_bytes(pickle.dumps(network()))
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load(tmp_path / "pickle")


def test_a_file_that_claims_a_large_network_takes_no_memory(tmp_path):
    path = written(tmp_path / "net.safetensors", lambda a, t: a.update(inputs=2**31))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"layers.0.weights must be float32 of shape \(5, 2147483648\)"):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20  # NumPy reports its allocations to tracemalloc
