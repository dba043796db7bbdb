"""Measure what initial weights do: the activations going forward, the gradients flowing back, and a verdict.

`activations` and `gradients` measure any network, pyinit's own or a `torch.nn.Module`; `diagnose` builds a deep network
of equal layers and measures it. The results hold NumPy arrays with one entry per layer, a table, and a verdict in
words.
"""

from pyinit.diagnostics.backward import Gradients, gradients
from pyinit.diagnostics.experiment import PAGE_STDS, Diagnosis, diagnose, meanings
from pyinit.diagnostics.forward import Activations, activations

__all__ = ["PAGE_STDS", "Activations", "Diagnosis", "Gradients", "activations", "diagnose", "gradients", "meanings"]


def __dir__() -> list[str]:
    return __all__
