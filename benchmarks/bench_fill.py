"""Time every fill next to pure writes and peers, print the tables, and write every repetition's time as JSON.

This is the command `pyinit bench` with more cases: memory.py and generators.py, peers.py with --peers, and the
instructions per sample (instructions.py). pyinit/bench.py explains the timing; table.py prints a file again.
"""

import argparse
import json
import sys
from pathlib import Path

import generators
import instructions
import memory
import numpy as np
import peers
import table

from pyinit import bench
from pyinit.cli import arguments as options
from pyinit.terminal import steps

HERE = Path(__file__).parent


def main():
    """Count, time, print and write."""
    parser = argparse.ArgumentParser(description="Time every fill beside pure writes and peers.")
    options.add_bench_options(parser)
    parser.add_argument("--peers", action="store_true", help="time MKL, PyTorch, JAX and randomgen too")
    parser.add_argument(
        "--instructions", action=argparse.BooleanOptionalAction, default=True, help="count instructions per sample"
    )
    parser.set_defaults(output=HERE / "results" / "latest.json")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    counted = count() if arguments.instructions else {}
    result = timed(arguments.elements, arguments.repetitions, cases_of=peers.PEERS if arguments.peers else ["numpy"])
    result["instructions"] = counted
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table.tables(result))
    print(f"Every repetition's time is in {arguments.output}.")


def count():
    """Return the instructions per sample, or why there are none."""
    try:
        return instructions.count()
    except RuntimeError as error:
        print(f"No instructions are counted: {error}", file=sys.stderr)
        return {"missing": str(error)}


def timed(elements, repetitions, cases_of):
    """Return the results of all cases, as a dict."""
    out = np.ones(elements, dtype=np.float32)
    installed = peers.versions()
    cases = bench.pyinit_cases(out) + memory.cases(out)
    for name in cases_of:
        if name in installed:
            cases += peers.PEERS[name](out)
        else:
            print(f"{name} is not installed and is left out", file=sys.stderr)
    cases.append(bench.python_case(out, full=elements))
    groups = {"fills": cases, "small": bench.small_cases(), "generators": generators.cases()}
    with steps(sum(map(len, groups.values())) * (1 + repetitions)) as tell:
        result = bench.results(
            **{name: bench.measure(group, repetitions, progress=tell) for name, group in groups.items()}
        )
    result["machine"]["versions"] |= {name: installed[name] for name in cases_of if name in installed}
    return result


if __name__ == "__main__":
    sys.exit(main())
