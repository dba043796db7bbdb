"""NVRTC's code for every kernel of src_c/fill.cu, with the flags of pyinit.cuda: no GPU is needed to compile."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import nvrtc
import pytest
from conftest import ROOT
from nvrtc import compiled

from pyinit import _core
from pyinit.cuda import compiler
from pyinit.kernels.device_arrays import KernelKey
from pyinit.kernels.layouts import MAX_AXES
from pyinit.kernels.sources import DTYPES, FLAGS, block_threads, enumerators, kernel_name, source

KINDS = ("run", "items")
GENERATORS = {number: name for name, number in _core.GENERATORS.items()}
ALL = [KernelKey(*numbers, kind) for numbers in _core.KERNELS for kind in KINDS]
# ARS takes longest to compile. Its narrow samples are stored as those of Philox, and ars7 is ars5 with two more rounds:
# the tests of what is left out here are slow.
ENOUGH = {"philox": DTYPES, "ars5": ("PYI_U32", "PYI_F32", "PYI_F64"), "ars7": ("PYI_U32", "PYI_F32")}
KEYS = [key for key in ALL if DTYPES[key.dtype] in ENOUGH[GENERATORS[key.generator]]]
RUNS = [key for key in KEYS if key.kind == "run"]
PROCESSORS = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")


pytestmark = pytest.mark.skipif(nvrtc.library() is None, reason="no nvidia-cuda-nvrtc")


def processors():
    """Return the members of PROCESSORS that this NVRTC knows."""
    return [name for name in PROCESSORS if int(name[3:]) in nvrtc.architectures()]


def compile_with_registers(key):
    """Compile a kernel; the assembler reports its registers."""
    return compiled(source(key, _core.JOB_BYTES), flags=[*FLAGS, "--ptxas-options=-v"])


@pytest.fixture(scope="module")
def kernels():
    """Return the kernels that are not slow."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(KEYS, pool.map(compile_with_registers, KEYS), strict=True))


@pytest.fixture(scope="module")
def ptx(kernels):
    return {key: text for key, (text, _, _) in kernels.items()}


def identify(key):
    return kernel_name(key)[4:]


def assert_rounded(text):
    """Check that IEEE 754 defines every operation, to nearest, with subnormals."""
    text = text.replace("rsqrt.approx.ftz.f32", "")  # a root begins with this
    arithmetic = set(re.findall(r"\b(?:add|sub|mul|fma|mad|div|sqrt|rcp|neg|cvt)\.\S*f(?:16|32|64)\S*", text))
    rounded = {"add.rn", "sub.rn", "mul.rn", "fma.rn", "div.rn", "sqrt.rn", "cvt.rn", "neg.f"}
    assert {name for name in arithmetic if not name.startswith(tuple(rounded))} == set()
    assert not re.search(r"\.ftz|\.approx|\.full|\.sat", text)
    assert not re.search(r"\b(?:sin|cos|lg2|ex2|tanh|rsqrt)\.", text)


@pytest.mark.parametrize("key", KEYS, ids=identify)
def test_every_operation_is_rounded_as_written(ptx, key):
    assert_rounded(ptx[key])


@pytest.mark.skipif(not shutil.which("nvcc"), reason="no nvcc")
def test_nvcc_rounds_as_written_too(tmp_path):
    """All runs of a generator in one text, from the unchanged headers."""
    for number in _core.GENERATORS.values():
        keys = (f"PYI_CUDA_RUN({', '.join(enumerators(key))})\n" for key in RUNS if key.generator == number)
        (tmp_path / f"all_{number}.cu").write_text(f'#include "fill.cu"\n{"".join(keys)}')
    command = ["nvcc", "-ptx", "-arch=sm_90", "-Werror=all-warnings", *FLAGS, f"-I{ROOT / 'src_c'}"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        run = partial(subprocess.run, cwd=tmp_path, check=True)
        list(pool.map(run, [[*command, file] for file in tmp_path.glob("*.cu")]))
    made = "".join(file.read_text() for file in tmp_path.glob("*.ptx"))
    assert made.count(".entry") == len(RUNS)
    assert_rounded(made)


@pytest.mark.parametrize("key", KEYS, ids=identify)
def test_nothing_is_kept_in_local_memory_or_called(ptx, key):
    assert not re.search(r"\.local|\bcall\b|\.func", ptx[key])


@pytest.mark.parametrize("key", KEYS, ids=identify)
def test_samples_leave_in_stores_of_whole_blocks(ptx, key):
    row = next(row for row in _core.DTYPES.values() if row.number == key.dtype)
    words = row.bytes // row.words  # 4-byte words per block; tiles are written 16 bytes at a time, the rest by blocks
    body = ptx[key].split(f".entry {kernel_name(key)}(")[1]
    wide = re.findall(r"st\.global\.v(\d)\.[uf]32", body)
    assert set(wide) == {"4"} | ({str(words)} if words > 1 else set())
    assert f".maxntid {block_threads(key)}" in body
    assert ("st.global.u8" in body) == (row.bytes == 1)


def fmas(text):
    """Count the fused operations of a kernel by type."""
    run = text.split("_run(")[1].split(".entry")[0]
    return len(re.findall(r"fma\.rn\.f32", run)), len(re.findall(r"fma\.rn\.f64", run))


def test_no_product_and_sum_are_fused_that_the_source_has_apart(ptx):
    """Counted by hand from the headers, for a block of words. A run has code for one block at its ragged ends, and for
    its tiles: four blocks if that is short, otherwise the blocks of one store."""
    counts = {
        ("BITS", "U32"): (0, 0),
        ("UNIFORM", "F32"): (4, 0),
        ("UNIFORM", "F64"): (0, 2),
        # For a pair: u, 7 of the logarithm and one with its exponent, 2 of the root, 4 of each polynomial, the samples.
        ("BOX_MULLER", "F32"): (2 * (1 + 7 + 1 + 2 + 4 + 4 + 2), 0),
        ("BOX_MULLER", "BF16"): (2 * (1 + 7 + 1 + 2 + 4 + 4 + 2), 0),
        # u; the logarithm's 7 and 2, and 2 with its exponent; 8 of each polynomial; the two samples.
        ("BOX_MULLER", "F64"): (0, 1 + 7 + 2 + 2 + 8 + 8 + 2),
        # v, t, 2 of the root, the distance to the octave's end, 8 of the polynomial, the sample.
        ("ICDF", "F32"): (4 * (1 + 1 + 2 + 1 + 8 + 1), 0),
        # p, t; the logarithm's 11; 8 of each polynomial, the first of which adds to 0; the sample.
        ("ICDF", "F64"): (0, 2 * (2 + 11 + 16 + 1)),
        ("TRUNCATED_NARROW", "F32"): (4 * (1 + 4 + 1), 0),
    }
    for (method, dtype), expected in counts.items():
        numbers = _core.METHODS.index(f"PYI_METHOD_{method}"), DTYPES.index(f"PYI_{dtype}")
        for key in (key for key in KEYS if key[1:] == (*numbers, "run")):
            short = _core.GENERATOR_ENUMERATORS[key.generator] == "PYI_PHILOX4X32_10" and dtype != "F64"
            blocks = 1 + (4 if short else 2 if dtype == "BF16" else 1)
            assert fmas(ptx[key]) == tuple(blocks * n for n in expected), (method, dtype)


def test_a_default_compiler_would_fuse_them():
    """The flags are needed: without them PTX lets products and sums be fused."""
    key = KernelKey(0, _core.METHODS.index("PYI_METHOD_BOX_MULLER"), DTYPES.index("PYI_F32"))
    text = compiled(source(key, _core.JOB_BYTES), flags=["--std=c++17"])[0]
    assert re.search(r"mul\.f32", text)
    assert re.search(r"add\.f32", text)
    assert ".ftz" in compiled(source(key, _core.JOB_BYTES), flags=[*FLAGS, "--ftz=true"])[0]


# One kernel of each generator on every processor, and all kernels on one of them.
@pytest.mark.parametrize("key", [KernelKey(0, 2, 1), KernelKey(1, 4, 2)], ids=identify)
def test_every_processor_has_code_without_a_warning(key):
    assert "sm_90" in processors()
    for processor in processors():
        _, code, log = compiled(source(key, _core.JOB_BYTES), processor)
        assert code.startswith(b"\x7fELF")
        assert not log.strip("\0\n "), log


@pytest.mark.parametrize("key", KEYS, ids=identify)
def test_the_assembler_spills_nothing_worth_speaking_of(kernels, key):
    *_, log = kernels[key]
    # A kernel of items keeps more: the state of the loop over arrays during the loop over tiles.
    check_registers(log, *((8, 64) if key.kind == "run" else (80, 128)))


@pytest.mark.slow
@pytest.mark.parametrize("key", sorted(set(ALL) - set(KEYS)), ids=identify)
def test_the_assembler_spills_little_of_ars(key):
    """Ars7 keeps eight round keys; a round takes some 150 instructions, so a few loads do not matter."""
    text, _, log = compile_with_registers(key)
    assert_rounded(text)
    ars7 = GENERATORS[key.generator] == "ars7"
    check_registers(log, *((16 if ars7 else 8, 64) if key.kind == "run" else (120 if ars7 else 80, 128)))


def check_registers(log, most, registers):
    """Check that a kernel spills at most a number of bytes to memory, and uses at most a number of registers."""
    used = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
    assert all(int(n) <= most for kernel in used for n in kernel), log
    assert len(used) >= 1, log
    assert all(int(n) <= registers for n in re.findall(r"Used (\d+) registers", log)), log
    assert "warning" not in log


def root_in_code(expression, processor):
    """Return the machine code of `expression` of x, and the stored value as a formula."""
    text = source(KernelKey(0, 2, 1), _core.JOB_BYTES).rpartition("PYI_CUDA_RUN(")[0]
    text += f'extern "C" __global__ void kernel(float *p, float x) {{ *p = {expression}; }}'
    code = nvrtc.disassembled(compiled(text, processor).binary).partition("\n.text.kernel:")[2]
    values = {}
    for operation, result, operands in re.findall(
        r"(MUFU\.RSQ|FMUL|FFMA)(?:\.FTZ)? (R\d+), (.*?) ;", code.split("STG")[0]
    ):
        of = [o.replace(".reuse", "") for o in operands.split(", ")]
        of = ["-" * o.startswith("-") + values.get(o.lstrip("-"), "0.5" if o == "0.5" else "x") for o in of]
        values[result] = f"{operation}({', '.join(of)})"
    return code, values[result]


@pytest.mark.parametrize("processor", ["sm_75", "sm_90", "sm_120"])
def test_roots_are_what_the_assembler_makes_of_the_exact_root(processor):
    """From 2^-101 to infinity; elsewhere the assembler's root branches, and ours do not."""
    if processor not in processors():
        pytest.skip(f"this NVRTC does not know {processor}")
    if nvrtc.disassembler() is None:
        pytest.skip("no nvidia-cuda-nvdisasm")
    code, exact = root_in_code("sqrtf(x)", processor)
    assert re.search(r"IADD3.*, -0xd000000,", code)
    assert re.search(r"ISETP.GT.U32.*, 0x727fffff,", code)
    reciprocal = "MUFU.RSQ(x)"
    root = f"FMUL({reciprocal}, x)"
    assert exact == f"FFMA(FFMA(-{root}, {root}, x), FMUL({reciprocal}, 0.5), {root})"
    code, ours = root_in_code("sqrt_above_0_f32(x)", processor)
    assert ours == exact
    assert "ISETP" not in code
    code, ours = root_in_code("sqrt_f32(x)", processor)
    assert "ISETP" not in code
    assert re.search(r"FMNMX.*, 7\.88860905\d*e-31,", code)  # 2^-100, whose reciprocal is used if x is 0


def test_cupy_compiles_with_these_flags_alone(monkeypatch):
    """CuPy adds only the architecture, which it would get from the device; here it makes PTX, which can be read."""
    cupy = pytest.importorskip("cupy.cuda.compiler", reason="no CuPy")
    monkeypatch.setattr(cupy, "_get_arch_for_options_for_nvrtc", lambda arch: ("-arch=compute_90", "ptx"))
    key = KernelKey(0, _core.METHODS.index("PYI_METHOD_BOX_MULLER"), DTYPES.index("PYI_F32"))
    text = compiler.compile_text(source(key, _core.JOB_BYTES)).decode().replace("rsqrt.approx.ftz.f32", "")
    assert ".target sm_90" in text
    assert "mul.rn.f32" in text
    assert not re.search(r"\.ftz|\.approx|\.full|mul\.f32|add\.f32", text)


def test_a_job_of_another_size_is_refused():
    with pytest.raises(AssertionError, match="a job is the same on both sides"):
        compiled(source(KernelKey(0, 0, 0), _core.JOB_BYTES + 8))


def test_parameters_fit():
    """Every driver takes 4 KiB."""
    assert _core.JOB_BYTES + 8 + 40 + 24 * MAX_AXES < 4096
