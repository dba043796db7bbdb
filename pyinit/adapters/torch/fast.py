"""Build models fast: `fast_init`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch.utils._python_dispatch import _disable_current_modes

from pyinit.adapters.torch.modules import Modules, Place, Prefix
from pyinit.adapters.torch.playing import Player
from pyinit.adapters.torch.recipes import Recipes
from pyinit.adapters.torch.recording import Recorder
from pyinit.adapters.torch.settling import SMALL, check_unsharded, name_draws, recipes_of
from pyinit.adapters.torch.storages import Early, Entry
from pyinit.adapters.torch.tape import Contents, draws, storage_of
from pyinit.adapters.torch.watching import recorders, recording
from pyinit.streams import Stream

__all__ = ["Report", "fast_init"]


@dataclass
class Report:
    """A summary of what `fast_init` did. Complete once the block has ended.

    Attributes
    ----------
    stream : Stream
        The root stream. `seed` is its seed.
    recipes : Recipes
        How each parameter and each random buffer was made. `verify` and `materialize` take these.
    early : list of (key, shape, reader)
        Random tensors made early, before the end of the block, because an operation read their values or only torch can
        draw them. `key` names the tensor's stream (such as "#0", never a parameter's name); `reader` is the operation.
    drawn : int
        The number of recorded draws.
    replaced : int
        The number of draws that were never made, because a later draw or write replaced them.
    prefix : str or callable
        The `prefix` of `fast_init`.
    """

    stream: Stream
    recipes: Recipes = field(default_factory=Recipes)
    early: list[Early] = field(default_factory=list)
    drawn: int = 0
    replaced: int = 0
    prefix: Prefix = ""

    @property
    def seed(self) -> int:
        """The seed of the root stream."""
        return self.stream.seed

    def __str__(self) -> str:
        drawn = sum(next(draws(recipe.view.contents), None) is not None for recipe in self.recipes.values())
        models = sorted(self.recipes.prefixes.values())
        lines = [
            f"{counted(len(self.recipes), 'tensor')}, {drawn} of them random, from seed {self.seed}",
            f"{counted(self.drawn, 'draw')} recorded, {self.replaced} of them replaced by later ones",
            *(f"{len(models)} models, whose names begin with {models}" for _ in models[1:2]),
            *(f"made early: {key} of shape {shape}, for {reader}" for key, shape, reader in self.early),
        ]
        return "\n".join(lines)


def counted(number: int, what: str) -> str:
    """Format a number of things."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@contextmanager
def fast_init(
    seed: int | Stream | None = 0,
    *,
    generator: str = "philox",
    prefix: Prefix = "",
    num_threads: int | None = None,
    progress: bool = False,
) -> Iterator[Report]:
    """Build a model inside the block; pyinit fills its random weights when the block ends.

    Inside the block, random operations are recorded, not executed. An operation that overwrites a tensor replaces its
    record; one that edits it (zeroing a padding row, scaling) is added to the record. When the block ends, one call
    fills all parameters, each from the child stream of its name. So a weight depends only on the seed and its name,
    not on the order of layers or on earlier draws. In bfloat16 and float16 it is the float32 weight, rounded.

    Parameters
    ----------
    seed : int, Stream or None
        The root stream, or its seed. Without a seed the operating system picks one; see `Report.seed`.
    generator : {"philox", "ars5", "ars7"}
        The root stream's generator, if `seed` is not a Stream.
    prefix : str or callable
        For a part of a larger model, such as a pipeline stage: the prefix of its names in the larger model, or a
        function from its names to those of the larger model. The part then gets the larger model's weights, and the
        report has the larger model's names.
    num_threads : int, optional
        As for `Stream.fill`.
    progress : bool
        Show a progress bar, on a terminal with rich installed.

    Yields
    ------
    Report

    Notes
    -----
    If code inside the block reads a random value (prints it, for example), pyinit makes that value early, from its own
    stream, and lists it in `Report.early`. A warning names the parameters concerned. Keep a reference to the model
    until the block ends.

    Streams have the names from the outermost module's `named_parameters`, without the prefixes that torch.compile and
    DistributedDataParallel add. A tied parameter has its first name. If the block builds several models, the largest
    has these names, and the others' names begin with their class: ``Discriminator:0.weight``. Two blocks with the same
    seed give the same weights to the same names. For different weights, give each block its own stream:
    ``fast_init(pyinit.Stream(0).child("generator"))``.

    The states of torch's generators do not change. Torch itself makes a draw with an explicit ``generator=``. Other
    threads are not affected, but must not read the block's random tensors before it ends.

    Examples
    --------
    >>> from pyinit.adapters import torch as pt
    >>> with pt.fast_init(seed=0) as report:
    ...     model = torch.nn.Embedding(10, 4, padding_idx=0)
    >>> print(report)
    1 tensor, 1 of them random, from seed 0
    1 draw recorded, 0 of them replaced by later ones
    >>> report.recipes["weight"]
    Recipe('weight', Normal(), [0] = 0.0, (10, 4))
    """
    player = Player.of(seed, generator, num_threads, progress)
    report, recorder, found = Report(player.root, prefix=prefix), Recorder(player, recorders()), Modules(prefix=prefix)
    if any(outer.player is None for outer in recorder.outer):
        raise RuntimeError("fast_init() cannot be used inside deferred(): it makes values, which deferred() postpones")
    try:
        with found.registered(), recording(recorder):
            yield report
    finally:
        with _disable_current_modes(), torch.no_grad():
            named = found.named(recorder)
            name_draws(recorder, named)
            make_pending(recorder, player)
            for _, place in named:
                if recorder.outer and recorder.entry(place.tensor) is None:
                    recorder.take(place.tensor)
            report.recipes = Recipes(recipes_of(recorder, named, keep=SMALL), found.prefixes)
            report.early, report.drawn, report.replaced = recorder.early, recorder.drawn, recorder.replaced
        warn_of_early(recorder, named)
    check_unsharded(recorder, named)


def make_pending(recorder: Recorder, player: Player) -> None:
    """Make all pending tensors: the modules' tensors in one call, then those that only other code holds."""
    named: list[tuple[Contents, torch.Tensor]] = []
    others: list[Entry] = []
    for entry in recorder.entries.values():
        if entry.is_pending and entry.device.type != "meta" and (flat := entry.flat()) is not None:
            if all(draw.key in recorder.keys for draw, _ in draws(entry.contents)):
                named.append((entry.contents, flat))
            else:
                others.append(entry)
    player.play(named, recorder.keys)
    for entry in others:
        shape = entry.contents.edits[-1].where.shape
        recorder.make_entry(entry, shape, "the end of the block: it is not a parameter or buffer")


def warn_of_early(recorder: Recorder, named: list[tuple[torch.nn.Module, Place]]) -> None:
    """Warn of the parameters that did not come from their names' streams, because something read them in the block."""
    tensors = {place.name: place.tensor for _, place in named if place.tensor.numel()}
    early = [name for name, tensor in tensors.items() if storage_of(tensor)._cdata in recorder.read]
    if early:
        warnings.warn(
            f"{', '.join(early)}: read inside fast_init(), so made from other streams than those of their names; see "
            "report.early",
            UserWarning,
            stacklevel=4,
        )
