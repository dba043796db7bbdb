"""Files of weights: the bits of one array for any pieces, in formats that other programs read."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from recording_scheme import Recorder

import pyinit
from pyinit import Stream, files, initializers
from pyinit.arrays import dtype_of

DTYPES = ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")


def in_memory(shape, scheme, stream, dtype):
    out = np.empty(shape, dtype_of(dtype))
    return initializers.scheme(scheme)(out, stream)


def payload(path):
    """Return the bytes after the header of a .safetensors file."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]


@pytest.mark.parametrize("chunk_bytes", [1, 24, 100, 4096, 1 << 26])
@pytest.mark.parametrize("shape", [(7, 5), (1, 60), (3, 1, 4, 5), (6, 10)], ids=str)
def test_the_pieces_do_not_show(tmp_path, shape, chunk_bytes):
    path = tmp_path / "w.npy"
    files.fill(path, shape, "xavier_normal", seed=7, chunk_bytes=chunk_bytes)
    np.testing.assert_array_equal(np.load(path), in_memory(shape, "xavier_normal", Stream(7), "float32"))


@pytest.mark.parametrize(
    "scheme",
    [
        "uniform(-0.1, 0.2)",
        "normal(std=0.02)",
        "truncated_normal(std=0.02)",
        "lecun_normal",
        "kaiming_uniform",
        "constant(0.25)",
        "identity",
        "sparse(0.5)",
        "orthogonal",
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_holds_the_bits_of_one_array(tmp_path, dtype, scheme, generator):
    path = tmp_path / "w.safetensors"
    files.fill(path, (33, 47), scheme, 3, dtype=dtype, generator=generator, chunk_bytes=1000)
    assert payload(path) == in_memory((33, 47), scheme, Stream(3, generator), dtype).tobytes()


@pytest.mark.parametrize("dtype", DTYPES[:3])
def test_numpy_maps_the_file(tmp_path, dtype):
    path = tmp_path / "w.npy"
    filled = files.fill(path, (20, 30), "big", 1, dtype=dtype, chunk_bytes=512)
    mapped = np.load(path, mmap_mode="r")
    assert mapped.dtype == np.dtype(dtype)
    assert mapped.flags.c_contiguous
    np.testing.assert_array_equal(mapped, in_memory((20, 30), "big", Stream(1), dtype))
    assert filled.bytes == path.stat().st_size


@pytest.mark.parametrize("dtype", DTYPES[:3])
@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (33, 47)], ids=str)
@pytest.mark.parametrize("chunk_bytes", [30, 1000, 1 << 26])
def test_numpy_reads_an_archive(tmp_path, dtype, shape, chunk_bytes):
    path = tmp_path / "w.npz"
    filled = files.fill(path, shape, "normal", 7, dtype=dtype, name="fc.weight", chunk_bytes=chunk_bytes)
    with np.load(path) as archive:
        assert list(archive) == ["fc.weight"]
        found = archive["fc.weight"]
    assert (found.dtype, found.shape) == (np.dtype(dtype), shape)
    assert found.tobytes() == in_memory(shape, "normal", Stream(7), dtype).tobytes()
    assert filled.bytes == path.stat().st_size
    assert zipfile.ZipFile(path).testzip() is None


def test_an_archive_repeats_byte_for_byte(tmp_path):
    for name, chunk_bytes, threads in (("a", 100, 1), ("b", 1 << 20, 2)):
        files.fill(tmp_path / f"{name}.npz", (30, 40), "big", 7, chunk_bytes=chunk_bytes, num_threads=threads)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_safetensors_and_torch_read_the_file(tmp_path, dtype):
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    path = tmp_path / "w.safetensors"
    files.fill(path, (20, 30), "big", 1, dtype=dtype, name="fc.weight", chunk_bytes=512)
    tensor = safetensors.load_file(path)["fc.weight"]
    expected = Stream(1).fill_normal(torch.empty((20, 30), dtype=getattr(torch, dtype)))
    assert tensor.dtype == expected.dtype
    assert torch.equal(tensor, expected)


def test_safetensors_gives_the_metadata(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    path = tmp_path / "w.safetensors"
    files.fill(path, (2, 3), "xavier_normal", 7, child="fc1.weight", generator="ars5")
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {
            "scheme": "xavier_normal",
            "seed": "7",
            "generator": "ars5",
            "child": "fc1.weight",
            "pyinit": pyinit.__version__,
        }
        np.testing.assert_array_equal(
            file.get_tensor("weights"),
            in_memory((2, 3), "xavier_normal", Stream(7, "ars5").child("fc1.weight"), "float32"),
        )


@pytest.mark.parametrize("shape", [(), (5,), (0,), (3, 0, 2)], ids=str)
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_unusual_shapes(tmp_path, shape, suffix):
    path = tmp_path / f"w{suffix}"
    files.fill(path, shape, "normal", 7)
    read = np.load(path) if suffix == ".npy" else pytest.importorskip("safetensors.numpy").load_file(path)["weights"]
    assert read.shape == shape
    np.testing.assert_array_equal(read, Stream(7).normal(shape))


def test_a_number_is_a_shape_too(tmp_path):
    assert files.fill(tmp_path / "w.npy", 5, "zeros", 0).shape == (5,)


def test_the_head_of_safetensors_is_aligned(tmp_path):
    for name in ("w", "we", "wei", "weights of a layer", "ä"):
        path = tmp_path / "w.safetensors"
        files.fill(path, (3,), "zeros", 0, name=name, overwrite=True)
        assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0
        assert list(pytest.importorskip("safetensors.numpy").load_file(path)) == [name]


def test_a_seed_that_is_drawn_is_told(tmp_path):
    filled = files.fill(tmp_path / "w.npy", (4, 4), "big")
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), Stream(filled.seed).normal((4, 4)))
    assert filled.seed != files.fill(tmp_path / "v.npy", (4, 4), "big").seed


def test_a_scheme_sees_the_global_shape_and_about_a_third_of_chunk_bytes(tmp_path):
    """The header, of 128 bytes, is in the first pieces."""
    scheme = Recorder()
    files.fill(tmp_path / "w.npy", (3, 4), scheme, 7, chunk_bytes=3 * 144, num_threads=2)
    assert scheme.calls == [((1, 4), (3, 4), (0, 0), 2, 0), ((2, 4), (3, 4), (1, 0), 2, 0)]


@pytest.mark.parametrize("splittable", [False, True])
def test_a_scheme_that_needs_the_whole_tensor_makes_it_once(tmp_path, splittable):
    calls = []

    class Own(initializers.Normal):
        def fill(self, window, *others):
            calls.append(window.array.shape)
            super().fill(window, *others)

    Own.splittable = splittable
    files.fill(tmp_path / "w.npy", (30, 40), Own(), 7, chunk_bytes=960)
    assert len(calls) >= 15 if splittable else calls == [(30, 40)]
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), Stream(7).normal((30, 40)))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"path": "w.npx"}, ValueError, r"\.npy, \.npz, \.safetensors, \.zarr; got 'w\.npx'"),
        ({"path": "w"}, ValueError, r"\.npy, \.npz, \.safetensors, \.zarr"),
        ({"shape": (2, -1)}, ValueError, r"shape must not be negative, .*; got \(2, -1\)"),
        ({"shape": (2, 1.5)}, TypeError, "shape must be an int or a sequence of int; got "),
        ({"shape": "2,3"}, TypeError, "shape must be an int or a sequence of int; got '2,3'"),
        ({"shape": (4,)}, ValueError, "at least 2 dimensions"),
        ({"shape": (0,)}, ValueError, "at least 2 dimensions"),
        ({"shape": (0, 2), "scheme": "constant(1e39)"}, ValueError, "value must be at most"),
        ({"dtype": "int32"}, TypeError, "float16, bfloat16, float32, float64, float8_e4m3fn, float8_e5m2; got int32"),
        ({"dtype": "nonsense"}, TypeError, "got 'nonsense'"),
        ({"dtype": "bfloat16"}, TypeError, r"name the file \.safetensors"),
        ({"seed": -1}, ValueError, "seed"),
        ({"generator": "mt19937"}, ValueError, "generator"),
        ({"scheme": "nonsense"}, ValueError, "nonsense"),
        ({"scheme": "normal(std=-1)"}, ValueError, "std"),
        ({"path": "w.npz", "dtype": "bfloat16"}, TypeError, r"name the file \.safetensors"),
        ({"path": "w.npz", "name": ""}, ValueError, "must have a name"),
        ({"path": "w.npz", "name": 5}, ValueError, "must have a name; got 5"),
        ({"chunks": (2, 3)}, ValueError, r"are for \.zarr"),
        ({"part": (0, 2)}, ValueError, r"are for \.zarr"),
        ({"chunk_bytes": 0.5}, TypeError, "chunk_bytes must be an integer"),
        ({"chunk_bytes": 0}, ValueError, "chunk_bytes must be at least 1; got 0"),
        ({"scheme": "zeros", "num_threads": -1}, ValueError, "num_threads must be at least 1; got -1"),
        ({"path": "w.safetensors", "name": "__metadata__"}, ValueError, "__metadata__"),
        ({"path": "w.safetensors", "name": "bad\udcff"}, ValueError, "surrogates not allowed"),
        ({"path": "w.safetensors", "name": None}, TypeError, "name must be a str; got None"),
        ({"path": "nowhere/w.npy"}, FileNotFoundError, "nowhere does not exist"),
        ({"shape": (10**9, 10**9)}, OSError, "4,000,000,000,000,000,128 bytes are needed"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_told_before_anything_is_written(tmp_path, monkeypatch, changes, error, message):
    monkeypatch.chdir(tmp_path)
    arguments = {"path": "w.npy", "shape": (2, 3), "scheme": "xavier_normal", "seed": 7} | changes
    with pytest.raises(error, match=message):
        files.fill(**arguments)
    assert os.listdir(tmp_path) == []


MEMORY = """
import resource, sys
from pyinit import files
files.fill(sys.argv[1], (8, 8), "big", 0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
files.fill(sys.argv[1], (1, int(sys.argv[2])), "big", 0, overwrite=True)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ru_maxrss is in other units")
@pytest.mark.parametrize("size", [400_000_000, pytest.param(10_000_000_000, marks=pytest.mark.slow)], ids="{:,}".format)
def test_a_file_larger_than_what_is_in_memory_at_a_time(tmp_path, size):
    path = tmp_path / "w.safetensors"
    command = [sys.executable, "-c", MEMORY, path, str(size // 4)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 120 << 20  # three buffers of 32 MiB, and the threads' memory
    assert path.stat().st_size > size
    position = size // 4 - 1000
    end = np.fromfile(path, np.float32, offset=path.stat().st_size - 4000)
    np.testing.assert_array_equal(end, Stream(0).skip_ahead(position).normal(1000))
    path.unlink()
