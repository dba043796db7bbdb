"""Calls of every entry with objects whose code changes the array while pyinit reads its arguments.

Usage: python tests/hostile_callers.py FIRST STEP     every STEP-th case, from the FIRST on; prints how many there were

A case is an entry, one of its parameters, a kind of array, and the action of the parameter's code on that array when it
is converted, compared, iterated or called. The name of each case goes to standard error first, so the last one there is
the one that crashed.
"""

import itertools
import sys
import warnings
from functools import partial

import numpy as np
from hostile_arrays import ANYWHERE, KINDS, Capsule, Interface, Target, ToldError, keep_no_memory, torch

import pyinit
from pyinit import distributions, initializers, models


class Evil:
    """A value whose code acts whenever pyinit reads it."""

    def __init__(self, value, do):
        self.value, self.do = value, do

    def told(self):
        self.do()
        return self.value

    def __float__(self):
        return float(self.told())

    def __index__(self):
        return int(self.told())

    def __iter__(self):
        return iter(self.told())

    def __len__(self):
        return len(self.told())

    def __getitem__(self, key):
        return self.told()[key]

    def __eq__(self, other):
        return self.told() == other

    def __hash__(self):
        return hash(self.told())


class EvilText(str):
    """A text that acts whenever it is compared."""

    do = staticmethod(lambda: None)

    def __eq__(self, other):
        self.do()
        return str.__eq__(self, other)

    def __hash__(self):
        self.do()
        return str.__hash__(self)


def text(value, do):
    made = EvilText(value)
    made.do = do
    return made


# The entries: a function of the target and its parameters, and honest values of those parameters.
PLACE = {"global_shape": "whole", "offset": "origin", "num_threads": 2, "backend": "'device'"}
FILLS = {
    "fill": {**PLACE},
    "fill_normal": {"mean": 0.5, "std": 2.0, "method": "'icdf'", **PLACE},
    "fill_truncated_normal": {"mean": 0.5, "std": 2.0, "lower": -1.0, "upper": 2.0, **PLACE},
    "fill_uniform": {"low": -1.0, "high": 2.0, **PLACE},
    "fill_bits": {**PLACE},
}
SCHEMES = ("zeros", "constant", "normal", "truncated_normal", "kaiming_uniform", "orthogonal", "identity", "sparse")


def fill(name, target, **given):
    if name == "fill":
        given["distribution"] = distributions.normal()
    if name == "fill_bits":
        if type(target.out) is not np.ndarray:
            raise ToldError  # of another dtype
        target.out.dtype = np.uint32
    getattr(target.stream, name)(target.out, **given)


def by_scheme(name, target, **given):
    values = {"constant": {"value": 1.5}, "sparse": {"sparsity": 0.5}}.get(name, {})
    values |= {key: given.pop(key) for key in ("std", "gain", "value") if key in given}
    getattr(initializers, name)(**values)(target.out, target.stream, **given)


class Mine(initializers.Scheme):
    """A caller's own scheme, which acts when it is resolved or checked."""

    def __init__(self, at, do):
        object.__setattr__(self, "at", at)
        object.__setattr__(self, "do", do)

    def resolve(self, shape):
        self.do() if self.at == "resolve" else None
        return self if self.at == "check" else initializers.normal()

    def check(self, dtype, shape):
        self.do()

    def fill(self, window, stream, num_threads):
        initializers.normal().fill(window, stream, num_threads)


def by_own_scheme(target, resolve=None, check=None):
    at = "check" if check is not None else "resolve"
    Mine(at, (check or resolve).do)(target.out, target.stream)


def initialize(target, plan=None, name=None, seed=1, num_threads=None, function=None, other=None, shard=None, own=None):
    """Fill the target and, before and after it, arrays that run the caller's code."""
    scheme = "orthogonal" if target.kind.startswith("masked") else "normal(std=0.5)"
    beside = np.zeros(3, np.float32)
    if other is not None:
        beside = Interface(target, beside.__array_interface__)
        beside.then = other.do
    params = {"a": target.out, "b": beside}
    shards = None
    if shard is not None:
        shards = {"b": ((Evil(3, shard.do),), (Evil(0, shard.do),))}
    rules = {"a": scheme, "b": "normal(std=1)"}
    if function is not None:
        rules["b"] = lambda out, stream: function.do()
    if own is not None:
        rules["b"] = Mine("resolve", own.do)
    if plan is not None:
        rules["b"] = Mapped(plan.do)
    if name is not None:
        params["b"], rules["b"] = params["b"], {text("name", name.do): "zeros"}
        params[text("c", name.do)] = np.zeros(3, np.float32)
        rules["c"] = "zeros"
    pyinit.initialize(params, seed, rules, num_threads=num_threads, shards=shards)


class Mapped(dict):
    """A scheme as a mapping that acts when it is read."""

    def __init__(self, do):
        super().__init__(name="normal", std=0.5)
        self.do = do

    def keys(self):
        self.do()
        return super().keys()


def fill_models(target, rows=None, offset=None, num_threads=None):
    """Fill parameters from a caller's generator, windows among them."""

    def given():
        yield models.Parameter("a", target.out, "normal(std=0.5)")
        if rows is not None:
            rows.do()
        if offset is not None:
            window = (Evil(9, offset.do),), (Evil(0, offset.do),)
            yield models.Parameter("b", np.zeros(3, np.float32), "orthogonal" if 0 else "zeros", *window)

    models.fill(given(), 1, num_threads=num_threads)


def exported(target, out=None):
    """Fill an array that changes itself while it is exported."""
    if not isinstance(target.out, (Interface, Capsule)):
        raise ToldError
    target.out.then = out.do
    target.stream.fill_normal(target.out)


def by_torch(name, target, **given):
    from pyinit.adapters.torch import init

    getattr(init, name)(target.out, **given, stream=target.stream)


ENTRIES = {name: (partial(fill, name), parameters) for name, parameters in FILLS.items()}
for name in SCHEMES:
    more = {"std": 2.0} if name == "normal" else {"gain": 2.0} if name == "orthogonal" else {}
    more |= {"value": 1.5} if name == "constant" else {}
    used = {k: v for k, v in PLACE.items() if k != "backend"} | more
    ENTRIES[name] = partial(by_scheme, name), used
ENTRIES["own scheme"] = by_own_scheme, {"resolve": None, "check": None}
ENTRIES["initialize"] = (
    initialize,
    {"plan": {}, "name": "", "seed": 1, "num_threads": 2, "function": 0, "other": 0, "shard": 0, "own": 0},
)
ENTRIES["models.fill"] = fill_models, {"rows": 0, "offset": 0, "num_threads": 2}
ENTRIES["export"] = exported, {"out": 0}
if torch is not None:
    ENTRIES["init.normal_"] = partial(by_torch, "normal_"), {"mean": 0.5, "std": 2.0}
    ENTRIES["init.trunc_normal_"] = partial(by_torch, "trunc_normal_"), {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 2.0}
    ENTRIES["init.constant_"] = partial(by_torch, "constant_"), {"val": 0.5}
    ENTRIES["init.kaiming_uniform_"] = partial(by_torch, "kaiming_uniform_"), {"a": 0.5}
PARTLY = {"initialize", "models.fill"}  # here a function or a scheme raises after the first writes


def argument(value, target, do, whole):
    """Make a hostile argument from an honest value; `whole`: the sequence itself, not its numbers."""
    if value == "whole" or value == "origin":
        numbers = target.shape if value == "whole" else (0,) * len(target.shape)
        return Evil(numbers, do) if whole else tuple(Evil(n, do) for n in numbers)
    return text(value.strip("'"), do) if isinstance(value, str) else Evil(value, do)


def cases():
    """Yield all cases: the names of the entry, the parameter, the kind of array and the action."""
    for (entry, (_, parameters)), kind in itertools.product(ENTRIES.items(), KINDS):
        if entry.startswith("init.") and "tensor" not in kind and not kind.startswith(("parameter", "attr")):
            continue
        for parameter, action in itertools.product(parameters, {**ANYWHERE, **KINDS[kind]}):
            yield entry, parameter, kind, action


def one(entry, parameter, kind, action, whole=True):
    """Run one case; return whether the caller's code ran."""
    target, ran, error = Target(kind), [], None
    does = {**ANYWHERE, **KINDS[kind]}[action]

    def do():
        ran.append(action)
        if len(ran) > 1:
            return
        try:
            does(target)
        except ToldError:
            raise
        except Exception:  # this array cannot do that
            ran.append("not")

    call, parameters = ENTRIES[entry]
    given = {parameter: argument(parameters[parameter], target, do, whole)}
    if parameter == "offset" and "global_shape" in parameters:
        given["global_shape"] = target.shape
    try:
        call(target, **given)
    except (ToldError, TypeError, ValueError, RuntimeError, BufferError) as caught:
        error = caught
    if entry not in PARTLY:
        target.check(error)
        if action == "read-only" and ran == [action] and entry != "own scheme":  # its code runs after the reading
            assert error is not None, "a read-only array was written"
    if whole and parameters[parameter] in ("whole", "origin"):
        return one(entry, parameter, kind, action, whole=False) or bool(ran)
    return bool(ran)


def main(first, step):
    """Do every `step`-th case."""
    warnings.simplefilter("ignore")
    keep_no_memory()
    count = reached = 0
    for case in itertools.islice(cases(), int(first), None, int(step)):
        print(" | ".join(case), file=sys.stderr, flush=True)
        reached += one(*case)
        count += 1
    print(count, reached)


if __name__ == "__main__":
    main(*sys.argv[1:])
