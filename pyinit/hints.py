"""Hints in error messages: what to write instead of a name or a call from NumPy, PyTorch or Keras.

A call is examined only after it has failed, so a correct one costs little more. A stream's `fill_*` methods are not
wrapped: that would make the fill of a small array a quarter slower.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from pyinit._core import text_of

__all__ = ["Hinting", "explained", "missing", "of_framework", "right_call"]

Function = TypeVar("Function", bound=Callable[..., Any])

# Other libraries' names for a stream's methods, and the call to write instead.
METHODS = {
    "randn": "normal(shape)",
    "standard_normal": "normal(shape)",
    "rand": "uniform(shape)",
    "random": "uniform(shape)",
    "random_sample": "uniform(shape)",
    "standard_uniform": "uniform(shape)",
    "trunc_normal": "truncated_normal(shape)",
    "truncnorm": "truncated_normal(shape)",
    "random_raw": "bits(shape)",
    "normal_": "fill_normal(out)",
    "uniform_": "fill_uniform(out)",
    "trunc_normal_": "fill_truncated_normal(out)",
    "advance": "skip_ahead(n)",
    "fold_in": "child(name)",
    "jumped": "child(name)",
    "spawn": "child(name)",
    "split": "child(name)",
}
# Methods of NumPy's generators that a stream lacks.
OF_NUMPY = (
    *("beta", "binomial", "bytes", "chisquare", "choice", "dirichlet", "exponential", "f", "gamma", "geometric"),
    *("gumbel", "hypergeometric", "integers", "laplace", "logistic", "lognormal", "logseries", "multinomial"),
    *("multivariate_hypergeometric", "multivariate_normal", "negative_binomial", "noncentral_chisquare"),
    *("noncentral_f", "pareto", "permutation", "permuted", "poisson", "power", "rayleigh", "shuffle"),
    *("standard_cauchy", "standard_exponential", "standard_gamma", "standard_t", "triangular", "vonmises", "wald"),
    *("weibull", "zipf"),
)
# Other libraries' names for parameters.
PARAMETERS = {
    "size": "shape",
    "loc": "mean",
    "scale": "std",
    "stddev": "std",
    "a": "low",
    "b": "high",
    "minval": "low",
    "maxval": "high",
}


def missing(owner: str, name: str, stream: str = "stream", methods: Any = ()) -> AttributeError:
    """Make the error for a missing attribute; it says what to write instead, if that is known.

    Parameters
    ----------
    owner : str
        What lacks the attribute, such as "'Stream' object".
    name : str
    stream : str
        The expression for a stream in the hint.
    methods : collection of str
        A stream's attributes, if `owner` is not a stream.

    Examples
    --------
    >>> print(missing("'Stream' object", "randn"))
    'Stream' object has no attribute 'randn'; write stream.normal(shape)
    """
    hint = ""
    if name in METHODS:
        hint = f"; write {stream}.{METHODS[name]}"
    elif name in methods:
        hint = f"; write {stream}.{name}(...)"
    elif name in OF_NUMPY:
        hint = f"; write pyinit.default_rng({stream}.child({name!r})).{name}(...)"
    return AttributeError(f"{owner} has no attribute {name!r}{hint}")


class Hint:
    """Another library's name for something; reading it raises the error that says what to write instead."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        raise missing(f"{owner.__name__!r} object", self.name)


class Hinting(type):
    """Metaclass that answers other libraries' names with hints; `dir` and `help` do not list them.

    A ``__getattr__`` would be shorter, but makes each method call a quarter slower.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Hinting:
        if not any(isinstance(base, Hinting) for base in bases):
            namespace = {other: Hint() for other in (*METHODS, *OF_NUMPY)} | namespace
            namespace["__dir__"] = lambda self: dir(type(self))
        return super().__new__(cls, name, bases, namespace)

    def __dir__(cls) -> list[str]:
        return [name for name in super().__dir__() if not isinstance(inspect.getattr_static(cls, name, None), Hint)]


def explained(advice: Callable[..., str | None]) -> Callable[[Function], Function]:
    """Make a decorator that adds advice to the error of a wrong call, and raises it as a TypeError.

    Parameters
    ----------
    advice : callable
        Takes the function and the arguments and keywords of the call; returns a text, or None.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*given: Any, **keywords: Any) -> Any:
            try:
                return function(*given, **keywords)
            except (TypeError, ValueError) as error:  # a size taken for a bound is a ValueError
                if (text := advice(function, given, keywords)) is None:
                    raise
                raise TypeError(f"{error}; {text}") from None

        return cast(Function, call)

    return decorate


def right_call(function: Callable[..., Any], given: tuple[Any, ...], keywords: dict[str, Any]) -> str | None:
    """Say how to write a failed call, if its arguments have another library's order or names.

    Examples
    --------
    >>> right_call(pyinit.Stream.normal, (pyinit.Stream(0), 3, 5), {})
    'write stream.normal((3, 5))'
    >>> right_call(pyinit.Stream.normal, (pyinit.Stream(0), 0.0, 0.02), {"size": 5})
    'write stream.normal(5, mean=0.0, std=0.02)'
    >>> right_call(pyinit.initializers.normal, (), {"stddev": 0.02})
    'write normal(std=0.02)'
    """
    signature = inspect.signature(function)
    places = [p.name for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    renamed = {k if k in signature.parameters else PARAMETERS.get(k, k): v for k, v in keywords.items()}
    begin = places.index("shape") if "shape" in places else 0
    before, rest = given[:begin], given[begin:]
    forms: list[tuple[tuple[Any, ...], dict[str, Any]]] = [(rest, renamed)]
    if "shape" in places:
        values = places[begin + 2 :]  # after shape and dtype: mean and std, for instance
        separate = signature.parameters["shape"].kind is inspect.Parameter.VAR_POSITIONAL
        if "shape" in renamed:  # normal(0.0, 1.0, size=(3, 5))
            shape = renamed.pop("shape")
            forms = [((shape,), {**dict(zip(values, rest)), **renamed})]
        elif len(rest) > 1 and is_shape(rest) and not separate:  # normal(3, 5)
            forms = [((rest,), renamed)]
        if len(rest) == 3 <= len(values) + 1 and is_shape(rest[2]) and are_numbers(rest):  # normal(0.0, 1.0, (3, 5))
            forms.append(((rest[2],), {**dict(zip(values, rest)), **renamed}))
    texts = [
        call_text(function, places[:begin], *form)
        for form in forms
        if form != (rest, keywords) and is_call(signature, (*before, *form[0]), form[1])
    ]
    return f"write {' or '.join(texts)}" if texts else None


def is_shape(value: Any) -> bool:
    """Whether it is a size, or a tuple or list of sizes."""
    sizes = value if isinstance(value, (tuple, list)) else (value,)
    return all(type(n) is int and n >= 0 for n in sizes)


def are_numbers(values: tuple[Any, ...]) -> bool:
    """Whether the first two are numbers, as mean and std are."""
    return all(type(value) in (int, float) for value in values[:2])


def is_call(signature: inspect.Signature, given: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    """Whether a function takes these arguments."""
    try:
        signature.bind(*given, **keywords)
    except TypeError:
        return False
    return True


def call_text(function: Callable[..., Any], before: list[str], given: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """Write a call; the arguments before the shape are shown by name."""
    owner = "stream." if before == ["self"] else ""
    shown = [name for name in before if name != "self"] + [value_text(value) for value in given]
    shown += [f"{name}={value_text(value)}" for name, value in keywords.items()]
    return f"{owner}{function.__name__}({', '.join(shown)})"


def value_text(value: Any) -> str:
    """Write an argument: a type by its name."""
    return value.__name__ if isinstance(value, type) else text_of(value)


def of_framework(function: Callable[..., Any], given: tuple[Any, ...], keywords: dict[str, Any]) -> str | None:
    """Say what Flax, Haiku and Keras take, if one of them called a scheme with a shape, or with a key and a shape."""
    scheme, *rest = given
    if "shape" in keywords or "dtype" in keywords or any(isinstance(value, (tuple, list)) for value in rest):
        return (
            "a scheme fills an existing array from a Stream: Flax and Haiku take the initializers of "
            f"pyinit.adapters.jax.initializers, Keras takes pyinit.adapters.keras.FromScheme({scheme!r})"
        )
    return None
