"""Files of weights: the bits of one array however they were cut, in formats that others read, whole or not at all."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import pyinit
from pyinit import Stream, files, initializers
from pyinit.arrays import dtype_of
from pyinit.atomic import replacement

DTYPES = ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")


def in_memory(shape, scheme, stream, dtype):
    out = np.empty(shape, dtype_of(dtype))
    return initializers.scheme(scheme)(out, stream)


def payload(path):
    """The bytes behind the head of a .safetensors file."""
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


class Recorder:
    """A scheme that keeps what it was called with, and fails or does something else at a given call."""

    def __init__(self, at=None, do=None):
        self.at, self.do, self.calls = at, do, []

    def __call__(self, out, stream, *, global_shape=None, offset=None, num_threads=None):
        self.calls.append((out.shape, global_shape, offset, num_threads, stream.position))
        if len(self.calls) == self.at:
            self.do()
        return stream.fill_normal(out, global_shape=global_shape, offset=offset)


def test_a_scheme_sees_the_global_shape_and_about_a_third_of_chunk_bytes(tmp_path):
    """The head, of 128 bytes, is in the first pieces."""
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


def fail(error):
    raise error


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), SystemExit(143), MemoryError()], ids=repr)
def test_an_error_on_the_way_leaves_the_folder_as_it_was(tmp_path, error):
    path = tmp_path / "w.npy"
    path.write_bytes(b"before")
    scheme = Recorder(at=3, do=lambda: fail(error))
    with pytest.raises(type(error)):
        files.fill(path, (30, 40), scheme, 7, chunk_bytes=160, overwrite=True)
    assert os.listdir(tmp_path) == ["w.npy"]
    assert path.read_bytes() == b"before"


def test_the_file_is_not_to_be_seen_before_it_is_whole(tmp_path):
    seen = []
    scheme = Recorder(at=3, do=lambda: seen.extend(os.listdir(tmp_path)))
    files.fill(tmp_path / "w.npy", (30, 40), scheme, 7, chunk_bytes=160)
    assert len(seen) == 1
    assert seen[0].startswith(".pyinit-")
    assert os.listdir(tmp_path) == ["w.npy"]


def test_a_file_is_replaced_only_where_that_is_asked_for(tmp_path):
    path = tmp_path / "w.npy"
    path.write_bytes(b"before")
    with pytest.raises(FileExistsError, match="exists already"):
        files.fill(path, (2, 2), "zeros", 0)
    assert path.read_bytes() == b"before"
    files.fill(path, (2, 2), "zeros", 0, overwrite=True)
    assert not np.load(path).any()


def test_a_file_that_came_to_be_in_the_meantime_stays(tmp_path):
    path = tmp_path / "w.npy"
    scheme = Recorder(at=2, do=lambda: path.write_bytes(b"another's"))
    with pytest.raises(FileExistsError):
        files.fill(path, (30, 40), scheme, 7, chunk_bytes=160)
    assert path.read_bytes() == b"another's"
    assert os.listdir(tmp_path) == ["w.npy"]


RACE = """
import sys
from pathlib import Path
from pyinit.atomic import replacement
folder, mine, rounds = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
done = []
for i in range(rounds):
    (folder / f"{sys.argv[2]}{i}").touch()
    while len(list(folder.glob(f"[ab]{i}"))) < 2:
        pass
    try:
        with replacement(folder / f"{i}.bin", overwrite=False) as file:
            file.write(mine)
        done.append(i)
    except FileExistsError:
        pass
print(*done)
"""


@pytest.mark.parametrize("links", [True, False])
def test_of_two_processes_that_make_one_new_file_one_fails(tmp_path, links):
    code = RACE if links else "import os\ndel os.link\n" + RACE
    racers = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, name, "100"], stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    won = [set(map(int, racer.communicate()[0].split())) for racer in racers]
    assert won[0] | won[1] == set(range(100))
    assert not won[0] & won[1]
    assert {i: (tmp_path / f"{i}.bin").read_text() for i in won[0]} == dict.fromkeys(won[0], "a")
    assert {i: (tmp_path / f"{i}.bin").read_text() for i in won[1]} == dict.fromkeys(won[1], "b")
    assert not list(tmp_path.glob(".pyinit-*"))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_a_file_that_appears_while_another_is_made_stays(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"

    def meanwhile(out, stream, **_):
        path.write_bytes(b"theirs")
        out[...] = 0

    with pytest.raises(FileExistsError, match="exists already"):
        files.fill(path, (2, 2), meanwhile, 0)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {path.name: b"theirs"}


def test_without_links_an_error_leaves_nothing(tmp_path, monkeypatch):
    def fails(*names):
        raise OSError(5, "Input/output error")

    monkeypatch.delattr(os, "link")
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="Input/output"):
        files.fill(tmp_path / "w.npy", (2, 2), "zeros", 0)
    assert os.listdir(tmp_path) == []


UNMAPPED = """
import sys
from pyinit import files
files.fill(sys.argv[1], (2, 2), "zeros", 0, overwrite=True)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_whose_owner_does_not_exist_here_is_replaced(tmp_path):
    """As in a container that does not have all users: there chown says EINVAL."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces")
    path = tmp_path / "w.npy"
    path.touch()
    path.chmod(0o666)
    os.chown(path, 1234, 1234)
    subprocess.run(["unshare", "-Ur", sys.executable, "-c", UNMAPPED, path], check=True)
    assert np.load(path).shape == (2, 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("mode", [0o600, 0o4640], ids=oct)
def test_a_file_that_root_replaces_keeps_its_owner(tmp_path, mode):
    path = tmp_path / "w.npy"
    path.touch()
    os.chown(path, 65534, 65533)
    path.chmod(mode)
    files.fill(path, (2, 2), "zeros", 0, overwrite=True)
    now = path.stat()
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (65534, 65533, mode)


@pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")
def test_a_link_is_followed_and_the_mode_is_that_of_any_new_file(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "w.npy").symlink_to(tmp_path / "disk" / "real.npy")
    files.fill(tmp_path / "w.npy", (2, 2), "zeros", 0)
    assert (tmp_path / "w.npy").is_symlink()
    (tmp_path / "other").touch()
    mode = stat.S_IMODE((tmp_path / "other").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "disk" / "real.npy").stat().st_mode) == mode


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444], ids=oct)
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "w.npy"
    path.touch()
    path.chmod(mode)
    seen = []
    scheme = Recorder(at=1, do=lambda: seen.extend(stat.S_IMODE(f.stat().st_mode) for f in tmp_path.iterdir()))
    files.fill(path, (2, 2), scheme, 0, overwrite=True)
    assert seen == [mode] * 2  # the temporary file is no easier to read
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that is none")
def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    path = tmp_path / "w.npy"
    os.mkfifo(path)
    with pytest.raises(OSError, match="is no regular file"):
        files.fill(path, (2, 3), "zeros", 0, overwrite=True)
    assert path.is_fifo()
    assert os.listdir(tmp_path) == ["w.npy"]


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


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "w.npy").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        files.fill(tmp_path / "w.npy", (2, 3), "zeros", 0, overwrite=True)


def test_a_file_that_cannot_be_made_is_told_by_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"w\.npy") as raised, replacement(tmp_path / "gone" / "w.npy", False):
        pass
    assert ".pyinit" not in str(raised.value)


INTERRUPTED = """
import signal, sys
from pyinit import files
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests themselves run in the background
def scheme(out, stream, **place):
    print("begun", flush=True)
    return stream.fill_normal(out, **place)
files.fill(sys.argv[1], (2000, 30000), scheme, 7, chunk_bytes=3 << 16, overwrite=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGINT of POSIX")
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_ctrl_c_leaves_the_folder_as_it_was(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(b"before")
    command = [sys.executable, "-c", INTERRUPTED, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        for _ in range(20):
            child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate()
    assert child.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_bytes() == b"before"


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
    assert int(result.stdout) < 120 << 20  # three buffers of 32 MiB, and what threads need
    assert path.stat().st_size > size
    position = size // 4 - 1000
    end = np.fromfile(path, np.float32, offset=path.stat().st_size - 4000)
    np.testing.assert_array_equal(end, Stream(0).skip_ahead(position).normal(1000))
    path.unlink()
