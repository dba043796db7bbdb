"""Random initial weights, written straight into memory: the same bits everywhere, at about the speed of memory.

>>> weights = np.empty((512, 784), dtype=np.float32)
>>> stream = pyinit.Stream(seed=42)
>>> _ = stream.child("fc1.weight").fill_normal(weights, std=0.02)
"""

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Python finds the folder of a checkout before the package that was installed from it.
if importlib.util.find_spec("pyinit._core") is None:
    raise ImportError(
        f"{__path__[0]} holds pyinit's sources and not its compiled core: run Python in another folder to use the "
        "installed pyinit, or build this one in place with `make test` or `pip install -e .`"
    )

from pyinit import arrays, initializers, isa
from pyinit.initializers.plan import initialize
from pyinit.streams import Stream

if TYPE_CHECKING:
    from pyinit.bit_generator import BitGenerator

__all__ = ["BitGenerator", "Stream", "__version__", "arrays", "get_include", "initialize", "initializers", "isa"]


def get_include() -> str:
    """The folder of pyinit.h, for the compiler of a module that calls the core or cimports `pyinit._core`.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        If the headers are neither in the package nor in a checkout around it.

    Examples
    --------
    >>> import os
    >>> "pyinit.h" in os.listdir(pyinit.get_include())
    True
    """
    package = Path(__file__).parent
    for folder in (package / "include", package.parent / "src_c"):  # installed; in a checkout
        if (folder / "pyinit.h").is_file():
            return str(folder)
    raise FileNotFoundError(f"pyinit.h is not where it should be, in {package / 'include'}")


LATER = ("diagnostics", "files", "network", "plots")  # imported when they are asked for


def __getattr__(name: str) -> Any:
    if name == "BitGenerator":  # not sooner: it needs numpy.random, and NumPy does not load that by itself either
        from pyinit.bit_generator import BitGenerator

        return BitGenerator
    if name in LATER:
        return importlib.import_module(f"pyinit.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *LATER})
