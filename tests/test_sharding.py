"""The blocks of a tensor that a process holds: `models.shards`, and `shards=` of `initialize`."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyinit
from pyinit.initializers import normal, orthogonal, sparse
from pyinit.models import Cut, Parameter, Shard, fill, shards

SCHEMES = ["normal", "xavier_uniform", "orthogonal", "identity", "sparse(sparsity=0.3)", "truncated_normal(std=0.3)"]


def chunks(indices, n):
    """Return the pieces of `torch.chunk`, with empty ones after the last."""
    size = -(-len(indices) // n)
    return [indices[i * size : (i + 1) * size] for i in range(n)]


def indices_after(shape, cuts):
    """Return the indices held of each dimension."""
    held = [np.arange(n) for n in shape]
    for dim, pieces, piece, stride in cuts:
        held[dim] = np.concatenate([chunks(part, pieces)[piece] for part in chunks(held[dim], stride)])
    return held


@st.composite
def cut_tensors(draw):
    shape = tuple(draw(st.lists(st.integers(1, 24), min_size=1, max_size=3)))
    cuts = []
    for _ in range(draw(st.integers(0, 3))):
        pieces = draw(st.integers(1, 5))
        dim = draw(st.integers(-len(shape), len(shape) - 1))
        cuts.append(Cut(dim, pieces, draw(st.integers(0, pieces - 1)), draw(st.integers(1, 4))))
    scheme = draw(st.sampled_from(SCHEMES)) if len(shape) == 2 else "normal"
    return shape, cuts, scheme


@settings(max_examples=200, deadline=None)
@given(cut_tensors())
def test_what_a_process_holds_is_that_part_of_the_whole(case):
    shape, cuts, scheme = case
    whole = pyinit.initialize({"w": np.empty(shape, np.float32)}, 7, {"*": scheme})["w"]
    expected = whole[np.ix_(*indices_after(shape, cuts))]
    part = np.empty(expected.shape, np.float32)
    pyinit.initialize({"w": part}, 7, {"*": scheme}, shards={"w": shards(shape, cuts)})
    assert np.array_equal(part, expected)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_megatrons_partition_stride(stride):
    """Megatron splits into world * stride pieces, and joins every world-th piece from the rank on."""
    whole = pyinit.initialize({"fc1": np.empty((32, 6), np.float32)}, 3, {"*": "kaiming_normal"})["fc1"]
    for rank in range(4):
        pieces = np.split(whole, 4 * stride)
        expected = np.concatenate(pieces[rank::4])
        part = np.empty_like(expected)
        held = shards((32, 6), [Cut(0, 4, rank, stride)])
        assert len(held) == stride
        pyinit.initialize({"fc1": part}, 3, {"*": "kaiming_normal"}, shards={"fc1": held})
        assert np.array_equal(part, expected)


def test_windows_of_one_tensor_may_lie_in_several_arrays():
    whole = np.empty((8, 6), np.float32)
    fill([Parameter("w", whole, normal())], seed=5)
    parts = [np.empty((4, 3), np.float32) for _ in range(4)]
    places = [(0, 0), (0, 3), (4, 0), (4, 3)]
    fill([Parameter("w", p, normal(), (8, 6), at) for p, at in zip(parts, places)], seed=5)
    assert np.array_equal(np.block([parts[:2], parts[2:]]), whole)


@pytest.mark.parametrize("scheme", [normal(), orthogonal(), sparse(0.3)])
def test_no_name_is_the_stream_itself_from_where_it_stands_on(scheme):
    stream = pyinit.Stream(3)
    stream.normal(5)
    whole, expected = stream.copy(), np.empty((6, 4), np.float32)
    scheme(expected, whole)
    parts = np.empty((3, 4), np.float32), np.empty((3, 4), np.float32)
    fill([Parameter(None, p, scheme, (6, 4), (3 * i, 0)) for i, p in enumerate(parts)], seed=stream)
    assert np.array_equal(np.concatenate(parts), expected)
    assert scheme.splittable or stream.state == whole.state


def test_windows_of_one_name_may_have_schemes_of_their_own():
    parts = np.empty((2, 4), np.float64), np.empty((2, 4), np.float64)
    schemes = orthogonal(), orthogonal(3.0)
    fill([Parameter("w", p, s, (4, 4), (2 * i, 0)) for i, (p, s) in enumerate(zip(parts, schemes))], seed=1)
    assert np.allclose(parts[0] @ parts[0].T, np.eye(2))
    assert np.allclose(parts[1] @ parts[1].T, 9 * np.eye(2))


def test_a_matrix_that_is_made_whole_is_made_once_for_all_windows(monkeypatch):
    whole = pyinit.initialize({"w": np.empty((12, 12), np.float64)}, 1, {"*": "orthogonal"})["w"]
    made = []
    once = type(orthogonal()).fill
    monkeypatch.setattr(type(orthogonal()), "fill", lambda *a: made.append(a) or once(*a))
    held = shards((12, 12), [Cut(0, 2, 1, 3)])
    part = np.empty((6, 12))
    pyinit.initialize({"w": part}, 1, {"*": "orthogonal"}, shards={"w": held})
    assert len(held) == 3
    assert len(made) == 1
    assert np.array_equal(part, whole[[2, 3, 6, 7, 10, 11]])


def test_many_cuts_of_a_large_dimension_take_no_list_of_its_indices():
    held = shards((10**15, 2), [Cut(0, 512, 511), Cut(0, 3, 1)])
    assert sum(math.prod(s.stop - s.start for s in shard.where) for shard in held) == 2 * -(-(10**15 // 512) // 3)


def test_other_windows_of_one_name_are_refused():
    parts = [np.zeros(4, np.float32) for _ in range(2)]
    for shapes in [((8,), (9,)), (None, (8,)), ((8,), None)]:
        with pytest.raises(ValueError, match="'w' must be one array, or windows of one tensor"):
            fill([Parameter("w", p, normal(), s, s and (0,)) for p, s in zip(parts, shapes)], seed=0)
    assert not np.any(parts)


@pytest.mark.parametrize(
    ("held", "error", "words"),
    [
        ([Shard((8, 4), (0, 0), slice(0, 2))], ValueError, "'w': its shards must cover the array; they have 8"),
        ([Shard((8, 4), (0, 0), slice(0, 2)), Shard((8, 4), (2, 0), slice(1, 3))], ValueError, "must not share memory"),
        (
            [Shard((8, 4), (0, 0), slice(0, 2)), Shard((9, 4), (2, 0), slice(2, 4))],
            ValueError,
            "must be one array, or windows of one tensor",
        ),
        ([Shard((8, 4), (6, 0), slice(0, 4))], ValueError, "inside"),
        ([], ValueError, "they have 0 elements"),
        ([slice(0, 2)], TypeError, "a shard must be"),
        ([Shard((8, 4), (0, 0), [0, 1, 2, 3])], TypeError, "'w': where must be a slice or a tuple of slices"),
        ([Shard((8, 4), (0, 0), (slice(0, 4), [0, 1, 2, 3]))], TypeError, "where must be a slice"),
    ],
)
def test_wrong_shards(held, error, words):
    part = np.zeros((4, 4), np.float32)
    with pytest.raises(error, match=words):
        pyinit.initialize({"w": part}, 0, {"*": "normal"}, shards={"w": held})
    assert not part.any()


@pytest.mark.parametrize("cut", [(0, 0, 0), (0, 2, 2), (0, 2, -1), (0, 2, 0, 0), (2, 2, 0), (-3, 2, 0)])
def test_wrong_cuts(cut):
    with pytest.raises(ValueError, match=r"dim must be|pieces and stride"):
        shards((4, 4), [cut])
    with pytest.raises(TypeError):
        shards((4, 4), [(0, 1.5, 0)])
