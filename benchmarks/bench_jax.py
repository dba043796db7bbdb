"""Time random arrays in JAX on the CPU, and the weights of a whole model, by `jax.random` and by pyinit.

Each way makes new arrays, and the ways take turns. Programs are compiled before the timing.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import jax_peers
import table

from pyinit import bench
from pyinit.cli import arguments as options
from pyinit.terminal import steps

HERE = Path(__file__).parent
ELEMENTS = 1 << 26


def measure(what, ways, elements, repetitions, tell):
    """Time several ways to make the same number of elements."""
    cases = [bench.Case(f"{what}, {way}", run, elements, 0) for way, run in ways.items()]
    timings = bench.measure(cases, repetitions, budget=60.0, progress=tell)
    seconds = {way: timing.seconds for way, timing in zip(ways, timings)}
    fastest = min(statistics.median(seconds[way]) for way in ("threefry", "rbg"))
    ratios = {way: fastest / statistics.median(seconds[way]) for way in ("pyinit in jit", "pyinit")}
    return {"what": what, "elements": elements, "seconds": seconds, "times_as_fast": ratios}


def main():
    """Time, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Time random arrays in JAX: by jax.random and by pyinit.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-jax.json")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--elements", type=int, default=ELEMENTS, help="elements of an array")
    parser.add_argument("--layers", type=int, default=jax_peers.LAYERS, help="layers of the model; 0: no model")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    jobs = [(what, jax_peers.ways(what, arguments.elements), arguments.elements) for what in jax_peers.DRAWS]
    if arguments.layers:
        tree = jax_peers.shapes(layers=arguments.layers)
        jobs.append((f"a transformer of {arguments.layers} layers", jax_peers.model_ways(tree), jax_peers.size(tree)))
    with steps(len(jobs) * len(jax_peers.WAYS) * (1 + arguments.repetitions)) as tell:
        results = [measure(*job, arguments.repetitions, tell) for job in jobs]
    result = {**bench.results(), "jax": results}
    result["machine"]["versions"]["jax"] = jax_peers.VERSION
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table.tables(result))


if __name__ == "__main__":
    sys.exit(main())
