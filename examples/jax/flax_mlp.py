"""Train a network of Flax on handwritten digits, with pyinit's initialisers in place of JAX's.

Run it with `python flax_mlp.py`; it needs JAX, Flax, Optax and scikit-learn. Flax gives each layer a key, which is the
seed of the layer's weights: the program makes one of them again with NumPy alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

import pyinit
from pyinit.adapters import jax as pj

SEED = 0


class MLP(nnx.Module):
    """Two hidden layers of ReLU units, and scores of the ten digits."""

    def __init__(self, rngs, width=128):
        he = pj.initializers.he_normal()
        self.first = nnx.Linear(64, width, kernel_init=he, rngs=rngs)
        self.second = nnx.Linear(width, width, kernel_init=he, rngs=rngs)
        self.scores = nnx.Linear(width, 10, kernel_init=pj.initializers.normal(0.02), rngs=rngs)

    def __call__(self, x):
        return self.scores(nnx.relu(self.second(nnx.relu(self.first(x)))))


@nnx.jit
def step(model, optimizer, x, y):
    """Update the model by a step of Adam; return the loss before the step."""

    def loss(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    before, gradient = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradient)
    return before


def main(steps=60):
    x, y = load_digits(return_X_y=True)
    x, y = jnp.asarray(x / 16, jnp.float32), jnp.asarray(y)
    train, test = slice(1400), slice(1400, None)

    model = MLP(nnx.Rngs(SEED))
    print(f"{sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model))):,} weights")
    high, low = map(int, jax.random.key_data(nnx.Rngs(SEED).params()))  # Flax's first key is the first kernel's
    he_normal = pyinit.initializers.he_truncated_normal(layout="in_out")  # JAX's he_normal is truncated
    kernel = he_normal(np.empty((64, 128), np.float32), pyinit.Stream(high << 32 | low))
    assert np.array_equal(model.first.kernel[...], kernel)

    optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)
    losses = [float(step(model, optimizer, x[train], y[train])) for _ in range(steps)]
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}")
    print(f"{(model(x[test]).argmax(1) == y[test]).mean():.0%} of the other digits are right")


if __name__ == "__main__":
    main()
