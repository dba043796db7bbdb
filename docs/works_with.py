"""The README's table of what pyinit works with and which tests show it.

Usage: python docs/works_with.py     runs those tests, then writes the table with the versions that passed

A row whose tests cannot run on this machine, as those of a GPU, keeps the version that the table has.
"""

import re
import sys
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
PLACE = re.compile(r"(<!-- docs/works_with\.py -->\n)(.*?)(<!-- end -->)", re.S)
HEADER = ("with", "tested with", "what works", "shown by")
NOT_RUN = "not run"


class Row(NamedTuple):
    """One thing that pyinit works with.

    Attributes
    ----------
    name : str
    distribution : str
        The package whose version the table shows.
    works : str
    tests : tuple of str
        "file::test" or "file::test[case]", where a case is the first part of a parameter's name.
    """

    name: str
    distribution: str
    works: str
    tests: tuple[str, ...]


SHARDED = "torch_shards_modules::a_sharded_model_has_the_weights_of_the_whole"
ROWS = [
    Row(
        "NumPy",
        "numpy",
        "arrays of any strides, memmaps, `Generator`",
        ("windows::fortran_order_and_memmaps", "bit_generator::random_is_the_streams_uniform"),
    ),
    Row("ml_dtypes", "ml_dtypes", "bfloat16 and float8 arrays", ("narrow_types::ml_dtypes",)),
    Row("CuPy", "cupy-cuda13x", "arrays on an NVIDIA GPU, filled there", ("gpu::bits", "gpu::windows")),
    Row("pyopencl", "pyopencl", "arrays of OpenCL devices, filled there", ("opencl::the_bits_of_windows",)),
    Row(
        "PyTorch",
        "torch",
        "`fast_init`, `deferred`, `initialize_module`, `verify`, `init`, noise",
        (
            "torch_fast_init::weights_are_those_of_the_streams_of_their_names",
            "torch_deferred::what_is_materialised_is_what_fast_init_builds",
            "torch_initialize::a_plan_fills_parameters_alone",
            "torch_recipes::verify_finds_the_first_difference",
            "torch_init::the_values_are_those_of_pyinits_initializers",
            "torch_noise::the_bits_are_the_streams",
            "torch_models::layers",
        ),
    ),
    Row("FSDP2", "torch", "each process makes its shards", (f"{SHARDED}[fsdp]",)),
    Row("Tensor parallelism", "torch", "alone and under FSDP2", (f"{SHARDED}[tp]", f"{SHARDED}[fsdp+tp]")),
    Row("HSDP", "torch", "equal replicas without a broadcast", (f"{SHARDED}[hsdp]", f"{SHARDED}[hsdp+tp]")),
    Row("CPU offload of FSDP2", "torch", "shards on the host", (f"{SHARDED}[offload]",)),
    Row(
        "Pipelines, experts",
        "torch",
        "parts have the weights of the whole (`prefix=`)",
        (
            "torch_parts::a_pipeline_stage_has_the_weights_of_the_whole_model",
            "torch_parts::an_expert_parallel_rank_builds_its_own_experts",
        ),
    ),
    Row(
        "Distributed checkpoints (DCP)",
        "torch",
        "`verify` in one process",
        ("torch_shards_models::a_sharded_model_begins_and_trains_as_the_whole_does",),
    ),
    Row("torchrun", "torch", "an example that trains", ("examples::torchrun",)),
    Row(
        "transformers",
        "transformers",
        "models; checkpoints from configurations",
        ("torch_models::transformers", "checkpoint_torch::transformers_loads_what_is_written"),
    ),
    Row(
        "safetensors",
        "safetensors",
        "checkpoints, written and verified in every dtype",
        ("checkpoint_write::safetensors_and_ml_dtypes_read_every_dtype", "reading::what_safetensors_writes_is_read"),
    ),
    Row("Zarr", "zarr", "an array that many processes write", ("zarr::processes_at_the_same_time_make_one_array",)),
    Row("timm", "timm", "models", ("torch_models::timm",)),
    Row(
        "JAX",
        "jax",
        "initialisers, arrays, trees; eager, in programs, under every sharding",
        (
            "jax_initializers::bits_are_those_of_numpy_in_every_dtype_eagerly_and_in_a_program",
            "jax_sharding::any_mesh_and_any_spec",
            "jax_processes::two_processes_make_one_array",
        ),
    ),
    Row("Flax linen", "flax", "initialisers", ("jax_initializers::flax_linen",)),
    Row(
        "Flax nnx",
        "flax",
        "initialisers, whole models",
        ("jax_initializers::flax_nnx", "jax_initialize::flax_nnx"),
    ),
    Row("Haiku", "dm-haiku", "initialisers", ("jax_initializers::haiku",)),
    Row("Equinox", "equinox", "whole models", ("jax_initialize::equinox",)),
    Row("Keras 3 on PyTorch", "keras", "initialisers, models, saving and loading", ("keras::keras[torch]",)),
    Row("Keras 3 on JAX", "keras", "the same, and `keras.distribution`", ("keras::keras[jax]",)),
    Row(
        "Dask",
        "dask",
        "lazy arrays, to Zarr too; threads, processes, a cluster",
        ("dask::every_chunking_has_the_bits_of_the_whole", "dask::processes_and_a_cluster", "dask::to_zarr"),
    ),
    Row("Ray", "ray", "an example with tasks", ("examples::ray",)),
    Row("MPI", "mpi4py", "an example with processes", ("examples::mpi",)),
]


def parts_of(test):
    """Return the file, the function and the case, or "", of a test.

    Examples
    --------
    >>> parts_of("keras::keras[torch]")
    ('test_keras.py', 'test_keras', 'torch')
    """
    file, function, case = re.fullmatch(r"(\w+)::(\w+?)(?:\[(.+)\])?", test).groups("")
    return f"test_{file}.py", f"test_{function}", case


def table(versions):
    """Return the table in Markdown; `versions` maps each row's name to its second column."""
    lines = [HEADER, ("---",) * len(HEADER)]
    for row in ROWS:
        files = sorted({parts_of(test)[0] for test in row.tests})
        links = ", ".join(f"[{file.removeprefix('test_')[:-3]}](tests/{file})" for file in files)
        lines.append((row.name, versions[row.name], row.works, links))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


class Outcomes:
    """A pytest plugin that records the outcome of each test."""

    def __init__(self):
        self.found = defaultdict(set)

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            file, _, name = report.nodeid.partition("::")
            function, _, case = name.rstrip("]").partition("[")
            self.found[Path(file).name, function, case].add(report.outcome)

    def of(self, test):
        """Return the outcomes of a test in all its cases, or in some of them."""
        file, function, case = parts_of(test)
        found = (k for k in self.found if k[:2] == (file, function) and case in ("", k[2].split("-")[0]))
        return set().union(*(self.found[key] for key in found))


def version_of(distribution):
    """Return the installed version without the part after a plus; None if the package is not installed."""
    try:
        return metadata.version(distribution).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def tested():
    """Run the tests of all rows; return the version tested for each row whose tests passed."""
    import pytest

    here = [row for row in ROWS if version_of(row.distribution)]
    functions = dict.fromkeys(parts_of(test)[:2] for row in here for test in row.tests)
    ids = [f"{TESTS / file}::{function}" for file, function in functions]
    outcomes = Outcomes()
    if pytest.main(["-q", "-p", "no:cacheprovider", *ids], plugins=[outcomes]) != pytest.ExitCode.OK:
        raise SystemExit("Some of these tests fail: README.md is unchanged.")
    passed = (row for row in here if all("passed" in outcomes.of(test) for test in row.tests))
    return {row.name: f"{row.distribution} {version_of(row.distribution)}" for row in passed}


def written(readme):
    """Return the second column of the table in the README, by the names of the rows."""
    cells = (line.strip("| ").split(" | ") for line in PLACE.search(readme)[2].strip().splitlines()[2:])
    return {name: version for name, version, *_ in cells}


def main():
    """Write the table into README.md."""
    path = ROOT / "README.md"
    readme = path.read_text()
    made = table(dict.fromkeys((row.name for row in ROWS), NOT_RUN) | written(readme) | tested())
    path.write_text(PLACE.sub(lambda match: match[1] + "\n" + made + "\n" + match[3], readme))


if __name__ == "__main__":
    sys.exit(main())
