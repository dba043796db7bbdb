"""Many arrays in one launch on a GPU: each is as the host fills it alone. `make gpu` runs these tests."""

import numpy as np
import pytest
from kinds import CASES, KINDS, TAILS, empty
from test_gpu import on_gpu

import pyinit
from pyinit import Stream, _core
from pyinit.arrays import view
from pyinit.kernels.filling import fill_batch

pytestmark = pytest.mark.gpu
SIZES = [0, 1, 3, 10_000, 16_384, 100, 16_385, 1_000_003, 7, 32_768, 250_000]


def filled(given, root):
    """Fill arrays of kinds, or blocks of tensors, in one launch for each kernel."""
    batch, there = _core.Batch(root, {}), []
    for i, (out, distribution, whole, where) in enumerate(given):
        there.append(array := view(out))
        if array.size:
            batch.add(str(i), array.geometry, distribution, whole, where, array.start, array.queue)
        else:  # may have neither memory nor a queue
            batch.add(str(i), array.geometry, None, whole, where)
    batch.check()
    fill_batch(batch, there)


def test_every_kind_in_arrays_of_many_sizes(cupy, generator):
    root = Stream(9, generator)
    kinds = [kind for kind in KINDS for _ in SIZES]
    made = [on_gpu(cupy, size, kind) for size, kind in zip(SIZES * len(KINDS), kinds)]
    filled([(given, CASES[kind[0]], None, None) for (_, given), kind in zip(made, kinds)], root)
    for i, ((array, _), kind) in enumerate(zip(made, kinds)):
        expected = root.child(str(i)).fill(empty(array.shape, kind), CASES[kind[0]])
        assert array.get().tobytes() == expected.tobytes(), (i, kind, array.shape)


def test_windows_among_them(cupy):
    root, shape = Stream(4), (700, 900)
    blocks = [np.s_[:, 3:700], np.s_[11:, :], np.s_[::1, 5:6], np.s_[5:6, :]]
    arrays = [cupy.zeros(np.empty(shape)[block].shape, np.float32) for block in blocks]
    arrays = [array if i % 2 else cupy.asfortranarray(array) for i, array in enumerate(arrays)]
    offsets = [tuple(s.start or 0 for s in block) for block in blocks]
    given = [(array, CASES["normal"], shape, offset) for array, offset in zip(arrays, offsets)]
    filled([*given, (flat := cupy.zeros(99_999, np.float32), CASES["normal"], None, None)], root)
    for i, (array, block) in enumerate(zip(arrays, blocks)):
        whole = root.child(str(i)).fill(np.zeros(shape, np.float32), CASES["normal"])
        assert np.array_equal(array.get(), whole[block])
    assert np.array_equal(flat.get(), root.child("4").fill(np.zeros(99_999, np.float32), CASES["normal"]))


def test_tails_of_several_distributions(cupy):
    outs = [cupy.zeros(40_000 + i, np.float32) for i in range(12)]
    filled([(out, TAILS[i % 3], None, None) for i, out in enumerate(outs)], Stream(3))
    for i, out in enumerate(outs):
        expected = Stream(3).child(str(i)).fill(np.zeros(out.size, np.float32), TAILS[i % 3])
        assert np.array_equal(out.get(), expected)


@pytest.mark.parametrize("library", ["cupy", "torch"])
def test_a_model(cupy, library):
    """Schemes of all kinds; several CUDA streams keep their order."""
    plan = {"*.bias": "zeros", "ln*": "ones", "o": "orthogonal", "c.*": "lecun_truncated_normal", "*": "xavier_normal"}
    shapes = {f"{i}.weight": (100 + i, 300) for i in range(200)} | {f"{i}.bias": (100 + i,) for i in range(200)}
    shapes |= {"ln": (33,), "o": (40, 30), **{f"c.{i}": (3000, 7) for i in range(30)}}
    make = cupy.zeros
    if library == "torch":
        torch = pytest.importorskip("torch")
        make = lambda shape, dtype: torch.nn.Parameter(torch.zeros(shape, device="cuda"))  # noqa: E731
    params = {name: make(shape, np.float32) for name, shape in shapes.items()}
    expected = pyinit.initialize({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, 5, plan)
    pyinit.initialize(params, 5, plan)
    for name, out in params.items():
        assert np.array_equal(cupy.asarray(out.detach() if library == "torch" else out).get(), expected[name]), name
