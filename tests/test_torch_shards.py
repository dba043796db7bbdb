"""Tensors and models that are sharded over real processes: each holds exactly its part of the unsharded bits."""

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
from torch.distributed.fsdp import CPUOffloadPolicy, FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard  # noqa: E402
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard  # noqa: E402
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module  # noqa: E402
from torch.distributed.tensor.placement_types import _StridedShard  # noqa: E402

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
TRAINS = hasattr(torch.cpu.Stream, "record_event")  # without a GPU; older versions of fully_shard do not
STRIDED = hasattr(_StridedShard, "_make_shard_tensor")  # older versions have no uneven ones
DTYPES = (torch.float32, torch.bfloat16, torch.float64)


@pytest.fixture(scope="module")
def processes():
    with gloo.pool(8) as pool:
        yield pool


def equal(a, b):
    """Whether two tensors have the same shape, dtype and bits."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.detach(), b.detach())


def shard_of(whole, mesh, placements):
    """What torch itself gives this process of a tensor that all have, without a word between them."""
    for dim, placement in enumerate(placements):
        if placement.is_replicate():
            continue
        parts, _ = placement._split_tensor(whole, mesh.size(dim), with_padding=False)
        whole = parts[mesh.get_coordinate()[dim]]
    return whole


# Placements on a tensor.


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
    assert tensor._version > version or not expected.numel()  # as autograd has to know
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
    with pytest.raises(ValueError, match=r"has shape \(3, 4\), and its placements .* say \(2, 4\)"):
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


# Models.


class Net(nn.Module):
    """Layers of even and uneven sizes, a tie, a padding row, buffers, and a norm whose weight is scaled."""

    def __init__(self, hidden, width=12, words=24):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=1)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.embed.weight
        self.turn = nn.Linear(width, width)
        nn.init.orthogonal_(self.turn.weight)
        with torch.no_grad():
            self.norm.weight.mul_(0.5)
            self.down.weight.mul_(0.25)
        self.register_buffer("scale", torch.full((width,), 0.5))

    def forward(self, words):
        x = self.norm(self.embed(words)) * self.scale
        x = x + self.down(torch.relu(self.up(x)))
        return self.head(x + self.turn(x))


PLAN = {"*.bias": "zeros", "norm.weight": "ones", "turn*": "orthogonal", "*": "xavier_uniform"}


def hidden_of(kind):
    """A width that is cut unevenly, but by both of fully_shard and tensor parallelism, which PyTorch has wrong."""
    return 24 if "tp" in kind else 18


def meshes_of(kind):
    world = dist.get_world_size()
    if kind in ("fsdp", "offload", "dim 1", "tp"):
        return init_device_mesh("cpu", (world,), mesh_dim_names=("tp" if kind == "tp" else "dp",))
    if kind == "hsdp":
        return init_device_mesh("cpu", (2, world // 2), mesh_dim_names=("replicate", "dp"))
    if kind == "hsdp+tp":
        return init_device_mesh("cpu", (2, 2, 2), mesh_dim_names=("replicate", "dp", "tp"))
    return init_device_mesh("cpu", (world // 2, 2), mesh_dim_names=("dp", "tp"))


def sharded(model, kind):
    """Shard a model as a training program does."""
    mesh = meshes_of(kind)
    if "tp" in kind:
        plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
        parallelize_module(model, mesh["tp"] if mesh.ndim > 1 else mesh, plan)
    if kind == "tp":
        return model
    options = {"mesh": mesh}
    if "tp" in kind:
        options["mesh"] = mesh["replicate", "dp"] if "hsdp" in kind else mesh["dp"]
    if kind == "offload":
        options["offload_policy"] = CPUOffloadPolicy(pin_memory=False)
    if kind == "dim 1":
        even = dist.get_world_size()
        options["shard_placement_fn"] = lambda p: Shard(1) if p.ndim == 2 and p.shape[1] % even == 0 else Shard(0)
    fully_shard(model.turn, **options)
    fully_shard(model, **options)
    return model


def gathered(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def compare(model, expected):
    """Compare whole tensors, and what this process holds; say how many DTensors there are."""
    theirs = dict(expected.named_parameters())
    found = dict(model.named_parameters())
    assert found.keys() == theirs.keys()
    for name, parameter in found.items():
        assert equal(gathered(parameter), theirs[name]), name
        assert parameter.requires_grad
    for name, buffer in model.named_buffers():
        assert equal(buffer, dict(expected.named_buffers())[name])
    assert model.head.weight is model.embed.weight
    return sum(isinstance(p, DTensor) for p in found.values())


def step(model, seed=0):
    """A step of training; every process has the same batch."""
    words = torch.randint(0, 24, (4, 7), generator=torch.Generator().manual_seed(seed))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(model(words).flatten(0, 1), words.flatten())
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def materialize_one(kind):
    with pt.fast_init(seed=5):
        expected = Net(hidden_of(kind))
    with pt.deferred() as recipes:
        model = Net(hidden_of(kind))
    sharded(model, kind)
    pt.materialize(model, recipes, seed=5)
    assert compare(model, expected) > 0
    assert pt.verify(model, recipes, seed=5).equal
    if not TRAINS and kind != "tp":
        return
    losses = step(expected), step(model)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for (name, a), b in zip(model.named_parameters(), expected.parameters()):
        torch.testing.assert_close(gathered(a), b, msg=name, rtol=1e-5, atol=1e-6)
    rows = {row.name: row for row in pt.verify(model, recipes, seed=5)}
    assert all(
        row.verdict == "differs" or 0 in model.get_parameter(name).to_local().shape for name, row in rows.items()
    )


def initialize_one(kind):
    torch.manual_seed(dist.get_rank())  # whatever was there before
    with pt.fast_init(seed=1):
        expected = Net(hidden_of(kind))
    model = sharded(Net(hidden_of(kind)), kind)
    for plan in (PLAN, None):
        if plan is None:
            # turn's weight and the scaled ones are only set by the constructor, and come back as the modules make them.
            pt.initialize_module(expected, 9)
            pt.initialize_module(model, 9)
        else:
            pt.initialize_module(expected, 9, plan)
            table = pt.initialize_module(model, 9, plan)
            assert (table[0].name, table[0].shape) == ("embed.weight", (24, 12))
            assert pt.verify(model, plan, 9).equal
        compare(model, expected)


WORLDS = [
    *(("fsdp", n) for n in (1, 2, 3, 4, 6)),
    ("offload", 3),
    ("dim 1", 2),
    ("dim 1", 3),
    ("tp", 2),
    ("tp", 3),
    ("hsdp", 4),
    ("hsdp", 6),
    ("fsdp+tp", 4),
    ("fsdp+tp", 6),
    ("hsdp+tp", 8),
]


@pytest.mark.parametrize(("kind", "world"), WORLDS)
def test_a_sharded_model_has_the_weights_of_the_whole(processes, kind, world):
    processes.run(world, materialize_one, kind)


@pytest.mark.parametrize(("kind", "world"), WORLDS)
def test_a_sharded_model_is_initialized_in_place(processes, kind, world):
    processes.run(world, initialize_one, kind)


def uneven_one(rows):
    mesh = meshes_of("fsdp+tp")
    with pt.deferred() as recipes:
        model = nn.Sequential(nn.Linear(4, rows), nn.Linear(4, 4))
    parallelize_module(model, mesh["tp"], {"0": ColwiseParallel()})
    fully_shard(model, mesh=mesh["dp"])
    try:
        pt.materialize(model, recipes, seed=0)
    except ValueError as error:
        assert all(parameter.device.type == "meta" for parameter in model.parameters())
        return str(error)
    with pt.fast_init(seed=0):
        whole = nn.Sequential(nn.Linear(4, rows), nn.Linear(4, 4))
    for parameter in ("weight", "bias"):
        held = getattr(whole[0], parameter).detach()
        for name, cuts in (("tp", 2), ("dp", mesh.size(0))):  # what fully_shard does
            held = shard_of(held, mesh[name], [Shard(0)])
            assert mesh[name].size() == cuts
        assert equal(getattr(model[0], parameter).to_local(), held)
    return None


@pytest.mark.skipif(not TRAINS, reason="older versions of fully_shard refuse it themselves")
@pytest.mark.parametrize("rows", [7, 13, 19])
def test_placements_that_torch_has_wrong_are_an_error(processes, rows):
    """If it is uneven, fully_shard after tensor parallelism leaves other shards than its placements say."""
    said = [error for error in processes.run(6, uneven_one, rows) if error]
    assert said
    assert all("0.weight" in error and "cut the same dimension unevenly: pad it" in error for error in said)


class Kinds(nn.Module):
    """Parameters of other kinds of numbers, and an empty one."""

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
        assert is_divisible(recipes[name].view)  # so no process makes more than its part
        shard = model.get_parameter(name).to_local()
        part = shard_of(whole.detach(), mesh, [Shard(0)])
        assert shard.dtype == part.dtype
        assert torch.equal(shard.detach().to(torch.complex128), part.to(torch.complex128)), name


def test_shards_of_other_kinds_of_numbers(processes):
    processes.run(3, kinds_one)


class Written(nn.Module):
    """Parameters that are written in parts, in steps, by operations and from others."""

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


def built_and_sharded(mesh, how, draw=None):
    """What a block must not do."""
    model = nn.Sequential(nn.Linear(4, 6, device="meta" if draw else None))
    if how == "fully_shard":
        fully_shard(model, mesh=mesh)
    else:
        parallelize_module(model, mesh, {"0": ColwiseParallel()})
    if draw is not None:
        draw(model[0].weight)
    return model


def sharded_inside_one():
    """What would be drawn into shards inside a block, the same in all processes, is refused."""
    mesh = init_device_mesh("cpu", (2,))
    sharded = fully_shard(nn.Linear(4, 6), mesh=mesh)
    for block in (lambda: pt.fast_init(0), pt.deferred):
        value = sharded.weight.to_local().clone()
        with (
            pytest.raises(RuntimeError, match=r"^0\.weight, 0\.bias: sharded inside the block; shard a model"),
            block(),
        ):
            _model = built_and_sharded(mesh, "fully_shard")
        words = r"DTensor cannot be 'weight' of Linear: shard|communicates what is not made yet: shard a model after"
        with pytest.raises(RuntimeError, match=words), block():
            _model = built_and_sharded(mesh, "tensor parallel")
        for draw in (nn.init.normal_, nn.init.trunc_normal_, pt.init.normal_, pt.init.zeros_):
            with pytest.raises(RuntimeError, match=r"draws into a DTensor at test_torch_shards"), block():
                draw(sharded.weight)
            with pytest.raises(RuntimeError, match=r"draws into a DTensor at test_torch_shards"), block():
                _model = built_and_sharded(mesh, "fully_shard", draw)
        assert equal(sharded.weight.to_local(), value)
        with block():  # what is not recorded
            pt.init.normal_(sharded.weight, stream=Stream(1))
            sharded.bias.data.zero_()
            other = nn.Module()
            other.inner = sharded
        assert equal(sharded.weight.full_tensor(), pt.init.normal_(torch.empty(6, 4), stream=Stream(1)))
        assert not sharded.bias.to_local().any()
        assert other.inner.weight is sharded.weight
    with pytest.raises(RuntimeError, match="draws into a DTensor"), pt.deferred():
        pt.init.normal_(fully_shard(nn.Linear(4, 6, device="meta"), mesh=mesh).weight, stream=Stream(1))


def test_sharding_inside_a_block_is_refused(processes):
    processes.run(2, sharded_inside_one)


def gathered_one():
    """fully_shard keeps the gathered parameters of the root after a forward pass."""
    mesh = init_device_mesh("cpu", (2,))
    precision = MixedPrecisionPolicy(param_dtype=torch.bfloat16)
    model = fully_shard(nn.Linear(4, 6), mesh=mesh, mp_policy=precision)
    expected = nn.Linear(4, 6)
    plan = {"*": "normal"}
    pt.initialize_module(expected, 3, plan)
    for check_first in (False, True):
        with torch.no_grad():
            model(torch.ones(2, 4))
        assert not isinstance(model.weight, DTensor)
        if check_first:
            assert pt.verify(model, plan, 3).equal
        else:
            pt.initialize_module(model, 3, plan)
        assert equal(model.weight.full_tensor(), expected.weight)


@pytest.mark.skipif(not TRAINS, reason="older versions of fully_shard do not run without a GPU")
def test_a_model_that_has_been_gathered_is_filled_as_shards(processes):
    processes.run(2, gathered_one)


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
    """A shard that is offloaded lies on another device than its mesh, here one without memory."""
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
    """One process of many, which are not there: nothing is communicated."""
    fake = pytest.importorskip("torch.testing._internal.distributed.fake_pg")
    dist.init_process_group("fake", store=fake.FakeStore(), rank=rank, world_size=world)
    try:
        yield
    finally:
        dist.destroy_process_group()


def test_a_shard_of_the_expected_size_may_be_another_part():
    """Of 27 rows over 3 x 4 processes one has as many as its placement says, and other ones."""
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


# What others' users have met.


def offloaded_one():
    """torchtitan#3106: with CPU offload all local shards, and all layers, had the same numbers."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    model = nn.Sequential(*(nn.Linear(8, 12) for _ in range(3)))
    fully_shard(model, mesh=mesh, offload_policy=CPUOffloadPolicy(pin_memory=False))
    stream = Stream(0)
    for layer in model:
        pt.init.trunc_normal_(layer.weight, std=0.02, stream=stream)
    return [layer.weight.to_local().detach().clone() for layer in model]


def test_offloaded_shards_and_layers_differ(processes):
    shards = processes.run(4, offloaded_one)
    stream = Stream(0)
    wholes = [pt.init.trunc_normal_(torch.empty(12, 8), std=0.02, stream=stream) for _ in range(3)]
    for i, whole in enumerate(wholes):
        assert equal(torch.cat([of_rank[i] for of_rank in shards]), whole)
    values = torch.cat([shard.flatten() for of_rank in shards for shard in of_rank])
    assert len(values.unique()) > 0.99 * len(values)


def replicas_one():
    """OLMo-core#319: replicas of HSDP that were seeded each for itself began with different weights, and trained so."""
    torch.manual_seed(dist.get_rank())
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard"))
    model = fully_shard(nn.Linear(6, 10), mesh=mesh)
    pt.initialize_module(model, 3, {"*": "normal"})
    with pytest.raises(TypeError, match="a DTensor needs stream="):
        pt.init.normal_(model.weight)
    return model.weight.to_local().detach().clone()


def test_replicas_are_equal_whatever_torch_was_seeded_with(processes):
    first, second, third, fourth = processes.run(4, replicas_one)
    assert equal(first, third)
    assert equal(second, fourth)
    assert not equal(first, second)


def whole_one(dim, threads):
    torch.set_num_threads(threads)
    try:
        mesh = init_device_mesh("cpu", (dist.get_world_size(),))
        drawn = pt.randn(301, 211, seed=4, device_mesh=mesh, placements=[Shard(dim)])
        layer = nn.Linear(700, 500)
        fully_shard(layer, mesh=mesh)
        plan = {"weight": "xavier_normal", "bias": "normal"}
        pt.initialize_module(layer, 2, plan, num_threads=threads)
        return [tensor.full_tensor().detach().numpy().tobytes() for tensor in (drawn, layer.weight, layer.bias)]
    finally:
        torch.set_num_threads(1)


def test_weights_depend_neither_on_the_number_of_processes_nor_on_that_of_threads(processes):
    """pytorch#168058 and #140301: they change with the number of processes, and with the dimension that is cut."""
    layer = nn.Linear(700, 500)
    pt.initialize_module(layer, 2, {"weight": "xavier_normal", "bias": "normal"})
    expected = [t.detach().numpy().tobytes() for t in (pt.randn(301, 211, seed=4), layer.weight, layer.bias)]
    for world, dim, threads in ((1, 0, 1), (1, 0, 5), (2, 1, 2), (4, 0, 1), (4, 1, 1), (6, 1, 2)):
        assert processes.run(world, whole_one, dim, threads) == [expected] * world


# Parts of a model, under the names of the whole.


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down, self.norm = nn.Linear(6, 12), nn.Linear(12, 6), nn.LayerNorm(6)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6, padding_idx=0)
        self.layers = nn.ModuleList(Block() for _ in range(4))
        self.head = nn.Linear(6, 11)


def layers_two_to_three(name):
    """The names in the whole model of a stage that has the last two layers and the head."""
    first, _, rest = name.partition(".")
    return name if first == "head" else f"layers.{int(first) + 2}.{rest}"


def stage():
    made = nn.ModuleDict({"0": Block(), "1": Block(), "head": nn.Linear(6, 11)})
    return made


def same(part, whole, rename):
    theirs = dict(whole.named_parameters())
    for name, parameter in part.named_parameters():
        assert equal(parameter, theirs[rename(name)]), name


def test_a_pipeline_stage_has_the_weights_of_the_whole_model():
    with pt.fast_init(seed=8) as report:
        whole = Deep()
    with pt.fast_init(seed=8, prefix="layers.2.") as own:
        block = Block()
    same(block, whole, "layers.2.".__add__)
    assert own.recipes["layers.2.up.weight"] == report.recipes["layers.2.up.weight"]
    assert pt.verify(block, own).equal
    assert pt.verify(block, report.recipes, 8, prefix="layers.2.").equal
    assert not pt.verify(block, report.recipes, 8, prefix="layers.1.").equal

    with pt.fast_init(seed=8, prefix="layers.2.") as own:
        block, other = Block(), nn.Linear(2, 2)
    assert pt.verify(block, own).equal
    assert pt.verify(other, own).equal  # whose names begin with its class

    with pt.fast_init(seed=8, prefix=layers_two_to_three):
        built = stage()
    same(built, whole, layers_two_to_three)
    with pt.deferred(prefix=layers_two_to_three) as recipes:
        later = stage()
    assert set(recipes) <= set(report.recipes)
    same(pt.materialize(later, recipes, 8, prefix=layers_two_to_three), whole, layers_two_to_three)
    with pt.deferred():
        later = stage()
    same(pt.materialize(later, report.recipes, 8, prefix=layers_two_to_three), whole, layers_two_to_three)

    plan = {"embed*": "zeros", "*bias": "zeros", "*norm*": "ones", "*": "kaiming_normal"}
    pt.initialize_module(whole, 4, plan)
    pt.initialize_module(built, 4, plan, prefix=layers_two_to_three)
    same(built, whole, layers_two_to_three)
    assert pt.verify(built, plan, 4, prefix=layers_two_to_three).equal
    pt.initialize_module(whole, 4)
    pt.initialize_module(built, 4, prefix=layers_two_to_three)
    same(built, whole, layers_two_to_three)


class Experts(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.router = nn.Linear(6, 8)
        self.experts = nn.ModuleList(Block() for _ in range(count))


@pytest.mark.parametrize("rank", range(4))
def test_an_expert_parallel_rank_builds_its_own_experts(rank):
    def rename(name):
        first, _, rest = name.partition(".")
        number, _, inner = rest.partition(".")
        return f"experts.{int(number) + 2 * rank}.{inner}" if first == "experts" else name

    with pt.fast_init(seed=8):
        whole = Experts(8)
    with pt.fast_init(seed=8, prefix=rename):
        part = Experts(2)
    same(part, whole, rename)


def test_wrong_prefixes():
    block, plan = Block(), {"*": "normal"}
    before = [parameter.clone() for parameter in block.parameters()]
    for prefix, words in (
        (lambda name: "w", "the same name, 'w'"),
        (lambda name: None, "must be a str"),
        (3, "must be a"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            pt.initialize_module(block, 0, plan, prefix=prefix)
    with pytest.raises(ValueError, match=r"no pattern matches 'layers\.0\.norm\.weight'"):
        pt.initialize_module(block, 0, {"*up*": "ones", "*down*": "ones"}, prefix="layers.0.")
    assert all(map(equal, before, block.parameters()))
