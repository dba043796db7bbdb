"""Calls of the entries around the core with values whose code raises, lies, never ends or changes what is written.

Usage: python tests/hostile_parameters.py FIRST STEP     every STEP-th case, from the FIRST on; prints how many there
were, in how many of them the parameter was read at all, and what was wrong

A case is an entry, one of its parameters, and the manner in which that parameter answers. For every answer, either the
result is that of an honest value, or there is an error and nothing has changed: no file of a folder, no array, no
model, no stream's position. Exceptions of the caller's code pass through unchanged.
"""

import itertools
import shutil
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import hostile_adapters
import hostile_entries
import hostile_torch
import numpy as np
from guarded import CANARY, Guarded
from hostile_entries import PLAN
from hostile_values import Deed, EndlessError, ToldError, endless, like

from pyinit import Stream
from pyinit import initialize as by_plan
from pyinit.network import Dense, Network

ERRORS = (TypeError, ValueError, LookupError, OSError, RuntimeError)
RAISED = {
    "raise": ToldError,
    "interrupt": KeyboardInterrupt,
    "raise RuntimeError": (RuntimeError, TypeError),  # for a number, a TypeError names the parameter
}
MAKES_FILES = {"checkpoint.verify", "checkpoint.against", "network.load"}  # they make files in order to read them
MEMORY = Path("/dev/shm")  # a folder in memory
ROOM = Guarded(4096)
ENTRIES = {**hostile_entries.ENTRIES, **hostile_torch.ENTRIES, **hostile_adapters.ENTRIES}


class Target:
    """Everything that an entry can write to, new for each case."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.stream = Stream(7)
        self.array = ROOM.array((6, 4), np.float32)
        self.params = {"0.w": self.array, "1.w": np.zeros(5, np.float32)}
        self.net = Network(4, [Dense(3, "tanh"), Dense(2)])
        for _, array in self.net.parameters():
            array[...] = 0.5
        self.arrays = [*self.params.values(), *(array for _, array in self.net.parameters())]
        self.model = hostile_torch.torch_model()

    def state(self):
        """Return the state that a refused call must not change: stream, arrays, network, model and files, as bytes."""
        there = {str(file.relative_to(self.folder)): content(file) for file in sorted(self.folder.rglob("*"))}
        arrays = [array.tobytes() for array in self.arrays]
        return self.stream.position, arrays, hostile_torch.torch_state(self.model), there

    def check_around(self):
        """Raise AssertionError if bytes before the guarded array have changed; after it comes a protected page."""
        begin = self.array.__array_interface__["data"][0] - ROOM.bytes.__array_interface__["data"][0]
        assert (ROOM.bytes[:begin] == CANARY).all(), "written before the array"


def content(file):
    return file.read_bytes() if file.is_file() else None


# The manners in which a parameter answers.


def protect(target):
    for array in target.arrays:
        array.flags.writeable = False


def shrink(target):
    for layer in target.net.layers:
        layer.weights, layer.bias = layer.weights[:1], layer.bias[:1].astype(np.float64)
    target.params["1.w"] = target.params["1.w"][:2]


def forget(target):
    target.params.clear()
    target.net.layers.clear()


def reorder(target):
    target.params["0.w"] = target.params.pop("0.w")


def take_names(target):
    """Put something in the place of a file that will be made."""
    for name in ("a.npy", "a.npz", "a.safetensors", "a.zarr", "made", "one.safetensors", "net.safetensors"):
        (target.folder / name).write_bytes(b"theirs")


def fill_beside(target):
    target.stream.normal(5)


def call_again(target):
    """Recurse, with the same stream, arrays, network and model."""
    by_plan(target.params, target.stream, PLAN)
    target.net.initialize(target.stream)
    if target.model is not None:
        hostile_torch.by_module(target)


DEEDS = {
    **hostile_torch.DEEDS,
    "call again": call_again,
    "protect": protect,
    "shrink": shrink,
    "forget": forget,
    "reorder": reorder,
    "take names": take_names,
    "fill beside": fill_beside,
}


def manners(first, second):
    """Yield each manner and its answers, from an honest value and another one."""
    yield "raise", (ToldError(),)
    yield "interrupt", (KeyboardInterrupt(),)
    for n in (1, 2, 3):
        yield f"raise after {n}", (*(first,) * n, ToldError())
        yield f"another after {n}", (*(first,) * n, second)
    for name, deed in DEEDS.items():
        yield name, (deed, first)
    yield "raise RuntimeError", (RuntimeError("told"),)
    if endless(first) is not None and not (isinstance(first, list) and isinstance(first[0], Dense)):
        yield "endless", ()


def cases():
    for entry, (_, parameters) in ENTRIES.items():
        for parameter, values in parameters.items():
            for manner, _ in manners(*values):
                yield entry, parameter, manner


def hostile(target, entry, parameter, manner):
    """Return the value of a case."""
    first, second = ENTRIES[entry][1][parameter]
    if parameter in ("path", "folder", "other"):
        first, second = target.folder / first, target.folder / second
    told = dict(manners(first, second))[manner]
    if manner == "endless":
        return endless(first)
    if manner in DEEDS:
        told = Deed(partial(once, [], told[0], target), first), first
    if isinstance(first, Path):
        told = [str(answer) if isinstance(answer, Path) else answer for answer in told]
        if isinstance(told[0], Deed):
            told[0].value = str(told[0].value)
    return like(first, *told)


def once(done, deed, target):
    if not done:
        done.append(True)
        deed(target)


def honest(room, entry, other):
    """Return the result of an honest call and the state after it."""
    call, parameters = ENTRIES[entry]
    target = Target(room)
    given = {name: values[0] for name, values in parameters.items()} | other
    try:
        return call(target, **given), target.state()
    except ERRORS as error:  # from a second value that does not suit the others
        return type(error), target.state()


EXPECTED = {}


def one(folder, entry, parameter, manner):
    """Run one case; return whether the parameter was read at all, and raise AssertionError if something is wrong."""
    call, parameters = ENTRIES[entry]
    good = []
    for value in parameters[parameter]:
        key = entry, parameter, str(value)
        if key not in EXPECTED:
            EXPECTED[key] = honest(folder, entry, {parameter: value})
        good.append(EXPECTED[key])
    assert not isinstance(good[0][0], type), f"an honest call raises {good[0][0].__name__}"
    target = Target(folder)
    value = hostile(target, entry, parameter, manner)
    given = {name: values[0] for name, values in parameters.items()} | {parameter: value}
    before, error, result = target.state(), None, None
    try:
        result = call(target, **given)
    except (*ERRORS, ToldError, KeyboardInterrupt) as caught:
        error = caught
    except EndlessError:
        raise AssertionError("a sequence without an end was taken whole") from None
    target.check_around()
    after = target.state()
    asked = getattr(value, "count", True)
    if asked:
        check_answer(entry, manner, error, before, after, good[0])
    if manner not in DEEDS and error is not None:
        assert after == before or entry in MAKES_FILES, f"changed although it raised {error!r}"
    elif manner not in DEEDS:
        assert (result, after) in good, f"neither honest result: {result!r:.300}"
    return bool(asked)


def check_answer(entry, manner, error, before, after, expected):
    """Raise AssertionError unless a manner has its expected outcome."""
    if manner in RAISED:
        assert isinstance(error, RAISED[manner]), f"raised {error!r}"
    if manner == "protect":
        assert after[1] == before[1], "a read-only array was written"
    if manner == "take names" and entry.startswith(("files", "checkpoint.write")):
        assert type(error) is FileExistsError, f"raised {error!r}"
        assert set(after[-1].values()) == {b"theirs"}
    if manner in ("reorder", "forget") and entry == "initialize":
        assert after == expected[1], "the arrays of before were not filled"


def main(first, step):
    """Run every `step`-th case."""
    warnings.simplefilter("ignore")
    count, reached, wrong = 0, 0, []
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        for case in itertools.islice(cases(), int(first), None, int(step)):
            print(" | ".join(case), file=sys.stderr, flush=True)
            try:
                reached += one(Path(folder) / "room", *case)
            except AssertionError as error:
                wrong.append(f"{' | '.join(case)}: {error}")
            count += 1
    print(f"{count} {reached}", *wrong, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
