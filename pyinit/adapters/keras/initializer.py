"""The base class of the initializers: a scheme, a seed and a name. `random` and `constant` turn functions into them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import Parameter, Signature
from random import randint
from typing import Any, ClassVar

import keras
import numpy as np

from pyinit import _core
from pyinit.adapters.keras.tensors import tensor
from pyinit.initializers import Scheme
from pyinit.streams import Stream

__all__ = ["SchemeInitializer", "constant", "random"]

SEED = Parameter("seed", Parameter.POSITIONAL_OR_KEYWORD, default=None)
NAME = Parameter("name", Parameter.KEYWORD_ONLY, default=None)
LARGEST_DRAWN = 10**9  # as Keras draws seeds


class SchemeInitializer(keras.initializers.Initializer):
    """The base class of the initializers; its subclasses differ in their arguments and scheme.

    Random initializers take two more arguments:

    Parameters
    ----------
    seed : int, keras.random.SeedGenerator or None
        As in Keras, an int, in [0, 2**64), gives the same values at every call, and a SeedGenerator gives new ones.
        None draws an int now; `keras.utils.set_random_seed` makes it reproducible.
    name : str, optional
        Keyword only. Draw from ``pyinit.Stream(seed).child(name)``, as `pyinit.initialize` does for a parameter of
        this name. So initializers can share a seed. None: draw from ``pyinit.Stream(seed)``.

    Notes
    -----
    Fans are Keras's: a kernel's last two dimensions are inputs and outputs, and those before them are places. Both fans
    of a vector are its length. The attribute ``scheme`` is the scheme that fills a tensor.
    """

    make: ClassVar[Callable[..., Scheme]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = inspect.signature(type(self)).bind(*args, **kwargs)
        bound.apply_defaults()
        self.arguments: dict[str, Any] = bound.arguments
        scheme: Any = self.make(**{key: value for key, value in self.arguments.items() if key not in ("seed", "name")})
        # Keras's kernels are (*kernel, in, out), whatever the scheme's layout.
        self.scheme = replace(scheme, layout="in_out") if hasattr(scheme, "layout") else scheme
        self.seed = checked_seed(self.arguments["seed"]) if "seed" in self.arguments else None
        self.name = self.arguments.get("name")
        if self.name is not None:
            Stream(0).child(self.name)  # raises if it is wrong

    def __call__(self, shape: Sequence[int], dtype: Any = None, layout: Any = None) -> Any:
        """Return a new tensor of Keras's backend.

        Parameters
        ----------
        shape : sequence of int
        dtype : dtype or str, optional
            None: `keras.config.floatx`. Samples in float16, bfloat16 and float8 are the float32 ones, rounded.
        layout : keras.distribution.TensorLayout or sharding of JAX, optional
            How the tensor is distributed; this does not change its values. With JAX, each device makes its own part.

        Returns
        -------
        tensor

        Raises
        ------
        TypeError, ValueError
            If the scheme does not suit the shape or the dtype.

        Examples
        --------
        >>> from pyinit.adapters import keras as pk
        >>> tuple(pk.HeNormal(seed=0)((3, 3, 16, 32), dtype="bfloat16").shape)
        (3, 3, 16, 32)
        """
        size = _core.index_tuple("shape", shape)
        fan_shape = size if len(size) > 1 else (size or (1,)) * 2
        return tensor(self.scheme.resolve(fan_shape), self.stream, size, keras.backend.standardize_dtype(dtype), layout)

    def stream(self) -> Stream | None:
        """Return the stream for the next tensor, if it needs one; a SeedGenerator gives its next seed."""
        if self.seed is None:
            return None
        root = Stream(next_seed(self.seed) if isinstance(self.seed, keras.random.SeedGenerator) else self.seed)
        return root if self.name is None else root.child(self.name)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain values. The seed is the given one, so None stays None."""
        return {
            key: repr(self.scheme) if key == "scheme" else keras.saving.serialize_keras_object(value)
            for key, value in self.arguments.items()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SchemeInitializer:
        """Make the initializer that `get_config` describes."""
        if not isinstance(config.get("seed"), dict):
            return cls(**config)
        return cls(**{**config, "seed": keras.saving.deserialize_keras_object(config["seed"])})


def checked_seed(seed: Any) -> Any:
    """Return a valid seed, drawn if it is None, or raise TypeError or ValueError."""
    if seed is None:
        return randint(1, LARGEST_DRAWN)
    if isinstance(seed, keras.random.SeedGenerator):
        return seed
    try:
        return Stream(seed).seed
    except TypeError:
        raise TypeError(f"seed must be an int, a keras.random.SeedGenerator or None; got {seed!r}") from None


def next_seed(generator: keras.random.SeedGenerator) -> int:
    """Return a SeedGenerator's current seed, and advance it.

    Its two numbers are the low and the high half of the seed, so the first seed equals the generator's int.
    """
    if getattr(generator.state, "_value", generator) is None:
        return 0  # Keras made the generator while it infers shapes on JAX, and discards the values
    # With NumPy, because tensors from `generator.next()` would be tracers then.
    state = keras.ops.convert_to_numpy(generator.state.value)
    generator.state.assign(state + np.array([0, 1], state.dtype))
    low, high = (int(number) & 0xFFFFFFFF for number in state)
    return low | high << 32


def random(make: Callable[..., Scheme]) -> type[SchemeInitializer]:
    """Turn a function that returns a scheme into an initializer that also takes `seed` and `name`."""
    return generated(make, SEED, NAME)


def constant(make: Callable[..., Scheme]) -> type[SchemeInitializer]:
    """Turn a function that returns a scheme without random numbers into an initializer."""
    return generated(make)


def generated(make: Callable[..., Scheme], *more: Parameter) -> type[SchemeInitializer]:
    """Make and register a class with a function's name, documentation and parameters."""
    signature = Signature([*inspect.signature(make, eval_str=True).parameters.values(), *more])
    contents = {
        "__doc__": make.__doc__,
        "__module__": "pyinit.adapters.keras",  # the public module
        "__signature__": signature,
        "make": staticmethod(make),
    }
    kind = type(make.__name__, (SchemeInitializer,), contents)
    return keras.saving.register_keras_serializable(package="pyinit")(kind)
