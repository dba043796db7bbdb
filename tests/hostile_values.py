"""Values for `hostile_parameters.py` with scripted answers to each question: a value, an error or an action."""

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np

MOST = 100_000  # items after which an answer counts as endless


class ToldError(Exception):
    """The exception that a caller's code raises."""


class EndlessError(BaseException):
    """Raised if an endless sequence is read whole: it would have filled the memory."""


class Asked:
    """An object that counts the questions and gives each the next answer, and all further ones the last answer.

    Parameters
    ----------
    *answers : object
        A value; an exception, which is raised; or ``(function, value)``: the function is called first.
    """

    def __init__(self, *answers):
        self.answers, self.count = answers, 0

    def told(self):
        answer = self.answers[min(self.count, len(self.answers) - 1)]
        self.count += 1
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Deed):
            answer.do()
            return answer.value
        return answer

    def __eq__(self, other):
        return self.told() == other

    def __hash__(self):
        return hash(self.told())


class Deed:
    """An answer with an action before it."""

    def __init__(self, do, value):
        self.do, self.value = do, value


class Number(Asked):
    """A number of any kind."""

    def __index__(self):
        return int(self.told())

    def __int__(self):
        return int(self.told())

    def __float__(self):
        return float(self.told())

    def __lt__(self, other):
        return self.told() < other

    def __gt__(self, other):
        return self.told() > other


class Row(Asked, Sequence):
    """A sequence."""

    def __len__(self):
        return len(self.told())

    def __getitem__(self, key):
        return self.told()[key]

    def __iter__(self):
        return iter(self.told())


class Endless(Sequence):
    """A sequence of length three that never ends when iterated."""

    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 3

    def __getitem__(self, key):
        return self.item

    def __iter__(self):
        for _ in range(MOST):
            yield self.item
        raise EndlessError


class Names(Asked, Mapping):
    """A mapping that moves to its next answer when it is iterated again."""

    now = None

    def current(self):
        return self.told() if self.now is None else self.now

    def __len__(self):
        return len(self.current())

    def __getitem__(self, key):
        return self.current()[key]

    def __iter__(self):
        self.now = self.told()
        return iter(self.now)

    def __contains__(self, key):
        return key in self.current()


class EndlessNames(Mapping):
    """A mapping of length three whose names never end."""

    def __init__(self, value):
        self.value = value

    def __len__(self):
        return 3

    def __getitem__(self, key):
        return self.value

    def __iter__(self):
        yield from (f"{i}.w" for i in range(MOST))
        raise EndlessError


class Place(Asked, PathLike):
    """A path."""

    def __fspath__(self):
        return self.told()


class Kind(Asked):
    """An object with a dtype."""

    @property
    def dtype(self):
        return np.dtype(self.told())


class Values(Asked):
    """An object that converts itself to an array."""

    def __array__(self, dtype=None, copy=None):
        return np.array(self.told(), dtype)


class Text(str):
    """A text that compares and hashes by its answers."""

    def __new__(cls, text, *answers):
        made = str.__new__(cls, text)
        made.asked = Asked(*answers)
        return made

    @property
    def count(self):
        return self.asked.count

    def __eq__(self, other):
        return self.asked.told() == other

    def __ne__(self, other):
        return self.asked.told() != other

    def __hash__(self):
        return hash(self.asked.told())

    def __str__(self):
        return self.asked.told()


def like(value, *answers):
    """Return a stand-in for an honest value that gives such answers."""
    if isinstance(value, str):
        return Text(value, *answers)
    kinds = (((int, float), Number), ((tuple, list), Row), (dict, Names), (PathLike, Place))
    kinds += ((np.ndarray, Values), ((np.dtype, type), Kind))
    return next(kind(*answers) for types, kind in kinds if isinstance(value, types))


def endless(value):
    """Return an endless replacement for a sequence or mapping; None for other values."""
    if isinstance(value, dict):
        return EndlessNames(next(iter(value.values())))
    return Endless(value[0]) if isinstance(value, (tuple, list)) else None
