"""Count the instructions of each kernel's inner loop, which are stable where times are not.

Usage: python benchmarks/instructions.py [COMPILER]   (on x86-64, with objdump)

The loop of a kernel is its longest run between a backward jump and the jump's target that stores a whole step;
a step is PYI_BLOCKS blocks of 16 bytes. Kinds: `aes` rounds, `multiply` (fma, multiply, square root and
conversion), `shuffle` (within and between vectors), `other` vector operations, and `scalar` ones.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src_c"
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC"]
STEP_BYTES = {"avx512": 128, "avx2": 64}
SAMPLE_BYTES = {"BITS_U32": 4, "UNIFORM_F32": 4, "UNIFORM_F64": 8, "NORMAL_F32": 4, "NORMAL_F64": 8}
KINDS = {
    "aes": r"vaes",
    "multiply": r"vfn?m|vp?mul|vsqrt|vdiv|vcvt",
    "shuffle": r"vpshuf|vshuf|vp?unpck|vperm|vp?blend|vinsert|vextract|vmovs[lh]dup",
    "other": r"v",
    "scalar": r"",
}
COLUMNS = "{:<8} {:<16} {:<12} {:>9} {:>7}  {}"


def functions(listing):
    """Names and instructions, as (address, text), of what objdump lists."""
    for name, body in re.findall(r"<(PYI_\w+)>:\n(.*?)(?:\n\n|\Z)", listing, re.S):
        yield name, [(int(a, 16), text) for a, text in re.findall(r"^\s*([0-9a-f]+):\s+(.*)$", body, re.M)]


def inner_loop(code):
    """The shortest loop that holds at least ten vector instructions."""
    index = {address: i for i, (address, _) in enumerate(code)}
    loops = []
    for i, (_, text) in enumerate(code):
        jump = re.match(r"j\w+\s+([0-9a-f]+)", text)
        start = index.get(int(jump.group(1), 16), i) if jump else i
        body = [text for _, text in code[start : i + 1]]
        if start < i and sum("mm" in text for text in body) >= 10:
            loops.append(body)
    return min(loops, key=len)


def main():
    """Compile the kernels, find their loops, print a line for each."""
    compiler = sys.argv[1] if len(sys.argv) > 1 else "cc"
    print(COLUMNS.format("tier", "generator", "sampler", "in a step", "each", "kinds"))
    for tier, step in STEP_BYTES.items():
        with tempfile.NamedTemporaryFile(suffix=".o") as file:
            subprocess.run([compiler, *FLAGS, "-c", SOURCES / f"fill_{tier}.c", "-o", file.name], check=True)
            dump = ["objdump", "-d", "--no-show-raw-insn", file.name]
            listing = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
        for name, code in functions(listing):
            generator, sampler = re.fullmatch(r"PYI_(\w+)_PYI_(\w+)", name).groups()
            loop = [re.sub(r"^\{\w+\} ", "", text) for text in inner_loop(code)]
            kinds = dict.fromkeys(KINDS, 0)
            for text in loop:
                kinds[next(kind for kind, pattern in KINDS.items() if re.match(pattern, text))] += 1
            each = len(loop) * SAMPLE_BYTES[sampler] / step
            counts = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n)
            print(COLUMNS.format(tier, generator, sampler, len(loop), f"{each:.2f}", counts))


if __name__ == "__main__":
    main()
