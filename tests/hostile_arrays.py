"""Arrays for `hostile_callers.py`: in guarded memory, lying about themselves, or freed during a fill.

Right after a NumPy array comes a protected page, and before it are bytes that must not change.
"""

import ctypes
import gc
import threading
from contextlib import suppress
from functools import partial

import numpy as np
from guarded import CANARY, Guarded

import pyinit
from pyinit import Stream

torch = None
with suppress(ImportError):
    import torch

SMALL, LARGE = 24, 12_000  # elements: with the GIL, and without; multiples of 4
HUGE = 1 << 15  # elements whose memory goes back to the system when freed: see `keep_no_memory`


def keep_no_memory():
    """Make the C library return freed memory at once, so that writes to it crash; and disable the collector."""
    with suppress(AttributeError):  # glibc's M_MMAP_THRESHOLD, which otherwise grows
        ctypes.CDLL(None).mallopt(-3, 1 << 16)
    gc.freeze()


class ToldError(Exception):
    """The exception that a caller's code raises."""


ROOM = {SMALL: Guarded(2 * SMALL * 8), LARGE: Guarded(2 * LARGE * 8)}


class Target:
    """An array to fill, and the actions of a caller on it.

    Attributes
    ----------
    out : array
        The array that pyinit gets.
    shape : tuple of int
    stream : Stream
        The stream that fills it.
    held : numpy.ndarray or None
        The array in guarded memory; `out` is this array or a view of it.
    """

    def __init__(self, kind):
        self.kind, self.stream, self.held, self.keep = kind, Stream(1), None, None
        name, _, size = kind.partition("/")
        self.n = {"small": SMALL, "large": LARGE, "huge": HUGE}[size]
        self.shape = (self.n // 4, 4)
        self.out = getattr(self, name)()
        self.begin = self.held.__array_interface__["data"][0] if self.held is not None else 0

    def plain(self, dtype=np.float32, shape=None):
        self.held = ROOM[self.n].array(shape or self.shape, dtype)
        return self.held

    def narrow(self):
        return self.plain(pyinit.arrays.BFLOAT16)

    def strided(self):
        return self.plain(shape=(self.n // 4, 8))[:, ::2]

    def owned(self):
        return np.zeros(self.shape, np.float32)

    def subclass(self):
        return self.plain().view(Lying)

    def masked(self):
        return np.ma.array(self.plain(), copy=False)

    def interface(self):
        return Interface(self, self.plain().__array_interface__)

    def capsule(self):
        return Capsule(self, self.plain())

    def buffer(self):
        self.keep = bytearray(self.n * 4)
        return memoryview(self.keep).cast("f", self.shape) if self.n else None

    def tensor(self):
        return torch.zeros(self.shape)

    def parameter(self):
        return torch.nn.Parameter(torch.zeros(self.shape))

    def half_tensor(self):
        return torch.zeros(self.shape, dtype=torch.bfloat16)

    def tensor_subclass(self):
        return torch.zeros(self.shape).as_subclass(LyingTensor)

    def attributes(self):
        """Return a tensor whose attributes have the names of methods."""
        out = torch.zeros(self.shape)
        out.data_ptr, out.stride, out.numel, out.is_neg = lambda: 64, lambda: (1 << 30, 1), lambda: 0, lambda: False
        return out

    def check(self, error):
        """Raise AssertionError if bytes next to the array have changed, or any bytes in spite of an error."""
        if self.held is None:
            return
        room = ROOM[self.n]
        offset = self.begin - room.bytes.__array_interface__["data"][0]
        assert (room.bytes[:offset] == CANARY).all(), "written before the array"
        if error is not None:
            assert (room.bytes[offset:] == CANARY).all(), f"written although it raised {error!r}"


class Lying(np.ndarray):
    """An array whose claims would lead far beyond its memory."""

    shape = property(lambda self: (1 << 20, 4))
    strides = property(lambda self: (1 << 20, 4))
    size = property(lambda self: 1 << 22)
    ndim = property(lambda self: 99)
    itemsize = property(lambda self: 64)
    dtype = property(lambda self: np.dtype(np.float64))
    flags = property(lambda self: np.zeros(3).flags)
    data = property(lambda self: memoryview(bytes(8)))
    base = property(lambda self: None)
    __array_interface__ = property(lambda self: {"data": (64, False), "shape": (1 << 20,), "typestr": "<f8"})

    def view(self, *_):
        return np.zeros(1 << 20)

    def __getitem__(self, _):
        return self

    def __array_finalize__(self, other):
        pass


class Interface:
    """An array whose interface runs `then`."""

    def __init__(self, target, described):
        self.target, self.described = target, described
        self.then = lambda: None

    @property
    def __array_interface__(self):
        self.then()
        return self.described


class Capsule:
    """An array whose export runs `then`."""

    def __init__(self, target, array):
        self.target, self.array = target, array
        self.then = lambda: None

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **keywords):
        self.then()
        return self.array.__dlpack__(**keywords)


if torch is not None:

    class LyingTensor(torch.Tensor):
        """A tensor whose class answers for its methods."""

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            if getattr(function, "__name__", "") in ("data_ptr", "stride", "nbytes", "untyped_storage"):
                return 64
            return super().__torch_function__(function, types, args, kwargs or {})


# The actions on a target; if the target lacks something for an action, it raises and is skipped.


def retype(dtype, target):
    target.out.dtype = dtype


def reshape(shape, target):
    target.out.shape = shape


def restride(target):
    target.out.strides = (0, 4)


def protect(target):
    target.out.flags.writeable = False


def resize(shape, target):
    if isinstance(target.out, np.ndarray):
        target.out.resize(shape, refcheck=False)


def replace_data(target):
    target.out.data = bytearray(target.n * 4)


def release(target):
    target.out.release()
    target.keep.clear()


def resize_storage(size, target):
    with torch._C.DisableTorchFunctionSubclass():  # our subclass lies
        torch.Tensor.untyped_storage(target.out).resize_(size)


def swap_storage(target):
    target.out.data = torch.zeros(0)


def set_storage(target):
    target.out.set_(torch.zeros(1).untyped_storage(), 0, (1,))


def shrink_tensor(target):
    target.out.resize_(0)
    resize_storage(0, target)


def complain(target):
    raise ToldError


def recurse(target):
    target.stream.fill_uniform(np.empty(LARGE, np.float32), num_threads=2)


def move_stream(target):
    target.stream.position = 2**66 - 2


def collect(target):
    gc.collect()


def another_thread(target):
    thread = threading.Thread(target=target.stream.fill_normal, args=(np.empty(LARGE, np.float32),))
    thread.start()
    thread.join()


ANYWHERE = {
    "raise": complain,
    "recurse": recurse,
    "move the stream": move_stream,
    "collect": collect,
    "another thread": another_thread,
}
OF_ARRAYS = {
    "to bytes": partial(retype, np.uint8),
    "to doubles": partial(retype, np.float64),
    "flat": partial(reshape, -1),
    "more dimensions": partial(reshape, (1, 2, -1, 1, 1)),
    "to no strides": restride,
    "read-only": protect,
}
OF_OWNED = {
    **OF_ARRAYS,
    "to nothing": partial(resize, 0),
    "to little": partial(resize, (4, 4)),
    "to much": partial(resize, (1 << 20, 4)),
    "other memory": replace_data,
}
OF_TENSORS = {
    "storage to nothing": partial(resize_storage, 0),
    "storage to little": partial(resize_storage, 16),
    "storage to much": partial(resize_storage, 1 << 24),
    "other tensor": swap_storage,
    "other storage": set_storage,
    "shrunk": shrink_tensor,
}
KINDS = {
    **{f"{name}/{size}": OF_ARRAYS for name in ("plain", "narrow", "strided") for size in ("small", "large")},
    **{f"{name}/{size}": {} for name in ("subclass", "masked", "interface", "capsule") for size in ("small", "large")},
    **{f"owned/{size}": OF_OWNED for size in ("small", "huge")},
    **{f"buffer/{size}": {"release": release} for size in ("small", "large")},
}
if torch is not None:
    names = ("tensor", "parameter", "half_tensor", "tensor_subclass", "attributes")
    KINDS |= {f"{name}/{size}": OF_TENSORS for name in names for size in ("small", "huge")}
