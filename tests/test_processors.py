"""The C core alone: every compiler, optimisation and processor at hand gives the known answers and golden hashes."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import golden
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
GOLDEN = json.loads(golden.FILE.read_text())
VECTORS = [line.split() for line in (ROOT / "tests" / "vectors" / "known_answers.txt").read_text().splitlines()]
VECTORS = [v for v in VECTORS if v and v[0] != "#"]
FLAGS = ["-std=gnu11", "-fno-math-errno", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT / 'src_c'}"]
# Each: the compilers, the emulator, the tiers. Emulated ones are compiled statically, for there is no loader.
PROCESSORS = {
    "native": ({"gcc": ["gcc"], "clang": ["clang"]}, [], None),
    "aarch64": (
        {"gcc": ["aarch64-linux-gnu-gcc", "-static"], "clang": ["clang", "--target=aarch64-linux-gnu", "-static"]},
        ["qemu-aarch64-static"],
        ["neon", "scalar"],
    ),
    "s390x": (  # big-endian
        {"gcc": ["s390x-linux-gnu-gcc", "-static"], "clang": ["clang", "--target=s390x-linux-gnu", "-static"]},
        ["qemu-s390x-static"],
        ["scalar"],
    ),
}


def on_each(function, items):
    """What `function` gives for each item, several at once: it waits for other programs."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


def build(folder, command):
    """Compiles the core and golden.c, file by file."""

    def run(source):
        return subprocess.run([*command, *FLAGS, "-c", source], cwd=folder, capture_output=True, text=True, check=False)

    for result in on_each(run, [*sorted((ROOT / "src_c").glob("*.c")), ROOT / "tests" / "golden.c"]):
        assert result.returncode == 0, result.stderr
    program, objects = folder / "golden", sorted(folder.glob("*.o"))
    subprocess.run([*command, *objects, "-o", program, "-lm", "-lpthread"], check=True)
    return program


def samples(program, emulator, tier, jobs):
    result = subprocess.run(
        [*emulator, program, tier], input="\n".join(jobs).encode(), capture_output=True, check=False
    )
    assert result.returncode == 0, (tier, result.returncode)
    return memoryview(result.stdout)


def known_answers(program, emulator, tier):
    """The published words, where a seed and an id give their key: for ARS that of zeros."""
    jobs, expected = [], []
    for generator, rounds, *words in VECTORS:
        *state, a, b, c, d = (int(w, 16) for w in words)
        block, stream, seed, *rest = [low | high << 32 for low, high in zip(state[::2], state[1::2])]
        if rounds != "7" and not any(rest):
            name = "philox" if generator == "philox" else "ars5"
            jobs.append(golden.job(name, seed, stream, 4 * block, 0, "uint32", 4))
            expected += a, b, c, d
    assert len(jobs) == 4
    assert np.frombuffer(samples(program, emulator, tier, jobs), "<u4").tolist() == expected


def hashes(program, emulator, tier, cases):
    data, found, begin = samples(program, emulator, tier, map(golden.line, cases)), {}, 0
    for case in cases:
        size = golden.COUNT * golden.DTYPES[case.split()[2]].itemsize
        found[case] = hashlib.sha256(data[begin : begin + size]).hexdigest()
        begin += size
    assert begin == len(data)
    return found


def check(folder, processor, compiler, flags, position):
    compilers, emulator, tiers = PROCESSORS[processor]
    command = [*compilers[compiler], *flags]
    libraries = [compilers["gcc"][0]] if emulator else []  # clang takes those that come with GCC
    for name in (command[0], *libraries, *emulator):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
    program = build(folder, command)
    had = subprocess.run([*emulator, program], capture_output=True, text=True, check=True).stdout.split()
    assert tiers is None or had == tiers
    cases = [case for case in GOLDEN if int(case.split()[-1]) == position]
    if emulator:  # slow: of ARS, which shares its samplers with Philox, those that take words in each way
        cases = [case for case in cases if not re.match("ars5 (normal_icdf|truncated)", case)]

    def check_tier(tier):
        known_answers(program, emulator, tier)
        found = hashes(program, emulator, tier, cases)
        assert not [case for case in cases if found[case] != GOLDEN[case]], tier

    on_each(check_tier, had)


def configurations():
    """All processors, compilers and flags; what takes long under an emulator, and shows no more, is slow."""
    for processor in PROCESSORS:
        for compiler in ("gcc", "clang"):
            for flag in ("-O0", "-O1", "-Os", "-O2", "-O3"):
                quick = flag in ("-O0", "-O2", "-O3") if processor == "native" else compiler + flag in EMULATED
                yield pytest.param(processor, compiler, flag, marks=[] if quick else pytest.mark.slow)


EMULATED = ("gcc-O3", "clang-O0", "clang-O2")
# One each, so that all have their turn; the Python tests try them all on the processor at hand.
POSITION = dict(zip(("-O0", "-O1", "-O2", "-O3", "-Os"), golden.POSITIONS * 2))


@pytest.mark.parametrize(("processor", "compiler", "flag"), [*configurations()])
def test_golden_hashes(tmp_path, processor, compiler, flag):
    check(tmp_path, processor, compiler, [flag], POSITION[flag])


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names an x86 processor")
@pytest.mark.parametrize(("compiler", "contract"), [("gcc", "fast"), ("clang", "on")])
def test_a_compiler_that_may_contract_and_use_every_instruction(tmp_path, compiler, contract):
    check(tmp_path, "native", compiler, ["-O3", "-march=native", f"-ffp-contract={contract}"], 0)
