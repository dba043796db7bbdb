"""The C core alone: every available compiler, optimisation and processor gives the known answers and golden hashes."""

import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import golden
import kinds
import numpy as np
import pytest
from conftest import COMPILER, CORE_FLAGS, ROOT, SANITIZERS, UNDER, compile_all

from pyinit import distributions

GOLDEN = golden.hashes()
VECTORS = [line.split() for line in (ROOT / "tests" / "vectors" / "known_answers.txt").read_text().splitlines()]
VECTORS = [v for v in VECTORS if v and v[0] != "#"]
# For each: the compilers, the emulator, the tiers. Programs to emulate are static, since there is no loader.
PROCESSORS = {
    "native": ({"gcc": ["gcc"], "clang": ["clang"]}, [], None),
    "aarch64": (
        {"gcc": ["aarch64-linux-gnu-gcc", "-static"], "clang": ["clang", "--target=aarch64-linux-gnu", "-static"]},
        ["qemu-aarch64-static"],
        ["neon", "vector", "scalar"],
    ),
    "s390x": (  # big-endian
        {"gcc": ["s390x-linux-gnu-gcc", "-static"], "clang": ["clang", "--target=s390x-linux-gnu", "-static"]},
        ["qemu-s390x-static"],
        ["scalar"],
    ),
    "z14": (  # s390x with vectors of floats
        {
            "gcc": ["s390x-linux-gnu-gcc", "-static", "-march=z14"],
            "clang": ["clang", "--target=s390x-linux-gnu", "-static", "-march=z14"],
        },
        ["qemu-s390x-static"],
        ["vector", "scalar"],
    ),
    "riscv64": (
        {"gcc": ["riscv64-linux-gnu-gcc", "-static"], "clang": ["clang", "--target=riscv64-linux-gnu", "-static"]},
        ["qemu-riscv64-static"],
        ["scalar"],
    ),
    "i686": (  # 32-bit sizes and pointers; most x86-64 processors run it themselves, but their system may not
        {
            "gcc": ["i686-linux-gnu-gcc", "-static", "-msse2", "-mfpmath=sse"],
            "clang": ["clang", "--target=i686-linux-gnu", "-static", "-msse2", "-mfpmath=sse"],
        },
        ["qemu-i386-static"],
        ["vector", "scalar"],
    ),
}


def on_each(function, items):
    """Return the result of `function` for each item, several at once: it waits for other programs."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


def build(folder, command, objects=()):
    """Compile golden.c and, unless its objects exist, the core, file by file."""
    sources = [] if objects else (ROOT / "src_c").glob("*.c")
    made, errors = compile_all(folder, [*sources, ROOT / "tests" / "golden.c"], [*command, *CORE_FLAGS])
    assert not errors
    program = folder / "golden"
    subprocess.run([*command, *objects, *made, "-o", program, "-lm", "-lpthread"], check=True)
    return program


def samples(program, emulator, tier, jobs):
    result = subprocess.run(
        [*emulator, program, tier], input="\n".join(jobs).encode(), capture_output=True, check=False
    )
    assert result.returncode == 0, (tier, result.returncode)
    return memoryview(result.stdout)


def known_answers(program, emulator, tier):
    """Return the published words whose key a seed and an id can give; for ARS only the key of zeros."""
    jobs, expected = [], []
    for generator, rounds, *words in VECTORS:
        *state, a, b, c, d = (int(w, 16) for w in words)
        block, stream, seed, *rest = [low | high << 32 for low, high in zip(state[::2], state[1::2])]
        if not any(rest):
            name = "philox" if generator == "philox" else f"ars{rounds}"
            jobs.append(golden.job(name, seed, stream, 4 * block, distributions.bits(), "uint32", 4))
            expected += a, b, c, d
    assert len(jobs) == 5
    assert np.frombuffer(samples(program, emulator, tier, jobs), "<u4").tolist() == expected


def hashes(program, emulator, tier, cases):
    data, found, begin = samples(program, emulator, tier, map(golden.line, cases)), {}, 0
    for case in cases:
        size = golden.COUNT * kinds.DTYPES[case.split(", ")[2]].itemsize
        found[case] = golden.hash_of(data[begin : begin + size])
        begin += size
    assert begin == len(data)
    return found


def check(folder, processor, compiler, flags, position, objects=()):
    compilers, emulator, tiers = PROCESSORS[processor]
    command, emulator = [*compilers[compiler], *flags, *SANITIZERS], emulator or UNDER
    libraries = [compilers["gcc"][0]] if processor != "native" else []  # clang uses GCC's libraries
    for name in (command[0], *libraries, *emulator):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
    program = build(folder, command, objects)
    had = subprocess.run([*emulator, program], capture_output=True, text=True, check=True).stdout.split()
    assert tiers is None or had == tiers
    cases = [case for case in GOLDEN if int(case.split(", ")[-1]) == position]
    if emulator:  # slow: for ARS, which shares its samplers with Philox, one sampler for each way to take words
        in_each_way = ("bits", "uniform", "normal", "uniform around 0")
        cases = [case for case in cases if case.startswith("philox") or case.split(", ")[1] in in_each_way]

    def check_tier(tier):
        known_answers(program, emulator, tier)
        found = hashes(program, emulator, tier, cases)
        assert not [case for case in cases if found[case] != GOLDEN[case]], tier

    on_each(check_tier, had)


def configurations():
    """Return all processors, compilers and flags; long runs that show nothing new are slow. -flto goes with -O2."""
    for processor in PROCESSORS:
        for compiler in ("gcc", "clang"):
            for flag in POSITION:
                quick = compiler + flag in QUICK[processor]
                marks = [pytest.mark.c_program] if (processor, flag) == ("native", "-O0") else []
                if processor == "native" or flag.startswith("-O"):
                    yield pytest.param(processor, compiler, flag, marks=marks if quick else pytest.mark.slow)


QUICK = {
    "native": ("gcc-O0", "clang-O0", "clang-O3"),  # the extension itself is GCC's at -O3
    "aarch64": ("clang-O2",),
    "s390x": ("gcc-O3",),
    "z14": ("clang-O2",),
    "riscv64": ("gcc-O3",),
    "i686": ("gcc-O2",),
}
# One each, so that all have a turn; the Python tests try all of them on this processor.
POSITION = dict(zip(("-O0", "-O1", "-O2", "-O3", "-Os", "-flto", "-march=native"), golden.POSITIONS * 2))


@pytest.mark.parametrize(("processor", "compiler", "flag"), [*configurations()])
def test_golden_hashes(request, tmp_path, processor, compiler, flag):
    flags = [flag] if flag.startswith("-O") else ["-O2", flag]
    as_used = (processor, compiler, flag) == ("native", COMPILER, "-O3")  # so the objects exist already
    objects = request.getfixturevalue("core_objects") if as_used else ()
    check(tmp_path, processor, compiler, flags, POSITION[flag], objects)


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names an x86 processor")
@pytest.mark.parametrize(("compiler", "contract"), [("gcc", "fast"), ("clang", "on")])
def test_a_compiler_that_may_contract_and_use_every_instruction(tmp_path, compiler, contract):
    check(tmp_path, "native", compiler, ["-O3", "-march=native", f"-ffp-contract={contract}"], 0)
