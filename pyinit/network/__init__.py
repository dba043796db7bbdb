"""A small neural network of dense layers, to see what initialisation does to inference and training."""

from pyinit.network.backpropagation import gradients
from pyinit.network.data_driven import lsuv
from pyinit.network.layers import Dense
from pyinit.network.network import Network
from pyinit.network.optimizers import SGD, Adam
from pyinit.network.storage import load, save
from pyinit.network.training import History, train

__all__ = ["SGD", "Adam", "Dense", "History", "Network", "gradients", "load", "lsuv", "save", "train"]


def __dir__() -> list[str]:
    return __all__
