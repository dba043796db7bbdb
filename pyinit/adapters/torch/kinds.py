"""Find a module's kind of layer: an activation, a norm, or a module with its own weights."""

from __future__ import annotations

import re

from torch import nn

__all__ = ["ACTIVATIONS", "NORM", "THINNING", "activation_of", "has_weights", "is_channels_first", "is_leaf"]

ACTIVATIONS = {
    "relu6": "relu6",
    "leakyrelu": "leaky_relu",
    "prelu": "prelu",
    "rrelu": "rrelu",
    "relu": "relu",
    "gelu": "gelu",
    "selu": "selu",
    "celu": "celu",
    "elu": "elu",
    "silu": "silu",
    "swish": "silu",
    "hardswish": "hardswish",
    "mish": "mish",
    "hardtanh": "hardtanh",
    "tanh": "tanh",
    "hardsigmoid": "hardsigmoid",
    "logsigmoid": "logsigmoid",
    "sigmoid": "sigmoid",
    "logsoftmax": "log_softmax",
    "softmax": "softmax",
    "softplus": "softplus",
    "softsign": "softsign",
}
"""Activations by lower-case name without underscores: the end of a class's name, or a function's whole name."""

LONGEST_FIRST = sorted(ACTIVATIONS, key=len, reverse=True)

NORM = re.compile(r"Norm(\dd)?$")  # BatchNorm2d, LayerNorm, a model's own RMSNorm

THINNING = re.compile("dropout|max_?pool", re.IGNORECASE)


def activation_of(module: nn.Module) -> str | None:
    """Return the name of a module's activation by its class; None if it is not an activation.

    Examples
    --------
    >>> activation_of(nn.LeakyReLU()), activation_of(nn.Linear(1, 1))
    ('leaky_relu', None)
    """
    if not is_leaf(module) or isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
        return None
    for kind in type(module).__mro__:
        name = kind.__name__.removesuffix("Activation").removesuffix("2d").lower().replace("_", "")
        known = next((known for known in LONGEST_FIRST if name.endswith(known)), None)
        builtin = kind.__module__ == "torch.nn.modules.activation"
        if builtin or (known and not has_weights(module)):
            return ACTIVATIONS[known] if known else name
    return None


def is_leaf(module: nn.Module) -> bool:
    """Whether a module has no children."""
    return next(module.children(), None) is None


def has_weights(module: nn.Module) -> bool:
    """Whether a module has its own parameters, parametrized ones included."""
    own = any(parameter is not None for parameter in module._parameters.values())
    return own or nn.utils.parametrize.is_parametrized(module)


def is_channels_first(module: nn.Module, norm: re.Match[str] | None) -> bool:
    """Whether the units of a layer's output are along axis 1."""
    if norm is not None:
        return norm[1] is not None or isinstance(module, nn.GroupNorm)
    return isinstance(module, nn.modules.conv._ConvNd)
