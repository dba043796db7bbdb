"""Pictures of what `pyinit.diagnostics` measures, and of learning: matplotlib figures, made without pyplot's state.

The colours are Okabe and Ito's, which the colour-blind can tell apart; markers and dashes tell the lines apart in grey.
"""

from pyinit.plots.canvas import FORMATS, data_uri, require_matplotlib, save
from pyinit.plots.curves import learning_curves
from pyinit.plots.histograms import histograms
from pyinit.plots.layers import gradient_flow, overview, spread
from pyinit.plots.schemes import scheme_spreads

__all__ = [
    "FORMATS",
    "data_uri",
    "gradient_flow",
    "histograms",
    "learning_curves",
    "overview",
    "require_matplotlib",
    "save",
    "scheme_spreads",
    "spread",
]


def __dir__() -> list[str]:
    return __all__
