"""Pictures of pyinit's measurements, and of learning: matplotlib figures, made without pyplot's state.

The colours are Okabe and Ito's, for the colour-blind; markers and dashes distinguish the lines in grey.
"""

from pyinit.plots.bars import throughput
from pyinit.plots.canvas import FORMATS, data_uri, require_matplotlib, save
from pyinit.plots.changes import changes
from pyinit.plots.curves import learning_curves
from pyinit.plots.histograms import histograms
from pyinit.plots.layers import gradient_flow, network_of, overview, spread
from pyinit.plots.schemes import scheme_spreads

__all__ = [
    "FORMATS",
    "changes",
    "data_uri",
    "gradient_flow",
    "histograms",
    "learning_curves",
    "network_of",
    "overview",
    "require_matplotlib",
    "save",
    "scheme_spreads",
    "spread",
    "throughput",
]


def __dir__() -> list[str]:
    return __all__
