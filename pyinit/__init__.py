"""Random initial weights, written straight into memory: the same bits everywhere, at about the speed of memory.

>>> weights = np.empty((512, 784), dtype=np.float32)
>>> stream = pyinit.Stream(seed=42)
>>> _ = stream.child("fc1.weight").fill_normal(weights, std=0.02)
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Python finds the folder of a checkout before the package that was installed from it.
if importlib.util.find_spec("pyinit._core") is None:
    raise ImportError(
        f"{__path__[0]} holds pyinit's sources and not its compiled core: start Python in another folder to use the "
        "installed pyinit, or build this one in place with `make test` or `pip install -e .`"
    )

from pyinit import arrays, distributions, initializers, isa
from pyinit.kernels.sources import get_include
from pyinit.models import initialize
from pyinit.streams import Stream

if TYPE_CHECKING:
    from pyinit.bit_generator import BitGenerator

__all__ = [
    "BitGenerator",
    "Stream",
    "__version__",
    "arrays",
    "distributions",
    "get_include",
    "initialize",
    "initializers",
    "isa",
    "models",
]


LATER = ("checkpoint", "diagnostics", "files", "network", "plots")  # imported when they are asked for


def __getattr__(name: str) -> Any:
    if name == "BitGenerator":  # not sooner: it needs numpy.random, and NumPy does not load that by itself either
        from pyinit.bit_generator import BitGenerator

        return BitGenerator
    if name in LATER:
        return importlib.import_module(f"pyinit.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *LATER, *(name for name in globals() if name.startswith("__"))})
