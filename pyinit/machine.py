"""Describe what a measurement depends on: processor, compiler, instruction set and versions."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

from pyinit import __version__, _core, isa

NUMBERS = ("cpu family", "model", "stepping")  # Linux's names for an x86 processor's numbers


def describe() -> dict[str, Any]:
    """Describe the machine, as plain values for JSON.

    Returns
    -------
    dict
        ``cpu``, its name and, on x86, its family, model and stepping; ``processors``, the number that the process may
        use; ``platform``; ``compiler``, the core's; ``tier`` and ``tiers``, as in `pyinit.isa`; ``versions`` of
        pyinit, Python and NumPy.

    Examples
    --------
    >>> describe()["tier"] == pyinit.isa.active()
    True
    """
    return {
        "cpu": _cpu(),
        "processors": _core.processors(),
        "platform": platform.platform(),
        "compiler": _compiler(),
        "tier": isa.active(),
        "tiers": list(isa.available()),
        "versions": {"pyinit": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    found = dict(re.findall(r"^(\w[\w ]*?)\s*: (.+)$", info.read_text(), re.MULTILINE)) if info.exists() else {}
    # A virtual machine may hide the name, but not these numbers.
    numbers = [f"{name.removeprefix('cpu ')} {found[name]}" for name in NUMBERS if name in found]
    name = found.get("model name") or platform.processor() or platform.machine()
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _compiler() -> str:
    # On ELF systems the compiler writes its name into the binary; elsewhere Python's compiler is the best guess.
    signed = re.search(rb"GCC: \(.*?\) [\d.]+|clang version [\d.]+", Path(_core.__file__).read_bytes())
    return signed.group().decode() if signed else f"{platform.python_compiler()} (Python's)"
