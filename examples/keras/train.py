"""Train a small Keras model on handwritten digits; its initial weights are the same on every backend and device.

Run it with `python train.py`, or `KERAS_BACKEND=torch python train.py`; it needs Keras, one of its backends and
scikit-learn. One seed serves all layers: the name of its initializer gives each layer its own weights.
"""

import hashlib

import keras
from sklearn.datasets import load_digits

from pyinit.adapters import keras as pk

SEED = 0


def build():
    """Return a convolutional network that reads 8 x 8 pixels."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu", kernel_initializer=pk.HeNormal(SEED, name="conv")),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu", kernel_initializer=pk.HeNormal(SEED, name="hidden")),
            keras.layers.Dense(10, kernel_initializer=pk.GlorotUniform(SEED, name="scores")),
        ]
    )


def main(epochs=3):
    x, y = load_digits(return_X_y=True)
    x = (x / 16).reshape(-1, 8, 8, 1).astype("float32")

    model = build()
    digest = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights()))
    print(f"{model.count_params():,} weights: {digest.hexdigest()}")

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    keras.utils.set_random_seed(SEED)  # the order of the batches
    history = model.fit(x[:1400], y[:1400], epochs=epochs, verbose=0).history
    print(f"loss {history['loss'][0]:.2f} -> {history['loss'][-1]:.2f}")
    print(f"{model.evaluate(x[1400:], y[1400:], verbose=0)[1]:.0%} of the other digits are right")


if __name__ == "__main__":
    main()
