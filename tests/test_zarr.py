"""Zarr arrays that several processes write together."""

import contextlib
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit import Stream, files, initializers
from pyinit.files.zarr import Grid

FLOATS = ("float16", "float32", "float64")


def in_memory(shape, scheme, dtype="float32", seed=7):
    return initializers.scheme(scheme)(np.empty(shape, dtype), Stream(seed))


zarr = pytest.importorskip("zarr", minversion="3.0.0")


def read(path):
    """Return a whole array as one NumPy array."""
    return np.asarray(zarr.open_array(path, mode="r")[...])


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4), st.integers(1, 3)), max_size=3),
    st.sampled_from(["normal", "uniform", "zeros", "orthogonal"]),
    st.sampled_from(FLOATS),
)
@settings(max_examples=15, deadline=None)
def test_the_grid_does_not_show(tmp_path_factory, axes, scheme, dtype):
    shape = tuple(n for n, _, _ in axes)
    scheme = scheme if scheme != "orthogonal" or (len(shape) > 1 and 0 not in shape) else "normal"
    path = tmp_path_factory.getbasetemp() / "any.zarr"
    grid = {"chunks": [c for _, c, _ in axes], "shards": [c * n for _, c, n in axes]}
    files.fill(path, shape, scheme, 7, dtype=dtype, overwrite=True, **grid)
    found = read(path)
    assert (found.shape, found.dtype) == (shape, np.dtype(dtype))
    assert found.tobytes() == in_memory(shape, scheme, dtype).tobytes()


def test_the_default_grid_and_what_is_told(tmp_path):
    path = tmp_path / "w.zarr"
    filled = files.fill(path, (3000, 5000), "xavier_normal", 7, child="fc")
    array = zarr.open_array(path, mode="r")
    assert dict(array.attrs) | {"pyinit": ""} == {
        "scheme": "xavier_normal",
        "seed": "7",
        "generator": "philox",
        "pyinit": "",
        "child": "fc",
    }
    assert array.shards[0] == 8 * array.chunks[0]
    assert np.prod(array.shards) * 4 <= 1 << 25
    assert len(os.listdir(path / "c")) > 1
    expected = initializers.xavier_normal()(np.empty((3000, 5000), np.float32), Stream(7).child("fc"))
    np.testing.assert_array_equal(read(path), expected)
    assert filled.bytes == 4 * 3000 * 5000


@pytest.mark.parametrize("shape", [(), (1,), (7,), (0,), (0, 5), (10**9, 3), (3, 10**9), (2, 3, 4, 10**7)], ids=str)
def test_a_grid_is_chosen_for_any_shape(shape):
    grid = Grid.of(shape, np.dtype("f4"), None, None)
    assert all(s % c == 0 for s, c in zip(grid.shards, grid.chunks))
    assert 4 * np.prod(grid.shards, dtype=object) <= 1 << 25


GRID = {"chunks": (10, 7), "shards": (20, 14)}
PARTS = """
import sys
from pyinit import files
for part in sys.argv[3:]:
    files.fill(sys.argv[1], (90, 100), "xavier_normal", 7, chunks=(10, 7), shards=(20, 14),
               part=(int(part), int(sys.argv[2])))
"""


def fill_parts(path, count, *parts):
    """Write parts in another process."""
    return subprocess.Popen([sys.executable, "-c", PARTS, path, str(count), *map(str, parts)])


@pytest.mark.parametrize("count", [2, 7, 30])
def test_parts_in_any_order_are_the_whole(tmp_path, count):
    path, rng = tmp_path / "w.zarr", np.random.default_rng(count)
    for number in rng.permutation(count):
        files.fill(path, (90, 100), "xavier_normal", 7, part=(int(number), count), **GRID)
        found, expected = read(path), in_memory((90, 100), "xavier_normal")
        assert ((found == expected) | np.isnan(found)).all()
    np.testing.assert_array_equal(found, expected)
    files.fill(tmp_path / "alone.zarr", (90, 100), "xavier_normal", 7, **GRID)
    assert contents(path) == contents(tmp_path / "alone.zarr")


def contents(folder):
    """Return all files of a folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_processes_at_the_same_time_make_one_array(tmp_path):
    """They begin together, before there is an array."""
    for trial in range(3):
        path = tmp_path / f"{trial}.zarr"
        children = [fill_parts(path, 12, *range(i, 12, 3)) for i in range(3)]
        assert [child.wait() for child in children] == [0, 0, 0]
        np.testing.assert_array_equal(read(path), in_memory((90, 100), "xavier_normal"))
        assert all("pyinit" not in name for name in contents(path))


BEGIN = """
import sys, threading
from pyinit import files
barrier = threading.Barrier(8)
def work(i):
    barrier.wait()
    files.fill(sys.argv[1] + f"/{trial}.zarr", (8, 3), "normal", 7, chunks=(1, 3), shards=(1, 3), part=(i, 8))
for trial in range(10):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
"""


def test_no_process_takes_away_what_another_has_begun(tmp_path):
    """Of eight processes that begin at the same moment, one creates the array, and the others write to it."""
    result = subprocess.run([sys.executable, "-c", BEGIN, tmp_path], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    for trial in range(10):
        np.testing.assert_array_equal(read(tmp_path / f"{trial}.zarr"), Stream(7).normal((8, 3)))


def test_a_killed_part_can_be_written_again(tmp_path):
    path, expected = tmp_path / "w.zarr", in_memory((90, 100), "xavier_normal")
    for delay in (0.0, 0.01, 0.05):
        child = fill_parts(path, 2, *([1] * 1000))
        while not path.exists():
            time.sleep(0.001)
        time.sleep(delay)
        child.kill()
        child.wait()
        if (path / "zarr.json").exists():
            found = read(path)
            assert ((found == expected) | np.isnan(found)).all()
    for number in range(2):
        files.fill(path, (90, 100), "xavier_normal", 7, part=(number, 2), **GRID)
    np.testing.assert_array_equal(read(path), expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 8},
        {"shape": (90, 99)},
        {"dtype": "float64"},
        {"scheme": "normal"},
        {"generator": "ars5"},
        {"child": "w"},
        {"chunks": (10, 14)},
        {"shards": (20, 7)},
    ],
    ids=str,
)
def test_another_array_in_the_way_of_a_part_is_an_error(tmp_path, changes):
    path = tmp_path / "w.zarr"
    same = {"shape": (90, 100), "scheme": "xavier_normal", "seed": 7, **GRID}
    files.fill(path, part=(0, 2), **same)
    before = contents(path)
    with pytest.raises(FileExistsError, match="not the array of which this is a part"):
        files.fill(path, part=(1, 2), **same | changes)
    assert contents(path) == before
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "[" * 10**5], ids=lambda text: text[:9])
def test_what_is_no_array_is_in_the_way_of_a_part(tmp_path, text):
    path = tmp_path / "w.zarr"
    path.mkdir()
    (path / "zarr.json").write_text(text)
    with pytest.raises(FileExistsError, match="not the array"):
        files.fill(path, (3, 4), "normal", 7, part=(0, 2))
    assert (path / "zarr.json").read_text() == text
    (path / "zarr.json").rename(path / "thesis.tex")
    with pytest.raises(FileExistsError, match=r"no Zarr array: it holds thesis\.tex"):
        files.fill(path, (3, 4), "normal", 7, part=(0, 2))
    assert os.listdir(path) == ["thesis.tex"]


def test_an_array_that_compresses_is_another(tmp_path):
    path = tmp_path / "w.zarr"
    files.fill(path, (3, 4), "normal", 7, part=(0, 2))
    described = json.loads((path / "zarr.json").read_text())
    described["codecs"][0]["configuration"]["codecs"].append({"name": "gzip", "configuration": {"level": 5}})
    (path / "zarr.json").write_text(json.dumps(described))
    with pytest.raises(FileExistsError, match="not the array"):
        files.fill(path, (3, 4), "normal", 7, part=(1, 2))


def test_an_array_is_replaced_only_where_that_is_asked_for(tmp_path):
    path = tmp_path / "w.zarr"
    files.fill(path, (30, 4), "normal", 7)
    before = contents(path)
    with pytest.raises(FileExistsError, match="exists already"):
        files.fill(path, (3, 4), "normal", 8)
    assert contents(path) == before
    files.fill(path, (3, 4), "normal", 8, overwrite=True)
    np.testing.assert_array_equal(read(path), Stream(8).normal((3, 4)))
    assert os.listdir(tmp_path) == ["w.zarr"]


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()], ids=repr)
def test_an_error_on_the_way_leaves_the_array_as_it_was(tmp_path, error):
    path = tmp_path / "w.zarr"
    files.fill(path, (3, 4), "normal", 7)
    before, calls = contents(path), []

    def scheme(out, stream, **place):
        assert contents(path) == before
        calls.append(place)
        if len(calls) == 3:
            raise error
        return stream.fill_normal(out, **place)

    with pytest.raises(type(error)):
        files.fill(path, (90, 100), scheme, 7, overwrite=True, **GRID)
    assert contents(path) == before
    assert os.listdir(tmp_path) == ["w.zarr"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"chunks": (2,)}, ValueError, "chunks must have 2 sizes"),
        ({"chunks": (0, 2)}, ValueError, "of at least 1"),
        ({"chunks": (2, 2), "shards": (3, 2)}, ValueError, "multiple of chunks"),
        ({"shards": (3, 2, 1)}, ValueError, "must have 2 sizes"),
        ({"part": (2, 2)}, ValueError, "0 <= i < n"),
        ({"part": (-1, 2)}, ValueError, "0 <= i < n"),
        ({"part": (0, 0)}, ValueError, "0 <= i < n"),
        ({"part": (0, 1, 2)}, ValueError, "0 <= i < n"),
        ({"part": 3}, ValueError, "0 <= i < n"),
        ({"part": (0.5, 2)}, TypeError, "integer"),
        ({"chunks": 5}, ValueError, "chunks must have 2 sizes"),
        ({"chunks": (1.5, 2)}, TypeError, "chunks must be an int or a sequence of int"),
        ({"dtype": "bfloat16"}, TypeError, r"name it \.safetensors"),
        ({"scheme": "nonsense"}, ValueError, "nonsense"),
        ({"path": "nowhere/w.zarr"}, FileNotFoundError, "nowhere does not exist"),
        ({"shape": (10**9, 10**9)}, OSError, "bytes are needed"),
        ({"shape": (10**9, 10**9), "part": (0, 2)}, OSError, "bytes are needed"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_told_before_anything_is_written(tmp_path, monkeypatch, changes, error, message):
    monkeypatch.chdir(tmp_path)
    arguments = {"path": "w.zarr", "shape": (20, 30), "scheme": "xavier_normal", "seed": 7} | changes
    with pytest.raises(error, match=message):
        files.fill(**arguments)
    assert os.listdir(tmp_path) == []


def test_a_file_is_no_array(tmp_path):
    (tmp_path / "w.zarr").write_text("a file")
    for more in ({}, {"overwrite": True}, {"part": (0, 2)}):
        with pytest.raises(FileExistsError, match="is no folder"):
            files.fill(tmp_path / "w.zarr", (3, 4), "normal", 7, **more)
    with contextlib.suppress(FileNotFoundError):
        assert (tmp_path / "w.zarr").read_text() == "a file"
