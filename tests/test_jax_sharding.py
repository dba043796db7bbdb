"""JAX arrays over several devices: the same bits for every sharding, and each part made once, on its device."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit import Stream
from pyinit import initializers as schemes

jax = pytest.importorskip("jax", minversion="0.9")

import jax.numpy as jnp  # noqa: E402
from jax.sharding import AxisType, NamedSharding, SingleDeviceSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from pyinit.adapters import jax as pj  # noqa: E402
from pyinit.adapters.jax import arrays  # noqa: E402
from pyinit.adapters.jax.arrays import NewArray, aligned  # noqa: E402

CPUS = jax.local_devices(backend="cpu")
pytestmark = pytest.mark.skipif(len(CPUS) < 8, reason="JAX was started with fewer than eight CPU devices")

SHAPE = (24, 16)
SPECS = [P(), P("x"), P(None, "x"), P("x", "y"), P("y", "x"), P(("x", "y")), P(None, ("y", "x")), P("y")]
EXPECTED = Stream(7).normal(SHAPE)


def mesh_of(*sizes, names="xyz", kind=AxisType.Auto):
    devices = np.array(CPUS[: math.prod(sizes)]).reshape(sizes)
    return jax.sharding.Mesh(devices, tuple(names[: len(sizes)]), axis_types=(kind,) * len(sizes))


def key(seed=7):
    return jax.random.key(seed)


def same(array, expected):
    """Whether an array has the given bits on each of its devices."""
    return np.asarray(array).tobytes() == expected.tobytes() and all(
        np.asarray(shard.data).tobytes() == expected[shard.index].tobytes() for shard in array.addressable_shards
    )


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_sharding_has_the_bits_of_the_whole(spec):
    sharding = NamedSharding(mesh_of(4, 2), spec)
    for made in (
        pj.normal(key(), SHAPE, out_sharding=sharding),
        jax.jit(lambda key: pj.normal(key, SHAPE, out_sharding=sharding))(key()),
        jax.jit(lambda key: pj.normal(key, SHAPE), out_shardings=sharding)(key()),
        pj.initializers.normal(1.0)(key(), SHAPE, out_sharding=sharding),
    ):
        assert same(made, EXPECTED)
        assert made.sharding.is_equivalent_to(sharding, 2)


@settings(deadline=None, max_examples=15)
@given(
    st.permutations([2, 2, 2]).flatmap(lambda sizes: st.sampled_from([tuple(sizes), (4, 2), (2, 4), (8,), (3, 2)])),
    st.integers(1, 3),
    st.sampled_from(["float32", "bfloat16", "float8_e5m2"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_mesh_and_any_spec(sizes, ndim, dtype, is_program, random):
    names = list("xyz"[: len(sizes)])
    random.shuffle(names)
    axes = [[] for _ in range(ndim)]
    for name in names:
        random.choice([*axes, []]).append(name)
    spec, length = P(*map(tuple, axes)), dict(zip("xyz", sizes))
    shape = tuple(math.prod(length[name] for name in names) * random.randint(1, 4) for names in axes)
    sharding = NamedSharding(mesh_of(*sizes), spec)
    draw = lambda key: pj.uniform(key, shape, jnp.dtype(dtype), -1.0, out_sharding=sharding)  # noqa: E731
    made = (jax.jit(draw) if is_program else draw)(key(3))
    assert same(made, Stream(3).fill_uniform(np.empty(shape, jnp.dtype(dtype)), -1.0))


@pytest.mark.parametrize("shape", [(5, 3), (7, 30), (1, 9), (63, 2)])
def test_a_constraint_that_does_not_divide_an_axis(shape):
    mesh = mesh_of(4, 2)

    @jax.jit
    def make(key):
        array = jax.lax.with_sharding_constraint(pj.normal(key, shape), NamedSharding(mesh, P("x", "y")))
        return array * 1

    assert np.asarray(make(key())).tobytes() == Stream(7).normal(shape).tobytes()


def test_each_device_of_a_program_makes_its_own_part():
    sharding = NamedSharding(mesh_of(4, 2), P("x", "y"))
    compiled = jax.jit(lambda key: pj.normal(key, SHAPE), out_shardings=sharding).lower(key()).compile()
    [call] = [line for line in compiled.as_text().splitlines() if "pyinit_fill" in line]
    assert "f32[6,8]" in call
    assert not any(word in compiled.as_text() for word in ("all-gather", "all-reduce", "f32[24,16]"))


def test_a_program_takes_no_memory_beside_its_result():
    """jax#19893: random words took several times the size of the parameters, for every sharding."""
    init = pj.initializers.he_normal()
    sharding = NamedSharding(mesh_of(8), P("x"))
    for options in ({}, {"out_shardings": sharding}):
        used = jax.jit(lambda key: init(key, (2048, 1024)), **options).lower(key()).compile().memory_analysis()
        assert used.output_size_in_bytes == 2**23 // (8 if options else 1)
        assert used.temp_size_in_bytes < 10_000
    theirs = jax.jit(lambda key: jax.nn.initializers.he_normal()(key, (2048, 1024))).lower(key()).compile()
    assert theirs.memory_analysis().temp_size_in_bytes > 2**23  # the control


def test_explicit_and_automatic_axes_of_the_mesh_in_use():
    for kind in (AxisType.Explicit, AxisType.Auto):
        with jax.set_mesh(mesh_of(4, 2, kind=kind)):
            draw = lambda key: pj.normal(key, SHAPE, out_sharding=P("x", "y"))  # noqa: E731
            assert same(draw(key()), EXPECTED)
            if jax.__version_info__ >= (0, 10) or kind == AxisType.Auto:
                made = jax.jit(draw)(key())
                assert same(made, EXPECTED)
                assert made.sharding.spec == P("x", "y")


def test_vmap_and_scan_over_devices():
    keys = jax.random.split(key(1), 8)
    loop = np.stack([pj.normal(k, (6, 4)) for k in keys])
    mesh = mesh_of(4, 2)
    for spec in (P("x"), P(None, "y"), P("x", None, "y"), P(("y", "x"))):
        sharding = NamedSharding(mesh, spec)
        assert same(jax.jit(jax.vmap(lambda k: pj.normal(k, (6, 4))), out_shardings=sharding)(keys), loop)
    spread = jax.device_put(keys, NamedSharding(mesh, P("x")))
    assert same(jax.jit(jax.vmap(lambda k: pj.normal(k, (6, 4))))(spread), loop)
    scanned = jax.jit(
        lambda keys: jax.lax.scan(lambda c, k: (c, pj.normal(k, (6, 4))), 0, keys)[1],
        out_shardings=NamedSharding(mesh, P(None, None, "y")),
    )
    assert same(scanned(keys), loop)


def test_an_offset_that_is_traced_in_shard_map():
    mesh = mesh_of(4, 2)

    def block(key):
        start = jnp.stack([jax.lax.axis_index("x") * 6, jax.lax.axis_index("y") * 8])
        return pj.normal(key, (6, 8), global_shape=SHAPE, offset=start)

    mapped = jax.shard_map(block, mesh=mesh, in_specs=P(), out_specs=P("x", "y"))
    assert same(mapped(key()), EXPECTED)
    assert same(jax.jit(mapped)(key()), EXPECTED)
    partly = jax.shard_map(lambda key: pj.normal(key, SHAPE), mesh=mesh, in_specs=P(), out_specs=P(), axis_names={"x"})
    assert same(jax.jit(partly)(key()), EXPECTED)
    starts = jnp.array([[0, 0], [6, 8], [18, 0]])
    blocks = jax.vmap(lambda start: pj.normal(key(), (6, 8), global_shape=SHAPE, offset=start))(starts)
    for made, (row, column) in zip(blocks, starts):
        assert made.tobytes() == EXPECTED[row : row + 6, column : column + 8].tobytes()


def test_orthogonal_matrices_over_devices():
    sharding = NamedSharding(mesh_of(4, 2), P("y", "x"))
    expected = schemes.orthogonal(1.0, "in_out")(np.empty(SHAPE, np.float32), Stream(7))
    init = pj.initializers.orthogonal()
    assert same(init(key(), SHAPE, out_sharding=sharding), expected)
    assert same(jax.jit(init, static_argnums=1, out_shardings=sharding)(key(), SHAPE), expected)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_values_do_not_depend_on_the_number_of_shards(impl):
    """jax#40232: on TPUs a normal array's values followed the index of the shard, with keys of rbg."""
    typed = jax.random.key(11, impl=impl)
    for count in (1, 2, 4, 8):
        mesh = mesh_of(count)
        draw = jax.jit(lambda key: pj.normal(key, (496, 3)), out_shardings=NamedSharding(mesh, P("x")))
        assert same(draw(typed), Stream(11).normal((496, 3)))


def test_values_do_not_depend_on_the_shape_of_the_mesh():
    """jax#21232: initial weights changed with the sizes of the axes for data, shards and tensor parallelism."""
    init = pj.initializers.he_normal()
    expected = schemes.he_truncated_normal(layout="in_out")(np.empty((16, 24), np.float32), Stream(7))
    for sizes in itertools.permutations((1, 2, 4)):
        mesh = mesh_of(*sizes)
        for spec in (P("y", "z"), P(("x", "y"), "z"), P("z", "y")):
            sharding = NamedSharding(mesh, spec)
            assert same(jax.jit(init, static_argnums=1, out_shardings=sharding)(key(), (16, 24)), expected)


def test_replicas_are_made_once_and_handed_over_without_a_copy():
    for spec, count in ((P(), 1), (P("x"), 4), (P("x", "y"), 8)):
        new = NewArray(SHAPE, np.dtype(np.float32), NamedSharding(mesh_of(4, 2), spec))
        blocks = [parameter.out for parameter in new.parameters("w", schemes.zeros())]
        assert len(blocks) == count
        for block in blocks:
            block[...] = 1
        there = {shard.data.unsafe_buffer_pointer() for shard in new.array().addressable_shards}
        assert there == {block.ctypes.data for block in blocks}


def test_one_device_gets_its_memory_without_a_copy(monkeypatch):
    made = []
    monkeypatch.setattr(arrays, "aligned", lambda *given: made.append(aligned(*given)) or made[-1])
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float8_e4m3fn):
        for sharding in (None, SingleDeviceSharding(CPUS[3])):
            array = pj.normal(key(), (1000, 3), dtype, out_sharding=sharding)
            assert array.unsafe_buffer_pointer() == made.pop().ctypes.data
            assert array.committed == (sharding is not None)


def test_donated_replicas_do_not_write_to_the_memory_that_they_share():
    sharding = NamedSharding(mesh_of(8), P())
    array = pj.normal(key(), (1 << 16,), out_sharding=sharding)
    kept = np.array(array)
    added = jax.jit(lambda x: x + 1, donate_argnums=0)(array)
    assert same(added, kept + 1)
    assert not array.is_deleted() or added.is_fully_replicated


def test_bad_shardings():
    with pytest.raises(ValueError, match=r"divisible|divide"):
        pj.normal(key(), (7, 3), out_sharding=NamedSharding(mesh_of(4, 2), P("x")))
