"""An array that NumPy reaches only by its protocols and that never mixes with NumPy's own, as CuPy's."""

from types import SimpleNamespace

import numpy as np


def host(value):
    return value.host if isinstance(value, DeviceArray) else value


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """Without what CuPy lacks, so that code which needs more fails here."""

    def __init__(self, array):
        self.host = np.asarray(array)  # a reduction's result too: CuPy's are arrays without dimensions

    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    shape = property(lambda self: self.host.shape)
    T = property(lambda self: DeviceArray(self.host.T))

    def __len__(self):
        return len(self.host)

    def __bool__(self):
        return bool(self.host)

    def __array__(self, *args, **kwargs):
        raise TypeError("this array does not come to the host by itself")

    def __getitem__(self, key):
        return DeviceArray(self.host[key])

    def __setitem__(self, key, value):
        self.host[key] = host(value)

    def __iter__(self):
        return map(DeviceArray, self.host)

    def __array_ufunc__(self, ufunc, method, *args, out=(), **kwargs):
        return self._call(getattr(ufunc, method), args, kwargs | ({"out": out[0]} if out else {}))

    def __array_function__(self, function, types, args, kwargs):
        assert not (function is np.take and "mode" in kwargs), "CuPy's take has no modes"
        return self._call(function, args, kwargs)

    def _call(self, function, args, kwargs):
        if any(isinstance(a, np.ndarray | np.generic) for a in (*args, *kwargs.values())):
            raise TypeError("a device array met a NumPy array")
        result = function(*map(host, args), **{name: host(value) for name, value in kwargs.items()})
        return kwargs["out"] if kwargs.get("out") is not None else DeviceArray(result)

    def sum(self, **kwargs):
        return DeviceArray(self.host.sum(**kwargs))

    def any(self):
        return DeviceArray(self.host.any())

    def astype(self, dtype, **kwargs):
        return DeviceArray(self.host.astype(dtype, **kwargs))


def on_device(make):
    return lambda *args, **kwargs: DeviceArray(make(*map(host, args), **kwargs))


NAMESPACE = SimpleNamespace(
    nan=np.nan, **{f: on_device(getattr(np, f)) for f in ("arange", "asarray", "empty", "full", "zeros")}
)
