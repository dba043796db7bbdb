"""Two kinds of case that `pyinit bench` lacks: one timed after an untimed call, one timed on a GPU."""

from dataclasses import dataclass
from functools import cache

from pyinit.bench import BYTE, Case
from pyinit.cuda import cupy


class Primed(Case):
    """A case with an extra, untimed call before each repetition."""

    def time(self):
        """Return the seconds of one call."""
        self.run()
        return super().time()


@dataclass(frozen=True)
class OnGPU(Case):
    """A case timed by CUDA events, without the host's time: a long memset first keeps the GPU busy during the call."""

    writes: tuple[str, ...] = ("memset", "CuPy fill")

    def time(self):
        """Return the seconds of one call on the GPU."""
        ahead, start, stop = queued()
        for _ in range(4):
            ahead.data.memset_async(BYTE, ahead.nbytes)
        start.record()
        for _ in range(self.calls):
            self.run()
        stop.record()
        stop.synchronize()
        return cupy().cuda.get_elapsed_time(start, stop) / 1e3 / self.calls


@cache
def queued():
    """Return memory that takes the GPU longer to write than the host takes for a call, and two events."""
    xp = cupy()
    return xp.empty(2**30, xp.uint8), xp.cuda.Event(), xp.cuda.Event()
