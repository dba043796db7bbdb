"""Tensors and models sharded over real processes: each holds exactly its part of the unsharded bits."""

import math
from contextlib import contextmanager

import gloo
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pyinit import Stream

torch = pytest.importorskip("torch")

import torch.distributed as dist  # noqa: E402
from torch import nn  # noqa: E402
from torch.distributed import tensor as distributed  # noqa: E402
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard  # noqa: E402
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard  # noqa: E402
from torch.distributed.tensor.placement_types import _StridedShard  # noqa: E402
from torch_sharded import TRAINS, equal, shard_of  # noqa: E402

from pyinit.adapters import torch as pt  # noqa: E402
from pyinit.adapters.torch.sharding import sizes, with_local  # noqa: E402
from pyinit.adapters.torch.windows import is_divisible  # noqa: E402
from pyinit.models.sharding import pieces_of  # noqa: E402

MESHES = [(1,), (2,), (3,), (4,), (6,), (2, 2), (3, 2), (2, 2, 2)]
SCHEMES = {
    "normal_": {"std": 0.3},
    "uniform_": {"a": -0.3, "b": 0.7},
    "kaiming_uniform_": {"a": 0.3, "mode": "fan_out"},
    "xavier_normal_": {},
    "orthogonal_": {"gain": 1.3},
    "sparse_": {"sparsity": 0.3},
    "eye_": {},
    "constant_": {"val": 0.1},
}
STRIDED = hasattr(_StridedShard, "_make_shard_tensor")  # older versions have no uneven shards
DTYPES = (torch.float32, torch.bfloat16, torch.float64)


@pytest.fixture(scope="module")
def processes():
    with gloo.pool(8) as pool:
        yield pool


@st.composite
def tensors(draw, mesh):
    shape = tuple(draw(st.lists(st.integers(1, 19), min_size=1, max_size=3)))
    dims = st.integers(0, len(shape) - 1)
    kinds = [st.just(("Replicate",)), dims.map(lambda d: ("Shard", d))]
    if STRIDED and len(mesh) > 1:
        kinds.append(st.tuples(st.just("_StridedShard"), dims, st.integers(2, 3)))
    placements = [draw(st.one_of(kinds)) for _ in mesh]
    name = draw(st.sampled_from(sorted(SCHEMES) if len(shape) == 2 else ["normal_", "uniform_", "constant_"]))
    return shape, placements, name, draw(st.sampled_from(DTYPES))


def placements_of(named):
    kinds = {
        "Replicate": Replicate,
        "Shard": Shard,
        "_StridedShard": lambda dim, n: _StridedShard(dim, split_factor=n),
    }
    return [kinds[kind](*arguments) for kind, *arguments in named]


def fill_all(mesh_shape, tensors):
    mesh = init_device_mesh("cpu", mesh_shape)
    for tensor in tensors:
        fill_one(mesh, *tensor)


def fill_one(mesh, shape, named, name, dtype):
    """Fill a DTensor, and compare its shard with torch's own shard of the whole."""
    placements = placements_of(named)
    one, other = Stream(7), Stream(7)
    one.normal(3)
    other.normal(3)
    whole = getattr(pt.init, name)(torch.empty(shape, dtype=dtype), stream=one, **SCHEMES[name])
    expected = shard_of(whole, mesh, placements)
    tensor = distributed.zeros(shape, dtype=dtype, device_mesh=mesh, placements=placements)
    version = tensor._version
    assert getattr(pt.init, name)(tensor, stream=other, **SCHEMES[name]) is tensor
    assert tensor._version > version or not expected.numel()  # autograd needs the new version
    assert equal(tensor.to_local(), expected)
    assert one.state == other.state


@pytest.mark.parametrize("mesh", MESHES, ids=str)
def test_a_shard_has_its_part_of_the_whole(processes, mesh):
    @settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    @given(st.lists(tensors(mesh), min_size=1, max_size=6))
    def check(drawn):
        processes.run(math.prod(mesh), fill_all, mesh, drawn)

    check()


def randn_one(mesh_shape, shape, named):
    mesh, placements = init_device_mesh("cpu", mesh_shape), placements_of(named)
    for draw in (pt.randn, pt.rand):
        for dtype in (torch.float32, torch.bfloat16, torch.complex64):
            expected = shard_of(draw(shape, seed=3, dtype=dtype), mesh, placements)
            tensor = draw(shape, seed=3, dtype=dtype, device_mesh=mesh, placements=placements)
            assert equal(tensor.to_local(), expected)
    tensor = distributed.zeros(shape, device_mesh=mesh, placements=placements)
    assert equal(pt.randn_like(tensor, seed=3).full_tensor(), pt.randn(shape, seed=3))
    assert equal(pt.rand_like(tensor, seed=3).full_tensor(), pt.rand(shape, seed=3))
    assert pt.randn_like(tensor, seed=3).placements == tuple(placements)
    assert pt.randn(shape, seed=3, device_mesh=mesh).placements == (Replicate(),) * mesh.ndim
    with pytest.raises(TypeError, match="mesh's device"):
        pt.randn(shape, seed=3, device_mesh=mesh, device="cpu")
    with pytest.raises(TypeError, match="placements need a device_mesh"):
        pt.randn(shape, seed=3, placements=placements)
    with pytest.raises(TypeError, match=r"cannot fill torch.int32"):
        pt.randn(shape, seed=3, device_mesh=mesh, dtype=torch.int32)
    with pytest.raises(ValueError, match="must be Shard or Replicate"):
        pt.randn(shape, seed=3, device_mesh=mesh, placements=[Partial()] * mesh.ndim)


@pytest.mark.parametrize(("mesh", "placements"), [((3,), [("Shard", 1)]), ((2, 2), [("Shard", 0), ("Replicate",)])])
def test_randn_of_a_mesh(processes, mesh, placements):
    processes.run(math.prod(mesh), randn_one, mesh, (7, 5), placements)


def refuse_one():
    mesh = init_device_mesh("cpu", (2,))
    partial = DTensor.from_local(torch.zeros(4, 4), mesh, [Partial()])
    stream = Stream(0)
    with pytest.raises(ValueError, match=r"Partial.*redistribute"):
        pt.init.normal_(partial, stream=stream)
    wrong = DTensor.from_local(torch.zeros(3, 4), mesh, [Shard(0)], shape=torch.Size((4, 4)), stride=(4, 1))
    with pytest.raises(ValueError, match=r"has shape \(3, 4\), but its placements .* say \(2, 4\)"):
        pt.init.normal_(wrong, stream=stream)
    assert not partial.to_local().any()
    assert not wrong.to_local().any()
    assert stream.position == 0


def test_what_has_no_values_of_its_own_or_another_shape_is_refused(processes):
    processes.run(2, refuse_one)


def outside_the_mesh():
    mesh = distributed.DeviceMesh("cpu", [0, 2])
    tensor = distributed.zeros(5, 4, device_mesh=mesh, placements=[Shard(0)])
    pt.init.normal_(tensor, stream=Stream(1))
    whole = Stream(1).normal((5, 4))
    if mesh.get_coordinate() is not None:
        first, last = ((0, 3), (3, 5))[mesh.get_local_rank()]
        assert np.array_equal(tensor.to_local().numpy(), whole[first:last])
    return tensor.to_local().numel()


def test_a_process_outside_the_mesh_has_nothing_to_fill(processes):
    assert processes.run(3, outside_the_mesh) == [12, 0, 8]


class Kinds(nn.Module):
    """Parameters of other dtypes, and an empty one."""

    def __init__(self):
        super().__init__()
        self.complex_64 = nn.Parameter(torch.randn(7, 5, dtype=torch.complex64))
        self.complex_128 = nn.Parameter(torch.rand(7, 5, dtype=torch.complex128) * 3)
        for dtype in (torch.float8_e4m3fn, torch.int32, torch.bool) if TRAINS else ():  # older versions cannot
            values = torch.randn(7, 5).mul_(9).to(dtype)
            setattr(self, f"of_{str(dtype)[6:]}", nn.Parameter(values, requires_grad=False))
        self.empty = nn.Parameter(torch.zeros(0, 5))


def kinds_one():
    with pt.fast_init(2):
        expected = Kinds()
    with pt.deferred() as recipes:
        model = Kinds()
    mesh = init_device_mesh("cpu", (3,))
    fully_shard(model, mesh=mesh)
    pt.materialize(model, recipes, 2)
    assert pt.verify(model, recipes, 2).equal
    for name, whole in expected.named_parameters():
        assert is_divisible(recipes[name].view)  # so every process makes only its part
        shard = model.get_parameter(name).to_local()
        part = shard_of(whole.detach(), mesh, [Shard(0)])
        assert shard.dtype == part.dtype
        assert torch.equal(shard.detach().to(torch.complex128), part.to(torch.complex128)), name


def test_shards_of_other_kinds_of_numbers(processes):
    processes.run(3, kinds_one)


class Written(nn.Module):
    """Parameters written in parts, in steps, by operations and from others."""

    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.steps = nn.Parameter(torch.empty(8, 9))
            nn.init.normal_(self.steps[::2])
            nn.init.uniform_(self.steps[1::2])
            self.columns = nn.Parameter(torch.randn(8, 9))
            self.columns[:, 1::3] *= 2
            self.columns[2:7, ::4].zero_()
            self.blocks = nn.Parameter(torch.empty(12, 6))
            for i in range(3):
                nn.init.xavier_uniform_(self.blocks[4 * i : 4 * i + 4])
            self.scaled = nn.Parameter(torch.randn(7, 5) * 0.02 + torch.randn(7, 5))
            self.copied = nn.Parameter(torch.empty(7, 5).copy_(self.scaled))
            self.first = nn.Parameter(torch.randn(8, 6))
            self.again = nn.Parameter(self.first.clone().view(-1))
            self.cleared = nn.Parameter(self.first.t().contiguous())
            self.cleared[2:4].zero_()
            self.rows = nn.Parameter(torch.randn(7, 5) + torch.arange(5.0))
            self.added = nn.Parameter(torch.randn(7, 5) + torch.randn(5))
            self.masked = nn.Parameter(torch.randn(7, 5) * (torch.arange(35).view(7, 5) % 3))
            self.split = nn.Parameter((torch.randn(4, 6).view(8, 3) + 1).view(2, 12))
            self.turned = nn.Parameter(torch.randn(5, 7).t())
            self.view = nn.Parameter(torch.randn(20, 5)[3:10])
            self.every = nn.Parameter(torch.randn(7, 10)[:, ::2])
            self.image = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
            self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(5, 7))


def written_one():
    with pt.fast_init(2):
        expected = Written()
    with pt.deferred() as recipes:
        model = Written()
    filled = Written()
    mesh = init_device_mesh("cpu", (3,))
    for number, (module, inner) in enumerate(zip(model.modules(), filled.modules())):
        for key, parameter in list(module._parameters.items()):
            dim = (len(key) + number) % parameter.dim()
            whole = dict(zip(model.modules(), expected.modules()))[module]._parameters[key].detach()
            part = shard_of(whole, mesh, [Shard(dim)])
            options = {"run_check": False, "shape": whole.shape, "stride": whole.stride()}
            for made, device in ((module, "meta"), (inner, "cpu")):
                local = torch.empty_like(part, device=device)
                made._parameters[key] = nn.Parameter(DTensor.from_local(local, mesh, [Shard(dim)], **options))
    pt.materialize(model, recipes, 2)
    pt.initialize_module(filled, 2, recipes)
    for (name, whole), one, other in zip(expected.named_parameters(), model.parameters(), filled.parameters()):
        part = shard_of(whole.detach(), mesh, one.placements)
        assert torch.equal(one.to_local(), part), name
        assert torch.equal(other.to_local(), part), name
    assert pt.verify(model, recipes, 2).equal


def test_shards_of_what_is_written_in_parts(processes):
    processes.run(3, written_one)


def flat_one():
    """The older FullyShardedDataParallel: parts of parameters look like whole ones of another shape."""
    options = {"device_id": torch.device("cpu"), "use_orig_params": True}
    model = FullyShardedDataParallel(nn.Sequential(FullyShardedDataParallel(nn.Linear(3, 5), **options)), **options)
    expected, plan = nn.Sequential(nn.Linear(3, 5)), {"*": "normal"}
    pt.initialize_module(expected, 3, plan)
    for use in (pt.initialize_module, lambda model, seed, plan: pt.verify(model, plan, seed)):
        with pytest.raises(ValueError, match=r"flat parts.*summon_full_params"):
            use(model, 3, plan)
    with FullyShardedDataParallel.summon_full_params(model):
        pt.initialize_module(model, 3, plan)
    with FullyShardedDataParallel.summon_full_params(model):
        assert pt.verify(model, plan, 3).equal
        assert all(map(equal, model.parameters(), expected.parameters()))


def test_flat_parts_of_parameters_are_refused(processes):
    processes.run(2, flat_one)


def elsewhere_one():
    """An offloaded shard is on another device than its mesh, here one without memory."""
    with pt.fast_init(0):
        expected = nn.Linear(4, 6)
    with pt.deferred() as recipes:
        model = nn.Linear(4, 6)
    mesh = distributed.DeviceMesh("meta", list(range(dist.get_world_size())), _init_backend=False)
    shard = DTensor.from_local(torch.empty(3, 4, device="meta"), mesh, [Shard(0)])
    model.weight = nn.Parameter(shard, requires_grad=False)
    pt.materialize(model, recipes, 0)
    rows = slice(3 * dist.get_rank(), 3 * dist.get_rank() + 3)
    assert equal(model.weight.to_local(), expected.weight[rows])
    assert not model.weight.requires_grad


def test_a_shard_on_another_device_than_its_mesh(processes):
    processes.run(2, elsewhere_one)


@contextmanager
def process(rank, world):
    """Act as one of many processes; the others do not exist, and nothing is communicated."""
    fake = pytest.importorskip("torch.testing._internal.distributed.fake_pg")
    dist.init_process_group("fake", store=fake.FakeStore(), rank=rank, world_size=world)
    try:
        yield
    finally:
        dist.destroy_process_group()


def test_a_shard_of_the_expected_size_may_be_another_part():
    """With 27 rows over 3 x 4 processes, one has the number of rows of its placement, but other rows."""
    shape = torch.Size((27, 2))
    said, done = (pieces_of((27,), cuts) for cuts in ([(0, 3, 2, 4), (0, 4, 2)], [(0, 4, 2), (0, 3, 2)]))
    assert sizes(said) == sizes(done)
    assert said != done
    with process(2 * 4 + 2, 12):
        mesh = init_device_mesh("cpu", (3, 4))
        placements = [_StridedShard(0, split_factor=4), Shard(0)]
        local = torch.zeros(*sizes(said), 2)
        tensor = DTensor.from_local(local, mesh, placements, run_check=False, shape=shape, stride=(2, 1))
        with pytest.raises(ValueError, match="leave open which part it is"):
            pt.init.normal_(tensor, stream=Stream(0))
        assert not local.any()


def ordered_one():
    """The dimensions of a mesh may cut a tensor in another order than their own."""
    from torch.distributed.tensor._dtensor_spec import DTensorSpec, ShardOrderEntry, TensorMeta

    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("a", "b"))
    whole = pt.randn(7, 3, seed=0)
    held = shard_of(shard_of(whole, mesh["b"], [Shard(0)]), mesh["a"], [Shard(0)])
    meta = TensorMeta(whole.shape, whole.stride(), whole.dtype)
    spec = DTensorSpec(mesh, (Shard(0), Shard(0)), meta, shard_order=(ShardOrderEntry(0, (1, 0)),))
    tensor = DTensor(torch.zeros_like(held), spec, requires_grad=False)
    pt.init.normal_(tensor, stream=Stream(0))
    assert equal(tensor.to_local(), held)
    assert with_local(tensor, torch.ones_like(held))._spec == spec


def test_the_order_in_which_a_mesh_cuts(processes):
    from torch.distributed.tensor import _dtensor_spec

    if not hasattr(_dtensor_spec, "ShardOrderEntry"):
        pytest.skip("older versions have one order alone")
    processes.run(4, ordered_one)
