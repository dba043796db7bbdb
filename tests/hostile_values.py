"""Values for `hostile_parameters.py` that answer each question as they are told: a value, an error or a deed."""

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np

MOST = 100_000  # items that one answer gives before it is called endless


class ToldError(Exception):
    """What a caller's code raises."""


class EndlessError(BaseException):
    """Raised where a sequence without an end is taken whole: by then it would have filled the memory."""


class Asked:
    """What counts the questions, and gives the next answer to each; the last answer to all that follow.

    Parameters
    ----------
    *answers : object
        A value; an exception, which is raised; or ``(function, value)``: it is called first.
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
    """An answer before which something is done."""

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
    """Three by its length, and without an end when it is iterated."""

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
    """A mapping, which goes on to its next answer when it is iterated again."""

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
    """A mapping of three names by its length, and of names without an end."""

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
    """What has a dtype."""

    @property
    def dtype(self):
        return np.dtype(self.told())


class Values(Asked):
    """What makes an array of itself."""

    def __array__(self, dtype=None, copy=None):
        return np.array(self.told(), dtype)


class Text(str):
    """A text that compares and hashes as its answers say."""

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
    """Make what can stand for an honest value, and answers so."""
    if isinstance(value, str):
        return Text(value, *answers)
    kinds = (((int, float), Number), ((tuple, list), Row), (dict, Names), (PathLike, Place))
    kinds += ((np.ndarray, Values), ((np.dtype, type), Kind))
    return next(kind(*answers) for types, kind in kinds if isinstance(value, types))


def endless(value):
    """Give what never ends in place of a sequence or mapping; None for another value."""
    if isinstance(value, dict):
        return EndlessNames(next(iter(value.values())))
    return Endless(value[0]) if isinstance(value, (tuple, list)) else None
