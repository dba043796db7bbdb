"""Tests that test_keras.py runs on JAX with four devices: distributed tensors."""

import keras
import numpy as np
import pytest
from keras_cases import NAMES, RANDOM, numpy, ours, same
from keras_models import model

from pyinit import initializers
from pyinit.adapters import keras as pk

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


@pytest.fixture(scope="module")
def mesh():
    devices = keras.distribution.list_devices()
    assert len(devices) == 4
    return keras.distribution.DeviceMesh((2, 2), ("a", "b"), devices)


@pytest.mark.parametrize("axes", [("a", "b"), ("b", None), (None, "a"), (None, None)], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_a_layout_keeps_the_bits(mesh, name, axes):
    options = {"seed": 7, "name": "w"} if name in RANDOM else {}
    layout = keras.distribution.TensorLayout(axes, mesh)
    for dtype in ("float32", "bfloat16"):
        whole = ours(name, **options)((4, 6), dtype)
        for form in (layout, layout.backend_layout):
            made = ours(name, **options)((4, 6), dtype, layout=form)
            assert made.sharding.is_equivalent_to(layout.backend_layout, 2)
            same(made, numpy(whole))


def test_each_part_is_made_once(mesh):
    shapes = []

    class Told(initializers.Normal):
        def fill(self, window, stream, num_threads):
            shapes.append((window.array.shape, window.offset))
            super().fill(window, stream, num_threads)

    made = pk.FromScheme(Told(), seed=1)
    made((4, 6), layout=keras.distribution.TensorLayout((None, "b"), mesh))
    assert sorted(shapes) == [((4, 3), (0, 0)), ((4, 3), (0, 3))]
    generator = keras.random.SeedGenerator(1)
    pk.HeNormal(seed=generator)((4, 6), layout=keras.distribution.TensorLayout(("a", "b"), mesh))
    assert numpy(generator.state).tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["ModelParallel", "DataParallel"])
def test_a_distributed_model(mesh, kind):
    expected = model().get_weights()
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*dense.*kernel"] = ("a", None)
    layouts[".*embeddings"] = (None, "b")
    distribution = (
        keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="a")
        if kind == "ModelParallel"
        else keras.distribution.DataParallel(devices=keras.distribution.list_devices())
    )
    with distribution.scope():
        built = model()
    for i in (0, 1, 2, 4, 5, 6, 7, 8):
        assert np.array_equal(built.get_weights()[i], expected[i])
    [words] = [weight for weight in built.weights if weight.path.endswith("embeddings")]
    parts = {shard.data.shape for shard in words.value.addressable_shards}
    assert parts == ({(50, 3)} if kind == "ModelParallel" else {(50, 6)})
