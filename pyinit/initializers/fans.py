"""The fans of a layer, the numbers of inputs and outputs, from the shape of its weight array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pyinit._core import text_of
from pyinit.initializers.base import Scheme
from pyinit.initializers.windows import Window
from pyinit.streams import Stream, integer

__all__ = ["FanScheme", "Layout", "fans"]

Layout = Literal["out_in", "in_out"]


def check_layout(layout: Layout) -> None:
    """Raise ValueError if `layout` is not a layout."""
    if layout not in ("out_in", "in_out"):
        raise ValueError(
            f"layout must be 'out_in' (out, in, *kernel) or 'in_out' (*kernel, in, out); got {text_of(layout)}"
        )


def checked_groups(groups: Any) -> int:
    """Give a number of groups as an int, or raise TypeError or ValueError."""
    number = integer("groups", groups)
    if number < 1:
        raise ValueError(f"groups must be at least 1; got {text_of(number)}")
    return number


def checked_transposed(transposed: Any) -> bool:
    """Give `transposed` as a bool, or raise TypeError: the text "false" of a configuration file is true in Python."""
    if not isinstance(transposed, bool | np.bool_):
        raise TypeError(f"transposed must be True or False; got {transposed!r}")
    return bool(transposed)


def fans(shape: Sequence[int], layout: Layout = "out_in", groups: int = 1, transposed: bool = False) -> tuple[int, int]:
    """Count the inputs that one output of a layer sees, and the outputs that one input reaches.

    Parameters
    ----------
    shape : sequence of int
        The shape of the layer's whole weight array, at least 2 dimensions.
    layout : {"out_in", "in_out"}
        ``(out, in, *kernel)``, as in PyTorch, or ``(*kernel, in, out)``, as in Keras and JAX.
    groups : int, at least 1
        The groups of a convolution. An output sees only the inputs of its own group, so the array has ``in / groups``
        in place of ``in``.
    transposed : bool
        True for a transposed convolution, whose array has in and out exchanged: ``(in, out / groups, *kernel)`` in
        PyTorch, ``(*kernel, out, in)`` in Keras.

    Returns
    -------
    fan_in, fan_out : int
        Each counts every position of the kernel. The stride does not matter.

    Raises
    ------
    TypeError
        If `groups` or a dimension is not an integer, or `transposed` is not a bool.
    ValueError
        If the shape has fewer than two dimensions (a vector has no fans), if the groups do not divide it, or if there
        is no such layout.

    Notes
    -----
    These are the true counts, also for grouped and transposed convolutions. PyTorch and Keras look only at the shape:
    their ``fan_out`` of a grouped convolution is `groups` times too large, and they exchange the fans of a transposed
    one. Omit `groups` and `transposed` to get their numbers. For Keras' depthwise kernel ``(*kernel, in, multiplier)``,
    reshape it to ``(*kernel, 1, in * multiplier)`` and pass ``groups=in``.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    section 4.2.1; for kernels, He et al., "Delving Deep into Rectifiers", 2015, section 2.2.

    Examples
    --------
    >>> fans((4, 2)), fans((64, 3, 7, 7))
    ((2, 4), (147, 3136))
    >>> fans((7, 7, 3, 64), layout="in_out")
    (147, 3136)
    >>> fans((64, 1, 3, 3), groups=64)
    (9, 9)
    """
    check_layout(layout)
    groups, transposed = checked_groups(groups), checked_transposed(transposed)
    shape = tuple(integer("a dimension", n) for n in shape)  # NumPy's own would overflow
    if len(shape) < 2:
        form = "(out, in, ...)" if layout == "out_in" else "(..., in, out)"
        raise ValueError(f"fans need an array of at least 2 dimensions, {form}; got shape {shape}")
    every, of_a_group, kernel = (
        (shape[0], shape[1], shape[2:]) if layout == "out_in" else (shape[-1], shape[-2], shape[:-2])
    )
    if every % groups:
        what = "in" if transposed else "out"
        raise ValueError(f"groups must divide {what}; got {groups} groups for {every} of shape {shape}")
    field_size = math.prod(kernel)
    counts = of_a_group * field_size, every // groups * field_size
    return counts[::-1] if transposed else counts


@dataclass(frozen=True, repr=False)
class FanScheme(Scheme):
    """A scheme that depends on the fans; once the shape is known, it resolves to one that does not.

    Parameters
    ----------
    layout, groups, transposed
        As for `fans`; keywords only.
    """

    layout: Layout = field(default="out_in", kw_only=True)
    groups: int = field(default=1, kw_only=True)
    transposed: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layout(self.layout)
        object.__setattr__(self, "groups", checked_groups(self.groups))
        object.__setattr__(self, "transposed", checked_transposed(self.transposed))

    def fans(self, shape: Sequence[int]) -> tuple[int, int]:
        """Give fan_in and fan_out of a tensor of this shape."""
        return fans(shape, self.layout, self.groups, self.transposed)

    def check(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.resolve(shape).check(dtype, shape)

    def fill(self, window: Window, stream: Stream, num_threads: int | None) -> None:
        self.resolve(window.shape).fill(window, stream, num_threads)
