"""What a measurement depends on: processor, compiler, instruction set and versions."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

from pyinit import __version__, _core, isa


def describe() -> dict[str, Any]:
    """Describe the machine, as plain values for JSON.

    Returns
    -------
    dict
        ``cpu``, its name; ``processors``, those that the process may use; ``platform``; ``compiler``, of
        the core; ``tier`` and ``tiers``, as in `pyinit.isa`; ``versions``, of pyinit, Python and NumPy.

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
    model = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return model.group(1) if model else platform.processor() or platform.machine()


def _compiler() -> str:
    # On ELF systems a compiler writes its name into what it makes; elsewhere Python's own is the best guess.
    signed = re.search(rb"GCC: \(.*?\) [\d.]+|clang version [\d.]+", Path(_core.__file__).read_bytes())
    return signed.group().decode() if signed else f"{platform.python_compiler()} (Python's)"
