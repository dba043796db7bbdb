"""PyTorch: initialise models fast, with weights that depend only on the seed and their names.

`fast_init` builds a model and fills it. `deferred` builds a model without allocating its parameters, and `materialize`
allocates and fills them. `initialize_module` fills an existing model. `verify` compares a model with its initial
values. `init` has the functions of `torch.nn.init`. `randn`, `rand`, `randn_like` and `rand_like` make random tensors.
"""

try:
    import torch as _  # noqa: F401
except ImportError as error:
    raise ImportError(
        "pyinit.adapters.torch needs PyTorch: pip install torch, or pip install 'pyinit-weights[torch]'"
    ) from error

from pyinit.adapters.torch import init
from pyinit.adapters.torch.deferral import deferred, materialize
from pyinit.adapters.torch.fast import Report, fast_init
from pyinit.adapters.torch.initialization import initialize_module
from pyinit.adapters.torch.noise import rand, rand_like, randn, randn_like
from pyinit.adapters.torch.recipes import Recipe, Recipes
from pyinit.adapters.torch.tensors import is_model, tensors_of
from pyinit.adapters.torch.verification import verify

__all__ = [
    "Recipe",
    "Recipes",
    "Report",
    "deferred",
    "fast_init",
    "init",
    "initialize_module",
    "is_model",
    "materialize",
    "rand",
    "rand_like",
    "randn",
    "randn_like",
    "tensors_of",
    "verify",
]


def __dir__() -> list[str]:
    return __all__
