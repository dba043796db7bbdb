"""Arrays that end at a protected page."""

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
CANARY = 0xA5


class Guarded:
    """Memory that ends at a protected page."""

    def __init__(self, size):
        self.size = -(-size // PAGE) * PAGE
        self.pages = mmap.mmap(-1, self.size + PAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.pages))
        if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(address + self.size), PAGE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
        self.bytes = np.frombuffer(self.pages, np.uint8, self.size)

    def array(self, shape, dtype):
        """Return an array that ends at the page; all bytes are CANARY."""
        self.bytes[:] = CANARY
        dtype = np.dtype(dtype)
        begin = self.size - int(np.prod(shape)) * dtype.itemsize
        return np.ndarray(shape, dtype, self.bytes, begin)
