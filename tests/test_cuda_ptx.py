"""What NVRTC makes of src_c/fill.cu with the flags of pyinit.cuda, for every kernel: no GPU is needed to compile."""

import ctypes
import importlib.util
import re
from itertools import product
from pathlib import Path

import pytest

from pyinit import _core
from pyinit.cuda import launch
from pyinit.kernels.layouts import MAX_AXES, THREADS
from pyinit.kernels.sources import DTYPES, FLAGS, GENERATORS, METHODS, kernel_name, source

KINDS = [
    (g, m, d)
    for g, m, d in product(range(2), range(7), range(5))
    if (METHODS[m] == "PYI_METHOD_BITS") == (DTYPES[d] == "PYI_U32")
    and (METHODS[m], DTYPES[d]) != ("PYI_METHOD_TRUNCATED_TAIL", "PYI_F64")
]
PROCESSORS = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")


def find_nvrtc():
    """The library of the nvidia-cuda-nvrtc package, of whichever CUDA version."""
    package = importlib.util.find_spec("nvidia")
    for folder in package.submodule_search_locations if package else ():
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            for builtins in path.parent.glob("libnvrtc-builtins.so.*"):
                ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(str(path))
    return None


NVRTC = find_nvrtc()
pytestmark = pytest.mark.skipif(NVRTC is None, reason="no nvidia-cuda-nvrtc")


def output_of(program, what):
    size = ctypes.c_size_t()
    assert getattr(NVRTC, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
    text = ctypes.create_string_buffer(size.value)
    assert getattr(NVRTC, f"nvrtcGet{what}")(program, text) == 0
    return text.raw


def compiled(text, architecture="sm_90", flags=FLAGS):
    """The PTX that NVRTC makes of `text`, the processor's code, and what NVRTC says about them."""
    program = ctypes.c_void_p()
    assert NVRTC.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"fill.cu", 0, None, None) == 0
    options = [option.encode() for option in (*flags, f"--gpu-architecture={architecture}")]
    failed = NVRTC.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    log = output_of(program, "ProgramLog").decode().rstrip("\0")
    codes = ("", b"") if failed else (output_of(program, "PTX").decode().rstrip("\0"), output_of(program, "CUBIN"))
    NVRTC.nvrtcDestroyProgram(ctypes.byref(program))
    assert not failed, log
    return *codes, log


def processors():
    """Those of PROCESSORS that this NVRTC knows."""
    count = ctypes.c_int()
    NVRTC.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    known = (ctypes.c_int * count.value)()
    NVRTC.nvrtcGetSupportedArchs(known)
    return [name for name in PROCESSORS if int(name[3:]) in set(known)]


@pytest.fixture(scope="module")
def kernels():
    """All of them, with what the assembler says of registers."""
    flags = [*FLAGS, "--ptxas-options=-v"]
    return {kind: compiled(source(kind, _core.JOB_BYTES), flags=flags) for kind in KINDS}


@pytest.fixture(scope="module")
def ptx(kernels):
    return {kind: text for kind, (text, _, _) in kernels.items()}


def identify(kind):
    return kernel_name(kind, is_run=True)[4:-4]


@pytest.mark.parametrize("kind", KINDS, ids=identify)
def test_every_operation_is_rounded_as_written(ptx, kind):
    text = ptx[kind]
    arithmetic = set(re.findall(r"\b(?:add|sub|mul|fma|mad|div|sqrt|rcp|neg|cvt)\.\S*f(?:16|32|64)\S*", text))
    rounded = {"add.rn", "sub.rn", "mul.rn", "fma.rn", "div.rn", "sqrt.rn", "cvt.rn", "neg.f"}
    assert {name for name in arithmetic if not name.startswith(tuple(rounded))} == set()
    assert not re.search(r"\.ftz|\.approx|\.full|\.sat", text)
    assert not re.search(r"\b(?:sin|cos|lg2|ex2|tanh|rsqrt)\.", text)


@pytest.mark.parametrize("kind", KINDS, ids=identify)
def test_nothing_is_kept_in_local_memory_or_called(ptx, kind):
    assert not re.search(r"\.local|\bcall\b|\.func", ptx[kind])


@pytest.mark.parametrize("kind", KINDS, ids=identify)
def test_samples_leave_in_stores_of_whole_blocks(ptx, kind):
    of_halves = DTYPES[kind[2]] in ("PYI_F16", "PYI_BF16")
    for name in (kernel_name(kind, True), kernel_name(kind, False)):
        body = ptx[kind].split(f".entry {name}(")[1].split(".entry")[0]
        wide = re.findall(r"st\.global\.v(\d)\.[uf]32", body)
        assert set(wide) == {"2" if of_halves else "4"}
        assert f".maxntid {THREADS}" in body
        assert "st.global.u8" not in body


def fmas(text):
    """The fused operations of one kernel by type."""
    run = text.split("_run(")[1].split(".entry")[0]
    return len(re.findall(r"fma\.rn\.f32", run)), len(re.findall(r"fma\.rn\.f64", run))


def test_no_product_and_sum_are_fused_that_the_source_has_apart(ptx):
    """Counted by hand from the headers, for a block of words."""
    counts = {
        ("BITS", "U32"): (0, 0),
        ("UNIFORM", "F32"): (4, 0),
        ("UNIFORM", "F64"): (0, 2),
        # For a pair: u, 7 of the logarithm and one with its exponent, 4 of each polynomial, the two samples.
        ("BOX_MULLER", "F32"): (2 * (1 + 7 + 1 + 4 + 4 + 2), 0),
        ("BOX_MULLER", "BF16"): (2 * (1 + 7 + 1 + 4 + 4 + 2), 0),
        # u; the logarithm's 7 and 2, and 2 with its exponent; 8 of each polynomial; the two samples.
        ("BOX_MULLER", "F64"): (0, 1 + 7 + 2 + 2 + 8 + 8 + 2),
        # v, t, 8 of the polynomial, the sample.
        ("ICDF", "F32"): (4 * (1 + 1 + 8 + 1), 0),
        # p, t; the logarithm's 11; 8 of each polynomial, of which the first adds to 0; the sample.
        ("ICDF", "F64"): (0, 2 * (2 + 11 + 16 + 1)),
        ("TRUNCATED_NARROW", "F32"): (4 * (1 + 4 + 1), 0),
    }
    for (method, dtype), expected in counts.items():
        for generator in range(len(GENERATORS)):
            kind = (generator, METHODS.index(f"PYI_METHOD_{method}"), DTYPES.index(f"PYI_{dtype}"))
            assert fmas(ptx[kind]) == expected, (method, dtype)


def test_a_default_compiler_would_fuse_them():
    """The flags are needed: without them PTX leaves products and sums to be fused, and divides inexactly."""
    kind = (0, METHODS.index("PYI_METHOD_TRUNCATED_TAIL"), DTYPES.index("PYI_F32"))
    text = compiled(source(kind, _core.JOB_BYTES), flags=["--std=c++17"])[0]
    assert re.search(r"mul\.f32", text)
    assert re.search(r"add\.f32", text)
    assert "div.full" in compiled(source(kind, _core.JOB_BYTES), flags=[*FLAGS, "--prec-div=false"])[0]
    assert ".ftz" in compiled(source(kind, _core.JOB_BYTES), flags=[*FLAGS, "--ftz=true"])[0]


# One of each generator on every processor; all on one of them.
@pytest.mark.parametrize("kind", [(0, 2, 1), (1, 4, 2)], ids=identify)
def test_every_processor_has_code_without_a_warning(kind):
    assert "sm_90" in processors()
    for processor in processors():
        _, code, log = compiled(source(kind, _core.JOB_BYTES), processor)
        assert code.startswith(b"\x7fELF")
        assert not log.strip("\0\n "), log


@pytest.mark.parametrize("kind", KINDS, ids=identify)
def test_the_assembler_spills_nothing(kernels, kind):
    *_, log = kernels[kind]
    used = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
    assert used == [("0", "0", "0")] * len(used)
    assert len(used) >= 2, log
    assert all(int(n) <= 64 for n in re.findall(r"Used (\d+) registers", log)), log
    assert "warning" not in log


def test_cupy_compiles_with_these_flags_alone(monkeypatch):
    """CuPy's own, which it would ask the device for, is the architecture; here PTX, to be read."""
    compiler = pytest.importorskip("cupy.cuda.compiler", reason="no CuPy")
    monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", lambda arch: ("-arch=compute_90", "ptx"))
    kind = (0, METHODS.index("PYI_METHOD_TRUNCATED_TAIL"), DTYPES.index("PYI_F32"))
    text = launch.machine_code(kind).decode()
    assert ".target sm_90" in text
    assert "div.rn.f32" in text
    assert not re.search(r"\.ftz|\.approx|\.full|mul\.f32|add\.f32", text)


def test_a_job_of_another_size_is_refused():
    with pytest.raises(AssertionError, match="a job is the same on both sides"):
        compiled(source((0, 0, 0), _core.JOB_BYTES + 8))


def test_parameters_fit():
    """4 KiB is what every driver takes."""
    assert _core.JOB_BYTES + 8 + 40 + 24 * MAX_AXES < 4096
