"""Many parameters filled at once: checked together, then filled in one call of the core."""

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
    """A parameter and what fills it.

    Parameters
    ----------
    name : str or None
        Its stream is the root's ``child(name)``. None: the root itself, from where it stands on, which nothing else
        should use then. Several parameters may have the same name if they are windows of one tensor.
    out : array
        As a scheme takes it.
    scheme : scheme, str, dict or callable
        What `pyinit.initializers.scheme` takes; a function, of an array and a stream, is called for a shard with the
        keywords global_shape and offset as well.
    global_shape, offset : sequence of int, optional
        Of a shard: the shape of the tensor that `out` is a window of, and where in it `out` begins.
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

    A parameter's values depend on the seed, its name, its whole shape and its dtype alone; not on where it is, on the
    other parameters, on their order or on the number of threads. The host does not wait for a GPU, unless it makes the
    values itself.

    Parameters
    ----------
    parameters : iterable of Parameter
    seed : int, Stream or None
        Of the root stream, or that stream; None: the operating system picks one.
    generator : {"philox", "ars5", "ars7"}
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
        If two parameters share memory, or a name or an id and are not windows of one tensor, or one does not suit its
        scheme. Whatever is raised for the arguments, no parameter has been touched.
    ImportError, RuntimeError, MemoryError
        If an array on a GPU needs a package, a driver or memory that is missing; no array of the host has been
        touched.
    KeyboardInterrupt
        On Ctrl-C: some parameters have been filled.

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
    """What fills arrays of a shape and dtype: a scheme, or a function of the user's; and what the scheme draws."""

    scheme: Scheme | None
    function: Any
    distribution: _core.Distribution | None


class Other(NamedTuple):
    """A parameter that has been checked, and which no distribution alone fills."""

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
        """What it has in common with windows of the same tensor that are best made together."""
        scheme, array = self.filler.scheme, self.window.array
        shared = self.window.offset is not None and scheme is not None and not scheme.splittable
        return (self.stream.id, self.window.shape, scheme, array.dtype) if shared else (id(self),)


def fill_together(windows: list[Other], num_threads: int | None) -> None:
    """Fill windows of one tensor of which a part costs as much as the whole: make the block around them once."""
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
    """Parameters, checked as they are added; nothing is written until all are.

    Attributes
    ----------
    host : Batch
        Arrays of the host that a distribution fills; and the memory of its other arrays, to be checked with them.
    devices : dict of hashable to (Batch, list of DeviceArray)
        The same for each memory of a device.
    others : list of Other
    changed : list of array
        Those that a scheme fills and that are not NumPy's, as they were given.
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
        """Add parameters, or raise what is wrong with one."""
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
        elif not array.size:  # which may have neither memory nor a queue
            self.host.add(name, array.geometry, None, *window.place)
        else:
            batch = self.batch_of(array)
            batch.add(name, array.geometry, filler.distribution, *window.place, array.start, array.queue)
        if filler.distribution is None:
            self.others.append(Other(out, window, filler, self.root if name is None else self.root.child(name)))
        if filler.scheme is not None and out is not array:
            self.changed.append(out)

    def batch_of(self, array: DeviceArray) -> _core.Batch:
        """Give the batch that an array on a device is then added to."""
        memory = array.memory
        if memory not in self.devices:
            self.devices[memory] = _core.Batch(self.root, self.ids), []
        batch, arrays = self.devices[memory]
        arrays.append(array)
        return batch

    def filler(self, specification: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Filler:
        """Give what a specification is for a tensor of a shape and a dtype, or raise what is wrong with it."""
        key = id(specification), shape, dtype
        if key not in self.fillers or is_changeable(specification):
            made = scheme(specification)
            filler = Filler(None, made, None)
            if isinstance(made, Scheme):
                found = made.resolve(shape)
                found.check(dtype, shape)
                filler = Filler(found, None, found.distribution_in(dtype))
            self.fillers[key] = filler, specification  # kept, so that its id is its own
        return self.fillers[key][0]

    def distribution(
        self, specification: Any, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[_core.Distribution | None, bool]:
        """Give what is drawn for such a tensor, if a distribution is all; and whether that may change."""
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
                for batch, arrays in self.devices.values():  # which work while the host does
                    fill_batch(batch, arrays)
                    advance(batch.size)
                together: dict[Any, list[Other]] = {}
                for other in sorted(self.others, key=lambda other: isinstance(other.window.array, np.ndarray)):
                    together.setdefault(other.key, []).append(other)
                for windows in together.values():
                    fill_together(windows, num_threads)
                    advance(sum(other.window.array.size for other in windows))
                self.host.fill(num_threads, advance if progress else None)
        finally:  # after Ctrl-C too, some have changed
            mark_modified(*self.changed)


def is_changeable(specification: Any) -> bool:
    """Whether a specification, a dict say, may say something else the next time."""
    return type(specification).__hash__ is None


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
