"""Dask: lazy random arrays, far larger than memory, with the same bits for every chunking and scheduler.

`normal`, `uniform` and `truncated_normal` make arrays with one distribution; `from_scheme` makes an array by a scheme
of `pyinit.initializers`. Each task computes one block from its place in the array alone, so tasks share nothing.
"""

try:
    import dask.array as _  # noqa: F401
except ImportError as error:
    raise ImportError(
        "pyinit.adapters.dask needs Dask's arrays: pip install 'dask[array]', or pip install 'pyinit-weights[dask]'"
    ) from error

from pyinit.adapters.dask.arrays import from_scheme, normal, truncated_normal, uniform

__all__ = ["from_scheme", "normal", "truncated_normal", "uniform"]


def __dir__() -> list[str]:
    return __all__
