"""Windows and strides that are refused before a byte is written, such as overlapping elements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import CASES
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from pyinit import Stream


@pytest.mark.parametrize(
    ("shape", "window", "error", "message"),
    [
        ((3,), {"offset": (0,)}, ValueError, "offset needs global_shape"),
        ((3,), {"global_shape": (2,)}, ValueError, r"inside the tensor; got shape \(3,\) at offset \(0,\) in \(2,\)"),
        ((3,), {"global_shape": (5,), "offset": (3,)}, ValueError, "inside the tensor"),
        ((3,), {"global_shape": (5,), "offset": (2**63 - 1,)}, ValueError, "inside the tensor"),
        ((3,), {"global_shape": (5, 5)}, ValueError, "1 dimensions of out"),
        ((3,), {"global_shape": ()}, ValueError, "1 dimensions of out"),
        ((3, 2), {"global_shape": (5, 5), "offset": (1,)}, ValueError, "offset must have the 2 dimensions"),
        ((3,), {"global_shape": (-5,)}, ValueError, "global_shape must not be negative"),
        ((3,), {"global_shape": (5,), "offset": (-1,)}, ValueError, "offset must not be negative"),
        ((3,), {"global_shape": (2**63,)}, ValueError, r"2\*\*63"),
        ((3, 3), {"global_shape": (2**32, 2**31)}, ValueError, r"less than 2\*\*63 elements"),
        ((3,), {"global_shape": (5.0,)}, TypeError, "global_shape must be an int or a sequence"),
        ((3,), {"global_shape": "5"}, TypeError, "global_shape"),
        ((3,), {"global_shape": (5,), "offset": 1.5}, TypeError, "offset must be an int"),
        ((0, 3), {"global_shape": (0, 2)}, ValueError, "inside the tensor"),
        ((1, 1), {"global_shape": (2**32, 2**31)}, ValueError, r"less than 2\*\*63 elements"),
    ],
)
def test_windows_refused_before_a_byte_is_written(shape, window, error, message):
    for distribution in CASES.values():
        out = np.full(shape, 7, np.uint32 if distribution.sampler == "bits" else np.float32)
        stream = Stream(1)
        with pytest.raises(error, match=message):
            stream.fill(out, distribution, **window)
        assert (out == 7).all()
        assert stream.position == 0


def test_a_tensor_beyond_the_end_of_the_stream():
    out = np.full(3, 7, np.float32)
    stream = Stream(1, position=2**66 - 2**40)
    with pytest.raises(ValueError, match=r"beyond position 2\*\*66"):
        stream.fill_normal(out, global_shape=(2**40 + 1,), offset=(0,))
    assert (out == 7).all()
    assert stream.position == 2**66 - 2**40
    stream.fill_normal(out, global_shape=(2**40,), offset=(2**40 - 3,))
    assert stream.position == 2**66
    assert np.array_equal(out, Stream(1, position=2**66 - 4).normal(4)[1:])


def test_an_int_is_a_shape_of_one_dimension():
    whole = Stream(1).normal(9)
    assert np.array_equal(Stream(1).normal(3, global_shape=9, offset=4), whole[4:7])
    assert np.array_equal(Stream(1).normal(3, global_shape=np.int64(9), offset=[np.uint8(4)]), whole[4:7])
    assert np.array_equal(Stream(1).normal(3, global_shape=np.array(9), offset=np.array(4)), whole[4:7])
    assert np.array_equal(Stream(1).bits(3, global_shape=(9,)), Stream(1).bits(3))


F4 = np.zeros(64, np.float32)
OVERLAPPING = {
    "sliding windows": lambda: sliding_window_view(F4, 3, writeable=True),
    "broadcast": lambda: as_strided(F4, (4, 5), (0, 4)),
    "half an element apart": lambda: as_strided(F4, (5,), (2,)),
    "strides 2 and 3": lambda: as_strided(F4, (4, 4), (8, 12)),
    "negative sliding": lambda: as_strided(F4[20:], (4, 4), (-4, 4)),
    "in a corner": lambda: as_strided(F4, (3, 4), (12, 4)),
    "no stride": lambda: as_strided(F4, (2, 1), (0, 4)),
}
APART = {
    "interleaved 3 and 4": lambda: as_strided(F4, (4, 3), (12, 16)),  # 3 i + 4 j, with i < 4 and j < 3
    "interleaved columns": lambda: as_strided(F4, (2, 5), (4, 8)),
    "negative": lambda: as_strided(F4[40:], (3, 4), (16, -4)),
    "length 1 without stride": lambda: as_strided(F4, (1, 5), (0, 4)),
    "no element": lambda: as_strided(F4, (0, 5), (0, 0)),
    "2 and 5": lambda: as_strided(F4, (5, 2), (8, 20)),
}


@pytest.mark.parametrize("make", OVERLAPPING.values(), ids=OVERLAPPING)
def test_overlapping_elements_are_refused(make):
    out = make()
    F4[:] = 7
    with pytest.raises(ValueError, match="no two elements in one place"):
        Stream(1).fill_normal(out)
    with pytest.raises(ValueError, match="no two elements in one place"):
        Stream(1).fill_normal(out, global_shape=out.shape)
    assert (F4 == 7).all()


@pytest.mark.parametrize("make", APART.values(), ids=APART)
def test_interleaved_elements_are_not(make):
    out = make()
    F4[:] = 7
    Stream(1).fill_normal(out)
    expected = Stream(1).normal(out.shape)
    assert np.array_equal(out, expected)
    assert np.count_nonzero(F4 != 7) == out.size


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-6, 6)), max_size=3))
def test_overlap_is_exactly_where_two_elements_meet(axes):
    """Compared with all addresses of small arrays, byte by byte: strides are in bytes here."""
    shape, strides = [n for n, _ in axes], [s for _, s in axes]
    memory = np.zeros(256, np.uint8)
    out = as_strided(memory[120:124].view(np.float32), shape, strides)
    starts = [sum(i * s for i, s in zip(index, strides, strict=True)) for index in np.ndindex(*shape)]
    touched = [start + k for start in starts for k in range(4)]
    if len(set(touched)) == len(touched):
        Stream(1).fill_normal(out)
        assert out.tobytes() == Stream(1).normal(shape).tobytes()
    else:
        with pytest.raises(ValueError, match="one place"):
            Stream(1).fill_normal(out)
        assert not memory.any()


def test_read_only_windows():
    out = np.zeros((3, 4), np.float32).T
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        Stream(1).fill_normal(out, global_shape=(8, 8))
