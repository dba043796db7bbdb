"""Whole models on a GPU: `pyinit.initialize` next to a loop of PyTorch's `normal_` and one flat fill."""

import math
from functools import partial

import bench_initialize
import gpu_peers

import pyinit
from pyinit.bench import SEED, Case
from pyinit.initializers import normal

MODELS = {
    "GPT-2 XL": (bench_initialize.gpt2_shapes(), bench_initialize.GPT2_PLAN),
    "20,000 of 10,000": (bench_initialize.small_shapes(), {"*": normal(std=0.02)}),
}
INITIALIZE, LOOP, FILL, NORMAL_ = "pyinit.initialize", "PyTorch's loop of normal_", "pyinit, flat", "PyTorch, flat"
TENSORS = "pyinit.initialize of PyTorch's tensors"
DTYPES = {"float32": "f4", "bfloat16": "u2"}  # and CuPy's type for it


class Named:
    """A CuPy array of integers whose elements are of a type that CuPy lacks, given by name."""

    def __init__(self, array, dtype):
        self.array, self.dtype = array, dtype

    @property
    def __cuda_array_interface__(self):
        return self.array.__cuda_array_interface__


def typed(array, dtype):
    """Return an array as pyinit should see it."""
    return array if array.dtype == dtype else Named(array, dtype)


def elements(models=None):
    """Return the number of elements of the largest model."""
    return max(sum(map(math.prod, shapes.values())) for shapes, _ in (models or MODELS).values())


def cases(memory, tensor, synchronise, models=None, typed=typed):
    """Time every model in float32 and bfloat16, in every way.

    The time is the host's, from the first call until the device has finished the last.

    Parameters
    ----------
    memory : array of float32
        Flat, of `elements` or more; the parameters are views of it.
    tensor : torch.Tensor or None
        The same memory; None without PyTorch.
    synchronise : callable
        Waits until the device has finished.
    models : dict, optional
        Names to shapes and a plan.
    typed : callable
        Returns pyinit's view of an array that holds integers in place of a dtype.
    """
    found = []
    for model, (shapes, plan) in (models or MODELS).items():
        size = elements({model: (shapes, plan)})
        for dtype, stored in DTYPES.items():
            flat = memory.view(stored)[:size]
            params = {name: typed(part, dtype) for name, part in bench_initialize.views(flat, shapes).items()}
            ways = {
                INITIALIZE: partial(pyinit.initialize, params, SEED, plan),
                FILL: partial(pyinit.Stream(SEED).fill_normal, typed(flat, dtype), std=0.02),
            }
            if tensor is not None:
                whole = gpu_peers.viewed(tensor, dtype)[:size]
                tensors = bench_initialize.views(whole, shapes)
                ways |= {
                    TENSORS: partial(pyinit.initialize, tensors, SEED, plan),
                    LOOP: partial(fill_each, list(tensors.values())),
                    NORMAL_: partial(fill_each, [whole]),
                }
            for way, run in ways.items():
                done = partial(in_full, run, synchronise)
                found.append(Case(f"{model} {dtype}: {way}", done, size, flat.nbytes))
    return found


def fill_each(tensors):
    """Fill each parameter, as a model's loop in PyTorch does."""
    for tensor in tensors:
        tensor.normal_(std=0.02)


def in_full(run, synchronise):
    """Run a call, and wait until the device has finished."""
    run()
    synchronise()
