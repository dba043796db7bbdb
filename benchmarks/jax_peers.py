"""Ways to make random arrays in JAX on the CPU: `jax.random` with its two generators, and pyinit.

All make a new array each time, with their own choice of threads.
"""

from functools import partial

import jax

from pyinit.adapters import jax as pj

jax.config.update("jax_platforms", "cpu")

SEED, VERSION = 42, jax.__version__
WAYS = ("threefry", "rbg", "pyinit in jit", "pyinit")  # the last one outside of programs
DRAWS = {
    "normal float32": (jax.random.normal, pj.normal, "float32"),
    "uniform float32": (jax.random.uniform, pj.uniform, "float32"),
    "truncated_normal float32": (
        partial(jax.random.truncated_normal, lower=-2, upper=2),
        pj.truncated_normal,
        "float32",
    ),
    "normal bfloat16": (jax.random.normal, pj.normal, "bfloat16"),
}
# A transformer of the size of GPT-2: 124 million parameters.
WIDTH, LAYERS, WORDS, PLACES = 768, 12, 50257, 1024


def ways(what, elements):
    """Return a function without arguments for each way to make an array of one dimension."""
    theirs, ours, dtype = DRAWS[what]
    dtype = jax.numpy.dtype(dtype)
    keys = {"threefry": jax.random.key(SEED), "rbg": jax.random.key(SEED, impl="rbg")}
    program = jax.jit(lambda key: theirs(key, shape=(elements,), dtype=dtype))
    own = jax.jit(lambda key: ours(key, (elements,), dtype))
    return {
        **{name: partial(done, program, key) for name, key in keys.items()},
        "pyinit in jit": partial(done, own, keys["threefry"]),
        "pyinit": partial(done, ours, keys["threefry"], (elements,), dtype),
    }


def shapes(width=WIDTH, layers=LAYERS, words=WORDS, places=PLACES):
    """Return the parameters of a transformer, as `jax.eval_shape` gives them."""
    leaf = lambda *shape: jax.ShapeDtypeStruct(shape, "float32")  # noqa: E731
    block = lambda: {  # noqa: E731
        "attention": {"qkv": leaf(width, 3 * width), "out": leaf(width, width)},
        "mlp": {"up": leaf(width, 4 * width), "down": leaf(4 * width, width)},
    }
    return {"words": leaf(words, width), "places": leaf(places, width), "blocks": [block() for _ in range(layers)]}


def model_ways(tree):
    """Return the same for a tree of arrays with standard deviation 0.02."""
    leaves, structure = jax.tree.flatten(tree)
    plan = {"*": "normal(std=0.02)"}

    def program(init, key):
        keys = jax.random.split(key, len(leaves))
        return structure.unflatten([init(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves)])

    theirs, ours = (jax.jit(partial(program, module.normal(0.02))) for module in (jax.nn.initializers, pj.initializers))
    key = jax.random.key(SEED)
    return {
        "threefry": partial(done, theirs, key),
        "rbg": partial(done, theirs, jax.random.key(SEED, impl="rbg")),
        "pyinit in jit": partial(done, ours, key),
        "pyinit": partial(done, pj.initialize, tree, SEED, plan),
    }


def done(function, *arguments):
    """Return the result of a function when it is ready."""
    return jax.block_until_ready(function(*arguments))


def size(tree):
    """Return the number of elements of a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
