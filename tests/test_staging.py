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
from pyinit.kernels.teams import team

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
    """Records the first samples of parts being filled, and copies that wait for later parts."""

    def __init__(self, wait=0.0):
        self.wait, self.copies, self.sent, self.overlaps = wait, [], 0, 0
        self.farthest, self.changed = 0, threading.Condition()
        self.values = np.zeros(COUNT, np.float32)
        self.array = StandIn(self.values, 0, self, self.values)

    def begins(self, first):
        """Record that a part from that sample on is being filled."""
        with self.changed:
            self.farthest = max(self.farthest, first)
            self.changed.notify_all()

    def ready(self, size):
        """Return a copy's wait: until a later part has begun, there is none, or time is up."""
        self.sent += size
        end = self.sent

        def wait():
            with self.changed:
                overlaps = self.changed.wait_for(lambda: self.farthest >= end, self.wait if end < COUNT else 0)
                self.overlaps += overlaps

        return wait


class Begin:
    """A claimed state whose parts call `look` with their start, and are written by the real one."""

    def __init__(self, look):
        self.state, self.look = _core.StreamState("philox", 3, 0), look

    def copy(self):
        return self

    def write(self, part, distribution, whole, where, num_threads):
        assert num_threads == 1
        self.look(*where)
        self.state.copy().write(part, distribution, whole, where, num_threads)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Pieces of 1024 samples, parts of 256; and no thread is left behind."""
    monkeypatch.setattr(staging, "PIECE_BYTES", 4096)
    monkeypatch.setattr(staging, "LEAST_PART_BYTES", 1024)
    before = threading.active_count()
    yield
    deadline = time.monotonic() + WAIT  # a thread that Ctrl-C met at its start ends by itself
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def fill(device, look=lambda first: None, num_threads=4):
    staging.fill(device.array, Begin(look), NORMAL, None, num_threads, staging.buffers(device.array, num_threads))


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


def test_threads_do_not_wait_for_the_end_of_a_piece():
    """The first part of each piece ends only after one of the next piece has begun."""
    device, late = Device(), []

    def look(first):
        device.begins(first)
        if first % 1024 == 0 and first + 1024 < COUNT:
            with device.changed:
                if not device.changed.wait_for(lambda: device.farthest >= first + 1024, WAIT):
                    late.append(first)

    fill(device, look)
    assert not late


def test_the_same_threads_fill_all_pieces():
    names = set()
    fill(Device(), lambda first: names.add(threading.get_ident()), num_threads=3)
    assert len(names) <= 3
    assert threading.get_ident() not in names


def test_one_thread_is_the_calling_one():
    names = set()
    fill(Device(), lambda first: names.add(threading.get_ident()), num_threads=1)
    assert names == {threading.get_ident()}


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_threads_cannot_start(monkeypatch, allowed):
    """As under RLIMIT_NPROC: the threads that have started do the work, otherwise the calling thread."""
    start, started = threading.Thread.start, []

    def limited(thread):
        if thread.name == "pyinit fill":
            if len(started) >= allowed:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    device, names = Device(), set()
    fill(device, lambda first: names.add(threading.get_ident()))
    assert np.array_equal(device.values, Stream(3).normal(COUNT))
    assert len(names) == 1
    assert (threading.get_ident() in names) == (not allowed)


@pytest.mark.parametrize("num_threads", [1, 4])
def test_an_error_in_a_part(num_threads):
    """It is raised again, parts that have not begun are dropped, and no copy still reads the buffers."""
    device, parts = Device(), []

    def look(first):
        parts.append(first)
        if first >= 2048:
            raise OSError(first)

    with pytest.raises(OSError, match=r"^\d+$"):
        fill(device, look, num_threads)
    assert len(parts) < COUNT // 256
    assert not any(copied.thread.is_alive() for copied in device.copies)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal to one thread")
@pytest.mark.parametrize("num_threads", [1, 4])
def test_ctrl_c(num_threads):
    """During a fill whose parts would take minutes."""
    device, parts = Device(), []
    # If the tests themselves run in the background, SIGINT is ignored.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)

    def look(first):
        parts.append(first)
        if first == 1024:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if len(parts) > 8:
            time.sleep(0.1)

    begin = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            fill(device, look, num_threads)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert time.monotonic() - begin < WAIT
    assert len(parts) < COUNT // 256
    assert not any(copied.thread.is_alive() for copied in device.copies)


def test_small_arrays_take_one_buffer_and_no_thread(monkeypatch):
    monkeypatch.undo()
    array = Device().array
    assert [len(buffer.memory) for buffer in staging.buffers(array, 4)] == [4 * COUNT]
    names = set()
    staging.fill(
        array, Begin(lambda first: names.add(threading.get_ident())), NORMAL, None, 4, staging.buffers(array, 4)
    )
    assert names == {threading.get_ident()}


def test_sizes_of_pieces(monkeypatch):
    """Several pieces unless an array is small, none above the largest size, and a part for each thread."""
    monkeypatch.undo()
    monkeypatch.setattr(StandIn, "staging_buffer", lambda array, size: range(size))

    def sizes(nbytes, threads=16):
        array = StandIn(np.broadcast_to(np.float32(0), (nbytes // 4,)), 0)
        return [len(buffer.memory) for buffer in staging.buffers(array, threads)]

    assert sizes(2**30) == [2**26] * 3
    assert sizes(2**36, 64) == [2**26] * 3
    assert sizes(2**30, 2) == [2**23] * 3
    assert sizes(2**28) == [2**25] * 3
    assert sizes(2**23) == [2**22] * 2
    assert sizes(4) == [4]


def test_tasks_that_have_not_begun_are_dropped():
    done = []

    def task():
        done.append(1)
        time.sleep(0.01)
        raise OSError

    with pytest.raises(OSError), team(2) as helpers:  # noqa: PT011
        helpers.begin([task] * 100).wait()
    assert len(done) < 20
    assert not any(thread.is_alive() for thread in helpers.threads)


def test_the_whole_way():
    """With `filling.fill`, on the default number of threads."""
    device, state = Device(), _core.StreamState("philox", 3, 0)
    filling.fill(device.array, state, NORMAL, backend="host")
    assert np.array_equal(device.values, Stream(3).normal(COUNT))
    assert state.position == COUNT
