"""Compiled kernels on disk: the next process loads them, and whatever happens to the files, the samples are right."""

import os
import stat
import subprocess
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import numpy as np
import pytest
from opencl_device import queue

from pyinit import Stream
from pyinit.kernels import cache
from pyinit.kernels.device_arrays import KernelKey

__all__ = ["queue"]

CODE = bytes(range(200))
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no modes of files")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache for each test, and for the processes that it starts."""
    path = tmp_path / "cache"
    monkeypatch.setenv("PYINIT_CACHE_DIR", str(path))
    return path


@pytest.fixture
def path():
    """A file that has been written."""
    path = cache.entry("a kernel")
    cache.write(path, CODE)
    assert cache.read(path) == CODE
    return path


def start(script, *arguments):
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(script, *arguments):
    """What a new process prints."""
    process = start(script, *arguments)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


# The files


def test_each_part_of_a_name_counts():
    names = [("text", "90", ("-a", "-b")), ("text", "80", ("-a", "-b")), ("text", "90", ("-a-b",)), ("text", "90-a")]
    names += [("text90",), ("text", None), ("text", "None"), ()]
    assert len({cache.entry(*parts) for parts in names}) == len(names)
    assert cache.entry(*names[0]) == cache.entry(*names[0])


DAMAGE = {
    "empty": lambda data: b"",
    "within the checksum": lambda data: data[:20],
    "the checksum alone": lambda data: data[:32],
    "one byte short": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "another start": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "another end": lambda data: data[:-1] + bytes([data[-1] ^ 0x80]),
    "foreign": lambda data: b"something else " * 100,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_noticed_and_replaced(path, damage):
    path.write_bytes(damage(path.read_bytes()))
    assert cache.read(path) is None
    cache.write(path, CODE)
    assert cache.read(path) == CODE


def test_each_bit_is_checked(path):
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert cache.read(path) is None
    path.write_bytes(data)
    assert cache.read(path) == CODE


def test_a_file_does_not_pass_for_another(path):
    other = path.with_name(cache.entry("another kernel").name)
    path.rename(other)
    assert cache.read(other) is None


def test_a_folder_of_that_name(path):
    path.unlink()
    path.mkdir()
    assert cache.read(path) is None
    cache.write(path, CODE)
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_file_alone(path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.write(path, b"new")
    assert list(path.parent.iterdir()) == [path]
    assert cache.read(path) == CODE


def test_the_oldest_files_go_first(monkeypatch):
    monkeypatch.setattr(cache, "MOST_FILES", 3)
    paths = [cache.entry(i) for i in range(6)]
    for age, path in zip((5, 9, 7, 3, 8, 1), paths):
        cache.write(path, CODE)
        os.utime(path, (1e9 - age, 1e9 - age))
        assert cache.read(path) == CODE  # the newest is never the one to go: it is written now
    assert sorted(paths[0].parent.iterdir()) == sorted(paths[i] for i in (0, 3, 5))


def test_files_of_others_stay(monkeypatch):
    monkeypatch.setattr(cache, "MOST_FILES", 1)
    cache.write(cache.entry(0), CODE)
    others = [cache.entry(0).parent / name for name in ("kernel.cu", "notes", "a" * 63)]
    for other in others:
        other.write_text("mine")
        os.utime(other, (1, 1))
    for i in range(1, 4):
        cache.write(cache.entry(i), CODE)
    assert all(other.exists() for other in others)
    assert not cache.entry(1).exists()


# Who may read and write them


@posix
def test_modes(path, folder):
    previous = os.umask(0)
    try:
        cache.write(other := folder / "other" / "kernels" / path.name, CODE)
    finally:
        os.umask(previous)
    for file in (path, other):
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_may_write_to_is_not_loaded(path, mode):
    path.chmod(0o600 | mode)
    assert cache.read(path) is None
    cache.write(path, CODE)  # a new file takes its place
    assert cache.read(path) == CODE
    path.parent.chmod(0o700 | mode)
    assert cache.read(path) is None
    cache.write(path, b"new")
    path.parent.chmod(0o755)  # to read is another matter
    path.chmod(0o644)
    assert cache.read(path) == CODE


@posix
def test_what_belongs_to_another_user_is_not_loaded(path, monkeypatch):
    """Folder and file each by itself; by root's right to give them away, or else by another name for oneself."""
    if os.geteuid() == 0:
        for one in (path, path.parent):
            os.chown(one, 65534, -1)
            assert cache.read(one if one == path else path) is None
            os.chown(one, 0, -1)
        assert cache.read(path) == CODE
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.read(path) is None
    cache.write(path, b"new")
    monkeypatch.undo()
    assert cache.read(path) == CODE


# Where they are


def test_no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PYINIT_CACHE_DIR", "")
    monkeypatch.chdir(tmp_path)
    assert cache.folder() is cache.entry("a kernel") is cache.read(None) is None
    cache.write(None, CODE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "home/.cache/pyinit"),
        ("linux", {"XDG_CACHE_HOME": "/scratch"}, "/scratch/pyinit"),
        ("linux", {"XDG_CACHE_HOME": "scratch"}, "home/.cache/pyinit"),  # which the specification has us ignore
        ("linux", {"XDG_CACHE_HOME": ""}, "home/.cache/pyinit"),
        ("darwin", {"XDG_CACHE_HOME": "/scratch"}, "home/Library/Caches/pyinit"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/pyinit"),
        ("win32", {}, "home/AppData/Local/pyinit"),
    ],
)
def test_the_user_s_folder(monkeypatch, tmp_path, platform, environment, expected):
    for name in ("PYINIT_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert PureWindowsPath(cache.folder()) == PureWindowsPath(tmp_path / expected)


def test_no_home(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("PYINIT_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert cache.folder() is None


UNWRITABLE = ["a file", "kernels is a file", "no right to make it", "no right to write"]


def unwritable(kind, tmp_path):
    """A folder that cannot be made or written."""
    cache_dir, kernels = tmp_path / kind, tmp_path / kind / "kernels"
    if kind == "a file":
        cache_dir.touch()
    elif kind == "kernels is a file":
        cache_dir.mkdir()
        kernels.touch()
    else:
        closed = cache_dir if kind == "no right to make it" else kernels
        closed.mkdir(0o500, parents=True)
        if os.access(closed, os.W_OK):
            pytest.skip("this user may write anywhere")
    return cache_dir


@pytest.mark.parametrize("kind", UNWRITABLE)
def test_a_folder_that_cannot_be_written(kind, monkeypatch, tmp_path):
    monkeypatch.setenv("PYINIT_CACHE_DIR", str(unwritable(kind, tmp_path)))
    path = cache.entry("a kernel")
    assert cache.read(path) is None
    cache.write(path, CODE)
    assert cache.read(path) is None


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_where_not_even_root_may_write(monkeypatch):
    monkeypatch.setenv("PYINIT_CACHE_DIR", "/proc/pyinit")
    cache.write(path := cache.entry("a kernel"), CODE)
    assert cache.read(path) is None


FULL = """
import resource
from pyinit.kernels import cache

path = cache.entry("a kernel")
cache.write(path, b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
cache.write(path, bytes(5000))
print(cache.read(path), len(list(path.parent.iterdir())))
"""


def test_a_full_disk():
    pytest.importorskip("resource")
    assert output(FULL) == "b'old' 1\n"


WRITERS = """
from pyinit.kernels import cache

for _ in range(300):
    cache.write(cache.entry("a kernel"), bytes(100_000))
"""


def test_processes_that_write_one_file_at_once():
    """Each is started before another has ended, and whoever reads meanwhile finds all of it."""
    processes, path, seen = [start(WRITERS) for _ in range(4)], cache.entry("a kernel"), 0
    while any(process.poll() is None for process in processes):
        found = cache.read(path)
        assert found == bytes(100_000) or not seen
        seen += found is not None
    assert [process.communicate()[1] for process in processes] == [""] * 4
    assert seen
    assert list(path.parent.iterdir()) == [path]


# CUDA, without a device


@pytest.fixture
def compilations(monkeypatch):
    """What is compiled for a device that CuPy is said to have."""
    cupy = pytest.importorskip("cupy", reason="no CuPy")
    made = []

    def compile_using_nvrtc(text, flags):
        made.append((text, flags))
        return b"code %d" % len(made), None

    monkeypatch.setattr(cupy.cuda, "Device", lambda: SimpleNamespace(compute_capability="90"))
    monkeypatch.setattr(cupy.cuda.nvrtc, "getVersion", lambda: (13, 0))
    monkeypatch.setattr(cupy.cuda.compiler, "compile_using_nvrtc", compile_using_nvrtc)
    return made


KEY = KernelKey(0, 2, 1)


def test_what_decides_the_code_is_compiled_anew(compilations, monkeypatch):
    import cupy

    from pyinit.cuda import compiler

    changes = [
        lambda patch: patch.setattr(cupy.cuda, "Device", lambda: SimpleNamespace(compute_capability="80")),
        lambda patch: patch.setattr(cupy.cuda.nvrtc, "getVersion", lambda: (13, 1)),
        lambda patch: patch.setattr(cupy, "__version__", "99.0"),
        lambda patch: patch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "--maxrregcount=64")),
        lambda patch: patch.setattr(compiler, "source", lambda *_: "another text"),
        lambda patch: patch.setenv("CUPY_COMPILE_WITH_PTX", "1"),
    ]
    assert compiler.machine_code(KEY) == compiler.machine_code(KEY) == b"code 1"
    assert compiler.machine_code(KEY._replace(dtype=2)) == b"code 2"
    for number, change in enumerate(changes, 3):
        with monkeypatch.context() as patch:
            change(patch)
            for _ in range(2):
                assert compiler.machine_code(KEY) == b"code %d" % number
        assert compiler.machine_code(KEY) == b"code 1"
    monkeypatch.setenv("PYINIT_CACHE_DIR", "")
    assert compiler.machine_code(KEY) != compiler.machine_code(KEY)


def test_a_text_that_is_refused_is_not_kept(compilations, monkeypatch, folder):
    import cupy

    from pyinit.cuda import compiler

    def refuse(text, flags):
        raise cupy.cuda.compiler.CompileException("no such thing", text, "kern.cu", flags)

    with monkeypatch.context() as patch:
        patch.setattr(cupy.cuda.compiler, "compile_using_nvrtc", refuse)
        with pytest.raises(RuntimeError, match="CUDA's compiler refuses the kernels for this GPU: no such thing"):
            compiler.machine_code(KEY)
    assert not folder.exists()
    assert compiler.machine_code(KEY) == b"code 1"


NVRTC = """
import hashlib, sys
from types import SimpleNamespace
import cupy
from pyinit.cuda import compiler
from pyinit.kernels.device_arrays import KernelKey

def refuse(*_):
    sys.exit("it compiles")

cupy.cuda.Device = lambda: SimpleNamespace(compute_capability="90")
cupy.cuda.compiler._get_arch_for_options_for_nvrtc = lambda arch: ("-arch=sm_90", "cubin")
if "no compiler" in sys.argv:
    cupy.cuda.compiler.compile_using_nvrtc = refuse
code = compiler.machine_code(KernelKey(0, 2, 1))
print(code[:4], hashlib.sha256(code).hexdigest())
"""


def test_a_second_process_needs_no_nvrtc():
    """By CuPy and NVRTC themselves, which need no device to compile."""
    pytest.importorskip("cupy", reason="no CuPy")
    nvrtc = pytest.importorskip("nvrtc")
    if nvrtc.library() is None:
        pytest.skip("no nvidia-cuda-nvrtc")
    process = start(NVRTC, "no compiler")
    assert process.communicate() == ("", "it compiles\n")
    first = output(NVRTC)
    assert first.startswith(r"b'\x7fELF'")
    assert output(NVRTC, "no compiler") == first


# OpenCL

FILL = """
import sys
import numpy as np
import pyopencl as cl
import pyopencl.array
import pyopencl.characterize
from pyinit import Stream

compiled = 0

class Program(cl.Program):
    def __init__(self, context, *source_or_binaries):
        global compiled
        compiled += len(source_or_binaries) == 1
        super().__init__(context, *source_or_binaries)

cl.Program = Program
if "no cache of the driver's" in sys.argv:  # so that pyopencl would use its own
    cl.characterize.has_src_build_cache = lambda device: False
queue = cl.CommandQueue(cl.create_some_context(interactive=False))
array = cl.array.empty(queue, 1001, np.float32)
print(compiled, Stream(3).fill_normal(array).get().tobytes().hex()[:100], compiled)
"""


@pytest.fixture
def samples(queue):
    """The samples of FILL, for which there has to be a device."""
    return Stream(3).normal(1001).tobytes().hex()[:100]


def test_a_second_process_does_not_compile_opencl(samples, folder):
    assert output(FILL) == f"0 {samples} 1\n"
    assert output(FILL) == f"0 {samples} 0\n"
    [path] = (folder / "kernels").iterdir()
    for damage in DAMAGE.values():
        path.write_bytes(damage(path.read_bytes()))
    assert output(FILL) == f"0 {samples} 1\n"
    assert output(FILL) == f"0 {samples} 0\n"


def test_processes_that_compile_at_once(samples, folder):
    processes = [start(FILL) for _ in range(4)]
    assert [process.communicate()[0].split()[1:2] for process in processes] == [[samples]] * 4
    assert len(list((folder / "kernels").iterdir())) == 1
    assert output(FILL) == f"0 {samples} 0\n"


@pytest.mark.parametrize("kind", ["", *UNWRITABLE])
def test_opencl_without_a_cache(samples, kind, monkeypatch, tmp_path):
    monkeypatch.setenv("PYINIT_CACHE_DIR", str(unwritable(kind, tmp_path)) if kind else "")
    for _ in range(2):
        assert output(FILL) == f"0 {samples} 1\n"


def test_pyopencl_keeps_no_second_copy(samples, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "others"))
    assert output(FILL, "no cache of the driver's") == f"0 {samples} 1\n"
    assert not list((tmp_path / "others").glob("pyopencl/*compiler*"))
    assert len(list((folder / "kernels").iterdir())) == 1


def fill(context, device=None):
    import pyopencl as cl
    import pyopencl.array

    array = cl.array.empty(cl.CommandQueue(context, device), 1001, np.float32)
    return Stream(3).fill_normal(array).get().tobytes().hex()[:100]


def test_a_binary_that_the_driver_refuses(queue, samples, folder):
    import pyopencl as cl

    assert fill(cl.Context([queue.device])) == samples
    [path] = (folder / "kernels").iterdir()
    good = path.read_bytes()
    cache.write(path, b"no program of this driver's")
    assert fill(cl.Context([queue.device])) == samples
    assert path.read_bytes()[-100:] == good[-100:]


def test_parts_of_a_device(queue, samples):
    """Which have its name: what is kept for the one is tried for the other."""
    import pyopencl as cl

    if not queue.device.partition_properties or queue.device.max_compute_units < 2:
        pytest.skip("the device has no parts")
    parts = queue.device.create_sub_devices([cl.device_partition_property.EQUALLY, 1])
    context = cl.Context(parts)
    assert [fill(context, part) for part in parts] == [samples] * len(parts)
    for device in (parts[1], queue.device, parts[1], parts[0]):
        assert fill(cl.Context([device])) == samples


def test_other_options_and_texts_are_other_programs(queue, folder, monkeypatch):
    from pyinit.opencl import programs

    text = "__kernel void first(__global int *a) { a[0] = NUMBER; }"
    programs.build(queue.context, queue.device, text, ("-DNUMBER=1",))
    programs.build(queue.context, queue.device, text, ("-DNUMBER=2",))
    programs.build(queue.context, queue.device, text + "\n", ("-DNUMBER=2",))
    with monkeypatch.context() as patch:
        patch.setenv("PYOPENCL_BUILD_OPTIONS", "-DOTHER")
        programs.build(queue.context, queue.device, text, ("-DNUMBER=2",))
    programs.build(queue.context, queue.device, text, ("-DNUMBER=1",))
    assert len(list((folder / "kernels").iterdir())) == 4


def test_another_driver_is_another_program():
    from pyinit.opencl.programs import target

    platform = {"vendor": "a", "name": "b", "version": "c"}
    device = {"vendor": "d", "name": "e", "version": "f", "driver_version": "g"}
    known = {target(SimpleNamespace(**device, platform=SimpleNamespace(**platform)))}
    for name in platform:
        known.add(target(SimpleNamespace(**device, platform=SimpleNamespace(**platform | {name: "new"}))))
    for name in device:
        known.add(target(SimpleNamespace(**device | {name: "new"}, platform=SimpleNamespace(**platform))))
    assert len(known) == 8
