"""Choose the instruction set of the core. All of them give the same bits and differ only in speed."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyinit import _core

__all__ = ["active", "available", "use"]


def __dir__() -> list[str]:
    return __all__


def available() -> tuple[str, ...]:
    """The tiers (instruction sets) that this machine can run, best first.

    Returns
    -------
    tuple of str
        Some of "avx512", "avx2", "neon" and "vector", and always "scalar".

    Examples
    --------
    >>> "scalar" in pyinit.isa.available()
    True
    """
    return _core.isa_available()


def active() -> str:
    """The tier in use: the best, unless the environment variable PYINIT_ISA named another at import.

    Returns
    -------
    str
        One of `available()`.

    Examples
    --------
    >>> pyinit.isa.active() in pyinit.isa.available()
    True
    """
    return _core.isa_active()


@contextmanager
def use(name: str) -> Iterator[None]:
    """Run a `with` block on another tier. It applies to every thread of the process, so use it in one thread only.

    Parameters
    ----------
    name : str
        One of `available()`.

    Raises
    ------
    TypeError, ValueError
        If `name` is not a str, or this machine does not have that tier.

    Examples
    --------
    >>> with pyinit.isa.use("scalar"):
    ...     words = pyinit.Stream(seed=1).bits(4)
    >>> bool((words == pyinit.Stream(seed=1).bits(4)).all())
    True
    """
    before = active()
    _core.isa_select(name)
    try:
        yield
    finally:
        _core.isa_select(before)
