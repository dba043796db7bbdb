"""A small neural network of dense layers, to see what initialisation does to inference and training."""

from pyinit.network.layers import Dense
from pyinit.network.network import Network
from pyinit.network.training import gradients, train

__all__ = ["Dense", "Network", "gradients", "train"]
