"""Whole models: a tree of shapes becomes a tree of arrays, each from the stream of its path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from pyinit.adapters.jax.arrays import NewArray
from pyinit.models import fill
from pyinit.models.plan import matched
from pyinit.streams import Stream

__all__ = ["initialize"]

Tree = TypeVar("Tree")


def initialize(
    tree: Tree,
    seed: int | Stream | None,
    plan: Mapping[str, Any],
    shardings: Any = None,
    *,
    generator: str = "philox",
    num_threads: int | None = None,
    progress: bool = False,
) -> Tree:
    """Return a tree of new arrays, each filled by the first pattern that matches its path.

    An array's values depend only on the seed, its path, shape and dtype, not on devices or shardings. One call fills
    all arrays, and each process makes only its own shards.

    Parameters
    ----------
    tree : pytree
        A tree of ``jax.ShapeDtypeStruct``, from `jax.eval_shape`, ``flax.nnx.eval_shape`` or
        ``equinox.filter_eval_shape``; or a tree of arrays, whose values are not read. Other leaves are returned
        unchanged. A leaf's name is its path's keys, joined by dots: ``layers.0.weight``. A ``.value`` at the end, as in
        Flax's variables, is left out. 64-bit types become 32-bit types, unless they are enabled in JAX.
    seed : int, Stream or None
        As for `pyinit.models.fill`.
    plan : mapping of str to scheme
        As for `pyinit.initialize`. Schemes for JAX's kernel layout, ``(*kernel, in, out)``, need ``layout="in_out"``;
        Equinox has PyTorch's layout, ``(out, in, *kernel)``.
    shardings : Sharding, or pytree of Sharding or None, optional
        One for all arrays, or a prefix of `tree` with one for each. None: the leaf's own sharding, otherwise the
        default device.
    generator, num_threads, progress
        As for `pyinit.models.fill`.

    Returns
    -------
    pytree
        Like `tree`.

    Raises
    ------
    TypeError, ValueError
        If the plan does not match the names, a scheme does not suit an array, or a sharding does not suit its shape.

    Examples
    --------
    >>> tree = {"layers": [{"weight": jax.ShapeDtypeStruct((2, 3), "float32")}]}
    >>> made = initialize(tree, seed=0, plan={"*.weight": "normal(std=0.02)"})
    >>> expected = pyinit.Stream(0).child("layers.0.weight").normal((2, 3), std=0.02)
    >>> bool((made["layers"][0]["weight"] == expected).all())
    True
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    places = shardings_of(tree, shardings)
    chosen = {name_of(path): i for i, (path, leaf) in enumerate(leaves) if is_array(leaf)}
    if len(chosen) != sum(is_array(leaf) for _, leaf in leaves):
        raise ValueError("the paths of two arrays give the same name, joined by dots")
    schemes = matched(chosen, plan)
    made = [new_array(name, leaves[i][1], places[i]) for name, i in chosen.items()]
    parts = [part for new, name, scheme in zip(made, chosen, schemes) for part in new.parameters(name, scheme)]
    fill(parts, seed, generator=generator, num_threads=num_threads, progress=progress)
    result = [leaf for _, leaf in leaves]
    for i, new in zip(chosen.values(), made):
        result[i] = new.array()
    return jax.tree_util.tree_unflatten(structure, result)


def name_of(path: Any) -> str:
    """Return a path's keys, joined by dots, without the final ``value`` of Flax's variables."""
    if len(path) > 1 and path[-1] == jax.tree_util.GetAttrKey("value"):
        path = path[:-1]
    name: str = jax.tree_util.keystr(path, simple=True, separator=".")
    return name


def is_array(leaf: Any) -> bool:
    """Whether a leaf describes an array to make."""
    return isinstance(leaf, jax.ShapeDtypeStruct | jax.Array | np.ndarray)


def new_array(name: str, leaf: Any, sharding: Any) -> NewArray:
    """Allocate an array like a leaf, or raise TypeError or ValueError with its name."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.extended):
        raise TypeError(f"{name!r}: pyinit cannot fill {leaf.dtype}; keep such leaves out of the tree")
    try:
        return NewArray(tuple(leaf.shape), jax.dtypes.canonicalize_dtype(leaf.dtype), sharding)
    except ValueError as error:
        raise ValueError(f"{name!r}: {error}") from None


class Place(NamedTuple):
    """The sharding of a leaf; a bare None would not be a leaf of a tree."""

    sharding: Any


def shardings_of(tree: Any, shardings: Any) -> list[Any]:
    """Return the sharding of each leaf; None means the default device."""

    def is_sharding(x: Any) -> bool:
        return x is None or isinstance(x, jax.sharding.Sharding | jax.sharding.PartitionSpec)

    def is_place(x: Any) -> bool:
        return isinstance(x, Place)

    given = jax.tree.map(Place, shardings, is_leaf=is_sharding)
    each = [place.sharding for place in jax.tree.leaves(jax.tree.broadcast(given, tree, is_place), is_leaf=is_place)]
    for sharding in each:
        if not is_sharding(sharding):
            raise TypeError(f"shardings must hold jax.sharding.Sharding or None; got {type(sharding).__name__}")
    return [own(leaf) if sharding is None else sharding for leaf, sharding in zip(jax.tree.leaves(tree), each)]


def own(leaf: Any) -> Any:
    """Return a leaf's own sharding; None means the default device."""
    return (
        None
        if isinstance(leaf, jax.Array) and not getattr(leaf, "committed", False)
        else getattr(leaf, "sharding", None)
    )
