"""Optimisers: each is a small frozen dataclass that changes a parameter by its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit.initializers.base import real

__all__ = ["SGD", "Adam", "Optimizer"]

Array = NDArray[Any]
State = tuple[Array, ...]


class Optimizer:
    """The interface of an optimiser for `train`."""

    def __post_init__(self) -> None:
        """Convert a dataclass's numbers once; TypeError names one that is not a number."""
        for field in fields(self):  # type: ignore[arg-type]
            if field.type == "float":
                object.__setattr__(self, field.name, real(field.name, getattr(self, field.name)))

    def state(self, parameter: Array) -> State:
        """Make the state of one parameter, kept from step to step: arrays with its shape."""
        raise NotImplementedError

    def step(self, parameter: Array, gradient: Array, state: State, number: int) -> None:
        """Change a parameter in place.

        Parameters
        ----------
        parameter : array
        gradient : array of the same shape
            The loss's gradient; afterwards scratch space.
        state : tuple of array
            The result of `state` for this parameter; changed in place.
        number : int
            The step's number, from 1.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent; stochastic if the batches are parts of the data.

    A velocity ``v = momentum * v + gradient`` starts from 0, and each step subtracts ``learning_rate * v``.

    Parameters
    ----------
    learning_rate : float, finite and at least 0
    momentum : float in [0, 1)
        0 is plain gradient descent.

    Raises
    ------
    ValueError
        If a number is out of range.

    Source
    ------
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964, in the form of PyTorch's
    SGD, whose velocity does not include the learning rate.

    Examples
    --------
    >>> sgd, w = SGD(0.5, momentum=0.5), np.array([1.0])
    >>> state = sgd.state(w)
    >>> for number in (1, 2):
    ...     sgd.step(w, np.array([1.0]), state, number)
    >>> w  # 1 - 0.5 * 1 - 0.5 * 1.5
    array([-0.25])
    """

    learning_rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.learning_rate)
        check_fraction("momentum", self.momentum)

    def state(self, parameter: Array) -> State:
        return (np.zeros_like(parameter),) if self.momentum else ()

    def step(self, parameter: Array, gradient: Array, state: State, number: int) -> None:
        change = gradient
        for velocity in state:
            velocity *= self.momentum
            velocity += gradient
            change = velocity
        # A Python float keeps float32; a NumPy float64 would widen it.
        parameter -= np.multiply(change, self.learning_rate, out=gradient)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: each element's step is its mean gradient over the root of its mean squared gradient.

    Parameters
    ----------
    learning_rate : float, finite and at least 0
    beta1, beta2 : float in [0, 1)
        The share that the running means of the gradient and of its square keep at each step.
    epsilon : float, finite and above 0
        Added to the square root.

    Raises
    ------
    ValueError
        If a number is out of range.

    Source
    ------
    Kingma and Ba, "Adam: a method for stochastic optimization", arXiv:1412.6980, algorithm 1.

    Examples
    --------
    >>> adam, w = Adam(learning_rate=0.5), np.array([1.0, 1.0])
    >>> adam.step(w, np.array([3.0, -1e-3]), adam.state(w), 1)
    >>> w.round(4)  # the first step does not depend on a gradient's size
    array([0.5, 1.5])
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.learning_rate)
        check_fraction("beta1", self.beta1)
        check_fraction("beta2", self.beta2)
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise ValueError(f"epsilon must be finite and above 0; got {self.epsilon!r}")

    def state(self, parameter: Array) -> State:
        return np.zeros_like(parameter), np.zeros_like(parameter), np.empty_like(parameter)

    def step(self, parameter: Array, gradient: Array, state: State, number: int) -> None:
        mean, square, scratch = state
        beta1, beta2 = self.beta1, self.beta2
        mean *= beta1
        mean += np.multiply(gradient, 1 - beta1, out=scratch)
        gradient *= gradient
        gradient *= 1 - beta2
        square *= beta2
        square += gradient
        # Both means start from 0; the divisions by 1 - beta**number correct this bias.
        root = np.divide(square, 1 - beta2**number, out=gradient)
        np.sqrt(root, out=root)
        root += self.epsilon
        np.divide(mean, root, out=scratch)
        scratch *= self.learning_rate / (1 - beta1**number)
        parameter -= scratch


def check_rate(rate: float) -> None:
    """Raise ValueError if a learning rate is not finite and at least 0."""
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"learning_rate must be finite and at least 0; got {rate!r}")


def check_fraction(name: str, value: float) -> None:
    """Raise ValueError if a number is not in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1; got {value!r}")
