"""Verification of PyTorch checkpoints: distributed ones, damaged ones, and from the command line."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

import torch.distributed.checkpoint as dcp  # noqa: E402
from torch import nn  # noqa: E402
from torch_checkpoints import SEED, UNTOLD, assert_same, built, experts, loaded  # noqa: E402
from torch_zoo import transformers_models  # noqa: E402

import pyinit  # noqa: E402
from pyinit import checkpoint, cli  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402
from pyinit.adapters.torch import hugging_face  # noqa: E402
from pyinit.untrusted import DamagedError  # noqa: E402

__all__ = ["experts"]


def rewritten(folder, change):
    """Change the tensors of a folder of one file, and keep the file's metadata."""
    file = folder / "model.safetensors"
    with safetensors.safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    tensors = safetensors.load_file(file)
    change(tensors)
    safetensors.save_file(tensors, file, metadata)


def test_what_verify_finds(tmp_path):
    model, _ = built("gpt2")
    folder = tmp_path / "a"
    checkpoint.write(model, folder, SEED)
    for source in ((model, SEED), (None, SEED), ()):  # its files have the seed
        rows = checkpoint.verify(folder, *source)
        assert {row.verdict for row in rows} == {"equal"}
    assert not checkpoint.verify(folder, model, SEED ^ 1).equal

    def change(tensors):
        tensors["transformer.h.0.mlp.c_fc.weight"][5, 7] += 0.5
        tensors["transformer.h.1.mlp.c_fc.weight"] *= 0.3
        name = "transformer.h.1.attn.c_attn.weight"
        tensors[name] = tensors[name].to(torch.float16)
        tensors["lm_head.weight"] = tensors.pop("transformer.wte.weight")  # its other name

    rewritten(folder, change)
    for source in ((model, SEED), ()):
        rows = {row.name: row for row in checkpoint.verify(folder, *source)}
        row = rows.pop("transformer.h.0.mlp.c_fc.weight")
        assert row[1:] == ("differs", (5, 7), 1 / (64 * 256), pytest.approx(0.5))
        assert rows.pop("transformer.h.1.mlp.c_fc.weight").verdict == "scaled by 0.3"
        assert rows.pop("transformer.h.1.attn.c_attn.weight").verdict == ("equal in float16" if source else "equal")
        other = rows.pop("lm_head.weight").verdict
        assert other == ("equal" if source else UNTOLD)
        if not source:  # the files name each tensor once
            assert rows.pop("transformer.wte.weight").verdict == "missing"
        assert {row.verdict for row in rows.values()} == {"equal"}


def test_distributed_checkpoints(tmp_path, experts):
    model, recipes = experts
    with pt.fast_init(SEED):
        whole = transformers_models()["qwen3_moe"]()
    moments = {name: {"exp_avg": torch.zeros_like(p)} for name, p in whole.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that there is no process group
        saved = {"model": whole.state_dict(), "optimizer": {"state": moments}, "steps": 3}
        dcp.save(saved, checkpoint_id=tmp_path / "a")
        with torch.no_grad():
            whole.lm_head.weight[2, 3] += 1
            whole.model.norm.weight *= 3
        dcp.save(whole.state_dict(), checkpoint_id=tmp_path / "b")
    with pytest.raises(ValueError, match="trust_pickle=True"):
        checkpoint.verify(tmp_path / "a", model, SEED)
    for source in (model, recipes):
        rows = checkpoint.verify(tmp_path / "a", source, SEED, trust_pickle=True)
        verdicts = {row.name: row.verdict for row in rows}
        assert {verdicts[f"model.{name}"] for name in whole.state_dict()} == {"equal"}
        assert {v for name, v in verdicts.items() if not name.startswith("model.")} == {"unexpected"}
        assert "missing" not in verdicts.values()
    rows = {row.name: row for row in checkpoint.verify(tmp_path / "b", model, SEED, trust_pickle=True)}
    assert rows["lm_head.weight"][1:3] == ("differs", (2, 3))
    assert rows["model.norm.weight"].verdict == "scaled by 3"
    assert {row.verdict for name, row in rows.items() if "layers" in name} == {"equal"}
    checkpoint.write(model, tmp_path / "c", SEED, names="memory")
    moved = {row.name: row for row in checkpoint.against(tmp_path / "b", tmp_path / "c", trust_pickle=True)}
    assert {name for name, row in moved.items() if not row.equal} == {"lm_head.weight", "model.norm.weight"}
    moved = {row.name: row for row in checkpoint.against(tmp_path / "c", tmp_path / "b", trust_pickle=True)}
    assert moved["lm_head.weight"].largest == pytest.approx(1)


def test_a_distributed_checkpoint_and_a_plan(tmp_path):
    plan = {"*.bias": "zeros", "*.weight": "normal(std=0.5)", "*.lost": "zeros"}
    model = nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 10))
    pt.initialize_module(model, SEED, {name: plan[name] for name in list(plan)[:2]})
    with torch.no_grad():
        model[1].bias[4] = 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({**model.state_dict(), "steps": torch.ones(3)}, checkpoint_id=tmp_path)
    rows = {row.name: row.verdict for row in pt.verify(tmp_path, plan, SEED, trust_pickle=True)}
    assert rows == {
        "0.weight": "equal",
        "0.bias": "equal",
        "1.weight": "equal",
        "1.bias": "differs",
        "steps": "unexpected",
        "*.lost": "missing",
    }


def test_a_block_of_a_stored_tensor_is_put_together(tmp_path):
    values = torch.from_numpy(np.random.default_rng().normal(size=(9, 7))).bfloat16()
    chunks = {(0, 0): (5, 4), (5, 0): (4, 4), (0, 4): (9, 3)}

    class InMemory:
        def values(self, chunk):
            return values[tuple(slice(o, o + n) for o, n in zip(chunk.offset, chunk.shape))]

    listed = [pt.checkpoints.Chunk(offset, shape, "") for offset, shape in chunks.items()]
    stored = pt.checkpoints.Stored("w", (9, 7), torch.bfloat16, listed, InMemory())
    for offset, shape in (((0, 0), (9, 7)), ((4, 3), (3, 2)), ((8, 6), (1, 1)), ((2, 1), (0, 3))):
        expected = values[tuple(slice(o, o + n) for o, n in zip(offset, shape))]
        box = stored.box(offset, shape)
        assert (box.dtype, box.shape) == (pyinit.arrays.BFLOAT16, shape)
        assert np.array_equal(box.view("i2"), expected.contiguous().view(torch.int16).numpy())
    seen = np.zeros((9, 7))
    for block in stored.blocks(10):
        assert np.prod(block.shape) * 2 <= 10
        seen[tuple(slice(o, o + n) for o, n in zip(block.offset, block.shape))] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("file", [".metadata", "__0_0.distcp"])
@pytest.mark.parametrize("data", [b"", b"junk", b"\x80\x04N."])
def test_a_damaged_distributed_checkpoint_is_one_error(tmp_path, file, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({"w": torch.ones(5)}, checkpoint_id=tmp_path)
    (tmp_path / file).write_bytes(data)
    with pytest.raises(DamagedError, match=file):
        checkpoint.verify(tmp_path, {"w": "ones"}, 0, trust_pickle=True)


def program(capsys, *words):
    """Run the program; return its exit code and its output."""
    try:
        code = cli.main([str(word) for word in words])
    except SystemExit as stopped:
        code = stopped.code
    told = capsys.readouterr()
    return code, told.out + told.err


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_commands_begin_with_a_configuration(tmp_path, capsys, dtype):
    model, config, out = built("mixtral")[0], tmp_path / "own" / "config.json", tmp_path / "out"
    checkpoint.write(model, tmp_path / "own", SEED)
    options = ("--config", config, "--seed", SEED)
    words = ("checkpoint", "write", *options, "--arch", "auto", "--dtype", dtype, "--shard-size", "200KB", out)
    code, told = program(capsys, *words)
    assert (code, "tensors in " in told) == (0, True)
    again = hugging_face.from_config(config, dtype=dtype)
    checkpoint.write(again, tmp_path / "same", SEED, shard_bytes=200_000)
    assert_same(loaded(out), loaded(tmp_path / "same"))
    assert program(capsys, "verify", out, *options, "--dtype", dtype)[0] == 0
    assert program(capsys, "verify", out, "--config", config, "--seed", SEED ^ 1)[0] == 3
    assert program(capsys, "verify", out, *options, "--arch", "Nothing")[0] == 2
    assert program(capsys, *words[:2], "--config", tmp_path / "nowhere.json", tmp_path / "more")[0] == 1


def test_the_command_reads_a_pickle_only_if_it_may(tmp_path, capsys):
    plan, folder = tmp_path / "plan.json", tmp_path / "saved"
    plan.write_text('{"w": "normal(std=0.5)"}')
    weight = torch.empty(20, 30)
    pyinit.Stream(7).child("w").fill_normal(weight, std=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({"w": weight}, checkpoint_id=folder)
    words = ("verify", folder, "--plan", plan, "--seed", 7)
    code, told = program(capsys, *words)
    assert code == 2
    assert "--trust-pickle" in told
    assert program(capsys, *words, "--trust-pickle")[0] == 0
    assert program(capsys, *words[:-1], 8, "--trust-pickle")[0] == 3
