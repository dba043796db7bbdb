"""Time the construction of PyTorch models, plain and inside `fast_init`, and write all times as JSON.

The models are three from transformers, in float32 and bfloat16. Each construction runs in its own process, and the ways
take turns. Two more ways give the cost of construction without drawing: `deferred`, which allocates nothing, and
transformers' `no_init_weights`, which leaves memory unwritten.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import table
from model_tables import WAYS

from pyinit import bench
from pyinit.cli import arguments as options
from pyinit.terminal import steps

HERE = Path(__file__).parent
MODELS = ("GPT-2 XL", "Llama 1B", "ViT-L")
LARGE = ("OPT-175B", "Llama 70B")  # only built without memory
DTYPES = ("float32", "bfloat16")


def one(model, dtype, way):
    """Run one construction in a new process, and return its times."""
    command = [sys.executable, HERE / "torch_models.py", model, dtype, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{model}, {dtype}, {way}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(model, dtype, repetitions, tell):
    """Time all ways in turn, and return the times of each."""
    times = {way: [] for way in WAYS}
    for _ in range(repetitions):
        for way in WAYS:
            tell(f"{model}, {dtype}, {way}")
            times[way].append(one(model, dtype, way))
    seconds = {way: [run["seconds"] for run in runs] for way, runs in times.items()}
    ratios = [fast / plain for fast, plain in zip(seconds["fast_init"], seconds["plain"])]
    return {
        "model": model,
        "dtype": dtype,
        "parameters": times["plain"][0]["parameters"],
        "versions": times["plain"][0]["versions"],
        "seconds": seconds,
        "construction": [run["construction"] for run in times["fast_init"]],
        "system": {way: [run["system"] for run in runs] for way, runs in times.items()},
        "ratio": statistics.median(ratios),
    }


def without_memory(model, repetitions, tell):
    """Time `deferred` for a model larger than memory, and its whole process."""
    runs = []
    for _ in range(repetitions):
        tell(f"{model}, deferred")
        start = time.perf_counter()
        run = one(model, "bfloat16", "deferred")
        runs.append({**run, "process": time.perf_counter() - start})
    medians = {key: statistics.median(run[key] for run in runs) for key in ("seconds", "process", "peak_bytes")}
    return {"model": model, "parameters": runs[0]["parameters"], "runs": runs, **medians}


def main():
    """Time the models, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Time the construction of PyTorch models, plain and in fast_init.")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest-torch.json")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=MODELS, help="names of models in torch_models.py")
    parser.add_argument("--large", nargs="*", default=LARGE, help="names of models to build without memory")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    arguments = parser.parse_args()
    options.check_writable(arguments.output)
    cases = [(model, dtype) for model in arguments.models for dtype in arguments.dtypes]
    with steps((len(cases) * len(WAYS) + len(arguments.large)) * arguments.repetitions) as tell:
        results = [measure(*case, arguments.repetitions, tell) for case in cases]
        large = [without_memory(model, arguments.repetitions, tell) for model in arguments.large]
    result = {**bench.results(), "torch": results, "without_memory": large}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(table.tables(result))
    print(f"Every repetition's time is in {arguments.output}.")


if __name__ == "__main__":
    sys.exit(main())
