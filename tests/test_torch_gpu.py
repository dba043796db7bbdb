"""The PyTorch adapter on CUDA: every tensor equals the one on the CPU. `make gpu` runs these tests."""

import warnings

import numpy as np
import pytest

import pyinit
from pyinit.kernels import filling

pytestmark = pytest.mark.gpu

torch = pytest.importorskip("torch")

import torch.distributed as dist  # noqa: E402
from torch import nn  # noqa: E402

from pyinit.adapters import torch as pt  # noqa: E402


@pytest.fixture(autouse=True)
def device(cupy):
    if not torch.cuda.is_available():
        pytest.skip("PyTorch has no CUDA here")
    return torch.device("cuda")


class Net(nn.Module):
    """A model with several kinds of layers, a padding row, slices, computed values and a narrow tensor."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(1000, 64, padding_idx=3)
        self.norm = nn.BatchNorm1d(64)
        self.conv = nn.Conv2d(8, 16, 3).to(memory_format=torch.channels_last)
        self.qkv = nn.Parameter(torch.empty(96, 32))
        for part in self.qkv.detach().chunk(3):
            nn.init.xavier_uniform_(part)
        self.scaled = nn.Parameter(torch.randn(100, 50) * 0.3 + 0.1)
        self.square = nn.Linear(40, 40)
        nn.init.orthogonal_(self.square.weight)
        nn.init.trunc_normal_(self.square.bias, std=0.02)
        self.narrow = nn.Linear(64, 64, dtype=torch.bfloat16)
        self.double = nn.Linear(64, 64, dtype=torch.float64)
        self.head = nn.Linear(64, 1000, bias=False)
        self.head.weight = self.embed.weight


def same(model, other, but=("square.weight",)):
    for (name, a), (_, b) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        a, b = a.detach().cpu(), b.detach().cpu()
        if name in but:  # results of a matrix decomposition, whose last digits differ between devices
            assert torch.allclose(a, b, atol=1e-5), name
        else:
            assert torch.equal(a, b), name


@pytest.fixture(scope="module")
def on_host():
    with pt.fast_init(4) as report:
        model = Net()
    return model, report.recipes


def test_fast_init(device, on_host):
    with pt.fast_init(4) as report, device:
        model = Net()
    assert {p.device.type for p in model.parameters()} == {"cuda"}
    same(model, on_host[0])
    assert report.recipes.keys() == on_host[1].keys()
    assert pt.verify(model, report.recipes, 4).equal
    assert [row.name for row in pt.verify(model, on_host[1], 4) if row.verdict != "equal"] in ([], ["square.weight"])


def test_materialize(device, on_host):
    with pt.deferred() as recipes:
        model = Net()
    pt.materialize(model, recipes, 4, device=device)
    assert {t.device.type for t in [*model.parameters(), *model.buffers()]} == {"cuda"}
    assert model.head.weight is model.embed.weight
    same(model, on_host[0])


def test_initialize_module_and_verify(device):
    plan = {"*.bias": "zeros", "norm.weight": "ones", "conv.*": "kaiming_uniform", "*": "normal(std=0.02)"}
    model, host = Net().to(device), Net()
    for each in (model, host):
        pt.initialize_module(each, 9, plan)
    same(model, host, ())
    assert pt.verify(model, plan, 9).equal
    with torch.no_grad():
        model.scaled[7, 3] += 1
    found = {row.name: row for row in pt.verify(model, plan, 9)}
    assert found["scaled"].first == (7, 3)
    with torch.no_grad():
        model.scaled.copy_(host.scaled)
    pt.initialize_module(model.narrow, 9)
    pt.initialize_module(host.narrow, 9)
    same(model, host, ())


def test_a_model_takes_one_launch_for_each_sampler_and_dtype(device, monkeypatch):
    launches = []
    original = filling.fill_batch
    monkeypatch.setattr("pyinit.models.filling.fill_batch", lambda *a: launches.append(len(a[1])) or original(*a))
    with pt.fast_init(4), device:
        model = nn.ModuleList(nn.Linear(100, 100) for _ in range(50))
    assert launches == [100]
    assert all(parameter.any() for parameter in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_noise(device, dtype):
    for make in (pt.randn, pt.rand):
        there = make(3, 1001, seed=7, dtype=dtype, device=device)
        assert there.device.type == "cuda"
        assert torch.equal(there.cpu(), make(3, 1001, seed=7, dtype=dtype))
    assert torch.equal(pt.randn_like(there, seed=1).cpu(), pt.randn(3, 1001, seed=1, dtype=dtype))


def test_functions_of_torch_nn_init(device):
    for name, arguments in {
        "uniform_": (-0.1, 0.1),
        "normal_": (0.0, 0.02),
        "trunc_normal_": (0.0, 0.02, -0.03, 0.03),
        "xavier_normal_": (),
        "kaiming_uniform_": (),
        "sparse_": (0.3,),
        "eye_": (),
        "ones_": (),
    }.items():
        random = {"stream": pyinit.Stream(3)} if name not in ("eye_", "ones_") else {}
        there = getattr(pt.init, name)(torch.empty(70, 90, device=device).T, *arguments, **random)
        random = {"stream": pyinit.Stream(3)} if random else {}
        assert torch.equal(there.cpu(), getattr(pt.init, name)(torch.empty(90, 70), *arguments, **random)), name


def test_what_is_read_is_made_early(device):
    with pt.fast_init(4) as report:
        noise = torch.randn(100, device=device)
        first = noise[0].item()
    assert noise[0].item() == first
    assert [early.key for early in report.early] == ["#0"]
    assert np.array_equal(noise.cpu().numpy(), pyinit.Stream(4).child("#0").normal(100))


def test_transformers(device):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, vocab_size=300
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pt.fast_init(4) as report:
            host = transformers.LlamaForCausalLM(config)
        with pt.deferred() as recipes:
            model = transformers.LlamaForCausalLM(config)
    pt.materialize(model, recipes, 4, device=device)
    same(model, host, ())
    assert pt.verify(model, report.recipes, 4).equal
    assert torch.isfinite(model(torch.arange(6, device=device).view(1, 6)).logits).all()


@pytest.fixture
def group(tmp_path):
    """A process group with only this process."""
    if not (dist.is_available() and dist.is_nccl_available()):
        pytest.skip("PyTorch has no NCCL here")
    dist.init_process_group("nccl", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("offload", [False, True])
def test_a_mesh_of_one_gpu(device, group, offload):
    """With CPU offload the mesh is on CUDA, and the shards are on the host."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard

    with pt.fast_init(4):
        expected = nn.Sequential(nn.Linear(30, 50), nn.Linear(50, 20))
    with pt.deferred() as recipes:
        model = nn.Sequential(nn.Linear(30, 50), nn.Linear(50, 20))
    options = {"offload_policy": CPUOffloadPolicy()} if offload else {}
    fully_shard(model, mesh=init_device_mesh("cuda", (1,)), **options)
    pt.materialize(model, recipes, 4, device="cpu" if offload else device)
    shards = [parameter.to_local() for parameter in model.parameters()]
    assert {shard.device.type for shard in shards} == {"cpu" if offload else "cuda"}
    for shard, parameter in zip(shards, expected.parameters(), strict=True):
        assert torch.equal(shard.cpu(), parameter)
    assert pt.verify(model, recipes, 4).equal
    assert not pt.verify(model, recipes, 5).equal
    words = torch.randn(8, 30, device=device)
    assert torch.allclose(model(words).cpu(), expected(words.cpu()), atol=1e-4)
    pt.initialize_module(model, 6, {"*bias": "zeros", "*": "xavier_uniform"})
    pt.initialize_module(expected, 6, {"*bias": "zeros", "*": "xavier_uniform"})
    for parameter, other in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(parameter.to_local().cpu(), other)


def test_tensors_of_a_cuda_mesh(device, group):
    from torch.distributed import tensor as distributed
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh("cuda", (1,))
    for placement in (distributed.Replicate(), distributed.Shard(0), distributed.Shard(1)):
        made = pt.randn(31, 17, seed=3, device_mesh=mesh, placements=[placement])
        assert made.to_local().is_cuda
        assert torch.equal(made.to_local().cpu(), pt.randn(31, 17, seed=3))
        pt.init.kaiming_normal_(made, stream=pyinit.Stream(2))
        expected = pt.init.kaiming_normal_(torch.empty(31, 17), stream=pyinit.Stream(2))
        assert torch.equal(made.to_local().cpu(), expected)
