"""JAX: random arrays and initial weights with the same bits under every sharding, and in NumPy and PyTorch.

`initializers` has the functions of `jax.nn.initializers`, for Flax, Haiku and your own code. `normal`, `uniform` and
`truncated_normal` make arrays. `initialize` makes all arrays of a model, each from the stream of its path.
"""

try:
    import jax as _
except ImportError as error:
    raise ImportError("pyinit.adapters.jax needs JAX: pip install jax, or pip install 'pyinit-weights[jax]'") from error

if _.__version_info__ < (0, 9):
    raise ImportError(f"pyinit.adapters.jax needs JAX 0.9 or newer; got {_.__version__}")

from pyinit.adapters.jax import initializers
from pyinit.adapters.jax.samples import normal, truncated_normal, uniform
from pyinit.adapters.jax.trees import initialize

__all__ = ["initialize", "initializers", "normal", "truncated_normal", "uniform"]


def __dir__() -> list[str]:
    return __all__
