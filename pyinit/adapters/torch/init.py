"""The functions of `torch.nn.init`, with the same names and arguments, drawing pyinit's random numbers.

The random ones also take ``stream=``, a `pyinit.Stream`, and advance it. Without a stream they seed a new one from
torch's default generator, so `torch.manual_seed` makes them reproducible; inside `fast_init` and `deferred` they are
recorded instead, like the functions of `torch.nn.init`.

For a DTensor, each process fills its local shard with that part of the whole tensor. Nothing is communicated: all
processes need the same stream, so a DTensor requires ``stream=``.

Each function fills a tensor in place and returns it. The tensor may be float32, float64, float16, bfloat16 or float8,
have any strides, be on the CPU or on CUDA, and require gradients. Meta tensors are left unchanged. Wrong types raise
TypeError, wrong shapes and values ValueError, before anything is written.

Source: `torch.nn.init` of PyTorch 2.13.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.init import calculate_gain

from pyinit import initializers
from pyinit.adapters.torch import samplers
from pyinit.adapters.torch.filling import check_stream, fill
from pyinit.initializers import Scheme

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


def __dir__() -> list[str]:
    return __all__


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: None = None, *, stream: Any = None) -> Tensor:
    """Fill with samples of the uniform distribution on [a, b).

    Examples
    --------
    >>> w = uniform_(torch.empty(2, 3), -0.1, 0.1, stream=pyinit.Stream(0))
    >>> bool((w.abs() <= 0.1).all())
    True
    """
    return fill(tensor, initializers.uniform(a, b), stream, generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: None = None, *, stream: Any = None
) -> Tensor:
    """Fill with samples of the normal distribution.

    Examples
    --------
    >>> w = torch.empty(2, 3, dtype=torch.bfloat16)
    >>> _ = normal_(w, std=0.02, stream=pyinit.Stream(0))
    """
    return fill(tensor, initializers.normal(mean, std), stream, generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: None = None,
    *,
    stream: Any = None,
) -> Tensor:
    """Fill with samples of the normal distribution truncated to [a, b].

    The bounds are values, not multiples of std. No sample is outside them and none pile up on them, if the dtype has a
    number between them. The time does not depend on the bounds. A mean outside the bounds must be within 35 std of the
    nearer one. With std=0 all elements are the mean, clipped to the bounds.

    Examples
    --------
    >>> w, stream = torch.empty(1000), pyinit.Stream(0)
    >>> _ = trunc_normal_(w, std=0.02, a=-0.04, b=0.04, stream=stream)
    >>> bool((w.abs() <= 0.04).all())
    True
    """
    dtype = tensor.dtype if isinstance(tensor, Tensor) else torch.float64
    return fill(tensor, samplers.truncated(mean, std, a, b, dtype), stream, generator)


def constant_(tensor: Tensor, val: float, *, stream: Any = None) -> Tensor:
    """Fill with one value.

    Examples
    --------
    >>> constant_(torch.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    return fill(tensor, initializers.constant(val), stream)


def ones_(tensor: Tensor, *, stream: Any = None) -> Tensor:
    """Fill with ones.

    Examples
    --------
    >>> ones_(torch.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0, stream=stream)


def zeros_(tensor: Tensor, *, stream: Any = None) -> Tensor:
    """Fill with zeros.

    Examples
    --------
    >>> zeros_(torch.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0, stream=stream)


def eye_(tensor: Tensor, *, stream: Any = None) -> Tensor:
    """Fill a matrix with ones on its diagonal and zeros elsewhere.

    Examples
    --------
    >>> eye_(torch.empty(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return fill(tensor, initializers.identity(), stream)


def dirac_(tensor: Tensor, groups: int = 1, *, stream: Any = None) -> Tensor:
    """Fill a convolution kernel so that it passes as many channels as possible unchanged.

    Examples
    --------
    >>> dirac_(torch.empty(1, 1, 3))
    tensor([[[0., 1., 0.]]])
    """
    return fill(tensor, initializers.dirac(groups), stream)


def xavier_uniform_(
    tensor: Tensor,
    gain: float = 1.0,
    generator: None = None,
    *,
    stream: Any = None,
    groups: int = 1,
    transposed: bool = False,
) -> Tensor:
    """Fill with uniform samples within ± gain sqrt(6 / (fan_in + fan_out)).

    Parameters
    ----------
    groups, transposed
        As for `pyinit.initializers.fans`; the other Xavier and Kaiming functions take them too. Without them the fans
        depend on the shape alone, as in torch: a grouped convolution's fan_out is `groups` times too large, and a
        transposed convolution's fan_in and fan_out are swapped.

    Examples
    --------
    >>> w = xavier_uniform_(torch.empty(2, 3), stream=pyinit.Stream(0))
    """
    return fill(tensor, initializers.xavier_uniform(gain, groups=groups, transposed=transposed), stream, generator)


def xavier_normal_(
    tensor: Tensor,
    gain: float = 1.0,
    generator: None = None,
    *,
    stream: Any = None,
    groups: int = 1,
    transposed: bool = False,
) -> Tensor:
    """Fill with normal samples with variance 2 gain² / (fan_in + fan_out); see `xavier_uniform_`.

    Examples
    --------
    >>> w = xavier_normal_(torch.empty(2, 3), gain=5 / 3, stream=pyinit.Stream(0))
    """
    return fill(tensor, initializers.xavier_normal(gain, groups=groups, transposed=transposed), stream, generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: Any = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: None = None,
    *,
    stream: Any = None,
    groups: int = 1,
    transposed: bool = False,
) -> Tensor:
    """Fill with uniform samples within ± gain sqrt(3 / fan); `nonlinearity` sets the gain. See `xavier_uniform_`.

    Examples
    --------
    >>> w, stream = torch.empty(64, 1, 3, 3), pyinit.Stream(0)
    >>> _ = kaiming_uniform_(w, mode="fan_out", groups=64, stream=stream)
    """
    return kaiming_fill(
        tensor,
        initializers.kaiming_uniform(a, lower(mode), nonlinearity, groups=groups, transposed=transposed),
        stream,
        generator,
    )


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: Any = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: None = None,
    *,
    stream: Any = None,
    groups: int = 1,
    transposed: bool = False,
) -> Tensor:
    """Fill with normal samples with variance gain² / fan; `nonlinearity` sets the gain. See `xavier_uniform_`.

    Examples
    --------
    >>> w = kaiming_normal_(torch.empty(2, 3), nonlinearity="relu", stream=pyinit.Stream(0))
    """
    return kaiming_fill(
        tensor,
        initializers.kaiming_normal(a, lower(mode), nonlinearity, groups=groups, transposed=transposed),
        stream,
        generator,
    )


def orthogonal_(tensor: Tensor, gain: float = 1, generator: None = None, *, stream: Any = None) -> Tensor:
    """Fill with orthonormal rows or columns, whichever are fewer, times a gain. Narrow dtypes are rounded.

    Examples
    --------
    >>> w = orthogonal_(torch.empty(2, 8), stream=pyinit.Stream(0))
    >>> torch.allclose(w @ w.T, torch.eye(2), atol=1e-6)
    True
    """
    return fill(tensor, initializers.orthogonal(gain), stream, generator)


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: None = None, *, stream: Any = None
) -> Tensor:
    """Fill a matrix with normal samples, and set the fraction `sparsity` of every column to zero.

    Examples
    --------
    >>> (sparse_(torch.empty(10, 4), 0.3, stream=pyinit.Stream(0)) == 0).sum(0)
    tensor([3, 3, 3, 3])
    """
    return fill(tensor, initializers.sparse(sparsity, std), stream, generator)


def kaiming_fill(tensor: Tensor, scheme: Scheme, stream: Any, generator: Any) -> Tensor:
    """Fill by a Kaiming scheme; warn about an empty tensor of any shape, as torch does."""
    if isinstance(tensor, Tensor) and 0 in tensor.shape:
        check_stream(stream, generator)
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return tensor
    return fill(tensor, scheme, stream, generator)


def lower(mode: Any) -> Any:
    """Return a mode in lower case, as torch accepts both cases."""
    return mode.lower() if isinstance(mode, str) else mode


def deprecated(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the deprecated alias without an underscore, which torch has too."""
    name = function.__name__

    @functools.wraps(function)
    def old(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(f"{name[:-1]} is deprecated in torch.nn.init; use {name}", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    old.__name__, old.__doc__ = name[:-1], f"Deprecated; use `{name}`."
    return old


constant = deprecated(constant_)
dirac = deprecated(dirac_)
eye = deprecated(eye_)
kaiming_normal = deprecated(kaiming_normal_)
kaiming_uniform = deprecated(kaiming_uniform_)
normal = deprecated(normal_)
orthogonal = deprecated(orthogonal_)
sparse = deprecated(sparse_)
uniform = deprecated(uniform_)
xavier_normal = deprecated(xavier_normal_)
xavier_uniform = deprecated(xavier_uniform_)
