"""backend="host" on a stand-in for a device: overlap in time, and the state after Ctrl-C and errors."""

import signal
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pyinit import Stream, _core, distributions
from pyinit.kernels import filling, staging
from pyinit.kernels.device_arrays import DeviceArray

COUNT = 8192
NORMAL = distributions.normal()
WAIT = 10  # seconds for events that must come


class Copied:
    """A copy on its own thread, which reads the host's memory only after `ready` has returned."""

    def __init__(self, target, values, ready):
        self.target, self.values, self.ready = target, values, ready
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        self.ready()
        self.target[...] = self.values

    def wait(self):
        self.thread.join()


@dataclass(eq=False)
class StandIn(DeviceArray):
    """A flat device array whose memory is NumPy's."""

    device: Any = None
    values: Any = None
    memory = queue = library = "stand-in"
    compile = launch_run = launch_items = assign = None

    def staging_buffer(self, size):
        return np.zeros(size, np.uint8)

    def copy(self, values):
        part = self.values[self.start // 4 : self.start // 4 + values.size]
        copied = Copied(part.view(values.dtype), values, self.device.ready(values.size))
        self.device.copies.append(copied)
        return copied


class Device:
    """Records the first samples of pieces being filled, and copies that wait for later pieces."""

    def __init__(self, wait=0.0):
        self.wait, self.copies, self.sent, self.overlaps = wait, [], 0, 0
        self.farthest, self.changed = 0, threading.Condition()
        self.values = np.zeros(COUNT, np.float32)
        self.array = StandIn(self.values, 0, self, self.values)

    def begins(self, first):
        """Record that a piece from that sample on is being filled."""
        with self.changed:
            self.farthest = max(self.farthest, first)
            self.changed.notify_all()

    def ready(self, size):
        """Return a copy's wait: until a later piece has begun, there is none, or time is up."""
        self.sent += size
        end = self.sent

        def wait():
            with self.changed:
                overlaps = self.changed.wait_for(lambda: self.farthest >= end, self.wait if end < COUNT else 0)
                self.overlaps += overlaps

        return wait


class Begin:
    """A claimed state whose pieces call `look` with their start, and are written by the real one."""

    def __init__(self, look):
        self.state, self.look = _core.StreamState("philox", 3, 0), look

    def copy(self):
        return self

    def write(self, part, distribution, whole, where, num_threads):
        self.look(*where)
        self.state.copy().write(part, distribution, whole, where, num_threads)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Pieces of 1024 samples."""
    monkeypatch.setattr(staging, "PIECE_BYTES", 4096)


def fill(device, look=lambda first: None, num_threads=4):
    staging.fill(device.array, Begin(look), NORMAL, None, num_threads, staging.buffers(device.array))


@pytest.mark.parametrize("num_threads", [1, 2, 3, 8])
def test_bits(num_threads):
    device = Device()
    fill(device, num_threads=num_threads)
    assert np.array_equal(device.values, Stream(3).normal(COUNT))
    assert len(device.copies) == COUNT // 1024


@pytest.mark.parametrize("num_threads", [1, 4])
def test_a_piece_is_copied_while_a_later_one_is_filled(num_threads):
    """No copy ends before the fill of a later piece has begun."""
    device = Device(wait=WAIT)
    fill(device, device.begins, num_threads)
    assert device.overlaps == len(device.copies) - 1
    assert np.array_equal(device.values, Stream(3).normal(COUNT))


def test_with_one_buffer_they_do_not_overlap(monkeypatch):
    """The control, with the same device."""
    monkeypatch.setattr(staging, "BUFFERS", 1)
    device = Device(wait=0.02)
    fill(device, device.begins)
    assert device.overlaps == 0
    assert np.array_equal(device.values, Stream(3).normal(COUNT))


def test_a_buffer_is_written_only_after_its_copy():
    """Slow copies still read the right samples."""
    device = Device()
    device.ready = lambda size: lambda: time.sleep(0.02)
    fill(device)
    assert np.array_equal(device.values, Stream(3).normal(COUNT))


def test_an_error_in_a_piece():
    """It is raised again, later pieces are not begun, and no copy is left that reads the buffers."""
    device, begun = Device(), []

    def look(first):
        begun.append(first)
        if first >= 2048:
            raise OSError(first)

    with pytest.raises(OSError, match=r"^2048$"):
        fill(device, look)
    assert begun == [0, 1024, 2048]
    assert not any(copied.thread.is_alive() for copied in device.copies)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal to one thread")
def test_ctrl_c():
    """Later pieces are not begun, and no copy is left that reads the buffers."""
    device, begun = Device(), []
    # If the tests themselves run in the background, SIGINT is ignored.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)

    def look(first):
        begun.append(first)
        if first == 1024:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            fill(device, look)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert begun == [0, 1024]
    assert not any(copied.thread.is_alive() for copied in device.copies)


def test_sizes_of_pieces(monkeypatch):
    """A small array is one piece, others have several, none above the largest size."""
    monkeypatch.undo()
    monkeypatch.setattr(StandIn, "staging_buffer", lambda array, size: range(size))

    def sizes(nbytes):
        array = StandIn(np.broadcast_to(np.float32(0), (nbytes // 4,)), 0)
        return [len(buffer.memory) for buffer in staging.buffers(array)]

    assert sizes(2**36) == sizes(2**30) == [2**27] * 2
    assert sizes(3 * 2**28) == [3 * 2**25] * 2
    assert sizes(2**28) == [2**26] * 2
    assert sizes(2**26) == [2**26]
    assert sizes(4) == [4]


def test_the_whole_way():
    """With `filling.fill`, on the default number of threads."""
    device, state = Device(), _core.StreamState("philox", 3, 0)
    filling.fill(device.array, state, NORMAL, backend="host")
    assert np.array_equal(device.values, Stream(3).normal(COUNT))
    assert state.position == COUNT
