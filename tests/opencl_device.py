"""An OpenCL device to run on, and arrays of it between bytes that must stay."""

import math

import numpy as np
import pytest
from kinds import empty


@pytest.fixture(scope="module")
def queue():
    """A queue of the device that PYOPENCL_CTX names, or the first."""
    cl = pytest.importorskip("pyopencl", reason="no pyopencl, and so no OpenCL")
    pytest.importorskip("pyopencl.array")
    try:
        context = cl.create_some_context(interactive=False)
    except (cl.Error, RuntimeError) as error:
        pytest.skip(f"no OpenCL device: {error}")
    return cl.CommandQueue(context)


class Guarded:
    """An array whose first element lies `before` elements behind a boundary of 64 bytes, and all the memory around."""

    def __init__(self, queue, shape, kind, before=0):
        import pyopencl.array as cla

        self.queue = queue
        self.dtype = empty((), kind).dtype
        self.start, self.bytes = 64 + before * self.dtype.itemsize, math.prod(shape) * self.dtype.itemsize
        self.memory = cla.to_device(queue, np.full(self.start + self.bytes + 64, 0xA5, np.uint8))
        self.array = self.part(shape)

    def part(self, shape, first=0, strides=None):
        """An array in this memory, that begins so many bytes behind this one."""
        import pyopencl.array as cla

        memory, offset = self.memory.base_data, self.start + first
        return cla.Array(self.queue, tuple(shape), self.dtype, data=memory, offset=offset, strides=strides)

    def on_host(self):
        """All the memory, and the array there."""
        host = self.memory.get()
        return host, host[self.start : self.start + self.bytes].view(self.dtype).reshape(self.array.shape)

    def values(self):
        """The array's elements; around them nothing has changed."""
        host, array = self.on_host()
        assert (host[: self.start] == 0xA5).all()
        assert (host[self.start + self.bytes :] == 0xA5).all()
        return array
