"""Checkpoints like another one: its names, shapes, dtypes and files."""

import json
import math
import os

import numpy as np
import pytest
from checkpoint_plans import expected, values
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit import Stream, checkpoint
from pyinit.checkpoint import folders
from pyinit.checkpoint.sources import PACKED
from pyinit.initializers.windows import decode


def like(folder, index=False):
    """A checkpoint by safetensors, with tensors of many dtypes, and other files next to it."""
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    tensors = {
        "h.0.attn.weight": torch.randn(8, 8, dtype=torch.bfloat16),
        "h.0.ln_1.weight": torch.randn(8),
        "h.0.norm.bias": torch.randn(8, dtype=torch.float64),
        "h.0.attn.bias": torch.randn(8).to(torch.float8_e5m2),
        "h.0.mask": torch.rand(3, 5) > 0.5,
        "ids": torch.arange(-3, 8).reshape(1, 11),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "qweight": torch.zeros(31, 5, dtype=torch.int32),
        "packed": torch.zeros(7, 3, dtype=torch.uint8),
        "wte": torch.randn(6, 4).to(torch.float16),
    }
    folder.mkdir()
    if index:
        names = list(tensors)
        files = {"model-00001-of-00002.safetensors": names[:3], "model-00002-of-00002.safetensors": names[3:]}
        for file, part in files.items():
            safetensors.save_file({name: tensors[name] for name in part}, folder / file)
        where = {name: file for file, part in files.items() for name in part}
        text = json.dumps({"metadata": {"total_size": 1}, "weight_map": where})
        (folder / "model.safetensors.index.json").write_text(text)
    else:
        safetensors.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "of no kind"}')
    (folder / "tokenizer.model").write_bytes(b"\x00\xff")
    (folder / "pytorch_model.bin.index.json").write_text("{}")
    (folder / "optimizer.pt").write_bytes(b"large")
    return tensors


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16"])
def test_another_checkpoint_gives_names_shapes_and_dtypes(tmp_path, index, dtype):
    there = like(tmp_path / "there", index)
    safetensors = pytest.importorskip("safetensors.torch")
    checkpoint.write(tmp_path / "there", tmp_path / "out", 7, dtype=dtype)
    assert sorted(os.listdir(tmp_path / "out")) == ["config.json", "model.safetensors", "tokenizer.model"]
    model, config = ((tmp_path / "out" / name).read_bytes() for name in ("tokenizer.model", "config.json"))
    assert model == (tmp_path / "there" / "tokenizer.model").read_bytes()
    assert json.loads(config) == {"model_type": "of no kind"} | ({"dtype": dtype} if dtype else {})
    found = safetensors.load_file(tmp_path / "out" / "model.safetensors")
    assert found.keys() == there.keys()
    plan = {"*ln_*": "ones", "*norm*": "zeros", "*.bias": "zeros", "*": "normal(std=0.02)"}
    for name, tensor in found.items():
        was = there[name]
        assert tensor.shape == was.shape
        if not was.is_floating_point():
            assert tensor.dtype == was.dtype
            assert tensor.equal(was) or name in ("qweight", "packed")
            continue
        kind = dtype or str(was.dtype).removeprefix("torch.")
        assert str(tensor.dtype) == f"torch.{kind}"
        wide = expected(name, kind, plan=plan, shape=was.shape)
        assert np.array_equal(tensor.double().numpy(), decode(wide).astype(np.float64))


@given(st.lists(st.integers(1, 9), min_size=2, max_size=3), st.sampled_from(PACKED), st.integers(1, 99))
@settings(deadline=None, max_examples=30)
def test_packed_weights_get_random_bits(tmp_path_factory, shape, dtype, shard_bytes):
    """The bits come from one stream, for any cuts; nothing of the old weights remains."""
    save = pytest.importorskip("safetensors.numpy").save_file
    folder = tmp_path_factory.mktemp("packed")
    save({"w": np.zeros(shape, dtype), "other": np.zeros((3, 3), np.int8)}, folder / "there.safetensors")
    checkpoint.write(folder / "there.safetensors", folder / "out", 7, shard_bytes=shard_bytes)
    count = -(-math.prod(shape) * np.dtype(dtype).itemsize // 4)
    bits = Stream(7).child("w").bits(count).astype("<u4").tobytes()
    assert values(folder / "out")["w"][2] == bits[: math.prod(shape) * np.dtype(dtype).itemsize]


def test_another_checkpoint_with_a_plan_and_in_several_files(tmp_path):
    there = like(tmp_path / "there")
    written = checkpoint.write(tmp_path / "there", tmp_path / "out", 7, plan={"*": "constant(2)"}, shard_bytes=64)
    assert written.files == len(list((tmp_path / "out").glob("*.safetensors"))) > 3
    found = values(tmp_path / "out")
    assert found.keys() == there.keys()
    assert found["ids"][2] == there["ids"].numpy().tobytes()
    assert found["bytes"][2] == bytes(range(7))
    assert found["h.0.norm.bias"][2] == np.full(8, 2.0).tobytes()


def test_a_checkpoint_can_replace_the_one_it_is_made_like(tmp_path):
    there = like(tmp_path / "there")
    for name in ("pytorch_model.bin.index.json", "optimizer.pt"):
        with pytest.raises(FileExistsError, match="which would be lost"):
            checkpoint.write(tmp_path / "there", tmp_path / "there", 7, overwrite=True)
        (tmp_path / "there" / name).unlink()
    checkpoint.write(tmp_path / "there", tmp_path / "there", 7, overwrite=True)
    found = values(tmp_path / "there")
    assert found["ids"][2] == there["ids"].numpy().tobytes()
    assert found.keys() == there.keys()
    assert (tmp_path / "there" / "config.json").exists()
    assert os.listdir(tmp_path) == ["there"]


@pytest.mark.parametrize("shard_bytes", [100, 10**9])
def test_the_files_tell_what_is_missing_and_what_has_another_shape(tmp_path, shard_bytes):
    plan = {name: {"shape": [6, 4], "scheme": "normal"} for name in "abc"}
    checkpoint.write(plan, tmp_path / "out", 7, shard_bytes=shard_bytes)
    assert checkpoint.verify(tmp_path / "out").equal
    for file in (tmp_path / "out").glob("*.safetensors"):
        size = int.from_bytes(file.read_bytes()[:8], "little")
        text, data = file.read_bytes()[8 : 8 + size], file.read_bytes()[8 + size :]
        changed = text.replace(b'"b":{"dtype":"F32","shape":[6,4]', b'"b":{"dtype":"F32","shape":[4,6]')
        changed = changed.replace(b'"c":{"dtype"', b'"z":{"dtype"')
        file.write_bytes(len(changed).to_bytes(8, "little") + changed + data)
    index = tmp_path / "out" / folders.INDEX
    if index.exists():
        index.write_text(index.read_text().replace('"c":', '"z":'))
    rows = {row.name: row.verdict for row in checkpoint.verify(tmp_path / "out")}
    assert rows["a"] == "equal"
    assert rows["b"].startswith("shape (4, 6), made with (6,4)")
    assert rows["c"] == "missing"
    assert rows["z"] != "equal"


def test_a_checkpoint_without_its_index_is_not_whole(tmp_path):
    checkpoint.write(
        {name: {"shape": [6, 4], "scheme": "normal"} for name in "abc"}, tmp_path / "out", 7, shard_bytes=100
    )
    (tmp_path / "out" / folders.INDEX).unlink()
    assert checkpoint.verify(tmp_path / "out").equal
    (tmp_path / "out" / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(ValueError, match="2 of 3 files"):
        checkpoint.verify(tmp_path / "out")
