"""`initialize` of trees: names, plans, shardings, and the models of Flax and Equinox."""

import numpy as np
import pytest

import pyinit
from pyinit import Stream
from pyinit import initializers as schemes

jax = pytest.importorskip("jax", minversion="0.9")

import jax.numpy as jnp  # noqa: E402
from jax.sharding import NamedSharding, SingleDeviceSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from pyinit.adapters import jax as pj  # noqa: E402
from pyinit.adapters.jax import trees  # noqa: E402

CPUS = jax.local_devices(backend="cpu")
PLAN = {"*.b": "zeros", "*.square": "orthogonal", "*": "he_normal(layout='in_out')"}
DTYPES = {"a.0.w": "float32", "a.0.b": "float32", "a.1.w": "bfloat16", "a.1.b": "bfloat16", "c.square": "float16"}


def tree_of(make):
    """Return a tree of five arrays, one of them in a dict in a list in a dict."""
    shapes = {"a.0.w": (8, 16), "a.0.b": (16,), "a.1.w": (16, 8), "a.1.b": (8,), "c.square": (8, 8)}
    leaf = {name: make(shape, jnp.dtype(DTYPES[name])) for name, shape in shapes.items()}
    layers = [{"w": leaf[f"a.{i}.w"], "b": leaf[f"a.{i}.b"]} for i in range(2)]
    return {"a": layers, "c": {"square": leaf["c.square"]}}


def expected(seed=5):
    params = {}

    def make(shape, dtype):
        params[f"{len(params)}"] = np.empty(shape, dtype)
        return params[f"{len(params) - 1}"]

    tree = tree_of(make)
    named = {trees.name_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
    pyinit.initialize(named, seed, PLAN)
    return tree


def same(made, other):
    flat = zip(jax.tree.leaves(made), jax.tree.leaves(other), strict=True)
    return all(a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in flat)


def mesh():
    if len(CPUS) < 8:
        pytest.skip("JAX was started with fewer than eight CPU devices")
    return jax.sharding.Mesh(np.array(CPUS[:8]).reshape(4, 2), ("x", "y"))


def test_a_tree_has_the_bits_of_numpy_for_the_same_names():
    made = pj.initialize(tree_of(jax.ShapeDtypeStruct), 5, PLAN)
    assert jax.tree.structure(made) == jax.tree.structure(tree_of(jax.ShapeDtypeStruct))
    assert same(made, expected())
    assert all(isinstance(leaf, jax.Array) and not leaf.committed for leaf in jax.tree.leaves(made))
    assert same(pj.initialize(tree_of(np.zeros), Stream(5), PLAN, num_threads=1), expected())
    again = pj.initialize(tree_of(jnp.zeros), 5, PLAN)
    assert same(again, expected())
    assert not any(leaf.committed for leaf in jax.tree.leaves(again))
    assert not same(pj.initialize(tree_of(jnp.zeros), 5, PLAN, generator="ars5"), expected())


def test_torch_has_the_same_weights():
    torch = pytest.importorskip("torch")
    from pyinit.adapters import torch as pt

    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2, dtype=torch.bfloat16))
    pt.initialize_module(model, 9, {"*.bias": "zeros", "*.weight": "xavier_uniform"})
    shapes = [
        {"weight": jax.ShapeDtypeStruct(tuple(p.weight.shape), str(p.weight.dtype).removeprefix("torch."))}
        for p in (model[0], model[2])
    ]
    made = pj.initialize({"0": shapes[0], "2": shapes[1]}, 9, {"*.weight": "xavier_uniform"})
    assert np.array_equal(made["0"]["weight"], model[0].weight.detach().numpy())
    assert np.array_equal(made["2"]["weight"].astype(np.float32), model[2].weight.detach().float().numpy())


def test_64_bit_leaves_are_32_bit_ones_as_elsewhere_in_jax():
    made = pj.initialize({"w": np.zeros((2, 3)), "n": np.zeros(2, int)}, 5, {"w": "normal", "n": "ones"})
    assert np.array_equal(made["w"], Stream(5).child("w").normal((2, 3)))
    assert made["n"].dtype == np.int32
    with jax.enable_x64(True):
        wide = pj.initialize({"w": np.zeros((2, 3))}, 5, {"w": "normal"})["w"]
    assert np.array_equal(wide, Stream(5).child("w").normal((2, 3), np.float64))


@pytest.mark.parametrize("spec", [P(), P("x"), P("x", "y"), P(None, ("x", "y")), P("y", "x")], ids=str)
def test_every_sharding_has_the_same_bits(spec):
    shardings = jax.tree.map(
        lambda leaf: NamedSharding(mesh(), P(*spec[: len(leaf.shape)])), tree_of(jax.ShapeDtypeStruct)
    )
    made = pj.initialize(tree_of(jax.ShapeDtypeStruct), 5, PLAN, shardings)
    assert same(made, expected())
    leaves = zip(jax.tree.leaves(made), jax.tree.leaves(shardings), strict=True)
    assert all(leaf.sharding == sharding for leaf, sharding in leaves)


def test_ways_to_say_where_arrays_lie():
    everywhere = NamedSharding(mesh(), P())
    spread = NamedSharding(mesh(), P("x"))
    shapes = tree_of(jax.ShapeDtypeStruct)
    assert {leaf.sharding for leaf in jax.tree.leaves(pj.initialize(shapes, 5, PLAN, spread))} == {spread}
    prefix = pj.initialize(shapes, 5, PLAN, {"a": [spread, everywhere], "c": None})
    assert [leaf.sharding for leaf in jax.tree.leaves(prefix)][:4] == [spread, spread, everywhere, everywhere]
    assert not prefix["c"]["square"].committed
    own = tree_of(lambda shape, dtype: jax.ShapeDtypeStruct(shape, dtype, sharding=spread))
    assert {leaf.sharding for leaf in jax.tree.leaves(pj.initialize(own, 5, PLAN))} == {spread}
    assert {leaf.sharding for leaf in jax.tree.leaves(pj.initialize(own, 5, PLAN, everywhere))} == {everywhere}
    there = tree_of(lambda shape, dtype: jax.device_put(jnp.zeros(shape, dtype), CPUS[2]))
    made = pj.initialize(there, 5, PLAN)
    assert {leaf.sharding for leaf in jax.tree.leaves(made)} == {SingleDeviceSharding(CPUS[2])}
    with jax.set_mesh(mesh()):
        made = pj.initialize(shapes, 5, PLAN, P("x"))
    assert same(made, expected())
    assert {leaf.sharding for leaf in jax.tree.leaves(made)} == {spread}


def test_all_parts_are_filled_in_one_call(monkeypatch):
    calls = []
    monkeypatch.setattr(trees, "fill", lambda parts, *rest, **options: calls.append(list(parts)))
    pj.initialize(tree_of(jax.ShapeDtypeStruct), 5, PLAN, NamedSharding(mesh(), P("y")))
    [parts] = calls
    assert [part.name for part in parts] == [name for name in sorted(DTYPES) for _ in range(2)]


def test_leaves_that_are_no_arrays_are_returned():
    tree = {"w": jax.ShapeDtypeStruct((2, 3), "float32"), "name": "x", "f": len, "none": None, "n": 3}
    made = pj.initialize(tree, 0, {"w": "ones"})
    assert (made["name"], made["f"], made["none"], made["n"]) == ("x", len, None, 3)
    assert np.array_equal(made["w"], np.ones((2, 3)))
    made = pj.initialize(
        tree, 0, {"w": "ones"}, {"w": SingleDeviceSharding(CPUS[0]), **dict.fromkeys("fn"), "name": None, "none": None}
    )
    assert made["w"].committed


def test_integers_and_scalars_and_empty_arrays():
    tree = {
        "count": jax.ShapeDtypeStruct((), "int32"),
        "scale": jax.ShapeDtypeStruct((), "float32"),
        "empty": jax.ShapeDtypeStruct((0, 3), "float32"),
    }
    made = pj.initialize(tree, 0, {"count": "zeros", "*": "normal"})
    assert made["count"].dtype == np.int32
    assert made["scale"] == Stream(0).child("scale").normal(())
    assert made["empty"].shape == (0, 3)


@pytest.mark.parametrize(
    ("tree", "options", "kind", "message"),
    [
        ({"w": (2, 3)}, {"plan": {"v": "ones"}}, ValueError, "'w'"),
        ({"w": (2, 3), "v": (3,)}, {"plan": {"*": "orthogonal"}}, ValueError, "'v': orthogonal needs"),
        ({"w": (2, 3)}, {"shardings": 3}, TypeError, r"must hold jax\.sharding\.Sharding or None; got int"),
        ({"w": (2, 3)}, {"shardings": {"v": None}}, ValueError, ""),
        ({"w": (2, 3)}, {"seed": -1}, ValueError, "seed must be"),
        ({"w": (2, 3)}, {"generator": "mt"}, ValueError, "generator must be one of"),
        ({"a.b": (2,), "a": {"b": (2,)}}, {}, ValueError, "two arrays give the same name"),
    ],
)
def test_bad_input(tree, options, kind, message):
    shapes = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, "float32"), tree, is_leaf=lambda x: isinstance(x, tuple)
    )
    given = {"seed": 0, "plan": {"*": "normal"}, **options}
    with pytest.raises(kind, match=message or None):
        pj.initialize(shapes, **given)


def test_bad_leaves_are_named():
    with pytest.raises(TypeError, match="'rng': pyinit cannot fill key<fry>"):
        pj.initialize({"rng": jax.eval_shape(lambda: jax.random.key(0))}, 0, {"*": "normal"})
    with pytest.raises(TypeError, match=r"'w'.*complex64"):
        pj.initialize({"w": jax.ShapeDtypeStruct((2,), "complex64")}, 0, {"*": "normal"})
    with pytest.raises(ValueError, match=r"'w': .*divi"):
        pj.initialize({"w": jax.ShapeDtypeStruct((7,), "float32")}, 0, {"*": "normal"}, NamedSharding(mesh(), P("x")))


def test_equinox():
    eqx = pytest.importorskip("equinox")
    shapes = eqx.filter_eval_shape(eqx.nn.MLP, 3, 4, 8, 2, key=jax.random.key(0))
    made = pj.initialize(shapes, 3, {"*.bias": "zeros", "*": "kaiming_uniform"})
    weight = schemes.kaiming_uniform()(np.empty((8, 8), np.float32), Stream(3).child("layers.1.weight"))
    assert np.array_equal(made.layers[1].weight, weight)
    assert made(jnp.ones(3)).shape == (4,)


def test_flax_nnx():
    nnx = pytest.importorskip("flax.nnx")

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(2)])

    shapes = nnx.eval_shape(lambda: Model(nnx.Rngs(0)))
    graph, state = nnx.split(shapes)
    model = nnx.merge(graph, pj.initialize(state, 3, {"*.bias": "zeros", "*.kernel": "lecun_normal(layout='in_out')"}))
    kernel = schemes.lecun_normal(layout="in_out")(np.empty((4, 4), np.float32), Stream(3).child("layers.1.kernel"))
    assert np.array_equal(model.layers[1].kernel[...], kernel)
    assert model.layers[0](jnp.ones((2, 4))).shape == (2, 4)


def test_without_jax_the_error_names_the_extra(monkeypatch):
    import importlib
    import sys

    for name in [name for name in sys.modules if name.startswith("pyinit.adapters.jax")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match=r"pyinit\.adapters\.jax needs JAX.*\[jax\]"):
        importlib.import_module("pyinit.adapters.jax")
