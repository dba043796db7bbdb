"""A stand-in for CuPy's arrays: NumPy reaches it only through its protocols, and it never mixes with NumPy arrays.

It refuses what CuPy refuses: methods of ufuncs, their `where`, keywords that CuPy's functions lack, loops that its
ufuncs lack, and host arrays anywhere. If CuPy is installed, even without a driver, its own functions and signatures are
used for this.
"""

import inspect
from collections import Counter
from functools import cache
from types import SimpleNamespace

import numpy as np

try:
    import cupy
except ImportError:
    cupy = None

COUNTS = Counter()  # "waits": values that were copied to the host
MADE = []  # (shape, dtype) of results in new memory


def host(value):
    if isinstance(value, tuple):
        return tuple(map(host, value))
    return value.host if isinstance(value, DeviceArray) else value


def made(array):
    result = DeviceArray(array)
    MADE.append((result.shape, result.dtype))
    return result


def on_gpu_alone(*values):
    """Raise for NumPy arrays and scalars: CuPy refuses the former, and the latter would widen float32."""
    if any(isinstance(value, np.ndarray | np.generic | list) for value in values):
        raise TypeError("a device array met a NumPy array")


def reduction(name):
    return lambda self, *args, **kwargs: made(getattr(self.host, name)(*args, **kwargs))


def waiting(convert):
    def wait(self, *args):
        COUNTS["waits"] += 1
        return convert(self.host, *args)

    return wait


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array with only CuPy's features, so that code which needs more fails here."""

    def __init__(self, array):
        self.host = np.asarray(array)  # also for a reduction: CuPy returns arrays without dimensions

    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    shape = property(lambda self: self.host.shape)
    size = property(lambda self: self.host.size)
    T = property(lambda self: DeviceArray(self.host.T))
    sum, any, all, max, min = (reduction(name) for name in ("sum", "any", "all", "max", "min"))
    mean, std, var, clip = (reduction(name) for name in ("mean", "std", "var", "clip"))
    __bool__, __float__, __int__, __format__ = map(waiting, (bool, float, int, format))
    get = waiting(np.copy)

    def __len__(self):
        return len(self.host)

    def __array__(self, *args, **kwargs):
        raise TypeError("this array does not come to the host by itself")

    @property
    def __cuda_array_interface__(self):
        strides = None if self.host.flags.c_contiguous else self.host.strides
        data = (self.host.ctypes.data, False)
        return {"shape": self.shape, "typestr": self.dtype.str, "data": data, "strides": strides, "version": 3}

    def __getitem__(self, key):
        return DeviceArray(self.host[host(key)])

    def __setitem__(self, key, value):
        if np.ndim(host(value)) and not isinstance(value, DeviceArray):
            raise ValueError("CuPy fills with scalars alone")
        self.host[host(key)] = host(value)

    def __iter__(self):
        return map(DeviceArray, self.host)

    def astype(self, dtype, copy=True):
        return self if self.dtype == dtype and not copy else made(self.host.astype(dtype))

    def __array_ufunc__(self, ufunc, method, *args, out=(), dtype=None, casting="same_kind"):
        assert method == "__call__", "CuPy has no methods of ufuncs"
        on_gpu_alone(*args, *out)
        result = ufunc(*map(host, args), out=host(out) or None, dtype=dtype, casting=casting)
        if cupy and ufunc is not np.matmul:
            found = loop(loops(ufunc.__name__), args, dtype)
            assert out or result.dtype == found[-1], f"CuPy's {ufunc.__name__} gives {found[-1]}"
        return out[0] if out else made(result)

    def __array_function__(self, function, types, args, kwargs):
        on_gpu_alone(*args, *kwargs.values())
        if cupy:
            inspect.signature(getattr(cupy, function.__name__)).bind(*args, **kwargs)
        result = function(*map(host, args), **{name: host(value) for name, value in kwargs.items()})
        if kwargs.get("out") is not None:
            return kwargs["out"]
        return tuple(map(made, result)) if isinstance(result, tuple) else made(result)


@cache
def loops(name):
    """Return the dtypes of each loop of a CuPy ufunc, except those of bfloat16."""
    return [[np.dtype(c) for c in text.replace("->", "")] for text in getattr(cupy, name).types if "E" not in text]


def loop(all_loops, args, dtype):
    """Return the first loop that takes the arguments, as CuPy does."""
    ranks = [("biuf".index(getattr(a, "dtype", np.dtype(type(a))).kind) + 1) // 2 for a in args]
    of_arrays = max((rank for rank, a in zip(ranks, args) if isinstance(a, DeviceArray)), default=2)
    kinds = [
        np.dtype(type(a)) if not isinstance(a, DeviceArray) and rank > of_arrays else getattr(a, "dtype", None)
        for rank, a in zip(ranks, args)
    ]
    for wanted in all_loops:
        if dtype is not None:
            if wanted[-1] == dtype:
                return wanted
        elif all(k is None or np.can_cast(k, w) for k, w in zip(kinds, wanted)):
            return wanted
    raise TypeError(f"CuPy has no loop for {kinds}")


def maker(name):
    def make(*args, **kwargs):
        if cupy:
            inspect.signature(getattr(cupy, name)).bind(*args, **kwargs)
        if name == "asarray" and isinstance(args[0], DeviceArray):
            return args[0]
        array = np.array(*args, **kwargs) if name == "asarray" else getattr(np, name)(*args, **kwargs)
        return made(array)

    return make


MAKERS = ("arange", "asarray", "empty", "full", "zeros")
NAMESPACE = SimpleNamespace(nan=np.nan, **{name: maker(name) for name in MAKERS})
