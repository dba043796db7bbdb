"""Numbers about what initial weights do: the activations going forward, the gradients flowing back, and a verdict.

`activations` and `gradients` look at any network, pyinit's own or a `torch.nn.Module`; `diagnose` builds a deep one of
equal layers and looks at it. What they return holds NumPy arrays with one entry a layer, gives a table, and says in
words what is wrong.
"""

from pyinit.diagnostics.backward import Gradients, gradients
from pyinit.diagnostics.experiment import PAGE_STDS, Diagnosis, diagnose, meanings
from pyinit.diagnostics.forward import Activations, activations

__all__ = ["PAGE_STDS", "Activations", "Diagnosis", "Gradients", "activations", "diagnose", "gradients", "meanings"]


def __dir__() -> list[str]:
    return __all__
