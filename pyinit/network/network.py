"""Network: a chain of dense layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit._core import text_of
from pyinit.models import Parameter, fill
from pyinit.network.buffers import Buffers
from pyinit.network.checks import Scheme, count, rows, scheme
from pyinit.network.devices import namespace
from pyinit.network.layers import NEW, Dense
from pyinit.streams import Stream

__all__ = ["Network"]

Array = NDArray[Any]


class Network:
    """A chain of dense layers, for inference and training.

    The weights of a new network are NaN, and its biases are 0. Before it can run, fill it with `initialize`, or set
    every weight by ``layers[i].weights[...] = w``.

    Parameters
    ----------
    inputs : int, at least 1
        The length of one row of input.
    layers : iterable of Dense
        From the input to the output, at least one.
    dtype : {float32, float64}
        The dtype of the parameters and of all computation; inputs are converted to it.
    device : {"cpu", "cuda"}
        Where the network computes: on the host with NumPy arrays, or on the current GPU with CuPy arrays. The same
        seed gives the same initial weights on both; sums and functions may differ in the last digits.

    Attributes
    ----------
    layers : list of DenseLayer
        Each with `weights` of shape (out, in) and `bias` of shape (out,).

    Raises
    ------
    TypeError
        If `inputs` is not an integer, or a layer is not a `Dense`.
    ValueError
        If `inputs` is below 1, there are no layers, or the dtype or the device is unknown.
    ImportError, RuntimeError
        If the device is "cuda" and CuPy, the driver or a GPU is missing.

    Notes
    -----
    On a GPU, inputs may be on the host or on the GPU, and outputs are on the GPU. The host waits only to check whether
    an output is NaN, and for a training's losses at the end of each epoch. Products of float32 are computed in float32;
    CuPy rounds their factors to TF32 only if CUPY_TF32=1 is in the environment.

    Source
    ------
    `inference-network` in Djuric, "Deep Learning from Scratch to GPU, 11, A Simple Neural Network Inference
    API", 2019. The article's matrices hold an example in each column, pyinit's in each row. The article's layers
    subtract the bias, pyinit's add it.

    Examples
    --------
    >>> net = Network(2, [Dense(1, "identity")])
    >>> net.layers[0].weights[...] = [[2.0, 3.0]]
    >>> net.layers[0].bias[...] = 0.5
    >>> net([[1.0, 1.0], [0.0, 2.0]])
    array([[5.5],
           [6.5]], dtype=float32)
    """

    def __init__(self, inputs: int, layers: Iterable[Dense], dtype: Any = np.float32, device: str = "cpu") -> None:
        self.inputs = count(inputs, 1, "inputs")
        layers, self.dtype = list(layers), np.dtype(dtype)
        if not layers:
            raise ValueError("layers must hold at least one Dense; got none")
        for layer in layers:
            if not isinstance(layer, Dense):
                raise TypeError(f"layers must be Dense; got {text_of(layer)}")
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64; got {self.dtype}")
        xp = namespace(device)
        self.device = device
        self.layers = []
        fan_in = self.inputs
        for layer in layers:
            self.layers.append(layer.connect(fan_in, self.dtype, xp))
            fan_in = layer.units
        self.outputs = fan_in

    @property
    def xp(self) -> Any:
        """The namespace of the arrays, NumPy or CuPy; its ``asarray`` copies an array to the network's device."""
        return namespace(self.device)

    def __repr__(self) -> str:
        return f"Network({self.inputs}, {self.layers}, dtype={self.dtype}, device={self.device!r})"

    def parameters(self) -> Iterator[tuple[str, Array]]:
        """Yield every parameter with its name: "layers.0.weights", "layers.0.bias", "layers.1.weights" and so on."""
        for i, layer in enumerate(self.layers):
            yield f"layers.{i}.weights", layer.weights
            yield f"layers.{i}.bias", layer.bias

    def initialize(
        self,
        seed: int | Stream | None,
        weights: Scheme | str | None = None,
        bias: Scheme | str | None = None,
    ) -> None:
        """Fill every parameter from its own stream.

        The streams are the children "layers.0.weights", "layers.0.bias", "layers.1.weights" and so on. So a
        parameter's values depend on the seed and its place, and not on earlier fills.

        Parameters
        ----------
        seed : int, Stream or None
            The root stream, or its seed. Without a seed the operating system picks one.
        weights, bias : scheme or str, optional
            Schemes for all weights and for all biases, instead of the layers' own.

        Raises
        ------
        TypeError, ValueError
            If the seed is invalid, a scheme does not suit an array, or two arrays share memory; no array has been
            touched.

        Examples
        --------
        >>> from pyinit.initializers import constant
        >>> net = Network(2, [Dense(1)])
        >>> net.initialize(seed=0, weights=constant(0.25))
        >>> net.layers[0].weights
        array([[0.25, 0.25]], dtype=float32)
        """
        given = {what: s if s is None else scheme(s, what) for what, s in (("weights", weights), ("bias", bias))}
        parameters = []
        for i, layer in enumerate(self.layers):
            for what, chosen in given.items():
                own = getattr(layer.description, what)
                parameters.append(
                    Parameter(f"layers.{i}.{what}", getattr(layer, what), own if chosen is None else chosen)
                )
        fill(parameters, seed)

    def __call__(self, x: Any) -> Array:
        """Compute the network's output for a batch: the last of its `activations`."""
        return self.activations(x)[-1]

    def activations(self, x: Any) -> list[Array]:
        """Compute the output of every layer for a batch.

        Parameters
        ----------
        x : array_like of shape (batch, inputs)
            Real numbers.

        Returns
        -------
        list of array
            From the first layer to the last, each of shape (batch, units).

        Raises
        ------
        TypeError
            If `x` does not hold real numbers.
        ValueError
            If `x` has the wrong shape, or a weight is NaN, as all are before they are set.

        Examples
        --------
        >>> net = Network(1, [Dense(1, "relu"), Dense(1, "identity")])
        >>> for layer in net.layers:
        ...     layer.weights[...] = -2.0
        >>> net.activations([[-1.0]])
        [array([[2.]], dtype=float32), array([[-4.]], dtype=float32)]
        """
        outputs = [a for _, a in self.forward(self.batch(x))]
        # A NaN weight makes every later layer NaN: checking the output saves a pass over all weights.
        if np.isnan(outputs[-1]).any():
            self.require_weights()
        return outputs

    def forward(self, x: Array, buffers: Sequence[Buffers] | None = None) -> list[tuple[Array, Array]]:
        """Compute every layer for a batch, without checking `x` and the weights.

        Parameters
        ----------
        x : array of shape (batch, inputs)
        buffers : sequence of Buffers, optional
            The memory for each layer's results; new arrays if None.

        Returns
        -------
        list of (z, a)
            The pre-activations and the outputs of each layer, of shape (batch, units).
        """
        passes = []
        for layer, to in zip(self.layers, buffers or repeat(NEW)):
            z, x = layer.forward(x, to)
            passes.append((z, x))
        return passes

    def gradient_flow(self, x: Any, gradient: Any) -> list[Array]:
        """Carry a gradient from the network's output back to the output of every layer.

        Parameters
        ----------
        x : array_like of shape (batch, inputs)
        gradient : array_like of shape (batch, outputs)
            The gradient with respect to the network's output.

        Returns
        -------
        list of array
            The gradients with respect to each layer's output, from the first to the last, each of shape (batch, units).

        Raises
        ------
        TypeError
            If `x` or `gradient` does not hold real numbers.
        ValueError
            If `x` or `gradient` has the wrong shape, or a weight is NaN.
        """
        self.require_weights()
        x, flow = self.batch(x), [rows(gradient, self.outputs, "gradient", self.dtype, self.xp)]
        if len(x) != len(flow[0]):
            raise ValueError(f"x and gradient must have the same number of rows; got {len(x)} and {len(flow[0])}")
        passes = self.forward(x)
        for layer, (z, a) in zip(reversed(self.layers[1:]), reversed(passes)):
            flow.insert(0, layer.input_gradient(layer.activation.backward(z, a, flow[0])))
        return flow

    def batch(self, x: Any) -> Array:
        """Convert `x` to this network's kind of array, of shape (batch, inputs), or raise."""
        return rows(x, self.inputs, "x", self.dtype, self.xp)

    def require_weights(self) -> None:
        """Raise ValueError if a weight is NaN, as all are before they are set."""
        for i, layer in enumerate(self.layers):
            if np.isnan(layer.weights).any():
                raise ValueError(
                    f"layers[{i}].weights must be numbers; got NaN: initialize() the network or set every weight"
                    " (a training that diverged leaves NaN too)"
                )
