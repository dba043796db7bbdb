"""Fill many parameters: check them together, then fill them in one call of the core."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pyinit import _core
from pyinit.arrays import mark_modified, view
from pyinit.initializers.base import Scheme
from pyinit.initializers.configuration import scheme
from pyinit.initializers.windows import Window, raw_bits
from pyinit.kernels.device_arrays import DeviceArray
from pyinit.kernels.filling import fill_batch
from pyinit.streams import Stream
from pyinit.terminal import progress as progress_bar

__all__ = ["Parameter", "fill"]


class Parameter(NamedTuple):
    """A parameter and its scheme.

    Parameters
    ----------
    name : str or None
        The parameter uses the root's ``child(name)``. With None it uses the root itself, from its position on; then
        nothing else should use the root. Several parameters may have the same name if they are windows of one tensor.
    out : array
        Any array that a scheme can fill.
    scheme : scheme, str, dict or callable
        Anything that `pyinit.initializers.scheme` takes. For a shard, a function of an array and a stream also gets the
        keywords global_shape and offset.
    global_shape, offset : sequence of int, optional
        For a shard: the shape of the whole tensor, and the offset of `out` in it.
    """

    name: str | None
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

    A parameter's values depend only on the seed, its name, its whole shape and its dtype. They do not depend on its
    device, the other parameters, their order or the number of threads. The host does not wait for a GPU, unless the
    host makes the values.

    Parameters
    ----------
    parameters : iterable of Parameter
    seed : int, Stream or None
        The root stream, or its seed. Without a seed the operating system picks one.
    generator : {"philox", "ars5", "ars7"}
        The root stream's generator, if `seed` is not a Stream.
    num_threads : int, optional
        As for `Stream.fill`.
    progress : bool
        Show a progress bar, on a terminal with rich installed.

    Raises
    ------
    TypeError
        If a parameter is not a fillable array, or an argument has the wrong type.
    ValueError
        If two parameters share memory; if two share a name or an id but are not windows of one tensor; or if a
        scheme does not suit its parameter. If an argument is wrong, no parameter has been touched.
    ImportError, RuntimeError, MemoryError
        If an array on a GPU needs a package, a driver or memory that is missing; no array on the host has been
        touched.
    KeyboardInterrupt
        On Ctrl-C, after some parameters may have been filled.

    Examples
    --------
    >>> from pyinit.initializers import kaiming_normal, zeros
    >>> weight, bias = np.empty((2, 3), np.float32), np.empty(2, np.float32)
    >>> parameters = [("fc.weight", weight, kaiming_normal()), ("fc.bias", bias, zeros())]
    >>> fill([Parameter(*parameter) for parameter in parameters], seed=0)
    >>> bias
    array([0., 0.], dtype=float32)
    """
    work = Work(seed if isinstance(seed, Stream) else Stream(seed, generator))
    num_threads = _core.check_threads(num_threads) or None
    work.add(parameters)
    work.fill(num_threads, progress)


class Filler(NamedTuple):
    """A scheme or a user's function for arrays of one shape and dtype, and the distribution that the scheme draws."""

    scheme: Scheme | None
    function: Any
    distribution: _core.Distribution | None


class Other(NamedTuple):
    """A checked parameter that needs more than one fill from a distribution."""

    out: Any
    window: Window
    filler: Filler
    stream: Stream

    def fill(self, num_threads: int | None) -> None:
        """Fill it."""
        _core.check_memory(self.window.geometry)  # the functions before it are their callers' code
        if self.filler.scheme is None:
            self.filler.function(self.out, self.stream, **self.window.placement)
        else:
            self.filler.scheme.fill(self.window, self.stream, num_threads)

    @property
    def key(self) -> tuple[Any, ...]:
        """A key that is equal for windows of one tensor that should be made together."""
        scheme, array = self.filler.scheme, self.window.array
        shared = self.window.offset is not None and scheme is not None and not scheme.splittable
        return (self.stream.id, self.window.shape, scheme, array.dtype) if shared else (id(self),)


def fill_together(windows: list[Other], num_threads: int | None) -> None:
    """Fill windows of one tensor whose parts cost as much as the whole: make the block around them once."""
    if len(windows) == 1:
        windows[0].fill(num_threads)
        return
    first = windows[0]
    regions = [other.window.region for other in windows]
    low = tuple(min(s.start for s in axis) for axis in zip(*regions))
    around = tuple(max(s.stop for s in axis) - start for axis, start in zip(zip(*regions), low))
    block = np.empty(around, first.window.array.dtype)
    assert first.filler.scheme is not None
    first.filler.scheme.fill(Window(block, first.window.shape, low), first.stream, num_threads)
    values = raw_bits(block)
    for other, region in zip(windows, regions):
        other.window.assign(values[tuple(slice(s.start - o, s.stop - o) for s, o in zip(region, low))])


class Work:
    """Parameters, checked as they are added; nothing is written until all are added.

    Attributes
    ----------
    host : Batch
        The host's arrays that a distribution fills, and the memory of its other arrays, to check them together.
    devices : dict of hashable to (Batch, list of DeviceArray)
        The same for each memory of a device.
    others : list of Other
    changed : list of array
        The user's arrays that a scheme fills, apart from NumPy's.
    """

    def __init__(self, root: Stream) -> None:
        self.root = root
        self.ids: dict[int, tuple[str | None, tuple[int, ...] | None]] = {}
        self.host = _core.Batch(root, self.ids)
        self.devices: dict[Hashable, tuple[_core.Batch, list[DeviceArray]]] = {}
        self.others: list[Other] = []
        self.changed: list[Any] = []
        self.fillers: dict[Any, tuple[Filler, Any]] = {}

    def add(self, parameters: Iterable[tuple[Any, Any, Any, Any, Any]]) -> None:
        """Add parameters, or raise if one is wrong."""
        self.changed += self.host.add_all(parameters, self.distribution, view, self.batch_of, self.add_one)

    def add_one(self, name: str | None, out: Any, specification: Any, global_shape: Any, offset: Any) -> None:
        """Add a parameter of any kind."""
        window = Window.of(out, global_shape, offset)
        array, shape, _ = window
        filler = self.filler(specification, shape, array.dtype)
        if filler.scheme is None and global_shape is not None:
            check_takes_shards(filler.function)
        if isinstance(array, np.ndarray):
            self.host.add(name, array, filler.distribution, *window.place)
        elif not array.size:  # it may have neither memory nor a queue
            self.host.add(name, array.geometry, None, *window.place)
        else:
            batch = self.batch_of(array)
            batch.add(name, array.geometry, filler.distribution, *window.place, array.start, array.queue)
        if filler.distribution is None:
            self.others.append(Other(out, window, filler, self.root if name is None else self.root.child(name)))
        if filler.scheme is not None and out is not array:
            self.changed.append(out)

    def batch_of(self, array: DeviceArray) -> _core.Batch:
        """Return the batch for an array on a device, and remember the array."""
        memory = array.memory
        if memory not in self.devices:
            self.devices[memory] = _core.Batch(self.root, self.ids), []
        batch, arrays = self.devices[memory]
        arrays.append(array)
        return batch

    def filler(self, specification: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Filler:
        """Return a specification's filler for a tensor of a shape and a dtype, or raise if it is wrong."""
        key = id(specification), shape, dtype
        if key not in self.fillers or is_changeable(specification):
            made = scheme(specification)
            filler = Filler(None, made, None)
            if isinstance(made, Scheme):
                found = made.resolve(shape)
                found.check(dtype, shape)
                filler = Filler(found, None, found.distribution_in(dtype))
            self.fillers[key] = filler, specification  # a reference, so that no other object gets its id
        return self.fillers[key][0]

    def distribution(
        self, specification: Any, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[_core.Distribution | None, bool]:
        """Return the distribution for such a tensor, if that is all it needs; and whether it may change."""
        return self.filler(specification, shape, dtype).distribution, is_changeable(specification)

    def fill(self, num_threads: int | None, progress: bool) -> None:
        """Check the parameters together, then fill them; the host does not wait for devices."""
        batches = [batch for batch, _ in self.devices.values()]
        for batch in (self.host, *batches):
            batch.check()
        elements = sum(batch.size for batch in (self.host, *batches))
        elements += sum(other.window.array.size for other in self.others)
        try:
            with progress_bar(elements, "initialising", progress) as advance:
                for batch, arrays in self.devices.values():  # they work while the host does
                    fill_batch(batch, arrays)
                    advance(batch.size)
                together: dict[Any, list[Other]] = {}
                for other in sorted(self.others, key=lambda other: isinstance(other.window.array, np.ndarray)):
                    together.setdefault(other.key, []).append(other)
                for windows in together.values():
                    fill_together(windows, num_threads)
                    advance(sum(other.window.array.size for other in windows))
                self.host.fill(num_threads, advance if progress else None)
        finally:  # some have changed, even after Ctrl-C
            mark_modified(*self.changed)


def is_changeable(specification: Any) -> bool:
    """Whether a specification, such as a dict, may change between two uses."""
    return type(specification).__hash__ is None


def check_takes_shards(function: Any) -> None:
    """Raise TypeError if a user's function does not take the keywords of a shard."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some C functions have no signature
        return
    try:
        signature.bind(None, None, global_shape=None, offset=None)
    except TypeError:
        raise TypeError(f"a shard's scheme must take global_shape and offset as keywords; got {function!r}") from None
