"""Play tapes into memory: pyinit makes the draws, in one call if possible, and torch runs the operations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import _disable_current_modes

from pyinit import _core
from pyinit.adapters.torch.operators import is_stable
from pyinit.adapters.torch.samplers import Sampler
from pyinit.adapters.torch.tape import Call, Contents, Draw, Edit, Fill, Geometry, Given, Own, Result, View, order
from pyinit.initializers import Normal, Scheme, constant
from pyinit.models.filling import Work
from pyinit.streams import Stream

__all__ = ["Player", "is_narrow"]

NONE: Mapping[Any, str] = {}


class Player:
    """Writes contents into tensors, drawing from the child streams of one root.

    Parameters
    ----------
    root : Stream
        A draw uses the child of this stream that its key names.
    num_threads : int, optional
        As for `Stream.fill`.
    progress : bool
        Whether to show a progress bar.
    """

    def __init__(self, root: Stream, num_threads: int | None = None, progress: bool = False) -> None:
        self.root = root
        self.num_threads = num_threads
        self.progress = progress

    @classmethod
    def of(
        cls, seed: int | Stream | None, generator: str, num_threads: int | None = None, progress: bool = False
    ) -> Player:
        """Make a player from a seed or a root stream; raise TypeError or ValueError if an argument is wrong."""
        num_threads = _core.check_threads(num_threads) or None  # converted once: an object may change its answer
        return cls(seed if isinstance(seed, Stream) else Stream(seed, generator), num_threads, progress)

    def play(self, jobs: Iterable[tuple[Contents, torch.Tensor]], keys: Mapping[Any, str] = NONE) -> None:
        """Write contents into tensors, each a flat view of a whole storage.

        Parameters
        ----------
        jobs : iterable of (Contents, Tensor)
        keys : mapping of int to str
            The stream names of numbered draws.
        """
        with ExitStack() as stack:
            stack.enter_context(_disable_current_modes())
            stack.enter_context(torch.no_grad())
            together: list[dict[str, list[Job]]] = []
            rest: list[tuple[Contents, torch.Tensor, tuple[Edit, ...]]] = []
            for contents, flat in jobs:
                done, left = split(contents, flat)
                for number, (where, what, _) in enumerate(done):
                    out = where.on(flat)
                    if isinstance(what, Draw):
                        key = str(keys.get(what.key, what.key))
                        job = Job(key, out, what.sampler, what.global_shape, what.offset)
                    else:
                        value = constant(what.value)  # type: ignore[union-attr,arg-type]
                        job = Job(f"constant {len(rest)}.{number}", out, value, None, None)
                    add(together, job)
                rest.append((contents, flat, left))
            for part in together:  # one part, unless copies share a draw
                work = Work(self.root)
                work.add(job for jobs in part.values() for job in jobs)
                work.fill(self.num_threads, self.progress)
            for contents, flat, left in rest:
                if left:
                    Playing(self, keys).write(contents, flat, left)

    def make(self, view: View, device: torch.device) -> torch.Tensor:
        """Return a new tensor with the values of a view."""
        with _disable_current_modes(), torch.no_grad():
            flat = torch.empty(view.contents.size, dtype=view.contents.dtype, device=device)
            self.play([(view.contents, flat)])
            return view.geometry.on(flat)

    def write(self, view: View, out: torch.Tensor) -> None:
        """Write the values of a view to a tensor of its shape and dtype, without a copy if possible."""
        is_all = view.contents.size == out.numel() and view.geometry == Geometry.whole(tuple(out.shape))
        if is_all and out.is_contiguous():
            self.play([(view.contents, out.reshape(-1))])
        else:
            out.copy_(self.make(view, out.device))


class Job(NamedTuple):
    """A draw or constant that the core writes; see `pyinit.models.Parameter`."""

    name: str
    out: torch.Tensor
    scheme: Scheme
    global_shape: tuple[int, ...] | None
    offset: tuple[int, ...] | None


def add(together: list[dict[str, list[Job]]], job: Job) -> None:
    """Add a job to the first part that does not have its name yet, or has it for windows of the same tensor."""
    for part in together:
        there = part.setdefault(job.name, [])
        if not there or (job.global_shape is not None and there[0].global_shape == job.global_shape):
            there.append(job)
            return
    together.append({job.name: [job]})


class Playing:
    """Writes the contents of one storage; it makes the other contents that it needs once."""

    def __init__(self, player: Player, keys: Mapping[Any, str]) -> None:
        self.player = player
        self.keys = keys
        self.flats: dict[int, torch.Tensor] = {}
        self.outputs: dict[int, Any] = {}

    def write(self, contents: Contents, flat: torch.Tensor, edits: tuple[Edit, ...]) -> None:
        """Apply edits to a flat tensor. Narrow dtypes are computed in float32 and rounded once."""
        wide = flat
        if is_narrow(flat.dtype) and any(isinstance(e.what, Call) and not is_copy(e.what) for e in edits):
            wide = flat.float()  # with its earlier values
            if edits is not contents.edits:
                edits = contents.edits
        for where, what, _ in edits:
            target = where.on(wide)
            if isinstance(what, Draw):
                self.sample(target, what)
            elif isinstance(what, Fill):
                target.fill_(what.value)
            elif isinstance(what, Given):
                target.copy_(given(what))
            elif isinstance(what, Result):
                if (output := self.output(what, flat.device, contents.dtype)) is not None:
                    target.copy_(output)
            else:
                self.run(what, wide, contents.dtype)
        if wide is not flat:
            flat.copy_(wide)

    def sample(self, target: torch.Tensor, draw: Draw) -> None:
        """Draw samples into a tensor."""
        if not target.numel():
            return
        stream = self.player.root.child(self.keys.get(draw.key, draw.key))  # type: ignore[arg-type]
        shape, offset = draw.global_shape, draw.offset
        sampler: Any = draw.sampler
        if isinstance(sampler, Sampler):
            sampler.fill(target, stream)
            return
        if not isinstance(sampler, Scheme):  # a user's function
            sampler(target, stream)
            return
        if target.is_complex():  # both parts are drawn, normal ones with half the variance
            target = torch.view_as_real(target)
            if shape is not None and offset is not None:
                shape, offset = (*shape, 2), (*offset, 0)
            if isinstance(sampler, Normal):
                sampler = Normal(sampler.mean, sampler.std / math.sqrt(2))
        placed = {"global_shape": shape, "offset": offset}
        if not target.is_floating_point() or draw.double != (target.dtype == torch.float64):
            drawn = torch.empty(
                target.shape, dtype=torch.float64 if draw.double else torch.float32, device=target.device
            )
            target.copy_(sampler(drawn, stream, num_threads=self.player.num_threads, **placed))
        else:
            sampler(target, stream, num_threads=self.player.num_threads, **placed)

    def view(self, view: View, device: torch.device) -> torch.Tensor:
        """Make the contents of a storage, and return a view of them."""
        contents = view.contents
        if id(contents) not in self.flats:
            for inner in order(contents):
                if id(inner) in self.flats:
                    continue
                if not inner.edits:
                    raise ValueError("a value depends on uninitialised memory")
                dtype = torch.float32 if is_narrow(inner.dtype) else inner.dtype
                flat = self.flats[id(inner)] = torch.empty(inner.size, dtype=dtype, device=device)
                self.write(inner, flat, inner.edits)
        return view.geometry.on(self.flats[id(contents)])

    def output(self, result: Result, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Return an output of an operation, which runs once."""
        if id(result.call) not in self.outputs:
            self.outputs[id(result.call)] = self.run(result.call, torch.empty(0, device=device), dtype)
        outputs = self.outputs[id(result.call)]
        return outputs if result.index is None else outputs[result.index]

    def run(self, call: Call, own: torch.Tensor, dtype: torch.dtype) -> Any:
        """Run an operation with a result of `dtype` on the storage `own` and on remade arguments."""

        def argument(value: Any) -> Any:
            if isinstance(value, Own):
                return value.geometry.on(own)
            if isinstance(value, View):
                return rounded(self.view(value, own.device), value.contents.dtype, dtype)
            if isinstance(value, Given):
                return widened(given(value).to(own.device))
            return type(value)(map(argument, value)) if type(value) in (list, tuple) else widened(value)

        arguments, keywords = [*map(argument, call.arguments)], {k: argument(v) for k, v in call.keywords.items()}
        try:
            with one_thread(torch.Tag.pointwise in call.function.tags and not is_stable(call.function)):
                return call.function(*arguments, **keywords)
        except (IndexError, RuntimeError, TypeError) as error:  # a recipe written by hand may be wrong
            raise ValueError(f"{call.function} cannot run as in the recipe: {error}") from error


@contextmanager
def one_thread(is_wanted: bool) -> Iterator[None]:
    """Let torch compute on one thread, for operations whose bits depend on the number of threads."""
    before = torch.get_num_threads()
    if not is_wanted or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def split(contents: Contents, flat: torch.Tensor) -> tuple[list[Edit], tuple[Edit, ...]]:
    """Split edits into a first part, which one call of the core can make for all storages, and the rest."""
    done: list[Edit] = []
    edits = contents.edits
    if any(isinstance(edit.what, Call) and not is_copy(edit.what) for edit in edits) and is_narrow(flat.dtype):
        return done, edits
    for edit in edits:
        if not flat.is_floating_point() or any(meet(edit, other) for other in done):
            break
        what = edit.what
        drawn = (
            isinstance(what, Draw) and isinstance(what.sampler, Scheme) and what.double == (flat.dtype == torch.float64)
        )
        if not (drawn or (isinstance(what, Fill) and not isinstance(what.value, complex))):
            break
        done.append(edit)
    return done, edits[len(done) :]


def meet(edit: Edit, other: Edit) -> bool:
    """Whether two edits may write the same elements; windows of the same draw or constant do not."""
    a, b = edit.what, other.what
    if a is b or (isinstance(a, Draw) and isinstance(b, Draw) and a.offset is not None and a.key == b.key):
        return False
    return edit.where.meets(other.where)


def is_copy(call: Call) -> bool:
    """Whether an operation is a copy, which already rounds only once."""
    return call.function.overloadpacket is torch.ops.aten.copy_


def is_narrow(dtype: torch.dtype) -> bool:
    """Whether a dtype is a float of fewer than 32 bits."""
    return dtype.is_floating_point and dtype.itemsize < 4


def widened(value: Any) -> Any:
    """Return a narrow tensor or dtype as float32, in which operations are computed; others unchanged."""
    if isinstance(value, torch.dtype):
        return torch.float32 if is_narrow(value) else value
    return value.float() if isinstance(value, torch.Tensor) and is_narrow(value.dtype) else value


def rounded(tensor: torch.Tensor, dtype: torch.dtype, result: torch.dtype) -> torch.Tensor:
    """Round a tensor made in float32 to its own dtype, if the operation's result has a wider one."""
    return tensor.to(dtype).to(tensor.dtype) if is_narrow(dtype) and not is_narrow(result) else tensor


def given(value: Given) -> torch.Tensor:
    """Return the kept values."""
    if value.tensor is None:
        raise ValueError("a value depends on a tensor whose values were not kept")
    return value.tensor
