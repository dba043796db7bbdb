"""The layers of a pyinit network or PyTorch model, with the values to measure."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyinit._core import text_of
from pyinit.diagnostics.moments import Moments, moments
from pyinit.network import Network
from pyinit.streams import Stream

__all__ = ["Layer", "flow_of", "layers_of", "numbers", "outputs_of"]

Array = NDArray[Any]


class Layer(NamedTuple):
    """A layer with its output, or with the gradient with respect to its output.

    Parameters
    ----------
    name : str
    activation : str
    values : array of shape (batch, ...)
    axis : int
        The axis of the units.
    batched : bool
        Whether the first axis is the batch. If not, rows cannot be compared.
    thinned : bool
        Whether dropout or max pooling follows directly. These alone set most of the gradient to 0.
    """

    name: str
    activation: str
    values: Array
    axis: int = 1
    batched: bool = True
    thinned: bool = False

    def moments(self) -> Moments:
        """Return the moments of the values; each unit at each image or sequence position is compared across rows."""
        values = self.values if self.values.ndim == 2 else self.values.reshape(len(self.values), -1)
        found = moments(values)
        return found if self.batched else found._replace(row_std=np.nan)


def numbers(layers: int) -> tuple[str, ...]:
    """Return names for layers without names: their numbers, from 1.

    Examples
    --------
    >>> numbers(3)
    ('1', '2', '3')
    """
    return tuple(str(i + 1) for i in range(layers))


def outputs_of(net: Any, x: Any, layers: Any) -> list[Layer]:
    """Return the output of every layer of a network."""
    if is_torch(net):
        from pyinit.adapters.torch.layers import outputs

        return [Layer(*layer) for layer in outputs(net, x, layers, least=2)]
    check_network(net, layers)
    found = layers_of(net, net.activations(x))
    if (rows := len(found[0].values)) < 2:
        raise ValueError(f"x must have at least 2 rows, to compare them; got {rows}")
    return found


def flow_of(net: Any, x: Any, gradient: Any, layers: Any) -> list[Layer]:
    """Return the gradient with respect to the output of every layer of a network."""
    if gradient is None:
        gradient = Stream(0).child("gradient")
    if is_torch(net):
        from pyinit.adapters.torch.layers import gradient_flow

        return [Layer(*layer) for layer in gradient_flow(net, x, gradient, layers)]
    check_network(net, layers)
    x = net.batch(x)
    if len(x) == 0:
        raise ValueError("x must have at least 1 row; got 0")
    if isinstance(gradient, Stream):
        gradient = gradient.normal((len(x), net.outputs), dtype=net.dtype)
    return layers_of(net, net.gradient_flow(x, gradient))


def layers_of(net: Any, values: list[Array]) -> list[Layer]:
    """Pair the layers of a pyinit network with arrays."""
    return [Layer(n, layer.activation.name, v) for n, layer, v in zip(numbers(len(values)), net.layers, values)]


def is_torch(net: Any) -> bool:
    """Whether a network is a torch.nn.Module; works without PyTorch installed."""
    kind = getattr(sys.modules.get("torch.nn"), "Module", None)
    return isinstance(kind, type) and isinstance(net, kind)


def check_network(net: Any, layers: Any) -> None:
    """Raise TypeError if `net` is not a pyinit network, or if `layers` is given, because its layers have no names."""
    if not isinstance(net, Network):
        raise TypeError(f"net must be a pyinit.network.Network or a torch.nn.Module; got {text_of(net)}")
    if layers is not None:
        raise TypeError(f"layers must be None, unless the network is a torch.nn.Module; got {text_of(layers)}")
