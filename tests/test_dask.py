"""Dask arrays: the same bits for every chunking and scheduler, arrays larger than any memory, Zarr, and names."""

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pyinit import Stream, initializers
from pyinit.initializers import Scheme

dask = pytest.importorskip("dask")
pytest.importorskip("dask.array")

from pyinit.adapters import dask as pd  # noqa: E402

SHAPE = (101, 77)
CHUNKS = ((30, 77), (101, 5), (13, 17), ((1, 50, 50), (70, 7)), "auto", -1)
WHOLE = Stream(7).child("w").normal(SHAPE)
SCHEMES = (
    "normal(0.3, 1.7)",
    "uniform(-0.3, 0.7)",
    "truncated_normal(0.3, 1.7, -1.0, 3.0)",
    "constant(0.3)",
    "xavier_uniform",
    "kaiming_normal(mode='fan_out', layout='in_out')",
    "mup_output(64)",
    "gpt2_residual(12)",
    "identity(0.3)",
)


def filled(scheme, shape, stream, dtype=np.float32):
    return initializers.scheme(scheme)(np.empty(shape, dtype), stream)


def w(chunks=(13, 17), **options):
    return pd.normal(SHAPE, 7, name="w", chunks=chunks, **options)


@st.composite
def chunked(draw):
    """A shape, and chunks of uneven sizes that cover it."""
    shape = draw(st.lists(st.integers(0, 40), max_size=3))
    cuts = [sorted(draw(st.sets(st.integers(0, n), max_size=4)) | {0, n}) for n in shape]
    return tuple(shape), tuple(tuple(b - a for a, b in pairwise(each)) or (0,) for each in cuts)


@settings(max_examples=200, deadline=None)
@given(
    case=chunked(),
    scheme=st.sampled_from(SCHEMES),
    dtype=st.sampled_from([np.float32, np.float64, np.float16]),
    seed=st.integers(0, 2**64 - 1),
    name=st.none() | st.text(max_size=5),
)
def test_every_chunking_has_the_bits_of_the_whole(case, scheme, dtype, seed, name):
    shape, chunks = case
    stream = Stream(seed) if name is None else Stream(seed).child(name)
    assume(scheme in SCHEMES[:4] or len(shape) > 1)  # a vector has no fans
    assume(not scheme.startswith("identity") or len(shape) == 2)
    whole = filled(scheme, shape, stream, dtype)
    array = pd.from_scheme(scheme, shape, seed, name=name, dtype=dtype, chunks=chunks)
    assert array.chunks == chunks
    assert (array.shape, array.dtype, type(array._meta)) == (shape, dtype, np.ndarray)
    made = array.compute(scheduler="sync")
    assert (made.dtype, made.shape) == (whole.dtype, shape)
    assert made.tobytes() == whole.tobytes()


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_threads(chunks, scheduler):
    for num_threads in (1, 3, None):
        assert np.array_equal(w(chunks, num_threads=num_threads).compute(scheduler=scheduler), WHOLE)


@pytest.mark.filterwarnings("default")  # warnings of multiprocessing and of distributed
def test_processes_and_a_cluster():
    assert np.array_equal(w((60, 50)).compute(scheduler="processes", num_workers=2), WHOLE)
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        assert np.array_equal(w().compute(), WHOLE)
        large = pd.uniform((100_000, 100_000), 1, chunks=(1000, 1000))  # 40 GB
        part = large[99_000:99_002, ::9999].compute()
    single = np.empty((2, 100_000), np.float32)
    Stream(1).fill_uniform(single, global_shape=large.shape, offset=(99_000, 0))
    assert np.array_equal(part, single[:, ::9999])


def test_slices_and_rechunking():
    assert np.array_equal(w()[20:60, ::-3].compute(), WHOLE[20:60, ::-3])
    assert np.array_equal(w()[[3, 90, 4], 7].compute(), WHOLE[[3, 90, 4], 7])
    assert np.array_equal(w().rechunk((40, 9)).compute(), WHOLE)
    assert np.array_equal((w(CHUNKS[3]) - w(CHUNKS[2])).compute(), np.zeros(SHAPE))


def test_a_block_of_an_array_that_no_machine_holds():
    shape = 3_000_000, 1_000_000  # 12 TB
    array = pd.from_scheme("xavier_normal", shape, 5, chunks=(10_000, 10_000))
    assert array.nbytes == 12 * 10**12
    place = (2_345_678, 987_654)
    part = array[place[0] : place[0] + 3, place[1] : place[1] + 4].compute()
    expected = np.empty((3, 4), np.float32)
    initializers.xavier_normal()(expected, Stream(5), global_shape=shape, offset=place)
    assert np.array_equal(part, expected)


def test_dask_1684_a_longer_array_begins_with_a_shorter_one():
    x = pd.normal(300, 1684, chunks=20)
    for size, chunks in ((20, 20), (100, 20), (200, 20), (200, 33)):
        assert np.array_equal(pd.normal(size, 1684, chunks=chunks).compute(), x[:size].compute())
    assert np.array_equal(x.compute(), Stream(1684).normal(300))


@pytest.mark.filterwarnings("ignore")  # zarr's own
def test_to_zarr(tmp_path):
    zarr = pytest.importorskip("zarr")
    w().to_zarr(str(tmp_path / "w.zarr"))
    stored = zarr.open_array(str(tmp_path / "w.zarr"))
    assert stored.chunks == (13, 17)
    assert np.array_equal(stored[:], WHOLE)
    assert np.array_equal(dask.array.from_zarr(str(tmp_path / "w.zarr")).compute(), WHOLE)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_narrow_dtypes(dtype):
    whole = Stream(7).normal(SHAPE, dtype)
    assert pd.normal(SHAPE, 7, dtype=dtype, chunks=(30, 40)).compute().tobytes() == whole.tobytes()
    known = getattr(pytest.importorskip("ml_dtypes"), dtype)
    array = pd.normal(SHAPE, 7, dtype=known, chunks=(30, 40))
    assert array.dtype == known
    assert array.compute().tobytes() == whole.tobytes()
    total = array.astype(np.float64).sum().compute()
    assert total == pytest.approx(whole.view(known).astype(np.float64).sum())


def test_the_functions_take_the_parameters_of_their_distributions():
    for array, scheme in (
        (pd.normal(SHAPE, 3, mean=0.3, std=1.7, chunks=40), "normal(0.3, 1.7)"),
        (pd.uniform(SHAPE, 3, low=-0.3, high=0.7, chunks=40), "uniform(-0.3, 0.7)"),
        (
            pd.truncated_normal(SHAPE, 3, mean=0.3, std=1.7, lower=-1.0, upper=3.0, chunks=40),
            "truncated_normal(0.3, 1.7, -1.0, 3.0)",
        ),
    ):
        assert np.array_equal(array.compute(), filled(scheme, SHAPE, Stream(3)))
        assert array.name == pd.from_scheme(scheme, SHAPE, 3, chunks=40).name
    assert np.array_equal(pd.normal(12, 3, chunks=5).compute(), Stream(3).normal(12))


def test_names_follow_from_the_arguments():
    options = {"name": "w", "std": 0.02, "dtype": np.float32, "chunks": (30, 40)}
    first = pd.normal(SHAPE, 7, **options)
    assert first.name == pd.normal(list(SHAPE), Stream(7), **{**options, "dtype": "float32"}).name
    changes = ({"name": "v"}, {"name": None}, {"std": 0.03}, {"dtype": "float64"}, {"chunks": (30, 41)})
    others = [pd.normal(SHAPE, 7, **{**options, **change}) for change in changes]
    others += [pd.normal(SHAPE, 8, **options), pd.normal((101, 76), 7, **options)]
    others += [pd.normal(SHAPE, Stream(7, "ars5"), **options), pd.truncated_normal(SHAPE, 7, **options)]
    assert len({array.name for array in (first, *others)}) == 1 + len(others)


def test_a_stream_moves_past_the_array_when_it_is_made():
    stream, fills = Stream(7, "ars5", position=3), Stream(7, "ars5", position=3)
    arrays = [pd.normal((3, 5), stream, chunks=2), pd.uniform(4, stream, chunks=3), pd.normal(4, stream, chunks=3)]
    expected = [fills.normal((3, 5)), fills.uniform(4), fills.normal(4)]
    assert stream == fills
    for array, values in zip(reversed(arrays), reversed(expected)):  # in any order, and repeatedly
        for _ in range(2):
            assert np.array_equal(array.compute(), values)
    child = pd.normal(4, stream, name="b", chunks=3)
    assert stream == fills
    assert np.array_equal(child.compute(), fills.child("b").normal(4))


@pytest.mark.parametrize("scheme", ["orthogonal(0.3)", "sparse(0.3, 0.7)"])
def test_a_scheme_that_needs_the_whole_takes_one_chunk(scheme):
    whole = filled(scheme, (30, 20), Stream(7))
    assert np.array_equal(pd.from_scheme(scheme, (30, 20), 7).compute(), whole)
    stream = Stream(7)
    with pytest.raises(ValueError, match=r"needs the whole array .* chunks=-1"):
        pd.from_scheme(scheme, (30, 20), stream, chunks=(15, 20))
    assert stream.position == 0


@pytest.mark.parametrize(
    ("error", "match", "wrong"),
    [
        (TypeError, "seed must be an int or a Stream", {"seed": None}),
        (TypeError, "seed must be an integer", {"seed": "7"}),
        (ValueError, "seed must be in", {"seed": -1}),
        (ValueError, "would end beyond", {"seed": Stream(0, position=2**66 - 9)}),
        (TypeError, "name must be a str", {"name": 3}),
        (TypeError, "shape must be an int", {"shape": (2.0, 3)}),
        (TypeError, "shape must be an int", {"shape": None}),
        (TypeError, "shape must be an int", {"shape": "ab"}),
        (ValueError, "shape must not be negative", {"shape": (3, -1)}),
        (TypeError, "got int32", {"dtype": np.int32}),
        (TypeError, "dtype must be one of", {"dtype": "flo"}),
        (ValueError, "num_threads must be at least 1", {"num_threads": 0}),
        (ValueError, "Chunks", {"chunks": (3,)}),
        (ValueError, "no scheme is called", {"scheme": "norml"}),
        (TypeError, "did you mean", {"scheme": initializers.normal}),
        (TypeError, "must be one of pyinit.initializers", {"scheme": lambda out, stream: out}),
        (ValueError, "fans", {"scheme": "xavier", "shape": 5}),
        (TypeError, "unexpected keyword", {"std": 0.1}),
    ],
)
def test_wrong_arguments_are_errors_before_any_task(error, match, wrong):
    stream = Stream(0)
    options = {"scheme": "normal", "shape": (4, 5), "seed": stream, **wrong}
    with pytest.raises(error, match=match):
        pd.from_scheme(**options)
    assert stream.position == 0


def test_schemes_are_those_of_the_package():
    """So the list above has every scheme that can be split."""
    splittable = {type(initializers.scheme(text).resolve((4, 6))) for text in SCHEMES}
    known = {kind for kind in vars(initializers).values() if isinstance(kind, type) and issubclass(kind, Scheme)}
    assert {kind for kind in known if kind.splittable} <= splittable | {initializers.Dirac}
    dirac = initializers.dirac(groups=2)
    array = pd.from_scheme(dirac, (6, 4, 3), 0, chunks=(2, 3, 2))
    assert np.array_equal(array.compute(), dirac(np.empty((6, 4, 3), np.float32), None))
    assert math.prod(array.numblocks) > 1


def test_without_dask():
    code = "import sys; sys.modules['dask'] = None; import pyinit.adapters.dask"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1] == (
        "ImportError: pyinit.adapters.dask needs Dask's arrays: "
        "pip install 'dask[array]', or pip install 'pyinit-weights[dask]'"
    )
