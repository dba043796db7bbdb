"""Many parameters filled at once: checked together, then filled in one call of the core."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pyinit import _core
from pyinit.arrays import mark_modified
from pyinit.initializers.base import Scheme
from pyinit.initializers.configuration import scheme
from pyinit.initializers.windows import Window
from pyinit.kernels.device_arrays import DeviceArray
from pyinit.kernels.filling import fill_batch
from pyinit.streams import Stream
from pyinit.terminal import progress as progress_bar

__all__ = ["Parameter", "fill"]


class Parameter(NamedTuple):
    """A parameter and what fills it.

    Parameters
    ----------
    name : str
        Its stream is the root's ``child(name)``.
    out : array
        As a scheme takes it.
    scheme : scheme, str, dict or callable
        What `pyinit.initializers.scheme` takes; a function, of an array and a stream, is called for a shard with the
        keywords global_shape and offset as well.
    global_shape, offset : sequence of int, optional
        Of a shard: the shape of the tensor that `out` is a window of, and where in it `out` begins.
    """

    name: str
    out: Any
    scheme: Any
    global_shape: Sequence[int] | None = None
    offset: Sequence[int] | None = None


def fill(
    parameters: Iterable[Parameter],
    seed: int | Stream | None,
    *,
    generator: str = "philox",
    num_threads: int | None = None,
    progress: bool = False,
) -> None:
    """Fill parameters in place.

    A parameter's values depend on the seed, its name, its whole shape and its dtype alone; not on where it is, on the
    other parameters, on their order or on the number of threads. The host does not wait for a GPU, unless it makes the
    values itself.

    Parameters
    ----------
    parameters : iterable of Parameter
    seed : int, Stream or None
        Of the root stream, or that stream; None: the operating system picks one.
    generator : {"philox", "ars5"}
        Of the root stream where `seed` is none.
    num_threads : int, optional
        As for `Stream.fill`.
    progress : bool
        True: show how much is done, where that is a terminal and rich is installed.

    Raises
    ------
    TypeError
        If a parameter is not a fillable array, or an argument of another type.
    ValueError
        If two parameters share memory, or a name or an id, or one does not suit its scheme. Whatever is raised for the
        arguments, no parameter has been touched.
    ImportError, RuntimeError, MemoryError
        If an array on a GPU needs a package, a driver or memory that is missing; no array of the host has been
        touched.
    KeyboardInterrupt
        On Ctrl-C: some parameters have been filled.

    Examples
    --------
    >>> from pyinit.initializers import kaiming_normal, zeros
    >>> weight, bias = np.empty((2, 3), np.float32), np.empty(2, np.float32)
    >>> fill([Parameter("fc.weight", weight, kaiming_normal()), Parameter("fc.bias", bias, zeros())], seed=0)
    >>> bias
    array([0., 0.], dtype=float32)
    """
    root = seed if isinstance(seed, Stream) else Stream(seed, generator)
    _core.check_threads(num_threads)
    host, devices, others, changed = checked(parameters, root)
    elements = host.size + sum(batch.size for batch, _ in devices) + sum(other.window.array.size for other in others)
    with progress_bar(elements, "initialising", progress) as advance:
        for batch, arrays in devices:  # which work while the host does
            fill_batch(batch, arrays)
            advance(batch.size)
        others.sort(key=lambda other: isinstance(other.window.array, np.ndarray))
        for other in others:
            other.fill(num_threads)
            advance(other.window.array.size)
        host.fill(num_threads, advance if progress else None)
    mark_modified(*changed)


class Filler(NamedTuple):
    """What fills arrays of a shape and dtype: a scheme, or a function of the user's; and what the scheme draws."""

    scheme: Scheme | None
    function: Any
    distribution: _core.Distribution | None


class Other(NamedTuple):
    """A parameter that has been checked, and which no distribution alone fills."""

    name: str
    out: Any
    window: Window
    filler: Filler
    stream: Stream

    def fill(self, num_threads: int | None) -> None:
        """Fill it."""
        if self.filler.scheme is None:
            self.filler.function(self.out, self.stream, **self.window.placement)
        else:
            self.filler.scheme.fill(self.window, self.stream, num_threads)


OnDevice = tuple[_core.Batch, list[DeviceArray]]


def checked(
    parameters: Iterable[Parameter], root: Stream
) -> tuple[_core.Batch, Collection[OnDevice], list[Other], list[Any]]:
    """Check all parameters, or raise; nothing is written.

    Returns
    -------
    host : Batch
    devices : collection of (Batch, list of DeviceArray)
        For each memory of a device.
    others : list of Other
    changed : list of array
        Those that a scheme fills, as they were given.
    """
    ids: dict[int, str] = {}
    host = _core.Batch(root, ids)
    devices: dict[Hashable, OnDevice] = {}
    others: list[Other] = []
    changed: list[Any] = []
    known: dict[Any, Any] = {}
    for parameter in parameters:
        if not isinstance(parameter, Parameter):
            raise TypeError(f"parameters must be of pyinit.models.Parameter; got {type(parameter).__name__}")
        name, out, specification, global_shape, offset = parameter
        try:
            if type(out) is np.ndarray and global_shape is None and offset is None:  # as most are
                window = Window(out, out.shape, None)
            else:
                window = Window.of(out, global_shape, offset)
            array, shape, _ = window
            key = id(specification), shape, array.dtype
            if key not in known or type(specification).__hash__ is None:  # a dict may say something else by now
                known[key] = resolved(specification, shape, array.dtype), specification  # kept, so that its id is its
            filler = known[key][0]
            if filler.scheme is None and global_shape is not None:
                check_takes_shards(filler.function)
            if isinstance(array, np.ndarray):
                host.add(name, array, filler.distribution, *window.place)
            else:
                if array.memory not in devices:
                    devices[array.memory] = _core.Batch(root, ids), []
                batch, arrays = devices[array.memory]
                batch.add(name, array.geometry, filler.distribution, *window.place, array.start, array.queue)
                arrays.append(array)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{name!r}: {error}") from None
        if filler.distribution is None:
            others.append(Other(name, out, window, filler, root.child(name)))
        if filler.scheme is not None:
            changed.append(out)
    for batch in (host, *(batch for batch, _ in devices.values())):
        batch.check()
    return host, devices.values(), others, changed


def resolved(specification: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Filler:
    """Give what a specification is for a tensor of a shape and a dtype, or raise what is wrong with it."""
    made = scheme(specification)
    if not isinstance(made, Scheme):
        return Filler(None, made, None)
    found = made.resolve(shape)
    found.check(dtype, shape)
    return Filler(found, None, found.distribution_in(dtype))


def check_takes_shards(function: Any) -> None:
    """Raise TypeError if a function of the user's cannot be told where in its tensor a shard is."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # which some functions of C lack
        return
    try:
        signature.bind(None, None, global_shape=None, offset=None)
    except TypeError:
        raise TypeError(f"a shard's scheme must take global_shape and offset as keywords; got {function!r}") from None
