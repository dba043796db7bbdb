"""Checkpoints of initial weights: from every source, in every dtype, read by other programs."""

import json
import subprocess
import sys

import numpy as np
import pytest
from checkpoint_plans import ENTRIES, PLAN, SHAPES, contents, expected, values
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit import Stream, checkpoint
from pyinit.checkpoint import folders
from pyinit.checkpoint.sources import DUMMY
from pyinit.files.formats import DTYPES
from pyinit.files.reading import safetensors_file
from pyinit.initializers.windows import decode


def dump(path, mapping):
    """Write a mapping to a .json, .toml or .yaml file."""
    if path.suffix == ".json":
        path.write_text(json.dumps(mapping))
    elif path.suffix == ".toml":
        pytest.importorskip("tomllib")
        lines = (f"{json.dumps(k)} = {inline(v)}" for k, v in mapping.items())
        path.write_text("\n".join(lines))
    else:
        path.write_text(pytest.importorskip("yaml").safe_dump(mapping, sort_keys=False))
    return path


def inline(value):
    """Return a value in TOML, in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {inline(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


@pytest.mark.parametrize("suffix", [".json", ".toml", ".yaml", ".yml"])
def test_a_plan_with_shapes_in_a_file(tmp_path, suffix):
    path = dump(tmp_path / f"plan{suffix}", ENTRIES)
    written = checkpoint.write(path, tmp_path / "out", 7)
    found = values(tmp_path / "out")
    assert list(SHAPES) == sorted(found, key=list(SHAPES).index)
    for name, (dtype, shape, data) in found.items():
        assert dtype == ENTRIES[name]["dtype"]
        assert list(shape) == SHAPES[name]
        assert data == expected(name, dtype).tobytes()
    assert (written.files, written.tensors, written.kept, written.seed) == (1, 5, 0, 7)
    assert written.bytes == (tmp_path / "out" / "model.safetensors").stat().st_size


@pytest.mark.parametrize("suffix", [".json", ".toml", ".yaml"])
@pytest.mark.parametrize("given_as", ["file", "mapping"])
def test_a_plan_and_shapes(tmp_path, suffix, given_as):
    plan = dump(tmp_path / f"plan{suffix}", PLAN) if given_as == "file" else PLAN
    shapes = dump(tmp_path / f"shapes{suffix}", SHAPES) if given_as == "file" else SHAPES
    checkpoint.write(shapes, tmp_path / "out.safetensors", 7, plan=plan, dtype="float16")
    for name, (dtype, _, data) in values(tmp_path / "out.safetensors").items():
        assert (dtype, data) == ("float16", expected(name, "float16").tobytes())


@pytest.mark.parametrize("dtype", [*DTYPES])
def test_safetensors_and_ml_dtypes_read_every_dtype(tmp_path, dtype):
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    ml_dtypes = pytest.importorskip("ml_dtypes")
    checkpoint.write(SHAPES, tmp_path / "out", 7, plan=PLAN, dtype=dtype)
    found = safetensors.load_file(tmp_path / "out" / "model.safetensors")
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    assert found.keys() == SHAPES.keys()
    for name, tensor in found.items():
        assert tensor.dtype == getattr(torch, dtype)
        wide = expected(name, dtype)
        assert np.array_equal(tensor.to(torch.float64).numpy(), wide.view(kind).astype(np.float64))
        assert np.array_equal(decode(wide).astype(np.float64), wide.view(kind).astype(np.float64))
    constant = np.float64(0.3) if dtype == "float64" else np.float32(0.3).astype(kind)
    assert found["scale"].item() == constant.astype(np.float64)


def test_the_default_plan_is_for_any_names(tmp_path):
    assert list(DUMMY)[-1] == "*"
    checkpoint.write({"x": {"shape": [2], "scheme": "ones"}}, tmp_path / "there.safetensors", 0)
    checkpoint.write(tmp_path / "there.safetensors", tmp_path / "out.safetensors", 7)
    assert values(tmp_path / "out.safetensors")["x"][2] == Stream(7).child("x").normal(2, std=0.02).tobytes()


@pytest.mark.parametrize("shard_bytes", [1, 100, 1000, 2500, 10**9])
def test_tensors_are_shared_out_as_hugging_face_does(tmp_path, shard_bytes):
    """Hugging Face puts a tensor that is larger than a file before the others; here the order stays."""
    torch, hub = pytest.importorskip("torch"), pytest.importorskip("huggingface_hub")
    sizes = [100, 40, 40, 30, 1, 60, 25, 25, 25, 25, 25, 90, 10]
    entries = {f"layer.{i}": {"shape": [n], "scheme": "zeros"} for i, n in enumerate(sizes)}
    checkpoint.write(entries, tmp_path / "out", 0, shard_bytes=shard_bytes)
    where = {name: stored.path.name for name, stored in folders.read(tmp_path / "out").tensors.items()}
    index = tmp_path / "out" / "model.safetensors.index.json"
    if shard_bytes > 400:
        state = {name: torch.zeros(entry["shape"]) for name, entry in entries.items()}
        theirs = hub.split_torch_state_dict_into_shards(state, max_shard_size=shard_bytes)
        assert where == theirs.tensor_to_filename
        assert theirs.is_sharded == index.exists()
        if theirs.is_sharded:
            assert json.loads(index.read_text()) == {
                "metadata": {"total_size": theirs.metadata["total_size"]},
                "weight_map": theirs.tensor_to_filename,
            }
    assert sorted(set(where.values())) == folders.file_names(len(set(where.values())))


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([*DTYPES])), min_size=1, max_size=20), st.integers(1, 300)
)
@settings(max_examples=30, deadline=None)
def test_every_file_is_aligned_and_not_too_large(tmp_path_factory, tensors, shard_bytes):
    entries = {f"t{i:02}": {"shape": [n], "scheme": "normal", "dtype": d} for i, (n, d) in enumerate(tensors)}
    folder = tmp_path_factory.getbasetemp() / "aligned"
    checkpoint.write(entries, folder, 1, shard_bytes=shard_bytes, overwrite=True)
    order = []
    for file in sorted(folder.glob("*.safetensors")):
        found = safetensors_file(file).tensors
        assert all(s.begin % s.kind.itemsize == 0 for s in found)
        assert len(found) == 1 or sum(s.nbytes for s in found) <= shard_bytes
        order += sorted(s.name for s in found)
    assert order == list(entries)
    assert checkpoint.verify(folder).equal


def test_transformers_loads_what_was_written(tmp_path):
    """From several files with an index."""
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=60, n_positions=20)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "there")
    checkpoint.write(tmp_path / "there", tmp_path / "out", 7, shard_bytes=5000)
    assert (tmp_path / "out" / "model.safetensors.index.json").exists()
    model, told = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(told[key] for key in told if key.endswith("keys"))
    weight = model.state_dict()["transformer.h.1.mlp.c_fc.weight"].numpy()
    name = next(name for name in values(tmp_path / "out") if name.endswith("h.1.mlp.c_fc.weight"))
    np.testing.assert_array_equal(weight, Stream(7).child(name).normal((16, 64), std=0.02))


def test_the_bytes_depend_on_neither_threads_nor_generator_of_the_seed(tmp_path):
    drawn = checkpoint.write(ENTRIES, tmp_path / "a")
    for name, threads in (("b", 1), ("c", 2)):
        checkpoint.write(ENTRIES, tmp_path / name, drawn.seed, num_threads=threads)
        assert contents(tmp_path / name) == contents(tmp_path / "a")
    checkpoint.write(ENTRIES, tmp_path / "ars", drawn.seed, generator="ars5")
    assert contents(tmp_path / "ars") != contents(tmp_path / "a")
    assert checkpoint.verify(tmp_path / "ars").equal
    assert checkpoint.write(ENTRIES, tmp_path / "d").seed != drawn.seed


MEMORY = """
import os, sys
from pyinit import checkpoint
large = {"shape": [2500, 10_000], "scheme": "normal(std=0.02)"}
entries = {f"layer.{i}.weight": large for i in range(int(sys.argv[2]))}
entries["layer.bias"] = {"shape": [777], "scheme": "zeros"}
for kept in (0, 3):
    written = checkpoint.write(entries, sys.argv[1], 0, shard_bytes=10**9, overwrite=True)
    if kept == 0:
        os.rename(sys.argv[1], sys.argv[1] + ".partial")
with open("/proc/self/status") as status:
    print([line for line in status if line.startswith("VmHWM")][0].split()[1], written.files, written.kept)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("tensors", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_a_large_checkpoint_takes_little_memory(tmp_path, tensors):
    """Checkpoints of 0.5 GB and 3 GB are written, then checked and found whole."""
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "out", str(tensors)], capture_output=True, text=True, check=True
    )
    peak, files, kept = map(int, result.stdout.split())
    assert files == kept == (1 if tensors == 5 else 4)
    assert peak < 256_000
    for file in (tmp_path / "out").iterdir():
        file.unlink()


def test_many_small_tensors_are_in_files_that_readers_take(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MOST_HEADER", 20_000)
    written = checkpoint.write({f"w{i}": {"shape": [1], "scheme": "ones"} for i in range(300)}, tmp_path / "out", 7)
    assert written.files > 2
    for file in (tmp_path / "out").glob("*.safetensors"):
        assert int.from_bytes(file.read_bytes()[:8], "little") < 20_000
    assert checkpoint.verify(tmp_path / "out").equal
    monkeypatch.setattr(folders, "MOST_INDEX", 1000)
    with pytest.raises(ValueError, match="the index of 300 tensors"):
        checkpoint.write({f"w{i}": {"shape": [1], "scheme": "ones"} for i in range(300)}, tmp_path / "more", 7)
