"""Tests that test_keras.py runs on each backend: whole models, saved, copied, trained and built late."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras_cases import RANDOM, by_numpy, numpy, same

from pyinit import Stream
from pyinit.adapters import keras as pk

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's and PyTorch's, of NumPy 2


def model():
    pixels, words = keras.Input((8, 8, 3)), keras.Input((5,), dtype="int32")
    x = keras.layers.Conv2D(4, 3, kernel_initializer=pk.HeNormal(seed=1), bias_initializer=pk.Constant(0.3))(pixels)
    y = keras.layers.Embedding(50, 6, embeddings_initializer=pk.RandomNormal(seed=1, name="words"))(words)
    x = keras.layers.Concatenate()([keras.layers.Flatten()(x), keras.layers.Flatten()(y)])
    x = keras.layers.Dense(8, kernel_initializer=pk.GlorotUniform(), bias_initializer="zeros")(x)
    generator = keras.random.SeedGenerator(4)
    x = keras.layers.Dense(8, kernel_initializer=pk.FromScheme("sparse(0.3)", seed=generator))(x)
    x = keras.layers.Dense(2, kernel_initializer=pk.Orthogonal(seed=2), bias_initializer=pk.Ones())(x)
    return keras.Model([pixels, words], x)


LOAD = """
import sys, numpy, keras
from pyinit.adapters import keras as pk
loaded = keras.saving.load_model(sys.argv[1])
print(type(loaded.layers[-1].kernel_initializer).__name__)
numpy.savez(sys.argv[2], *loaded.get_weights())
"""


def test_a_model_and_its_copies(tmp_path):
    built = model()
    weights = built.get_weights()
    assert np.array_equal(weights[0], by_numpy(RANDOM["HeNormal"][1], (3, 3, 3, 4), Stream(1)))
    assert np.array_equal(weights[1], np.full(4, 0.3, np.float32))
    assert np.array_equal(weights[2], Stream(1).child("words").normal((50, 6), std=0.05))
    inputs = [Stream(0).uniform((2, 8, 8, 3)), np.arange(10).reshape(2, 5)]
    expected = built.predict(inputs, verbose=0)

    path = tmp_path / "model.keras"
    built.save(path)
    loaded = keras.saving.load_model(path)
    assert all(map(np.array_equal, loaded.get_weights(), weights))
    assert np.array_equal(loaded.predict(inputs, verbose=0), expected)
    command = [sys.executable, "-W", "ignore", "-c", LOAD, path, tmp_path / "weights.npz"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Orthogonal"]
    with np.load(tmp_path / "weights.npz") as stored:
        assert all(map(np.array_equal, stored.values(), weights))

    copied = keras.models.clone_model(built).get_weights()
    for i in (0, 1, 2, 5, 6, 7, 8):  # all but the kernel without a seed and its bias
        assert np.array_equal(copied[i], weights[i])
    assert not np.array_equal(copied[3], weights[3])


def test_a_model_learns():
    built = model()
    inputs = [Stream(0).uniform((64, 8, 8, 3)), np.arange(320).reshape(64, 5) % 50]
    target = Stream(1).uniform((64, 2))
    built.compile("adam", "mse")
    losses = built.fit(inputs, target, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


class Composite(keras.layers.Layer):
    """Its layers are built while Keras infers shapes, before there is memory for their weights."""

    def __init__(self, seed):
        super().__init__()
        self.first = keras.layers.Dense(3, kernel_initializer=pk.HeNormal(seed=seed), bias_initializer=pk.Ones())
        self.second = keras.layers.MultiHeadAttention(2, 4, kernel_initializer=pk.GlorotUniform(seed=seed))

    def call(self, x):
        y = self.first(x)
        return self.second(y, y)


@pytest.mark.parametrize("seed", [None, 7, "generator"])
def test_layers_that_are_built_late(seed):
    made = Composite(keras.random.SeedGenerator(7) if seed == "generator" else seed)
    x = keras.Input((6, 5))
    keras.Model(x, made(x))
    assert len(made.weights) >= 10
    assert all(np.isfinite(numpy(weight.value)).all() for weight in made.weights)
    if seed == 7:
        same(made.first.kernel.value, by_numpy("he_truncated_normal", (5, 3), Stream(7)))
