"""Count the instructions that each fill executes per sample; unlike times, they do not vary.

Usage: python benchmarks/instructions.py [--compiler CC] [TIER ...]

instructions.c steps through the fills one instruction at a time; this program compiles it with the core and runs it. On
x86-64 with objdump it also prints the kinds of instructions: `aes` rounds, `multiply` (fma, multiply, divide, square
root and conversion), `shuffle` (within and between vectors), `other` vector operations, `scalar` ones, and those of
the C `library`.
"""

import argparse
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE.parent / "src_c"
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-fvisibility=hidden"]
KINDS = {
    "aes": r"v?aes",
    "multiply": r"vfn?m|v?p?mul|imul|v?sqrt|v?div|v?cvt",
    "shuffle": r"v?pshuf|v?shuf|v?p?unpck|vperm|v?p?blend|v?pinsr|v?pextr|vinsert|vextract|v?movs[lh]dup|v?pack",
    "other": r"v|\w+[ps][sd]\b|p(?!op|ush)",
    "scalar": r"",
}
STEP = 32  # samples to show counts for: the avx512 tier makes that many float32 in a turn of its loop
COLUMNS = "{:<8} {:<24} {:>8} {:>7}  {}"


def count(compiler=None, tiers=(), core=None):
    """Count the instructions per sample of every fill in the steady state, on some tiers or on all.

    `core`: the core's files, such as its object files; None: its sources. Returns a dict for the benchmark's JSON: the
    compiler and its flags, and a list of counts. RuntimeError says why this machine cannot count.
    """
    compiler = shlex.split(compiler or os.environ.get("CC") or "cc")
    if not sys.platform.startswith("linux"):
        raise RuntimeError("stepping through instructions needs Linux")
    if not shutil.which(compiler[0]):
        raise RuntimeError(f"the compiler {compiler[0]} was not found")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "instructions"
        files = [HERE / "instructions.c", *(core or sorted(SOURCES.glob("*.c")))]
        # At fixed addresses, which objdump prints too.
        link = [f"-I{SOURCES}", "-no-pie", "-o", program, "-lm", "-lpthread"]
        run([*compiler, *FLAGS, *files, *link])
        lines = run([program, *tiers]).splitlines()
        kinds = kinds_of(program) if platform.machine() == "x86_64" and shutil.which("objdump") else {}
    return {
        "compiler": run([*compiler, "--version"]).splitlines()[0],
        "flags": FLAGS,
        "fills": [entry(line.split("\t"), kinds) for line in lines],
    }


def run(command):
    """Return the output of a command; RuntimeError has its complaints if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{Path(command[0]).name}: {result.stderr.strip() or f'exit code {result.returncode}'}")
    return result.stdout


def kinds_of(program):
    """Map each address of a program to the kind of its instruction."""
    listing = run(["objdump", "-d", "--no-show-raw-insn", program])
    instructions = re.findall(r"^\s*([0-9a-f]+):\s+(?:\{\w+\} )?(.*)$", listing, re.M)
    return {
        address: next(kind for kind, pattern in KINDS.items() if re.match(pattern, text))
        for address, text in instructions
    }


def entry(fields, kinds):
    """Return one fill's counts from a line of the program: the total and, if known, the count of each kind."""
    tier, generator, what, samples, total, addresses = fields
    samples, total = int(samples), int(total)
    counts = dict.fromkeys(KINDS, 0) if kinds else {}
    for address, n in (pair.split(":") for pair in addresses.split() if kinds):
        counts[kinds[address]] += int(n)
    if kinds:
        counts["library"] = total - sum(counts.values())
    return {
        "name": f"{generator} {what}",
        "tier": tier,
        "samples": samples,
        "instructions": total,
        "per_sample": total / samples,
        "kinds": {kind: n for kind, n in counts.items() if n},
    }


def main():
    """Print a line for each fill."""
    parser = argparse.ArgumentParser(description="Count the instructions that each fill executes for a sample.")
    parser.add_argument("--compiler", metavar="CC")
    parser.add_argument("tiers", nargs="*", metavar="TIER")
    arguments = parser.parse_args()
    try:
        result = count(arguments.compiler, arguments.tiers)
    except RuntimeError as error:
        sys.exit(f"No instructions were counted: {error}")
    print(COLUMNS.format("tier", "fill", f"for {STEP}", "for one", f"kinds, for {STEP}"))
    for fill in result["fills"]:
        scale = STEP / fill["samples"]
        kinds = ", ".join(f"{n * scale:g} {kind}" for kind, n in fill["kinds"].items())
        total = f"{fill['instructions'] * scale:g}"
        print(COLUMNS.format(fill["tier"], fill["name"], total, f"{fill['per_sample']:.2f}", kinds))


if __name__ == "__main__":
    main()
