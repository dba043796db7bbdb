"""Random initial weights, written straight into memory: the same bits everywhere, at about the speed of memory.

>>> weights = np.empty((512, 784), dtype=np.float32)
>>> stream = pyinit.Stream(seed=42)
>>> _ = stream.child("fc1.weight").fill_normal(weights, std=0.02)
"""

import importlib.util

__version__ = "0.1.0"

# Python finds the folder of a checkout before the package that was installed from it.
if importlib.util.find_spec("pyinit._core") is None:
    raise ImportError(
        f"{__path__[0]} holds pyinit's sources and not its compiled core: run Python in another folder to use the "
        "installed pyinit, or build this one in place with `make test` or `pip install -e .`"
    )

from pyinit import arrays, initializers, isa
from pyinit.streams import Stream

__all__ = ["Stream", "__version__", "arrays", "initializers", "isa"]
