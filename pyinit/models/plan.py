"""Fill a model by a plan: a dict of name patterns to schemes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeVar

from pyinit import _core
from pyinit.initializers.configuration import read_mapping, scheme
from pyinit.models.filling import Work
from pyinit.models.sharding import Shard, read, windows
from pyinit.streams import Stream

__all__ = ["first_matches", "initialize", "matched"]

SPECIAL = re.compile(r"[*?\[\]]")  # a pattern's special characters

Params = TypeVar("Params", bound=Mapping[str, Any])
Shards = Mapping[str, tuple[Sequence[int], Sequence[int]] | Shard | list[Shard]]


def initialize(
    params: Params,
    seed: int | Stream | None,
    plan: Mapping[str, Any],
    *,
    generator: str = "philox",
    shards: Shards | None = None,
    num_threads: int | None = None,
    progress: bool = False,
) -> Params:
    """Fill a model's parameters in place, each by the first pattern that matches its name.

    Parameters
    ----------
    params : mapping of str to array
    plan : mapping of str to scheme
        Name patterns to schemes, or to anything that `initializers.scheme` takes; the first match wins. ``*`` stands
        for any text, dots included, ``?`` for one character, ``[ab]`` for one of these characters, ``[[]`` for a
        bracket; case matters.
    shards : mapping of str to (global_shape, offset), Shard, or list of Shard, optional
        For each parameter that is a block of a larger tensor: the tensor's shape, and the block's offset in it. For an
        array of several blocks, a list of `models.Shard`, which together cover the array; `models.shards` makes such
        lists.
    seed, generator, num_threads, progress
        As for `models.fill`; the values depend on the same things, too.

    Returns
    -------
    mapping
        `params`.

    Raises
    ------
    TypeError
        If a parameter is not a fillable array, or an argument has the wrong type.
    ValueError
        If a name matches no pattern, or a pattern other than "*" is used for no name: the message lists all of them.
        If two parameters share memory or an id, or a scheme does not suit its parameter. If an argument is wrong, no
        parameter has been touched.

    Notes
    -----
    A plan knows names, not layers: give the scales of normalisation layers, and the integers beside them in a PyTorch
    `state_dict`, their own patterns before a last "*". For a PyTorch model, `pyinit.adapters.torch.initialize_module`
    knows the layers.

    Examples
    --------
    >>> params = {"fc.weight": np.empty((2, 3), np.float32), "fc.bias": np.empty(2)}
    >>> plan = {"*.bias": "zeros", "*": "xavier_uniform"}
    >>> pyinit.initialize(params, seed=0, plan=plan) is params
    True
    >>> params["fc.bias"]
    array([0., 0.])
    """
    arrays, given = named("params", params), {} if shards is None else named("shards", shards)
    strangers = [name for name in given if name not in arrays]
    if strangers:
        raise ValueError(f"shards must have names from params; got {listed(strangers)}")
    schemes = matched(arrays, plan)
    held = {name: read(name, shard) for name, shard in given.items()}
    work = Work(seed if isinstance(seed, Stream) else Stream(seed, generator))
    num_threads = _core.check_threads(num_threads) or None
    rows: Iterable[tuple[Any, Any, Any, Any, Any]]
    rows = zip(arrays, arrays.values(), schemes, repeat(None), repeat(None))  # a loop would cost as much as a fill
    if held:
        rows = (
            (name, part, scheme, global_shape, offset)
            for name, out, scheme, *_ in rows
            for part, global_shape, offset in (windows(name, out, held[name]) if name in held else ((out, None, None),))
        )
    work.add(rows)
    work.fill(num_threads, progress)
    return params


def named(what: str, value: Any) -> dict[str, Any]:
    """Read a mapping with str keys; raise TypeError or ValueError if it is not one."""
    if not isinstance(value, Mapping):
        hint = "; for a PyTorch model, pass dict(model.named_parameters())" if what == "params" else ""
        raise TypeError(f"{what} must be a mapping; got {type(value).__name__}{hint}")
    found = read_mapping(what, value)
    for key in found:
        if not isinstance(key, str):
            raise TypeError(f"{what} must have str keys; got {_core.text_of(key)}")
    return found


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, its index in the plan, and its scheme.

    `is_text` is True if the pattern is only a prefix or a suffix, such as "*.bias".
    """

    number: int
    pattern: str
    match: Callable[[str], Any]
    is_text: bool
    scheme: Any


def rules_of(plan: Mapping[str, Any]) -> list[Rule]:
    """Read a plan; TypeError or ValueError names the pattern with an invalid scheme."""
    rules: list[Rule] = []
    known: dict[str, Any] = {}
    for number, (pattern, specification) in enumerate(named("plan", plan).items()):
        made = known.get(specification) if isinstance(specification, str) else None
        try:
            made = scheme(specification) if made is None else made
            is_text = pattern.count("*") == 1 and not SPECIAL.search(pattern.strip("*"))
            rules.append(Rule(number, pattern, matcher(pattern), is_text, made))
        except (TypeError, ValueError) as error:
            raise type(error)(f"plan[{pattern!r}]: {error}") from None
        if isinstance(specification, str):  # many patterns share a few schemes
            known[specification] = made
    return rules


def matcher(pattern: str) -> Callable[[str], Any]:
    """Return a function that matches names. It is a regular expression only if needed: compiling one takes 0.1 ms."""
    head, star, tail = pattern.partition("*")
    if SPECIAL.search(head + tail):
        return re.compile(fnmatch.translate(pattern)).match
    if not star:
        return pattern.__eq__
    least = len(head) + len(tail)
    return lambda name: len(name) >= least and name.startswith(head) and name.endswith(tail)


def index(rules: Iterable[Rule]) -> Callable[[str], Rule | None]:
    """Return a function that finds the first rule for a name.

    Rules are indexed by the longer of their prefix and suffix, so a name is tested only against rules that may match.
    """
    groups: dict[tuple[int | None, int | None], dict[str, list[Rule]]] = {}
    for rule in rules:
        ends = SPECIAL.split(rule.pattern)
        text = max(ends[0], ends[-1], key=len)
        cut = (None, len(text)) if text == ends[0] else (-len(text), None)
        groups.setdefault(cut, {}).setdefault(text, []).append(rule)
    cuts = [(slice(*cut), rules) for cut, rules in groups.items()]

    def first(name: str) -> Rule | None:
        found = None
        for cut, rules in cuts:
            if (text := name[cut]) in rules:
                for rule in rules[text]:
                    if found is not None and found.number < rule.number:
                        break
                    if rule.is_text or rule.match(name):
                        found = rule
                        break
        return found

    return first


def matched(names: Iterable[str], plan: Mapping[str, Any], is_part: bool = False) -> list[Any]:
    """Return the scheme of each name, or raise ValueError that lists the names and patterns left over.

    With `is_part`, the names are a part of a model, and patterns may be left over.
    """
    names = list(names)
    found, idle = first_matches(names, plan)
    if is_part:
        idle = []
    matching = {rule.pattern for rule in idle if any(map(rule.match, names))}
    complaints = {
        "no pattern matches": [name for name, rule in zip(names, found) if rule is None],
        "no name matches": [rule.pattern for rule in idle if rule.pattern not in matching],
        "earlier patterns take every name of": [rule.pattern for rule in idle if rule.pattern in matching],
    }
    if any(complaints.values()):
        said = "; ".join(f"{what} {listed(names)}" for what, names in complaints.items() if names)
        raise ValueError(f"plan and params must fit: {said}")
    return [rule.scheme for rule in found if rule is not None]


def first_matches(names: Iterable[str], plan: Mapping[str, Any]) -> tuple[list[Rule | None], list[Rule]]:
    """Return the first rule that matches each name, and the unused rules other than "*"."""
    rules = rules_of(plan)
    first = index(rules)
    found = [first(name) for name in names]
    taken = {rule.number for rule in found if rule is not None}
    return found, [rule for rule in rules if rule.number not in taken and rule.pattern != "*"]


def listed(names: Sequence[str]) -> str:
    """Return all names in one line."""
    return ", ".join(map(repr, names))
