"""Time `pyinit.initialize` next to a flat fill of the same size and PyTorch's loop, and write all times as JSON.

Three models: GPT-2 XL's 580 tensors, 20,000 small ones and 1,000,000 tiny ones, in float32 and bfloat16. All tensors
are views of one buffer that has been written before. The ways are timed in turn. A ratio is the median of the ratios
of neighbouring times, since the machine's speed drifts. PyTorch fills every tensor with `normal_`, biases too; it is
so slow that it is timed only twice, without an untimed round.
"""

import argparse
import json
import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import peers
import table

import pyinit
from pyinit import bench
from pyinit.arrays import BFLOAT16
from pyinit.bench import GENERATORS, SEED
from pyinit.cli import arguments as options
from pyinit.initializers import gpt2_residual, normal
from pyinit.terminal import steps

HERE = Path(__file__).parent
LAYERS, WIDTH, VOCABULARY, CONTEXT = 48, 1600, 50257, 1024  # GPT-2 XL's
SMALL, SMALL_SHAPE = 20_000, (100, 100)
TINY, TINY_SHAPE = 1_000_000, (10, 10)
PEER, PEER_REPETITIONS = "PyTorch", 2
DTYPES = {"float32": np.dtype(np.float32), "bfloat16": BFLOAT16}
GPT2_PLAN = {
    "*.c_proj.weight": gpt2_residual(LAYERS),
    "*ln_?.weight": "ones",
    "*.bias": "zeros",
    "wpe.weight": normal(std=0.01),
    "*": normal(std=0.02),
}


def gpt2_shapes(layers=LAYERS, width=WIDTH, vocabulary=VOCABULARY, context=CONTEXT):
    """Return the names and shapes of the parameters of a GPT-2, after Radford et al."""
    shapes = {"wte.weight": (vocabulary, width), "wpe.weight": (context, width)}
    for i in range(layers):
        block = {
            "ln_1.weight": (width,),
            "ln_1.bias": (width,),
            "attn.c_attn.weight": (width, 3 * width),
            "attn.c_attn.bias": (3 * width,),
            "attn.c_proj.weight": (width, width),
            "attn.c_proj.bias": (width,),
            "ln_2.weight": (width,),
            "ln_2.bias": (width,),
            "mlp.c_fc.weight": (width, 4 * width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (4 * width, width),
            "mlp.c_proj.bias": (width,),
        }
        shapes |= {f"h.{i}.{name}": shape for name, shape in block.items()}
    return shapes | {"ln_f.weight": (width,), "ln_f.bias": (width,)}


def small_shapes(count=SMALL, shape=SMALL_SHAPE):
    """Return many tensors of one small shape."""
    return {f"layers.{i}.weight": shape for i in range(count)}


def views(buffer, shapes):
    """Return each shape as a view of its own part of a flat buffer."""
    found, start = {}, 0
    for name, shape in shapes.items():
        n = math.prod(shape)
        found[name] = buffer[start : start + n].reshape(shape)
        start += n
    return found


def starts(shapes):
    """Return the start of each shape in a flat buffer, and its number of elements."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    return np.cumsum([0, *sizes])[:-1].tolist(), sizes


def measure(name, shapes, plan, generator, dtype, repetitions, tell):
    """Time all ways in turn, after an untimed round."""
    elements = sum(map(math.prod, shapes.values()))
    memory = np.ones(-(-elements * DTYPES[dtype].itemsize // 4), np.float32)
    buffer = memory.view(DTYPES[dtype])[:elements]
    params = views(buffer, shapes)
    ways = {
        "initialize": lambda: pyinit.initialize(params, SEED, plan, generator=generator),
        "flat": lambda: pyinit.Stream(SEED, generator).fill_normal(buffer, std=0.02),
    }
    times = {way: [] for way in ways}
    for repetition in range(1 + repetitions):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            if repetition:
                times[way].append(time.perf_counter() - start)
        tell(f"{name}, {generator}, {dtype}")
    loop = peers.torch_loop(memory, dtype, *starts(shapes)) if generator == GENERATORS[0] else None
    for _ in range(PEER_REPETITIONS if loop else 0):
        start = time.perf_counter()
        loop()
        times.setdefault(PEER, []).append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(times["initialize"], times["flat"])]
    return {
        "model": name,
        "generator": generator,
        "dtype": dtype,
        "tensors": len(shapes),
        "elements": elements,
        "seconds": times,
        "ratio": statistics.median(ratios),
        "microseconds_each": 1e6 * statistics.median(times["initialize"]) / len(shapes),
    }


def main():
    """Time, print and write."""
    parser = argparse.ArgumentParser(description="Time pyinit.initialize next to a flat fill and PyTorch's loop.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-initialize.json")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--layers", type=int, default=LAYERS, help="GPT-2 layers, 48 in XL; fewer need less memory")
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    xl = "GPT-2 XL" if arguments.layers == LAYERS else f"GPT-2 of width {WIDTH} and {arguments.layers} layers"
    models = {
        xl: (gpt2_shapes(arguments.layers), GPT2_PLAN),
        "small tensors": (small_shapes(), {"*": normal(std=0.02)}),
        "tiny tensors": (small_shapes(TINY, TINY_SHAPE), {"*": normal(std=0.02)}),
    }
    with steps(len(models) * len(GENERATORS) * len(DTYPES) * (1 + arguments.repetitions)) as tell:
        results = [
            measure(name, *model, generator, dtype, arguments.repetitions, tell)
            for name, model in models.items()
            for generator in GENERATORS
            for dtype in DTYPES
        ]
    result = {**bench.results(), "initialize": results}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table.tables(result))
    print(f"Every repetition's time is in {arguments.output}.")


if __name__ == "__main__":
    sys.exit(main())
