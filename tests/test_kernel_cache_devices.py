"""Compiled kernels for CUDA and OpenCL are kept, and not compiled again."""

from types import SimpleNamespace

import numpy as np
import pytest
from kernel_files import DAMAGE, UNWRITABLE, folder, output, start, unwritable
from opencl_device import queue

from pyinit import Stream
from pyinit.kernels import cache
from pyinit.kernels.device_arrays import KernelKey

__all__ = ["folder", "queue"]


@pytest.fixture
def compilations(monkeypatch):
    """The kernels compiled for a device that CuPy claims to have."""
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
    """With the real CuPy and NVRTC, which need no device to compile."""
    pytest.importorskip("cupy", reason="no CuPy")
    nvrtc = pytest.importorskip("nvrtc")
    if nvrtc.library() is None:
        pytest.skip("no nvidia-cuda-nvrtc")
    process = start(NVRTC, "no compiler")
    assert process.communicate() == ("", "it compiles\n")
    first = output(NVRTC)
    assert first.startswith(r"b'\x7fELF'")
    assert output(NVRTC, "no compiler") == first


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
    """Return the samples of FILL, which needs a device."""
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
    """They have the device's name, so kernels that are kept for one are tried for the other."""
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
