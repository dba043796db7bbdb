"""Every scheme on blocks, dtypes and strides: a block filled alone equals that block of the whole."""

import itertools
import math
import pickle

import ml_dtypes
import numpy as np
import pytest

from pyinit import Stream, initializers
from pyinit.arrays import BFLOAT16
from pyinit.initializers import Scheme, scheme

MATRIX, KERNEL = (24, 18), (12, 8, 3, 4)
TURNED = (3, 4, 8, 12)
CASES = [
    ("zeros", MATRIX),
    ("ones", ()),
    ("constant(0.3)", KERNEL),
    ("uniform(-1, 2)", MATRIX),
    ("normal(1, 0.02)", KERNEL),
    ("truncated_normal(lower=-1)", MATRIX),
    ("variance_scaling(2, 'fan_geo_avg', 'uniform')", MATRIX),
    ("xavier_normal", MATRIX),
    ("xavier_uniform(groups=4)", KERNEL),
    ("kaiming_truncated_normal(layout='in_out')", TURNED),
    ("lecun_normal(transposed=True)", KERNEL),
    ("inverse_fan_in", MATRIX),
    ("mup_output(8)", MATRIX),
    ("gpt2_residual(3)", MATRIX),
    ("orthogonal", MATRIX),
    ("orthogonal(0.5, 'in_out')", TURNED),
    ("delta_orthogonal", KERNEL),
    ("delta_orthogonal(2, 'in_out')", TURNED),
    ("identity(1.1)", MATRIX),
    ("dirac", KERNEL),
    ("dirac(2, 'in_out')", TURNED),
    ("sparse(0.3, std=0.1)", MATRIX),
]
DTYPES = [np.float32, np.float64, np.float16, BFLOAT16, ml_dtypes.bfloat16]
IDS = [text for text, _ in CASES]


def bits(array):
    return array.view({2: np.uint16, 4: np.uint32, 8: np.uint64}[array.itemsize])


def blocks(shape, parts):
    """Cut a tensor into a grid of blocks of unequal size: return their offsets and shapes."""
    cuts = [sorted({0, n, *(n * i // parts + 1 for i in range(1, parts))}) for n in shape]
    for corner in itertools.product(*(list(itertools.pairwise(c)) for c in cuts)):
        yield tuple(a for a, _ in corner), tuple(b - a for a, b in corner)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("text", "shape"), CASES, ids=IDS)
def test_a_block_is_that_of_the_whole(text, shape, dtype):
    made = scheme(text)
    stream = Stream(5, position=3)
    whole = made(np.empty(shape, dtype), stream)
    for offset, part in blocks(shape, 2):
        out, own = np.empty(part, dtype), Stream(5, position=3)
        assert made(out, own, global_shape=shape, offset=offset, num_threads=1) is out
        region = tuple(slice(o, o + n) for o, n in zip(offset, part))
        assert np.array_equal(bits(out), bits(whole[region]))
        assert own == stream


@pytest.mark.parametrize(("text", "shape"), CASES, ids=IDS)
def test_blocks_without_elements_move_the_stream_too(text, shape):
    made, stream, own = scheme(text), Stream(5), Stream(5)
    made(np.empty(shape, np.float32), stream)
    made(np.empty((0,) * len(shape), np.float32), own, global_shape=shape)
    assert own == stream or not shape


@pytest.mark.parametrize(("text", "shape"), [c for c in CASES if len(c[1]) > 1], ids=[i for i in IDS if i != "ones"])
def test_no_elements_at_all(text, shape):
    for zero in range(len(shape)):
        empty = tuple(0 if i == zero else n for i, n in enumerate(shape))
        try:
            assert scheme(text)(np.empty(empty, np.float32), Stream(0)).shape == empty
        except ValueError as error:
            assert "outputs as inputs" in str(error)  # noqa: PT017 (delta_orthogonal from something to nothing)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("text", "shape"), CASES, ids=IDS)
def test_strides_do_not_matter(text, shape, dtype):
    expected = scheme(text)(np.empty(shape, dtype), Stream(1))
    strided = np.empty([2 * n for n in reversed(shape)], dtype)[(..., *[slice(None, None, -2)] * len(shape))].T
    assert np.array_equal(bits(scheme(text)(strided, Stream(1))), bits(expected))


@pytest.mark.parametrize(("text", "shape"), CASES, ids=IDS)
def test_16_bits_are_the_float32_rounded(text, shape):
    single = scheme(text)(np.empty(shape, np.float32), Stream(2))
    half = scheme(text)(np.empty(shape, np.float16), Stream(2))
    brain = scheme(text)(np.empty(shape, BFLOAT16), Stream(2))
    assert np.array_equal(half, single.astype(np.float16))
    assert np.array_equal(bits(brain), bits(single.astype(ml_dtypes.bfloat16)))


@pytest.mark.parametrize(("text", "shape"), CASES, ids=IDS)
def test_torch_tensors(text, shape):
    torch = pytest.importorskip("torch")
    for dtype, other in ((torch.float32, np.float32), (torch.bfloat16, BFLOAT16)):
        tensor = torch.nn.Parameter(torch.empty(shape, dtype=dtype))
        version = tensor._version
        assert scheme(text)(tensor, Stream(3)) is tensor
        values = tensor.detach()
        values = values.view(torch.int16) if dtype is torch.bfloat16 else values
        assert np.array_equal(bits(values.numpy()), bits(scheme(text)(np.empty(shape, other), Stream(3))))
        assert tensor._version > version


@pytest.mark.parametrize(("text", "shape"), CASES, ids=IDS)
def test_schemes_are_values_that_print_as_what_makes_them(text, shape):
    made = scheme(text)
    copy = pickle.loads(pickle.dumps(made))
    assert copy == made
    assert hash(copy) == hash(made)
    assert eval(repr(made), vars(initializers)) == scheme(repr(made)) == made
    with pytest.raises(AttributeError):
        made.std = 1.0


def test_a_repr_leaves_the_defaults_out():
    assert repr(scheme("normal")) == "Normal()"
    assert repr(scheme("xavier_uniform(groups=2)")) == (
        "VarianceScaling(scale=1.0, mode='fan_avg', distribution='uniform', groups=2)"
    )
    assert repr(scheme("normal(std=1)").__class__(std=np.float32(0.5))) == "Normal(std=0.5)"


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(("text", "shape"), [c for c in CASES if c[1]], ids=[i for i in IDS if i != "ones"])
def test_what_is_refused_leaves_the_array_alone(text, shape):
    made = scheme(text)
    overlapping = np.lib.stride_tricks.as_strided(np.full(10_000, 9.0), shape, [8] * len(shape))
    good = np.full(shape, 9.0)
    window = dict.fromkeys(("global_shape", "offset"), (1,) * len(shape))
    for out, keywords, error, message in (
        (read_only(np.full(shape, 9.0)), {}, ValueError, "out must be writable"),
        (overlapping, {}, ValueError, "no two elements in one place"),
        (good, window, ValueError, "out must lie inside the tensor"),
        (good, {"global_shape": (1,)}, ValueError, "global_shape must have the"),
        (good, {"offset": (1,)}, ValueError, "offset needs global_shape"),
        (good, {"global_shape": "ab"}, TypeError, "global_shape must be an int or a sequence of int"),
        (good, {"global_shape": (-1,)}, ValueError, "must not be negative"),
        (np.full(shape, 9.0, ">f8"), {}, TypeError, "in native byte order"),
        (np.full(shape, 9.0, complex), {}, TypeError, "must have dtype float32"),
        ([[0.0]], {}, TypeError, "out must be an array that can be written in place; got list"),
    ):
        stream = Stream(0)
        with pytest.raises(error, match=message):
            made(out, stream, **keywords)
        assert stream.position == 0
        assert isinstance(out, list) or (out == 9.0).all()


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        ("orthogonal", (3,), "orthogonal needs an array of at least 2 dimensions"),
        ("delta_orthogonal", (3, 3), "delta_orthogonal needs an array of 3, 4 or 5 dimensions"),
        ("delta_orthogonal", (3, 4, 3), "at least as many outputs as inputs"),
        ("delta_orthogonal(layout='in_out')", (3, 4, 3), "at least as many outputs as inputs"),
        ("identity", (3, 3, 3), "identity needs an array of 2 dimensions"),
        ("dirac", (3, 3), "dirac needs an array of 3, 4 or 5 dimensions"),
        ("dirac(2)", (3, 3, 3), "groups must divide out; got 2 groups for 3"),
        ("sparse(0.5)", (3, 3, 3), "sparse needs an array of 2 dimensions"),
        ("xavier_normal(groups=5)", (3, 3, 3), "groups must divide out"),
        ("kaiming_uniform", (3,), "fans need an array of at least 2 dimensions"),
    ],
)
def test_shapes_that_do_not_suit(text, shape, message):
    out = np.full(shape, 9.0)
    with pytest.raises(ValueError, match=message):
        scheme(text)(out, Stream(0))
    assert (out == 9.0).all()


@pytest.mark.parametrize(
    "text", ["normal(std=1e5)", "constant(1e5)", "uniform(0, 1e5)", "identity(1e5)", "orthogonal(1e5)"]
)
def test_what_a_dtype_cannot_hold(text):
    out = np.full((2, 2), 9.0, np.float16)
    with pytest.raises(ValueError, match="float16"):
        scheme(text)(out, Stream(0))
    assert (out == 9.0).all()


@pytest.mark.parametrize("dtype", [BFLOAT16, ml_dtypes.bfloat16], ids=str)
def test_bfloat16_holds_what_float16_cannot(dtype):
    assert bits(initializers.constant(2.0**100)(np.empty(1, dtype), None))[0] == (127 + 100) << 7
    with pytest.raises(ValueError, match="value must be at most"):
        initializers.constant(3.4e38)(np.empty(1, dtype), None)


def test_constants_of_other_kinds():
    assert scheme("constant(-1e999)")(np.empty(2, np.float16), None).tolist() == [-math.inf] * 2
    assert scheme("zeros")(np.ones(2, np.int64), None).tolist() == [0, 0]
    assert scheme("ones")(np.zeros(2, bool), None).tolist() == [True, True]
    for value, dtype in ((0.5, np.int64), (300.0, np.uint8), (-1.0, np.uint8), (2.0, bool)):
        with pytest.raises(ValueError, match="value must be an integer of"):
            initializers.constant(value)(np.zeros(2, dtype), None)
    with pytest.raises(ValueError, match="value must be a number; got nan"):
        initializers.constant(math.nan)


@pytest.mark.parametrize("dtype", [BFLOAT16, ml_dtypes.bfloat16], ids=str)
def test_values_between_two_go_to_the_even_one(dtype):
    """Numbers with 8 bits after the point, midway between two with 7, and just next to the middle."""
    for value, even in ((1 + 2**-8, 0x3F80), (1 + 3 * 2**-8, 0x3F82), (1 + 2**-8 + 2**-20, 0x3F81), (-1.0, 0xBF80)):
        assert bits(initializers.constant(value)(np.empty(1, dtype), None))[0] == even


def test_a_stream_that_would_end_is_refused_first():
    # The samples would fit into 40 words, and the sparse matrix takes 16 more.
    for text, left in (("sparse(0.5)", 20), ("sparse(0.5)", 40), ("orthogonal", 20), ("normal", 20)):
        out, stream = np.full((4, 4), 9.0), Stream(0, position=2**66 - left)
        with pytest.raises(ValueError, match=r"2\*\*66"):
            scheme(text)(out, stream)
        assert (out == 9.0).all()


def test_the_zeros_of_a_sparse_matrix_are_rounded_up():
    for sparsity, zeros in ((0.31, 4), (0.01, 1), (0.0, 0), (0.3, 3)):
        out = scheme(f"sparse({sparsity})")(np.empty((10, 6)), Stream(0))
        assert (out == 0).sum(axis=0).tolist() == [zeros] * 6


def test_random_schemes_need_a_stream():
    with pytest.raises(TypeError, match=r"stream must be a pyinit\.Stream; got int"):
        scheme("orthogonal")(np.empty((2, 2)), 0)


def test_fans_and_gains_follow_the_global_shape():
    part = scheme("lecun_normal")(np.empty((1000, 2)), Stream(0), global_shape=(1000, 200), offset=(0, 50))
    assert part.std() == pytest.approx(1 / math.sqrt(200), rel=0.1)


def test_a_scheme_of_ones_own():
    from dataclasses import dataclass

    @dataclass(frozen=True, repr=False)
    class Shifted(Scheme):
        shift: float = 1.0

        def fill(self, window, stream, num_threads):
            stream.fill_normal(window.array, self.shift, 0.0, num_threads=num_threads, **window.placement)

    assert (Shifted(2.0)(np.empty(3), Stream(0)) == 2.0).all()
    assert repr(Shifted()) == "Shifted()"


@pytest.mark.parametrize(
    ("text", "shape", "offset", "part"),
    [
        ("identity", (2**31, 2**31), (2**31 - 2, 2**31 - 2), (2, 2)),
        ("dirac(groups=2)", (2**31, 2**30, 3), (2**30 + 7, 7, 0), (2, 2, 3)),
        ("dirac(groups=2, layout='in_out')", (3, 2**30, 2**31), (0, 7, 2**30 + 7), (3, 2, 2)),
    ],
)
def test_a_window_of_a_huge_tensor_costs_no_more_than_itself(text, shape, offset, part):
    out = scheme(text)(np.full(part, 9.0), None, global_shape=shape, offset=offset)
    middle = out if out.ndim == 2 else out[:, :, 1] if part[2] == 3 else out[1]
    assert np.array_equal(middle, np.eye(2))
    assert out.sum() == 2
