"""Random initial weights, written straight into memory: the same bits everywhere, at about the speed of memory.

>>> weights = np.empty((512, 784), dtype=np.float32)
>>> stream = pyinit.Stream(seed=42)
>>> _ = stream.child("fc1.weight").fill_normal(weights, std=0.02)
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Inside a checkout, Python imports its folder instead of the installed package.
if importlib.util.find_spec("pyinit._core") is None:
    raise ImportError(
        f"{__path__[0]} holds pyinit's sources and not its compiled core: start Python in another folder to use the "
        "installed pyinit, or build this one in place with `make test` or `pip install -e .`"
    )

from pyinit import arrays, distributions, isa
from pyinit.hints import missing
from pyinit.kernels.sources import get_include
from pyinit.streams import Stream

if TYPE_CHECKING:
    from pyinit import initializers, models
    from pyinit.bit_generator import BitGenerator, default_rng
    from pyinit.models import initialize

__all__ = [
    "BitGenerator",
    "Stream",
    "__version__",
    "arrays",
    "default_rng",
    "distributions",
    "get_include",
    "initialize",
    "initializers",
    "isa",
    "models",
]


# Imported on first use.
MODULES = ("checkpoint", "diagnostics", "files", "initializers", "models", "network", "plots")
FUNCTIONS = {"BitGenerator": "bit_generator", "default_rng": "bit_generator", "initialize": "models"}


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        return getattr(importlib.import_module(f"pyinit.{FUNCTIONS[name]}"), name)
    if name in MODULES:
        return importlib.import_module(f"pyinit.{name}")
    raise missing(f"module {__name__!r}", name, "pyinit.Stream(seed)", dir(Stream))


def __dir__() -> list[str]:
    return sorted({*__all__, *MODULES})
