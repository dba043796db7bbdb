"""Calls of PyTorch's adapter and of the fills with tensors whose class gives one false answer.

Usage: python tests/hostile_tensors.py     prints how many cases there were, in how many the tensor was filled, and what
was wrong

The tensor's memory ends at a protected page. A call fills the tensor, or raises and has written nothing; the exception
may be a consequence of the false answer.
"""

import itertools
import sys
import warnings

import numpy as np
import torch
from guarded import CANARY, Guarded
from torch.nn import Linear, Parameter

import pyinit
from pyinit import Stream
from pyinit.adapters import torch as pt

ROOM = Guarded(4096)
PROPERTIES = {
    "shape": [(1 << 20, 4), (1, 1), (6,), ()],
    "dtype": [torch.float64, torch.float16, torch.int8],
    "device": [torch.device("meta")],
    "ndim": [9, 0],
    "is_meta": [True],
    "requires_grad": [True],
    "layout": [torch.sparse_coo],
    "data": [torch.zeros(1)],
    "_version": [5],
}
METHODS = {
    "element_size": [1, 8, 0],
    "numel": [1 << 30, 0],
    "dim": [9],
    "size": [(1 << 20, 4)],
    "stride": [(1 << 20, 1)],
    "data_ptr": [64],
    "storage_offset": [1 << 20],
    "untyped_storage": [torch.zeros(1).untyped_storage()],
    "is_contiguous": [False],
    "is_complex": [True],
    "is_floating_point": [False],
    "detach": [torch.zeros(1)],
    "reshape": [None],
    "to": [None],
}


def model_of(tensor):
    model = Linear(4, 6, bias=False)
    model._parameters["weight"] = tensor
    return model


def by_init(name, tensor, **given):
    getattr(pt.init, name)(tensor, stream=Stream(1), **given)


ENTRIES = {
    "Stream": lambda tensor: Stream(1).fill_normal(tensor),
    "initialize": lambda tensor: pyinit.initialize({"w": tensor}, 1, {"*": "orthogonal"}),
    "constant_": lambda tensor: by_init("constant_", tensor, val=0.5),
    "eye_": lambda tensor: by_init("eye_", tensor),
    "kaiming_normal_": lambda tensor: by_init("kaiming_normal_", tensor),
    "orthogonal_": lambda tensor: by_init("orthogonal_", tensor),
    "sparse_": lambda tensor: by_init("sparse_", tensor, sparsity=0.5),
    "initialize_module": lambda tensor: pt.initialize_module(model_of(tensor), 1, {"*": "normal"}),
    "verify": lambda tensor: pt.verify(model_of(tensor), {"*": "normal"}, 1),
}


def lies():
    """Yield the false answers of a class: the question, and the class's members."""
    for name, values in PROPERTIES.items():
        yield from ((f"{name}: {value}", {name: property(lambda self, value=value: value)}) for value in values)
    for name, values in METHODS.items():
        yield from ((f"{name}(): {value}", {name: lambda self, *_, value=value, **__: value}) for value in values)


def one(members, is_parameter, call):
    """Run one case; return whether the tensor was filled, and raise AssertionError if something is wrong."""
    array = ROOM.array((6, 4), np.float32)
    begin = array.__array_interface__["data"][0] - ROOM.bytes.__array_interface__["data"][0]
    kind = type("Lying", (Parameter if is_parameter else torch.Tensor,), members)
    tensor, error = torch.Tensor._make_subclass(kind, torch.from_numpy(array), False), None
    try:
        call(tensor)
    except Exception as caught:  # from torch or Python, as a consequence of the lie
        error = caught
    assert (ROOM.bytes[:begin] == CANARY).all(), "written before the tensor"
    filled = bool((ROOM.bytes[begin:] != CANARY).any())
    assert error is None or not filled, f"written although it raised {error!r}"
    return filled


def main():
    """Run every case."""
    warnings.simplefilter("ignore")
    count, filled, wrong = 0, 0, []
    for (lie, members), is_parameter, (entry, call) in itertools.product(lies(), (False, True), ENTRIES.items()):
        print(lie, is_parameter, entry, sep=" | ", file=sys.stderr, flush=True)
        try:
            filled += one(members, is_parameter, call)
        except AssertionError as error:
            wrong.append(f"{lie}, {is_parameter}, {entry}: {error}")
        count += 1
    print(f"{count} {filled}", *wrong, sep="\n")


if __name__ == "__main__":
    main()
