"""Sharded models of transformers, trained for a step, and their checkpoints, verified without a process group."""

import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import gloo
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch.distributed as dist  # noqa: E402
import torch.distributed.checkpoint as dcp  # noqa: E402
import torch_zoo  # noqa: E402
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402
from torch.distributed.fsdp import fully_shard  # noqa: E402
from torch.distributed.tensor import DTensor  # noqa: E402
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module  # noqa: E402

from pyinit.adapters import torch as pt  # noqa: E402

BLOCK = {
    **{f"self_attn.{name}_proj": ColwiseParallel for name in "qkv"},
    "self_attn.o_proj": RowwiseParallel,
    "mlp.gate_proj": ColwiseParallel,
    "mlp.up_proj": ColwiseParallel,
    "mlp.down_proj": RowwiseParallel,
}
CASES = [
    ("llama", 2, False),
    ("llama, tied", 3, False),
    ("llama", 2, True),
    ("llama", 4, True),
    ("mixtral", 2, False),
    ("bert", 3, False),
]


@pytest.fixture(scope="module")
def processes():
    with gloo.pool(4) as pool:
        yield pool


def built(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch_zoo.transformers_models()[name]()


def sharded(model, tensor_parallel):
    """Shard a model by layers, as training programs do; first by heads, if it is tensor parallel."""
    world = dist.get_world_size()
    mesh = init_device_mesh("cpu", (world // 2, 2) if tensor_parallel else (world,))
    blocks = [block for block in model.modules() if type(block).__name__.endswith(("DecoderLayer", "BertLayer"))]
    assert blocks
    if tensor_parallel:
        mesh = init_device_mesh("cpu", (world // 2, 2), mesh_dim_names=("dp", "tp"))
        for block in blocks:
            parallelize_module(block, mesh["tp"], {name: kind() for name, kind in BLOCK.items()})
        mesh = mesh["dp"]
    for block in blocks:
        fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def gathered(tensor):
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()


def step(model):
    """A step of training; every process has the same batch."""
    words = torch.randint(5, 40, (2, 9), generator=torch.Generator().manual_seed(1))
    model.train(False)
    model(input_ids=words, labels=words).loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.5).step()


def train_one(name, tensor_parallel, folder):
    with pt.fast_init(seed=7):
        expected = built(name)
    with pt.deferred() as recipes:
        model = built(name)
    pt.materialize(sharded(model, tensor_parallel), recipes, seed=7)
    theirs = dict(expected.named_parameters())
    assert len(theirs) == len(list(model.parameters()))  # ties
    for key, parameter in model.named_parameters():
        assert torch.equal(gathered(parameter), theirs[key]), key
    for key, buffer in model.named_buffers():
        assert torch.equal(buffer, dict(expected.named_buffers())[key]), key
    assert pt.verify(model, recipes, 7).equal
    dcp.save({"model": model.state_dict()}, checkpoint_id=folder)
    if not hasattr(torch.cpu.Stream, "record_event"):  # fully_shard of older versions does not train without a GPU
        return
    step(expected)
    step(model)
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(gathered(parameter), theirs[key].detach(), rtol=1e-4, atol=1e-6, msg=key)
    assert not pt.verify(model, recipes, 7).equal


@pytest.mark.parametrize(("name", "world", "tensor_parallel"), CASES)
def test_a_sharded_model_begins_and_trains_as_the_whole_does(processes, tmp_path, name, world, tensor_parallel):
    processes.run(world, train_one, name, tensor_parallel, str(tmp_path / "saved"))

    # Its checkpoint, in this process without a group.
    with pt.deferred() as recipes:
        whole = built(name)
    options = {"prefix": in_model, "trust_pickle": True}
    verdicts = {row.name: row.verdict for row in pt.verify(tmp_path / "saved", recipes, 7, **options)}
    assert verdicts.keys() >= set(recipes) >= {key for key, _ in whole.named_parameters()}
    assert {verdicts[key] for key in recipes} == {"equal"}
    assert {verdict for key, verdict in verdicts.items() if key not in recipes} <= {"no recipe"}
    drawn = {key for key, recipe in recipes.items() if recipe.scheme is None or recipe.scheme.needs_stream}
    others = {row.name for row in pt.verify(tmp_path / "saved", recipes, 8, **options) if row.verdict == "differs"}
    assert drawn == others


def in_model(key):
    """Return the model's name of a tensor that was saved as {"model": model.state_dict()}."""
    return key[len("model.") :]


def save_one(folder):
    with pt.fast_init(seed=1):
        model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.LayerNorm(8))
    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    with torch.no_grad():
        weight = model[0].weight.to_local()
        if dist.get_rank() == 1:
            weight[3, 2] += 0.5  # row 7 of the whole
    dcp.save(model.state_dict(), checkpoint_id=folder)


def test_a_checkpoint_that_differs_or_cannot_be_read(processes, tmp_path):
    folder = tmp_path / "saved"
    processes.run(2, save_one, str(folder))
    with pt.deferred() as recipes:
        _model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.LayerNorm(8))
    found = {row.name: row for row in pt.verify(folder, recipes, 1, trust_pickle=True)}
    assert (found["0.weight"].verdict, found["0.weight"].first, found["0.weight"].share) == ("differs", (7, 2), 1 / 48)
    assert found["0.weight"].largest == pytest.approx(0.5)
    assert {found[name].verdict for name in ("0.bias", "1.weight", "1.bias")} == {"equal"}
    with pt.deferred() as more:
        _other = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2))
    assert [row.name for row in pt.verify(folder, more, 1, trust_pickle=True) if row.verdict == "missing"] == [
        "2.weight",
        "2.bias",
    ]
    without_norm = pt.verify(folder, recipes, 1, prefix=lambda key: None if key[0] == "1" else key, trust_pickle=True)
    assert {row.name: row.verdict for row in without_norm} == {
        "0.weight": "differs",
        "0.bias": "equal",
        "1.weight": "missing",
        "1.bias": "missing",
    }
    with pytest.raises(ValueError, match=r"is a pickle, .*trust_pickle=True"):
        pt.verify(folder, recipes, 1)
    with pytest.raises(ValueError, match=r"has no \.metadata file"):
        pt.verify(tmp_path, recipes, 1, trust_pickle=True)
    with pytest.raises(TypeError, match="compared with Recipes, a Report or a plan; got int"):
        pt.verify(folder, 3, 1, trust_pickle=True)
    with pytest.raises(TypeError, match="model must be a torch"):
        pt.verify(3, recipes, 1)
    for file in folder.glob("*.distcp"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"distcp: it cannot be read"):
        pt.verify(folder, recipes, 1, trust_pickle=True)


def test_what_a_checkpoint_lacks_is_not_equal(tmp_path):
    with pt.deferred() as recipes:
        model = torch.nn.Linear(6, 8)
    pt.materialize(model, recipes, 1)
    options = {"trust_pickle": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no process group
        dcp.save(
            {"model": model.state_dict(), "steps": 3, "optimizer": {"weight": torch.zeros(8, 6)}},
            checkpoint_id=tmp_path,
        )
    verdicts = {row.name: row.verdict for row in pt.verify(tmp_path, recipes, 1, prefix=after_model, **options)}
    assert verdicts == {"weight": "equal", "bias": "equal", "optimizer.weight": "no recipe"}
    with pytest.raises(ValueError, match=r"'optimizer\.weight' and another tensor of the checkpoint the name 'weight'"):
        pt.verify(tmp_path, recipes, 1, prefix=lambda key: key.partition(".")[2], **options)

    file = tmp_path / ".metadata"
    metadata = pickle.loads(file.read_bytes())
    places, chunks = dict(metadata.storage_data), metadata.state_dict_metadata["model.weight"].chunks
    for lost in ("storage", "chunk", "shape"):
        metadata.storage_data = {k: v for k, v in places.items() if lost != "storage" or k.fqn != "model.weight"}
        sizes = {"storage": (8, 6), "chunk": (5, 6), "shape": (6, 8)}[lost]
        metadata.state_dict_metadata["model.weight"].chunks = [type(chunks[0])(chunks[0].offsets, torch.Size(sizes))]
        file.write_bytes(pickle.dumps(metadata))
        if lost == "shape":
            with pytest.raises(ValueError, match=r"must have a chunk of shape \(6, 8\)"):
                pt.verify(tmp_path, recipes, 1, prefix=after_model, **options)
        else:
            rows = {row.name: row.verdict for row in pt.verify(tmp_path, recipes, 1, prefix=after_model, **options)}
            assert (
                rows["weight"]
                == f"not compared: {0 if lost == 'storage' else 30} of its 48 elements are in the checkpoint"
            )
            assert rows["bias"] == "equal"


def after_model(key):
    return key.removeprefix("model.")


class Attack:
    def __reduce__(self):
        return Path.touch, (Path("attacked"),)


def test_a_hostile_checkpoint_is_not_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".metadata").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(ValueError, match="is a pickle"):
        pt.verify(tmp_path, pt.Recipes(), 1)
    assert not Path("attacked").exists()


@pytest.mark.parametrize(
    "value",
    [
        7,
        [1.0],
        {"weight": 1},
        torch.eye(8, 6).to_sparse(),
        torch.zeros(8, 6, device="meta"),
        torch.zeros(8, 6).to(torch.cfloat),
    ],
    ids=["int", "list", "dict", "sparse", "meta", "complex"],
)
def test_a_chunk_that_is_no_tensor_is_refused(tmp_path, value):
    with pt.deferred() as recipes:
        model = torch.nn.Linear(6, 8, bias=False)
    pt.materialize(model, recipes, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no process group
        dcp.save(model.state_dict(), checkpoint_id=tmp_path)
    [file] = tmp_path.glob("*.distcp")
    torch.save(value, file)
    metadata = pickle.loads((tmp_path / ".metadata").read_bytes())
    for index, info in metadata.storage_data.items():
        metadata.storage_data[index] = replace(info, length=file.stat().st_size)
    (tmp_path / ".metadata").write_bytes(pickle.dumps(metadata))
    with pytest.raises(ValueError, match=r"must be a tensor in memory|must have a chunk of shape"):
        pt.verify(tmp_path, recipes, 1, trust_pickle=True)
