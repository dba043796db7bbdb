"""The limit of each kernel of src_c/fill.cu on an NVIDIA H200, counted from its machine code: no GPU is needed.

Usage: python benchmarks/kernel_limits.py [--output benchmarks/results/FILE.json] [NAME ...]

NVRTC compiles each kernel for sm_90, with the flags of pyinit.kernels.sources, and nvdisasm disassembles it. The count
is of one turn of its main loop, which stores 16 bytes at a time, along the shortest path. This leaves out the slow
paths of roots and divisions, which numbers of the usual size do not take. A limit is what the processor could do if
only that kind of instruction took time; no kernel quite reaches it. NAME picks kernels by parts of their names.
"""

import argparse
import json
import platform
import re
from collections import Counter
from pathlib import Path

import nvrtc
import table

from pyinit import __version__, _core
from pyinit.kernels.device_arrays import KernelKey
from pyinit.kernels.sources import FLAGS, block_threads, enumerators, kernel_name, source

ARCHITECTURE = "sm_90"
PROCESSORS, CLOCK = 132, 1.98e9  # of an H200 SXM
WRITES = 4.4e12  # bytes per second; its memory has 4.8e12 on paper
# Lanes per clock and multiprocessor, from the CUDA C++ Programming Guide, "Throughput of Native Arithmetic
# Instructions", column 9.0. Half of the float32 units make integer products; a 64-bit product is assumed to take two
# turns there, which is not documented. Loads and stores: bytes per clock, divided by 4.
LANES = {"issue": 128, "float32": 128, "product": 64, "integer": 64, "special": 16, "float64": 64, "memory": 32}
KINDS = {
    "float32": r"FFMA|FMUL|FADD|HFMA2|HADD2|HMUL2",
    "product": r"IMAD|IMUL",
    "special": r"MUFU|I2F\b|F2I|F2F|I2I",  # also F2FP, to halves, whose rate is not documented
    "float64": r"D(FMA|MUL|ADD|SETP|MNMX)",
    "memory": r"LDG|LDS|STG|STS|LDL|STL",
    "control": r"BRA|BSSY|BSYNC|CALL|RET|EXIT|NOP|U[A-Z]|LDC|R2UR|S2R|CS2R|S2UR",
    "integer": r"",
}
KEYS = [KernelKey(*numbers) for numbers in _core.KERNELS]
BYTES = {row.number: row.bytes for row in _core.DTYPES.values()}


def title(key):
    """Return a kernel's name for people."""
    return " ".join(re.sub(r"^PYI_(METHOD_)?|4X32_\d+$", "", name).lower() for name in enumerators(key))


def instructions(text, name):
    """Return a kernel's instructions: predicate, operation, and the number of the instruction that it may jump to."""
    body = re.split(r"^\s*\.(?:section|weak)\s|^//-", text.partition(f"\n.text.{name}:")[2], maxsplit=1, flags=re.M)[0]
    labels, found = {}, []
    for line in body.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line):
            labels[label[1]] = len(found)
        elif code := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(?:@(!?U?P\w+)\s+)?([A-Z]\S*)(.*?);", line):
            target = re.search(r"`\((\.L_x_\d+)\)", code[3]) if code[2].startswith("BRA") else None
            found.append((code[1], code[2], target and target[1]))
    return [(predicate, operation, labels.get(target)) for predicate, operation, target in found]


def main_loop(code):
    """Return the operations of a turn of the innermost loop that stores most, along its shortest path."""
    backwards = [(to, at) for at, (_, _, to) in enumerate(code) if to is not None and to <= at]
    inner = [(a, b) for a, b in backwards if not any(a <= c and d <= b and (c, d) != (a, b) for c, d in backwards)]
    return max((shortest(code, a, b) for a, b in inner), key=stored_bytes)


def shortest(code, first, last):
    """Return the operations between two instructions: all 16-byte stores on the path and as few others as possible."""
    ways = {first: ()}
    for at in range(first, last):
        if at not in ways:
            continue
        predicate, operation, to = code[at]
        way = (*ways[at], operation)
        for next_one in {to} | ({at + 1} if predicate or to is None else set()):
            if next_one is not None and at < next_one <= last:
                ways[next_one] = min(ways.get(next_one, way), way, key=lambda w: (-stored_bytes(w), len(w)))
    return (*ways.get(last, ()), code[last][1])


def stored_bytes(operations):
    """Return the bytes of 16-byte stores; other stores write the ragged ends."""
    return 16 * sum(operation.startswith("STG") and ".128" in operation for operation in operations)


def kind_of(operation):
    """Return the kind of units that run an operation."""
    return next(kind for kind, pattern in KINDS.items() if re.match(pattern, operation))


def width(operation):
    """Return the 4-byte words that a lane loads or stores."""
    return 4 if ".128" in operation else 2 if ".64" in operation else 1


def turns(operations):
    """Return the lanes that a turn of the loop uses of each kind of unit."""
    kinds = Counter(kind_of(operation) for operation in operations)
    wide = sum(kind_of(o) == "product" and re.search(r"\.WIDE|\.HI", o) is not None for o in operations)
    products = kinds["product"] + wide
    return {
        "issue": len(operations),
        "float32": kinds["float32"] + products,
        "product": products,
        "integer": kinds["integer"],
        "special": kinds["special"],
        "float64": kinds["float64"],
        "memory": sum(width(operation) for operation in operations if kind_of(operation) == "memory"),
    }


def limits(key):
    """Return a kernel's counts and limits, as a dict for JSON."""
    name = kernel_name(key)
    code = nvrtc.compiled(source(key, _core.JOB_BYTES), ARCHITECTURE, (*FLAGS, "--ptxas-options=-v"))
    operations = main_loop(instructions(nvrtc.disassembled(code.binary), name))
    itemsize = BYTES[key.dtype]
    samples = stored_bytes(operations) // itemsize
    about = re.search(rf"entry function '{name}'.*?(\d+) bytes spill stores.*?Used (\d+) registers", code.log, re.S)
    rates = {unit: PROCESSORS * CLOCK * LANES[unit] * samples / n for unit, n in turns(operations).items() if n} | {
        "writes": WRITES / itemsize
    }
    least, threads = min(rates, key=rates.get), block_threads(key)
    return {
        "name": title(key),
        "samples_in_a_turn": samples,
        "instructions_per_sample": len(operations) / samples,
        "operations": dict(Counter(operation.split(".")[0] for operation in operations).most_common()),
        "kinds_per_sample": {k: n / samples for k, n in Counter(map(kind_of, operations)).most_common()},
        "registers": int(about[2]),
        "spilled_bytes": int(about[1]),
        "threads_at_a_time": min(2048 // threads, 65536 // (-(-int(about[2]) // 8) * 8 * threads)) * threads,
        "samples_per_second": {unit: float(f"{rate:.4g}") for unit, rate in rates.items()},
        "limited_by": least,
        "bytes_per_second": float(f"{rates[least] * itemsize:.4g}"),
    }


def counted_one(key):
    """Return the `limits` of a kernel; RuntimeError if a tool to count with is missing."""
    if nvrtc.library() is None or nvrtc.disassembler() is None:
        raise RuntimeError("this needs the packages nvidia-cuda-nvrtc and nvidia-cuda-nvdisasm")
    return limits(key)


def counted(names=()):
    """Count all kernels, or those whose names contain one of `names`, as a dict for JSON."""
    keys = [key for key in KEYS if not names or any(name in title(key) for name in names)]
    return {
        "machine": {
            "cpu": "none: counted from code, for an NVIDIA H200",
            "compiler": f"NVRTC {nvrtc.version()}",
            "flags": [*FLAGS, f"--gpu-architecture={ARCHITECTURE}"],
            "versions": {"pyinit": __version__, "python": platform.python_version()},
        },
        "assumed": {"processors": PROCESSORS, "clock": CLOCK, "writes": WRITES, "lanes": LANES},
        "kernels": [counted_one(key) for key in keys],
    }


def main():
    """Count, print and write."""
    parser = argparse.ArgumentParser(description="Count the limits of each kernel for a GPU.")
    parser.add_argument("--output", type=Path, metavar="FILE.json")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    try:
        result = counted(arguments.names)
    except RuntimeError as error:
        parser.exit(1, f"No kernel was counted: {error}\n")
    print(table.tables(result), end="")
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
