"""Classify torch's operators for the recorder: which ones draw, allocate, view, write or compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import torch

from pyinit import initializers
from pyinit.adapters.torch.samplers import Sampler
from pyinit.adapters.torch.tape import Fill

aten = torch.ops.aten

RANDOM = torch.Tag.nondeterministic_seeded

# Operators that allocate without writing.
EMPTY = {
    getattr(aten, name)
    for name in ("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided")
}

FILLED = {
    aten.zeros: 0,
    aten.zeros_like: 0,
    aten.new_zeros: 0,
    aten.ones: 1,
    aten.ones_like: 1,
    aten.new_ones: 1,
    aten.full: None,
    aten.full_like: None,
    aten.new_full: None,
}

ALLOCATIONS = EMPTY | FILLED.keys()

# The sampler of each in-place random operator, from its arguments.
IN_PLACE: dict[Any, Callable[..., Any]] = {
    aten.normal_: lambda mean=0.0, std=1.0: initializers.normal(mean, std),
    aten.uniform_: lambda low=0.0, high=1.0: initializers.uniform(low, high),
    aten.bernoulli_: lambda p=0.5: Sampler("bernoulli_", (p,)),
    aten.exponential_: lambda rate=1.0: Sampler("exponential_", (rate,)),
    aten.log_normal_: lambda mean=1.0, std=2.0: Sampler("log_normal_", (mean, std)),
    aten.cauchy_: lambda median=0.0, sigma=1.0: Sampler("cauchy_", (median, sigma)),
    aten.geometric_: lambda p: Sampler("geometric_", (p,)),
}

# The shape (None: the first argument's) and sampler of each random operator that allocates.
NEW: dict[Any, Callable[..., tuple[Any, Any]]] = {
    aten.randn: lambda size: (size, initializers.normal()),
    aten.rand: lambda size: (size, initializers.uniform()),
    aten.randn_like: lambda like: (None, initializers.normal()),
    aten.rand_like: lambda like: (None, initializers.uniform()),
    aten.randperm: lambda n: ([n], Sampler("randperm", (n,))),
    aten.randint: lambda *a: (a[-1], Sampler("randint", (0, *a[:-1])[-2:])),
    aten.randint_like: lambda like, *a: (None, Sampler("randint", (0, *a)[-2:])),
    aten.normal: lambda mean, std, size: (size, initializers.normal(mean, std)),
}

LIKE = {aten.randn_like, aten.rand_like, aten.randint_like}

# Operations that give an element the same bits wherever it is in a tensor. Others, such as softplus and pow, compute
# the last few elements of a row, or of a thread's part, without vectors, and round them differently.
STABLE = frozenset(
    """
    abs add addcdiv addcmul atan bitwise_and bitwise_not bitwise_or bitwise_xor ceil clamp clamp_max clamp_min copy cos
    div eq erfinv exp expm1 fill floor fmax fmin fmod ge gt le lerp log log1p logical_and logical_not logical_or
    logical_xor lt masked_fill maximum minimum mul ne neg reciprocal relu remainder round rsqrt rsub sgn sign sin sqrt
    square sub tanh trunc where zero
    """.split()  # noqa: SIM905
)


# Operators that change the size of a storage.
RESIZES = {"resize_", "resize_as_"}

# Operators that write arguments, although their schemas do not say so.
UNSAID = dict.fromkeys(("native_batch_norm", "cudnn_batch_norm"), ("running_mean", "running_var"))


class Operator(NamedTuple):
    """Facts about an operator, from its schema.

    Attributes
    ----------
    name : str
    names : tuple of str
        The names of its arguments.
    writes : tuple of str
        The arguments that it writes.
    reads_nothing : bool
        Whether it only returns a view, or only changes a tensor's geometry.
    is_recordable : bool
        Whether it can run later: one of torch's own operators, which writes one tensor, or makes new ones with shapes
        that do not depend on values.
    is_composite : bool
        Whether it consists of other operators. Autograd decomposes it, but not in inference_mode().
    """

    name: str
    names: tuple[str, ...]
    writes: tuple[str, ...]
    reads_nothing: bool
    is_recordable: bool
    is_composite: bool


@cache
def operator(function: Any) -> Operator:
    """Read the schema of an operator."""
    schema, tags = function._schema, function.tags
    aliased = {a.name: a.alias_info.is_write for a in schema.arguments if a.alias_info is not None}
    writes = tuple(name for name, is_written in aliased.items() if is_written)
    makes_tensors = bool(schema.returns) and all(str(r.type) in ("Tensor", "List[Tensor]") for r in schema.returns)
    depends = torch.Tag.data_dependent_output in tags or torch.Tag.dynamic_output_shape in tags
    name = function.overloadpacket.__name__
    later = function.namespace == "aten" and name not in RESIZES and name not in UNSAID and not depends
    return Operator(
        name,
        tuple(a.name for a in schema.arguments),
        writes or UNSAID.get(name, ()),
        bool(aliased and not writes) or torch.Tag.inplace_view in tags or function.overloadpacket is aten.set_,
        later and (len(writes) == 1 if aliased else makes_tensors),
        torch._C._dispatch_has_kernel_for_dispatch_key(function.name(), "CompositeImplicitAutograd"),
    )


def outputs(function: Any, given: dict[str, Any]) -> Any:
    """Return an operator's outputs as meta tensors; None if torch cannot tell their shapes."""
    arguments, keywords = split_arguments(function, given)
    keywords = {name: mapped(value, on_meta) for name, value in keywords.items()}
    if is_meta(given.get("device")):
        keywords["device"] = "meta"
    try:
        return function(*mapped(arguments, on_meta), **keywords)
    except Exception:  # it has no meta kernel, or its arguments are wrong, which the real call will report
        return None


def keeps_shape(function: Any, given: dict[str, Any], target: torch.Tensor) -> bool:
    """Whether an operator can write a tensor without resizing it."""
    out = outputs(function, given)
    return isinstance(out, torch.Tensor) and out.shape == target.shape


def split_arguments(function: Any, given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Split arguments into positional and keyword ones, without the device, which is chosen when the call runs."""
    by_position = [a.name for a in function._schema.arguments if not a.kwarg_only]
    arguments = tuple(given[name] for name in by_position if name in given)
    gap = next((i for i, name in enumerate(by_position) if name not in given), len(by_position))
    named_ones = {name: value for name, value in given.items() if name not in by_position[:gap] and name != "device"}
    return arguments[:gap], named_ones


def named(function: Any, args: Any, kwargs: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of an operator with their names."""
    yield from zip(operator(function).names, args)
    yield from kwargs.items()


def tensors(args: Any, kwargs: Any) -> list[torch.Tensor]:
    """List the tensors among the arguments of an operator."""
    found: list[torch.Tensor] = []
    for arg in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(arg, torch.Tensor):
            found.append(arg)
        elif type(arg) in (list, tuple):
            found += tensors(arg, None)
    return found


def mapped(value: Any, by: Callable[[torch.Tensor], Any]) -> Any:
    """Apply a function to the tensors among arguments."""
    if isinstance(value, torch.Tensor):
        return by(value)
    if type(value) in (list, tuple):
        return type(value)(mapped(item, by) for item in value)
    return value


def on_meta(tensor: torch.Tensor) -> torch.Tensor:
    """Return a meta tensor of the same shape, strides and dtype."""
    if has_no_memory(tensor):
        return tensor
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def is_meta(device: Any) -> bool:
    """Whether a device, or a device name, is the meta device."""
    return device is not None and torch.device(device).type == "meta"


def has_no_memory(tensor: torch.Tensor) -> bool:
    """Whether a tensor is on the meta device; unlike `Tensor.is_meta` this also holds inside deferred()."""
    return tensor.device.type == "meta"


def both_float(a: torch.dtype, b: torch.dtype) -> bool:
    """Whether two dtypes are equal or both floating-point, so that they can hold the same samples, rounded."""
    return a == b or (a.is_floating_point and b.is_floating_point)


def filled(value: Any, dtype: torch.dtype) -> Fill:
    """Return a Fill of a value, as a float if the dtype is floating-point."""
    return Fill(float(value) if dtype.is_floating_point else value)


def is_stable(function: Any) -> bool:
    """Whether an operation gives an element the same bits wherever it is in a tensor."""
    return function.overloadpacket.__name__.rstrip("_") in STABLE
