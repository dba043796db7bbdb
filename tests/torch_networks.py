"""PyTorch models to diagnose, and their inputs."""

import numpy as np
import torch
from torch import nn

from pyinit import Stream
from pyinit.diagnostics import Diagnosis, activations, gradients
from pyinit.network import Dense, Network

PAIRS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "softmax": lambda: nn.Softmax(-1)}


def normal(*shape, dtype=np.float32):
    return Stream(1).child("x").normal(shape, dtype)


def diagnosis(model, x, **options):
    return Diagnosis(activations(model, x, **options), gradients(model, x, **options))


def twins(names, width=20, dtype=np.float64, scheme="xavier"):
    """Return a pyinit network and a PyTorch model with the same weights."""
    net = Network(width, [Dense(width, name) for name in names], dtype=dtype)
    net.initialize(0, weights=scheme, bias="normal(std=0.1)")
    parts = []
    for layer, name in zip(net.layers, names):
        linear = nn.Linear(width, width, dtype=torch.from_numpy(layer.weights).dtype)
        linear.weight.data.copy_(torch.from_numpy(layer.weights))
        linear.bias.data.copy_(torch.from_numpy(layer.bias))
        parts += [linear, PAIRS[name]()]
    return net, nn.Sequential(*parts)


class Residual(nn.Module):
    """A block like torchvision's, which uses one in-place ReLU twice."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.down = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.down(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.layers = nn.Sequential(Residual(8, 8), Residual(8, 16, 2), Residual(16, 16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc(self.layers(self.stem(x)).mean((2, 3)))


class Transformer(nn.Module):
    def __init__(self, norm_first=False):
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.places = nn.Embedding(7, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 50)

    def forward(self, ids):
        places = self.places(torch.arange(ids.shape[1], device=ids.device))[None]
        return self.head(self.encoder(places + self.embedding(ids)))


class MLP(nn.Module):
    """A hand-written model that calls activations as functions."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.out = nn.Linear(20, 30), nn.Linear(30, 30), nn.Linear(30, 5)

    def forward(self, x):
        return self.out(torch.tanh(self.fc2(nn.functional.relu(self.fc1(x)))))


IDS = np.arange(28).reshape(4, 7) % 11
MODELS = {"resnet": (ResNet, normal(4, 3, 8, 8)), "transformer": (Transformer, IDS), "mlp": (MLP, normal(10, 20))}


class Deep(nn.Module):
    def __init__(self, layers, std, activation=torch.tanh):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(50, 50) for _ in range(layers))
        self.activation = activation
        for layer in self.layers:
            nn.init.normal_(layer.weight, 0, std)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return x
