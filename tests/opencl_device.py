"""An OpenCL device, and arrays on it between bytes that must not change."""

import math

import numpy as np
import pytest
from kinds import empty


@pytest.fixture(scope="module")
def queue():
    """Return a queue of the device that PYOPENCL_CTX names, or the first."""
    cl = pytest.importorskip("pyopencl", reason="no pyopencl, and so no OpenCL")
    pytest.importorskip("pyopencl.array")
    try:
        context = cl.create_some_context(interactive=False)
    except (cl.Error, RuntimeError) as error:
        pytest.skip(f"no OpenCL device: {error}")
    return cl.CommandQueue(context)


class Guarded:
    """An array whose first element is `before` elements after a 64-byte boundary, with the memory around it."""

    def __init__(self, queue, shape, kind, before=0):
        import pyopencl.array as cla

        self.queue = queue
        self.dtype = empty((), kind).dtype
        self.start, self.bytes = 64 + before * self.dtype.itemsize, math.prod(shape) * self.dtype.itemsize
        self.memory = cla.to_device(queue, np.full(self.start + self.bytes + 64, 0xA5, np.uint8))
        self.array = self.part(shape)

    def part(self, shape, first=0, strides=None):
        """Return an array in this memory that begins a number of bytes after this one."""
        import pyopencl.array as cla

        memory, offset = self.memory.base_data, self.start + first
        return cla.Array(self.queue, tuple(shape), self.dtype, data=memory, offset=offset, strides=strides)

    def on_host(self):
        """Return all the memory, and the array in it."""
        host = self.memory.get()
        return host, host[self.start : self.start + self.bytes].view(self.dtype).reshape(self.array.shape)

    def values(self):
        """Return the array's elements, after checking that nothing around them has changed."""
        host, array = self.on_host()
        assert (host[: self.start] == 0xA5).all()
        assert (host[self.start + self.bytes :] == 0xA5).all()
        return array
