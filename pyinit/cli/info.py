"""`pyinit info`."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pyinit import _core, machine
from pyinit.cli.arguments import add_command, add_json
from pyinit.kernels import cache
from pyinit.terminal import output

__all__ = ["add", "facts", "gpu"]

EXAMPLES = """
    pyinit info
    pyinit info --json | jq -r .tier
"""

# The optional packages, and their use.
PACKAGES = {
    "rich": "colours and progress bars",
    "shtab": "completion in shells",
    "matplotlib": "pictures",
    "safetensors": "networks in files",
    "scikit-learn": "real data to learn from",
    "torch": "the PyTorch adapter; comparisons in the tests",
    "ml_dtypes": "bfloat16 in NumPy",
    "jax": "the JAX adapter; comparisons in the tests",
    "keras": "the Keras adapter; comparisons in the tests",
}
CUPY = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")
DRIVER = Path("/proc/driver/nvidia")


def add(commands: Any) -> None:
    """Add `pyinit info`."""
    parser = add_command(commands, "info", "show versions, processor, instruction set, packages and GPU", EXAMPLES)
    add_json(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the facts, as tables or as JSON."""
    found = facts()
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    out, versions = output(), found["versions"]
    others = ", ".join(tier for tier in found["tiers"] if tier != found["tier"])
    out.table(
        ("this machine", ""),
        [
            ("pyinit", versions["pyinit"]),
            ("Python", versions["python"]),
            ("NumPy", versions["numpy"]),
            ("platform", found["platform"]),
            ("compiler", found["compiler"]),
            ("processor", found["cpu"]),
            ("instruction set", f"{found['tier']}{f' (others here: {others})' if others else ''}"),
            ("threads of a fill", threads(found)),
            ("GPU", seen(found["gpu"])),
            ("cache of kernels", found["cache"] or "none"),
        ],
    )
    packages = found["packages"].items()
    out.table(("optional package", "version", "for"), [(p, v or "not installed", PACKAGES[p]) for p, v in packages])


def facts() -> dict[str, Any]:
    """Gather what pyinit finds on this machine, as plain values.

    Returns
    -------
    dict
        `pyinit.machine.describe()`, with ``threads``, the default number for a fill; ``packages``, each optional
        package's version or None; ``gpu``; and ``cache``, the folder of compiled kernels or None.

    Examples
    --------
    >>> facts()["versions"]["pyinit"] == pyinit.__version__
    True
    """
    return {
        **machine.describe(),
        "threads": _core.default_threads(),
        "packages": {name: installed(name) for name in PACKAGES},
        "gpu": gpu(),
        "cache": None if (folder := cache.folder()) is None else str(folder),
    }


def threads(found: dict[str, Any]) -> str:
    """Give the default number of threads, with the reason if it is not one for each processor."""
    if found["threads"] == found["processors"]:
        return str(found["threads"])
    return f"{found['threads']} (PYINIT_NUM_THREADS; the processors that may be used: {found['processors']})"


def installed(package: str) -> str | None:
    """Give the version of an installed package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def gpu(driver: Path = DRIVER) -> dict[str, Any]:
    """Look for an NVIDIA GPU, its driver and CuPy, without loading any of them.

    Parameters
    ----------
    driver : Path
        The folder in which the driver describes itself.

    Returns
    -------
    dict
        ``driver``, its version or None; ``models``, the names of the GPUs; ``nvidia_smi``, the path of that program
        or None; ``cupy``, its version or None; and ``used``: whether both are there, so that pyinit can fill on a GPU.
    """
    about = driver / "version"
    loaded = re.search(r"Module.*?\s(\d+\.[\d.]+)", about.read_text()) if about.is_file() else None
    cupy = next(filter(None, map(installed, CUPY)), None)
    return {
        "driver": loaded.group(1) if loaded else None,
        "models": [
            model
            for file in sorted(driver.glob("gpus/*/information"))
            for model in re.findall(r"^Model:\s*(.+?)\s*$", file.read_text(), re.MULTILINE)
        ],
        "nvidia_smi": shutil.which("nvidia-smi"),
        "cupy": cupy,
        "used": bool(loaded and cupy),
    }


def seen(gpu: dict[str, Any]) -> str:
    """Say in words what `gpu` found."""
    parts = [
        ", ".join(gpu["models"]) or ("" if gpu["driver"] or gpu["nvidia_smi"] else "none seen"),
        gpu["driver"] and f"NVIDIA driver {gpu['driver']}",
        gpu["nvidia_smi"] and f"nvidia-smi at {gpu['nvidia_smi']}",
        gpu["cupy"] and f"CuPy {gpu['cupy']}",
    ]
    there = "; ".join(filter(None, parts))
    return there if gpu["used"] else f"{there} (to fill on a GPU, pyinit needs NVIDIA's driver and CuPy)"
