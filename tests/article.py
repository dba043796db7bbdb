"""The article's network of 2 inputs, 4 tanh units and 1 sigmoid unit, with the article's hand-set weights."""

import numpy as np

from pyinit.network import Dense, Network

X = [[0.3, 0.9], [0.3, 0.9]]
Y = [[0.5], [0.5]]


def toy(dtype=np.float32):
    return Network(2, [Dense(4, "tanh"), Dense(1, "sigmoid")], dtype=dtype)


def with_weights(net, *parameters):
    """Set (weights, bias) of each layer; a flat list of weights is column-major, as in the article."""
    for layer, (weights, bias) in zip(net.layers, parameters, strict=True):
        layer.weights[...] = np.reshape(weights, layer.weights.shape, order="F")
        layer.bias[...] = bias
    return net


def the_articles(dtype=np.float32):
    weights = [0.3, 0.1, 0.9, 0.0, 0.6, 2.0, 3.7, 1.0]
    return with_weights(toy(dtype), (weights, [0.7, 0.2, 1.1, 2]), ([0.75, 0.15, 0.22, 0.33], [0.3]))


def the_articles_saturated():
    weights = [3, 1, 9, 0, 6, 20, 37, 10]
    return with_weights(toy(), (weights, [7, 2, 11, 2]), ([75, 15, 22, 33], [3]))
