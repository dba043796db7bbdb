"""Networks in safetensors files: the parameters, with the architecture in the metadata."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import initializers
from pyinit.atomic import path_text, replacement
from pyinit.network.checks import count
from pyinit.network.devices import namespace, on_host
from pyinit.network.layers import Dense
from pyinit.network.network import Network

__all__ = ["load", "save"]

Array = NDArray[Any]

KEY = "pyinit.network"


def save(net: Network, path: str | os.PathLike[str]) -> None:
    """Write a network to a file, completely or not at all.

    The format is safetensors: "layers.0.weights", "layers.0.bias" and so on, with the architecture in the metadata.

    Parameters
    ----------
    net : Network
    path : path-like
        An existing file is replaced.

    Raises
    ------
    ImportError
        If safetensors is missing.
    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        If a scheme is your own function, which cannot be saved as text: the loaded layer has the default scheme.

    Examples
    --------
    >>> import tempfile
    >>> net = Network(2, [Dense(3, "tanh"), Dense(1)])
    >>> path = tempfile.mkdtemp() + "/net.safetensors"
    >>> net.initialize(seed=0)
    >>> save(net, path)
    >>> load(path)
    Network(2, [DenseLayer(2 -> 3, 'tanh'), DenseLayer(3 -> 1, 'identity')], dtype=float32, device='cpu')
    """
    safetensors, path = package(), path_text("path", path)
    layers = [
        {
            "units": layer.description.units,
            "activation": layer.description.activation,
            "weights": text(layer.description.weights, f"layers[{i}].weights"),
            "bias": text(layer.description.bias, f"layers[{i}].bias"),
        }
        for i, layer in enumerate(net.layers)
    ]
    architecture = {"version": 1, "inputs": net.inputs, "dtype": net.dtype.name, "layers": layers}
    # safetensors writes memory in its own order, even a transpose's.
    tensors = {name: np.ascontiguousarray(on_host(array)) for name, array in net.parameters()}
    content = safetensors.save(tensors, metadata={KEY: json.dumps(architecture)})
    with replacement(path) as file:
        file.write(content)


def text(scheme: Any, name: str) -> str | None:
    """Return a scheme as text for `initializers.scheme`, or warn that it has none."""
    try:
        if initializers.scheme(repr(scheme)) == scheme:
            return repr(scheme)
    except (TypeError, ValueError):
        pass
    warnings.warn(f"{name} cannot be saved as text, and will be the default scheme: {scheme!r}", stacklevel=3)
    return None


def load(path: str | os.PathLike[str], device: str = "cpu") -> Network:
    """Read a network that `save` wrote, from any device.

    Parameters
    ----------
    path : path-like
    device : {"cpu", "cuda"}
        The device of its arrays, as for `Network`.

    Returns
    -------
    Network
        With bit-identical parameters, and the same layers and schemes.

    Raises
    ------
    ImportError
        If safetensors is missing, or CuPy for a GPU.
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file, or the device is unknown.
    RuntimeError
        If the device is "cuda" and there is no driver or GPU.
    """
    xp, path = namespace(device), path_text("path", path)
    metadata, tensors = content(path)
    if KEY not in metadata:
        raise ValueError(f"{path} holds no pyinit network: its metadata lacks {KEY!r}")
    try:
        architecture = json.loads(metadata[KEY])
        if architecture["version"] != 1:
            raise ValueError(f"version {architecture['version']} is not 1")
        layers = [Dense(**{k: v for k, v in layer.items() if v is not None}) for layer in architecture["layers"]]
        inputs, dtype = count(architecture["inputs"], 1, "inputs"), np.dtype(architecture["dtype"])
        Network(1, [Dense(1) for _ in layers[:1]], dtype, device)  # raises if these are wrong
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has an architecture that cannot be read: {error!r}") from error
    shapes = shapes_of(inputs, layers)
    if shapes.keys() != tensors.keys():
        differing = ", ".join(sorted(shapes.keys() ^ tensors.keys()))
        raise ValueError(f"{path} has other tensors than its architecture: {differing}")
    for name, shape in shapes.items():
        tensor = tensors[name]
        if (tensor.shape, tensor.dtype) != (shape, dtype):
            raise ValueError(
                f"{path}: {name} must be {dtype} of shape {shape}; got {tensor.dtype} of shape {tensor.shape}"
            )
    net = Network(inputs, layers, dtype, device)  # only now: its size is known to match the file
    for name, array in net.parameters():
        array[...] = xp.asarray(tensors[name])
    return net


def shapes_of(inputs: int, layers: list[Dense]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter of a network, by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i, layer in enumerate(layers):
        shapes[f"layers.{i}.weights"], shapes[f"layers.{i}.bias"] = (layer.units, inputs), (layer.units,)
        inputs = layer.units
    return shapes


def content(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, Array]]:
    """Read a file's metadata and tensors."""
    package()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    except (AttributeError, TypeError) as error:  # a dtype that NumPy lacks
        raise ValueError(f"{path} holds tensors that NumPy cannot: {error}") from error


def package() -> Any:
    """Import safetensors, or say how to get it."""
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError("saving networks needs safetensors: pip install safetensors") from None
    return safetensors.numpy
