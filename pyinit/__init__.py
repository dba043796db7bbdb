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

from pyinit import arrays, distributions, initializers, isa
from pyinit.hints import missing
from pyinit.kernels.sources import get_include
from pyinit.models import initialize
from pyinit.streams import Stream

if TYPE_CHECKING:
    from pyinit.bit_generator import BitGenerator, default_rng

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


LATER = ("checkpoint", "diagnostics", "files", "network", "plots")  # imported on first use


def __getattr__(name: str) -> Any:
    if name in ("BitGenerator", "default_rng"):  # they need numpy.random, which NumPy too loads on first use
        return getattr(importlib.import_module("pyinit.bit_generator"), name)
    if name in LATER:
        return importlib.import_module(f"pyinit.{name}")
    raise missing(f"module {__name__!r}", name, "pyinit.Stream(seed)", dir(Stream))


def __dir__() -> list[str]:
    return [*__all__, *LATER]
