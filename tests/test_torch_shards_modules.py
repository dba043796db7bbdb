"""Sharded modules have the weights of unsharded ones, for every way to shard, build and fill."""

import gloo
import pytest

from pyinit import Stream

torch = pytest.importorskip("torch")

import torch.distributed as dist  # noqa: E402
from torch import nn  # noqa: E402
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard  # noqa: E402
from torch.distributed.tensor import DTensor, Shard  # noqa: E402
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module  # noqa: E402
from torch_sharded import TRAINS, equal, shard_of  # noqa: E402

from pyinit.adapters import torch as pt  # noqa: E402


@pytest.fixture(scope="module")
def processes():
    with gloo.pool(8) as pool:
        yield pool


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
    """Return a width that is cut unevenly, except by fully_shard after tensor parallelism, where PyTorch is wrong."""
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
    """Compare whole tensors and this process's shards; return the number of DTensors."""
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
    torch.manual_seed(dist.get_rank())  # a different earlier state in each process
    with pt.fast_init(seed=1):
        expected = Net(hidden_of(kind))
    model = sharded(Net(hidden_of(kind)), kind)
    for plan in (PLAN, None):
        if plan is None:
            # Only the constructor sets turn's weight and the scaled ones; they return to the modules' own values.
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
        for name, cuts in (("tp", 2), ("dp", mesh.size(0))):  # as fully_shard does
            held = shard_of(held, mesh[name], [Shard(0)])
            assert mesh[name].size() == cuts
        assert equal(getattr(model[0], parameter).to_local(), held)
    return None


@pytest.mark.skipif(not TRAINS, reason="older versions of fully_shard refuse it themselves")
@pytest.mark.parametrize("rows", [7, 13, 19])
def test_placements_that_torch_has_wrong_are_an_error(processes, rows):
    """For uneven shards, fully_shard after tensor parallelism leaves other shards than its placements say."""
    said = [error for error in processes.run(6, uneven_one, rows) if error]
    assert said
    assert all("0.weight" in error and "cut the same dimension unevenly: pad it" in error for error in said)


def built_and_sharded(mesh, how, draw=None):
    """Do what is forbidden in a block."""
    model = nn.Sequential(nn.Linear(4, 6, device="meta" if draw else None))
    if how == "fully_shard":
        fully_shard(model, mesh=mesh)
    else:
        parallelize_module(model, mesh, {"0": ColwiseParallel()})
    if draw is not None:
        draw(model[0].weight)
    return model


def sharded_inside_one():
    """Drawing into shards inside a block would give all processes the same numbers, and is refused."""
    mesh = init_device_mesh("cpu", (2,))
    sharded = fully_shard(nn.Linear(4, 6), mesh=mesh)
    for block in (lambda: pt.fast_init(0), pt.deferred):
        value = sharded.weight.to_local().clone()
        with (
            pytest.raises(RuntimeError, match=r"^0\.weight, 0\.bias: sharded inside the block; shard a model"),
            block(),
        ):
            _model = built_and_sharded(mesh, "fully_shard")
        words = r"DTensor cannot be 'weight' of Linear: shard|communicates values that are not made yet: shard a model"
        with pytest.raises(RuntimeError, match=words), block():
            _model = built_and_sharded(mesh, "tensor parallel")
        for draw in (nn.init.normal_, nn.init.trunc_normal_, pt.init.normal_, pt.init.zeros_):
            with pytest.raises(RuntimeError, match=r"draws into a DTensor at test_torch_shards"), block():
                draw(sharded.weight)
            with pytest.raises(RuntimeError, match=r"draws into a DTensor at test_torch_shards"), block():
                _model = built_and_sharded(mesh, "fully_shard", draw)
        assert equal(sharded.weight.to_local(), value)
        with block():  # this is not recorded
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
    """OLMo-core#319: HSDP replicas with their own seeds began with different weights, and trained with them."""
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
    """pytorch#168058 and #140301: PyTorch's change with the number of processes, and with the sharded dimension."""
    layer = nn.Linear(700, 500)
    pt.initialize_module(layer, 2, {"weight": "xavier_normal", "bias": "normal"})
    expected = [t.detach().numpy().tobytes() for t in (pt.randn(301, 211, seed=4), layer.weight, layer.bias)]
    for world, dim, threads in ((1, 0, 1), (1, 0, 5), (2, 1, 2), (4, 0, 1), (4, 1, 1), (6, 1, 2)):
        assert processes.run(world, whole_one, dim, threads) == [expected] * world
