"""Keras 3: its initializers, with the same names, drawing pyinit's random numbers.

Use them wherever Keras takes an initializer. `FromScheme` makes one from any scheme of `pyinit.initializers`. They work
with every backend. With PyTorch they fill the tensor in place; with JAX and a layout, each device makes its own part.
Import this module before you load a model that was saved with them.
"""

try:
    import keras as _  # noqa: F401
except ImportError as error:
    raise ImportError(
        "pyinit.adapters.keras needs Keras 3 and a backend: pip install keras, or pip install 'pyinit-weights[keras]'"
    ) from error

from pyinit.adapters.keras.classes import (
    Constant,
    FromScheme,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    IdentityInitializer,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    OrthogonalInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
from pyinit.adapters.keras.initializer import SchemeInitializer

__all__ = [
    "Constant",
    "FromScheme",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "SchemeInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
]


def __dir__() -> list[str]:
    return __all__
