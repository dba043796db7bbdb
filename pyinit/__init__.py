"""Random initial weights, written straight into memory: the same bits everywhere, at about the speed of memory.

>>> weights = np.empty((512, 784), dtype=np.float32)
>>> stream = pyinit.Stream(seed=42)
>>> _ = stream.child("fc1.weight").fill_normal(weights, std=0.02)
"""

from importlib.metadata import version

from pyinit import arrays, initializers, isa
from pyinit.streams import Stream

__version__ = version("pyinit")

__all__ = ["Stream", "__version__", "arrays", "initializers", "isa"]
