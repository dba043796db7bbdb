"""How many inputs and outputs the shape of a weight array stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["fans"]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Count the inputs that one unit of a weight array sees, and the outputs that one input reaches.

    Parameters
    ----------
    shape : sequence of int
        ``(fan_out, fan_in)``, or ``(out, in, *kernel)`` for a convolution, as in PyTorch.

    Returns
    -------
    fan_in, fan_out : int
        Each multiplied by the size of the receptive field, the product of the kernel's dimensions.

    Raises
    ------
    ValueError
        If the shape has fewer than two dimensions: a vector has no fans.

    Source
    ------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    section 4.2.1; for kernels, He et al., "Delving Deep into Rectifiers", 2015, section 2.2.

    Examples
    --------
    >>> fans((4, 2)), fans((64, 3, 7, 7))
    ((2, 4), (147, 3136))
    """
    if len(shape) < 2:
        raise ValueError(f"fans need an array of at least 2 dimensions, (out, in, ...); got shape {tuple(shape)}")
    receptive_field = math.prod(shape[2:])
    return shape[1] * receptive_field, shape[0] * receptive_field
