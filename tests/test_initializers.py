"""The schemes: their calls to the stream, and that they are plain values."""

import math
import pickle

import numpy as np
import pytest

from pyinit import Stream, initializers
from pyinit.initializers import (
    VarianceScaling,
    big,
    constant,
    fans,
    inverse_fan_in,
    lecun_normal,
    normal,
    small,
    uniform,
    xavier_normal,
    zeros,
)

ALL = [zeros(), constant(0.25), uniform(-1.0, 2.0), normal(3.0, 0.5), big(), small(), xavier_normal(), lecun_normal()]
ALL.append(inverse_fan_in())

# (fan_in, fan_out) is (2, 8) for (8, 2), and (30, 60) for (6, 3, 5, 2).
NORMALS = [
    (normal(3.0, 0.5), 3.0, 0.5, 0.5),
    (big(), 0.0, 1.0, 1.0),
    (small(), 0.0, 0.01, 0.01),
    (xavier_normal(), 0.0, math.sqrt(2 / 10), math.sqrt(2 / 90)),
    (lecun_normal(), 0.0, math.sqrt(1 / 2), math.sqrt(1 / 30)),
    (inverse_fan_in(), 0.0, 1 / 2, 1 / 30),
    (VarianceScaling(2.0, "fan_out"), 0.0, 0.5, math.sqrt(2 / 60)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("scheme", "mean", "dense_std", "kernel_std"), NORMALS, ids=repr)
def test_a_normal_scheme_is_the_streams_normal_with_its_spread(scheme, mean, dense_std, kernel_std, dtype):
    for shape, std in (((8, 2), dense_std), ((6, 3, 5, 2), kernel_std)):
        out, expected = np.empty(shape, dtype), np.empty(shape, dtype)
        assert scheme(out, Stream(7)) is out
        Stream(7).fill_normal(expected, mean=mean, std=std)
        np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_the_spread_is_seen_in_the_samples():
    """200 x 300 samples estimate a standard deviation to 0.3 per cent; the article's formula is given in numbers."""
    weights = xavier_normal()(np.empty((200, 300)), Stream(1))
    assert weights.std() == pytest.approx(0.0632456, rel=0.015)
    assert abs(weights.mean()) < 0.0632456 * 5 / math.sqrt(weights.size)


def test_uniform_is_the_streams_uniform():
    out = np.empty((4, 5), np.float32)
    assert uniform(-1.0, 2.0)(out, Stream(7)) is out
    np.testing.assert_array_equal(out, Stream(7).fill_uniform(np.empty((4, 5), np.float32), low=-1.0, high=2.0))


@pytest.mark.parametrize(("scheme", "value"), [(zeros(), 0.0), (constant(0.25), 0.25)])
def test_a_constant_leaves_the_stream_where_it_stands(scheme, value):
    stream, out = Stream(7), np.full(5, np.nan, np.float32)
    assert scheme(out, stream) is out
    assert (out == value).all()
    assert stream.position == 0


@pytest.mark.parametrize("scheme", ALL, ids=repr)
def test_schemes_are_values(scheme):
    copy = pickle.loads(pickle.dumps(scheme))
    assert copy == scheme
    assert hash(copy) == hash(scheme)
    assert eval(repr(scheme), vars(initializers)) == scheme
    with pytest.raises(AttributeError):
        scheme.value = 1.0


def test_schemes_differ_when_what_they_do_differs():
    assert len({*ALL}) == len(ALL)
    assert normal(std=0.1) != normal(std=0.2)
    assert initializers.glorot_normal() == xavier_normal()


@pytest.mark.parametrize(
    ("shape", "expected"), [((3, 4), (4, 3)), ((64, 3, 7, 7), (147, 3136)), ((5, 2, 3), (6, 15)), ((0, 3), (3, 0))]
)
def test_fans_follow_the_shape(shape, expected):
    assert fans(shape) == expected


@pytest.mark.parametrize("scheme", [xavier_normal(), lecun_normal(), inverse_fan_in()], ids=repr)
def test_a_vector_has_no_fans(scheme):
    out = np.full(3, 9.0, np.float32)
    with pytest.raises(ValueError, match=r"at least 2 dimensions, .*; got shape \(3,\)"):
        scheme(out, Stream(0))
    assert (out == 9.0).all()


@pytest.mark.parametrize("scheme", [xavier_normal(), lecun_normal(), inverse_fan_in()], ids=repr)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_an_array_without_elements_needs_nothing(scheme, shape):
    assert scheme(np.empty(shape, np.float32), Stream(0)).shape == shape


@pytest.mark.parametrize("scale", [-1.0, math.nan, math.inf])
def test_a_scale_is_finite_and_not_negative(scale):
    with pytest.raises(ValueError, match=f"scale must be finite and not negative; got {scale}"):
        VarianceScaling(scale, "fan_in")


def test_a_mode_is_a_fan():
    with pytest.raises(ValueError, match="mode must be 'fan_in', 'fan_out', 'fan_avg' or 'fan_geo_avg'; got 'fan'"):
        VarianceScaling(1.0, "fan")


def test_a_constant_takes_whatever_stream():
    for stream in (None, np.random.default_rng(0), Stream(1, position=3)):
        assert (initializers.constant(2.5)(np.zeros(3), stream) == 2.5).all()
    assert stream.position == 3
