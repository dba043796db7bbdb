"""Schemes from a short string or a dict, as configuration files hold them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from pyinit.initializers import distributions, variance_scaling

__all__ = ["scheme"]

ALIASES = {"xavier": "xavier_normal", "glorot": "glorot_normal", "lecun": "lecun_normal"}
NAMES = {name: getattr(module, name) for module in (distributions, variance_scaling) for name in module.__all__}
NAMES |= {alias: NAMES[name] for alias, name in ALIASES.items()}


def scheme(specification: Any) -> Any:
    """Make a scheme of a string, a dict, or a scheme itself.

    Examples
    --------
    >>> scheme("normal(std=0.02)"), scheme({"name": "xavier"})
    (Normal(mean=0.0, std=0.02), VarianceScaling(scale=1.0, mode='fan_avg'))
    """
    if isinstance(specification, str):
        tree = ast.parse(specification.strip(), mode="eval").body
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            arguments = [ast.literal_eval(a) for a in tree.args]
            return NAMES[tree.func.id](*arguments, **{str(k.arg): ast.literal_eval(k.value) for k in tree.keywords})
        return NAMES[specification.strip()]()
    if isinstance(specification, Mapping):
        keywords = dict(specification)
        return NAMES[keywords.pop("name")](**keywords)
    return specification
