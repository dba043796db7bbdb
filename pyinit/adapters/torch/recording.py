"""Record random operations, and later operations on their results, instead of executing them.

A torch dispatch mode sees every operation of a thread, and records what it does to the contents of `storages`. If an
operation's result is needed immediately, the recorder first makes the values it reads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

from pyinit.adapters.torch.operators import (
    ALLOCATIONS,
    EMPTY,
    FILLED,
    IN_PLACE,
    LIKE,
    NEW,
    RANDOM,
    Operator,
    aten,
    both_float,
    filled,
    has_no_memory,
    is_meta,
    keeps_shape,
    mapped,
    named,
    operator,
    outputs,
    split_arguments,
    tensors,
)
from pyinit.adapters.torch.playing import Player, is_narrow
from pyinit.adapters.torch.samplers import Sampler
from pyinit.adapters.torch.sharding import UNSHARDED
from pyinit.adapters.torch.storages import Early, Storages, caller, check_whole
from pyinit.adapters.torch.tape import (
    Call,
    Contents,
    Draw,
    Geometry,
    Given,
    Own,
    Result,
    View,
    call_of,
    parts_of,
    storage_of,
)

__all__ = ["Recorder"]

LARGE = 1 << 26  # bytes; deferred() allocates no larger tensor, because only parameters are this large


class Recorder(TorchDispatchMode, Storages):
    """A dispatch mode that records the contents of the storages that this thread allocates and writes."""

    supports_higher_order_operators = True

    def __init__(self, player: Player | None, outer: tuple[Recorder, ...] = ()) -> None:
        TorchDispatchMode.__init__(self)
        Storages.__init__(self, player, outer)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not isinstance(function, torch._ops.OpOverload):  # a higher-order operator, such as torch.cond
            self.make(tensors(args, kwargs), str(function))
            return function(*args, **kwargs)
        if any(issubclass(t, FakeTensor) for t in types):  # a DTensor computes a result's shape with these
            return function(*args, **kwargs)
        if any(t.__torch_dispatch__ is not torch._C._disabled_torch_dispatch_impl for t in types):
            if function.overloadpacket in IN_PLACE:
                check_whole(args[0])
            return NotImplemented  # the tensor class calls operations on plain tensors, which come here
        of = operator(function)
        if of.is_composite:
            with self:
                return function.decompose(*args, **kwargs)
        if RANDOM in function.tags:
            return self.random(function, args, kwargs)
        if function.overloadpacket in ALLOCATIONS:
            return self.allocated(function, args, kwargs)
        if of.reads_nothing:
            return function(*args, **kwargs)
        found = tensors(args, kwargs)
        known = [t for t in found if has_no_memory(t) or self.entry(t) is not None]
        to_meta = is_meta(kwargs.get("device"))
        if (
            self.player is None and known and function.namespace == "c10d"
        ):  # raise in all processes: otherwise some would wait for ever
            raise RuntimeError(f"{function}{caller()} communicates values that are not made yet: {UNSHARDED}")
        if any(t.is_conj() or t.is_neg() for t in known):
            if of.writes and known[0] is args[0] and (known[0].is_conj() or known[0].is_neg()):
                self.make(known, str(function))
                self.forget(known[0])
                return function(*args, **kwargs)
            return self.__torch_dispatch__(function, types, mapped(args, self.resolved), kwargs)
        if known or to_meta:
            if of.writes:
                return self.written(function, of, args, kwargs, known)
            pending = [t for t in known if has_no_memory(t) or self.is_pending(t)]
            if pending or to_meta:
                return self.computed(function, of, args, kwargs, pending)
        return function(*args, **kwargs)

    def resolved(self, tensor: torch.Tensor) -> torch.Tensor:
        """Carry out the conjugation or negation of a lazily conjugated or negated view; the tape has no such views."""
        with self:
            if tensor.is_conj():
                tensor = torch.conj_physical(tensor.conj())
            return torch.neg(torch._neg_view(tensor)) if tensor.is_neg() else tensor

    def allocated(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Allocate; record new memory as unwritten, and zeros and ones on the meta device as a fill."""
        packet, out = function.overloadpacket, None
        if self.player is None:  # do not allocate a large tensor even for a moment
            out = function(*args, **{**kwargs, "device": torch.device("meta")})
            out = out if out.numel() * out.element_size() > LARGE else None
        out = function(*args, **kwargs) if out is None else out
        if type(out) is torch.Tensor and out.layout is torch.strided and (packet in EMPTY or has_no_memory(out)):
            self.enter(out)
            if packet in FILLED:
                value = FILLED[packet]
                self.edit(out, filled(args[-1] if value is None else value, out.dtype))
        return out

    def random(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Record a draw, or let torch draw now if it must."""
        packet, numbers = function.overloadpacket, [*args[1:], *(kwargs[k] for k in ("p",) if k in kwargs)]
        written = [value for name, value in named(function, args, kwargs) if name in operator(function).writes]
        if kwargs.get("generator") is not None:
            return self.drawn_by_torch(function, args, kwargs, written)
        if packet in IN_PLACE and not any(isinstance(n, torch.Tensor) for n in numbers):
            takes = written[0].is_floating_point() or packet is aten.bernoulli_
            function(torch.empty(0, dtype=written[0].dtype), *numbers)  # raises if the numbers are wrong
            if takes or (packet in (aten.normal_, aten.uniform_) and written[0].is_complex()):
                return self.draw(written[0], IN_PLACE[packet](*numbers))
        elif packet is aten.random_ and (numbers or not written[0].is_floating_point()):
            largest = 2 if written[0].dtype is torch.bool else torch.iinfo(written[0].dtype).max
            low, high = (0, *numbers)[-2:] if numbers else (0, largest)
            if high is not None:
                return self.draw(written[0], Sampler("randint", (low, high)))
        elif packet in NEW and not any(isinstance(a, torch.Tensor) for a in args[packet in LIKE :]):
            size, sampler = NEW[packet](*args)
            if written:
                if written[0].shape == torch.Size(args[0].shape if size is None else size):
                    return self.draw(written[0], sampler)
                return self.seeded(function, args, kwargs, written)
            options = {key: value for key, value in kwargs.items() if key != "generator"}
            if packet in (aten.randperm, aten.randint):
                options["dtype"] = options.get("dtype") or torch.int64
            allocate = aten.empty_like.default if size is None else aten.empty.memory_format
            return self.draw(self.allocated(allocate, args[:1] if size is None else (size,), options), sampler)
        return self.seeded(function, args, kwargs, written)

    def drawn_by_torch(self, function: Any, args: Any, kwargs: Any, written: list[Any]) -> Any:
        """Draw now, with the torch generator that the user passed."""
        if written and has_no_memory(written[0]):
            real = torch.empty(written[0].shape, dtype=written[0].dtype, device=kwargs["generator"].device)
            function(real, *args[1:], **kwargs)
            self.edit(written[0], Given(real))
            return written[0]
        self.make(
            [t for t in tensors(args, kwargs) if not (written and t is written[0] and self.is_whole(t))], str(function)
        )
        self.forget(*written)
        return function(*args, **kwargs)

    def seeded(self, function: Any, args: Any, kwargs: Any, written: list[Any]) -> Any:
        """Draw now with torch's generator, seeded from the root stream, because only torch can draw it."""
        if self.player is None:
            raise RuntimeError(f"{function} cannot be deferred: build the model inside fast_init(seed) instead")
        self.make(tensors(args, kwargs), str(function))
        self.forget(*written)
        key = f"#{next(self.ordinals)}"
        shape = tuple(written[0].shape) if written else ()
        self.early.append(Early(key, shape, f"{function}, which only torch can draw{caller()}"))
        with torch.random.fork_rng():
            torch.manual_seed(int(self.player.root.child(key).bits(1)[0]))
            return function(*args, **kwargs)

    def written(self, function: Any, of: Operator, args: Any, kwargs: Any, known: list[torch.Tensor]) -> Any:
        """Record a write if its target or a source is pending; otherwise execute it."""
        given = dict(named(function, args, kwargs))
        targets = tensors([given.get(name) for name in of.writes], {})
        if len(targets) == 1 and len(of.writes) == 1 and self.is_recorded(function, of, given, targets[0], known):
            return targets[0]
        self.make([t for t in known if not (of.name == "copy_" and t is args[0] and self.is_whole(t))], str(function))
        self.forget(*targets)  # from now on their memory has the values
        for target in targets if self.moved else ():
            for moved in self.moved.get(storage_of(target)._cdata, ()):
                moved.is_written = True
        return function(*args, **kwargs)

    def is_recorded(
        self, function: Any, of: Operator, given: dict[str, Any], target: torch.Tensor, known: list[torch.Tensor]
    ) -> bool:
        """Record a write to one tensor and return True; return False if it must or may as well be executed."""
        entry, whole = self.entry(target), self.is_whole(target)
        others = [t for t in known if t is not target and (has_no_memory(t) or self.is_pending(t))]
        is_open = has_no_memory(target) or (entry is not None and entry.is_pending)
        if of.name in ("fill_", "zero_"):
            value = given.get("value", 0)
            if isinstance(value, torch.Tensor) and not others:
                value = value.item()
            if not isinstance(value, torch.Tensor):
                if is_open or whole:
                    self.edit(target, filled(value, target.dtype))
                return is_open or whole
        if not (is_open or others) or not of.is_recordable:
            return False
        copies = of.name == "copy_" and target.shape == given["src"].shape
        if copies and others:
            if self.shares(target, given["src"]):
                return True
        elif copies and given["src"] is not target:
            if not whole or has_no_memory(target):
                self.edit(target, Given(given["src"].detach().clone()))
            return not whole or has_no_memory(target)
        if not keeps_shape(function, given, target):
            return False
        call = self.call(function, given, target)
        rewrites = of.name == "copy_" or function._overloadname.endswith("out")
        self.edit(target, call, rewrites and len(list(parts_of(call, Own))) == 1)
        return True

    def computed(self, function: Any, of: Operator, args: Any, kwargs: Any, pending: list[torch.Tensor]) -> Any:
        """Record an operation on pending values, if possible; otherwise make them and execute it."""
        given = dict(named(function, args, kwargs))
        if of.is_recordable and (made := outputs(function, given)) is not None:
            meta = any(has_no_memory(t) for t in pending)
            device = kwargs.get("device") or (torch.device("meta") if meta else pending[0].device)
            call = self.call(function, given, None)
            if isinstance(made, torch.Tensor):
                return self.result(call, None, made, device)
            return type(made)(None if out is None else self.result(call, i, out, device) for i, out in enumerate(made))
        self.make(pending, str(function))
        return function(*args, **kwargs)

    def result(self, call: Call, index: int | None, made: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Return an unwritten tensor for an output of a recorded operation."""
        out = torch.empty_strided(made.shape, made.stride(), dtype=made.dtype, device=device)
        self.enter(out)
        source = call.arguments[0] if call.function.overloadpacket in (aten.clone, aten._to_copy) else None
        if not (isinstance(source, View) and self.share(out, source)):
            self.edit(out, Result(call, index))
        return out

    def shares(self, target: torch.Tensor, source: torch.Tensor) -> bool:
        """Give `target` the recorded contents of `source`, if this equals the copy; return whether it does."""
        entry = self.entry(source)
        if entry is None or not entry.is_pending or entry.has_old:
            return False
        if self.entry(target) is None:
            self.enter(target)
        return self.share(target, View(entry.contents, Geometry.of(source)))

    def share(self, target: torch.Tensor, source: View) -> bool:
        """Give `target` a view's contents, if both have the same geometry; return whether they have."""
        entry, where = self.entry(target), Geometry.of(target)
        assert entry is not None
        whole = where.is_dense and where.size == entry.contents.size == source.contents.size
        if not whole or where != source.geometry or not both_float(target.dtype, source.contents.dtype):
            return False
        computed = any(call_of(edit.what) is not None for edit in source.contents.edits)
        dtypes = target.dtype, source.contents.dtype
        if dtypes[0] != dtypes[1] and (is_narrow(dtypes[1]) or (computed and torch.float64 in dtypes)):
            return False  # the values were rounded to the other dtype, or computed in it
        self.replaced += sum(isinstance(edit.what, Draw) for edit in entry.contents.edits)
        entry.contents = Contents(source.contents.edits, source.contents.size, target.dtype)
        entry.is_made = entry.has_old = False
        return True

    def call(self, function: Any, given: dict[str, Any], target: torch.Tensor | None) -> Call:
        """Return an operation as a Call, with the present contents of its tensor arguments."""
        own = None if target is None else storage_of(target)._cdata

        def held(tensor: torch.Tensor) -> Any:
            entry = self.entry(tensor)
            if own is not None and storage_of(tensor)._cdata == own:
                return Own(Geometry.of(tensor))
            if entry is not None and (entry.has_old or entry.contents.dtype != tensor.dtype):
                self.make([tensor], str(function))
            elif entry is not None and (entry.contents.edits or has_no_memory(tensor)):
                return View(entry.contents, Geometry.of(tensor))
            self.take(tensor)
            return Given(None if has_no_memory(tensor) else tensor.detach().clone())

        arguments, keywords = split_arguments(function, given)
        return Call(function, mapped(arguments, held), {name: mapped(value, held) for name, value in keywords.items()})
