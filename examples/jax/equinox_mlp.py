"""Train a network to reverse digits, with initial weights that depend only on the seed and their names.

Run it with `python equinox_mlp.py`; it needs JAX and Equinox. It builds the network without allocating memory,
makes its weights on all devices, compares one of them with NumPy's, and trains for some steps.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import pyinit
from pyinit.adapters import jax as pj

SEED, DIGITS, LENGTH, WIDTH = 0, 10, 8, 512
PLAN = {"*.bias": "zeros", "layers.2.weight": "normal(std=0.02)", "*.weight": "he_normal"}


def batch(key, size=256):
    """Return one-hot digits; the bits are the same on every device and under every sharding."""
    digits = jnp.floor(pj.uniform(key, (size, LENGTH)) * DIGITS)
    return jax.nn.one_hot(digits, DIGITS)


def loss(model, x):
    """Return the cross entropy of the reversed digits."""
    scores = jax.vmap(model)(x.reshape(len(x), -1)).reshape(x.shape)
    return -(x[:, ::-1] * jax.nn.log_softmax(scores)).sum(-1).mean()


@eqx.filter_jit
def step(model, velocity, key):
    """Take a step of gradient descent with momentum; return the model, its velocity, and the loss before the step."""
    before, gradient = eqx.filter_value_and_grad(loss)(model, batch(key))
    velocity = jax.tree.map(lambda v, g: 0.9 * v - 0.3 * g, velocity, gradient)
    return eqx.apply_updates(model, velocity), velocity, before


def main(steps=150):
    shape = LENGTH * DIGITS
    shapes = eqx.filter_eval_shape(eqx.nn.MLP, shape, shape, WIDTH, 2, key=jax.random.key(0))
    devices = NamedSharding(jax.make_mesh((jax.device_count(),), ("devices",)), PartitionSpec("devices"))
    model = pj.initialize(shapes, SEED, PLAN, devices)

    weight = np.empty((WIDTH, WIDTH), np.float32)
    pyinit.initializers.he_normal()(weight, pyinit.Stream(SEED).child("layers.1.weight"))
    assert np.array_equal(model.layers[1].weight, weight)
    print(f"{sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))):,} weights from seed {SEED}")

    losses, velocity = [], jax.tree.map(jnp.zeros_like, eqx.filter(model, eqx.is_inexact_array))
    for key in jax.random.split(jax.random.key(SEED), steps):
        model, velocity, before = step(model, velocity, key)
        losses.append(float(before))
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}")


if __name__ == "__main__":
    main()
