"""Checkpoints of initial weights: from every source, in every dtype, as other programs read them."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyinit import Stream, checkpoint, initializers
from pyinit.arrays import dtype_of
from pyinit.checkpoint import folders
from pyinit.checkpoint.sources import DUMMY, PACKED
from pyinit.files.formats import DTYPES
from pyinit.files.reading import safetensors_file
from pyinit.initializers.windows import decode

SHAPES = {"emb.weight": [50, 16], "fc.weight": [16, 16], "fc.bias": [16], "norm.weight": [16], "scale": []}
PLAN = {
    "*.bias": "zeros",
    "norm.*": "ones",
    "emb.*": {"name": "normal", "std": 0.02},
    "scale": "constant(0.3)",
    "fc.weight": "orthogonal",
}
ENTRIES = {
    name: {
        "shape": shape,
        "scheme": next(s for p, s in PLAN.items() if Path(name).match(p)),
        "dtype": "bfloat16" if name == "emb.weight" else "float32",
    }
    for name, shape in SHAPES.items()
}


def expected(name, dtype="float32", seed=7, plan=PLAN, shape=None):
    """A tensor as `initialize` would fill it."""
    scheme = next(s for p, s in plan.items() if Path(name).match(p))
    out = np.empty(tuple(SHAPES[name] if shape is None else shape), dtype_of(dtype))
    return initializers.scheme(scheme)(out, Stream(seed).child(name))


def contents(folder):
    return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def values(folder):
    """All tensors of a checkpoint, with pyinit's reader: name to (dtype, bytes)."""
    found = folders.read(folder).tensors
    return {name: (s.dtype, s.shape, s.read(0, s.shape).tobytes()) for name, s in found.items()}


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
    """A value as TOML has it in one line."""
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


def like(folder, index=False):
    """A checkpoint by safetensors, with tensors of many dtypes, and files beside it."""
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
    """Those of one stream, however they are cut; what they were before is not to be found."""
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


def test_the_default_plan_is_for_any_names(tmp_path):
    assert list(DUMMY)[-1] == "*"
    checkpoint.write({"x": {"shape": [2], "scheme": "ones"}}, tmp_path / "there.safetensors", 0)
    checkpoint.write(tmp_path / "there.safetensors", tmp_path / "out.safetensors", 7)
    assert values(tmp_path / "out.safetensors")["x"][2] == Stream(7).child("x").normal(2, std=0.02).tobytes()


@pytest.mark.parametrize("shard_bytes", [1, 100, 1000, 2500, 10**9])
def test_tensors_are_shared_out_as_hugging_face_does(tmp_path, shard_bytes):
    """Where one is larger than a file should be, Hugging Face puts it before others; here the order stays."""
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
    """In several files with an index."""
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


def test_a_folder_is_replaced_only_where_that_is_asked_for(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()  # an empty one is nobody's
    checkpoint.write(ENTRIES, folder, 7, shard_bytes=100)
    before = contents(folder)
    with pytest.raises(FileExistsError, match="exists already"):
        checkpoint.write(ENTRIES, folder, 8)
    assert contents(folder) == before
    checkpoint.write(ENTRIES, folder, 8, overwrite=True)
    assert os.listdir(folder) == ["model.safetensors"]  # and no index of the one before
    assert os.listdir(tmp_path) == ["out"]
    checkpoint.write(ENTRIES, tmp_path / "one.safetensors", 7)
    with pytest.raises(FileExistsError, match="exists already"):
        checkpoint.write(ENTRIES, tmp_path / "one.safetensors", 8)
    checkpoint.write(ENTRIES, tmp_path / "one.safetensors", 8, overwrite=True)
    assert (tmp_path / "one.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


TOO_MANY = {"w": {"shape": [10**9, 10**9], "scheme": "normal"}}
WRONG = [
    ({"source": {}}, ValueError, "no tensors"),
    ({"source": 5}, TypeError, "source must be a mapping"),
    ({"source": {"w": [2, 3]}}, ValueError, "'w' must have shape and scheme"),
    ({"source": {"w": {"shape": [2], "scheme": "ones", "std": 1}}}, ValueError, "'w' must have shape and scheme"),
    ({"source": {"w": {"shape": [-2], "scheme": "ones"}}}, ValueError, "shape of 'w'"),
    ({"source": {"w": {"shape": [2.0], "scheme": "ones"}}}, ValueError, "shape of 'w'"),
    ({"source": {"w": {"shape": "23", "scheme": "ones"}}}, ValueError, "shape of 'w'"),
    ({"source": {"w": {"shape": [2], "scheme": "nonsense"}}}, ValueError, "'w': .*nonsense"),
    ({"source": {"w": {"shape": [2], "scheme": "xavier_normal"}}}, ValueError, "'w': .*2 dimensions"),
    ({"source": {"w": {"shape": [2], "scheme": "ones", "dtype": "int32"}}}, TypeError, "int32"),
    ({"source": {"__metadata__": {"shape": [2], "scheme": "ones"}}}, ValueError, "__metadata__"),
    ({"source": {"\udcff": {"shape": [2], "scheme": "ones"}}}, ValueError, "surrogates not allowed"),
    ({"source": {3: {"shape": [2], "scheme": "ones"}}}, TypeError, "str"),
    ({"source": TOO_MANY}, OSError, "bytes are needed"),
    ({"source": TOO_MANY, "folder": "out.safetensors"}, OSError, "bytes are needed"),
    ({"source": SHAPES, "plan": {"*.bias": "zeros"}}, ValueError, "emb.weight"),
    ({"source": SHAPES, "plan": {"*": "ones", "nothing": "zeros"}}, ValueError, "nothing"),
    ({"source": SHAPES, "plan": 5}, TypeError, "plan"),
    ({"source": "nowhere"}, FileNotFoundError, "nowhere"),
    ({"source": "nowhere.json"}, FileNotFoundError, r"nowhere\.json"),
    ({"plan": "nowhere.toml"}, FileNotFoundError, r"nowhere\.toml"),
    ({"plan": "nowhere.ini"}, ValueError, "must end in"),
    ({"folder": "nowhere/out"}, FileNotFoundError, "nowhere does not exist"),
    ({"folder": "nowhere/out.safetensors"}, FileNotFoundError, "nowhere does not exist"),
    ({"folder": "x" * 250}, OSError, "name too long"),
    ({"seed": -1}, ValueError, "seed"),
    ({"seed": "7"}, TypeError, "seed"),
    ({"dtype": "int8"}, TypeError, "int8"),
    ({"dtype": "nonsense"}, TypeError, "nonsense"),
    ({"generator": "mt19937"}, ValueError, "generator"),
    ({"shard_bytes": 0}, ValueError, "at least 1; got 0"),
    ({"shard_bytes": 2.5}, TypeError, "shard_bytes must be an integer"),
    ({"names": "nonsense"}, ValueError, "names must be"),
    ({"num_threads": 0}, ValueError, "num_threads"),
]


@pytest.mark.parametrize(("changes", "error", "message"), WRONG, ids=[str(changes)[:50] for changes, *_ in WRONG])
def test_what_cannot_be_done_is_told_before_anything_is_written(tmp_path, monkeypatch, changes, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        checkpoint.write(**{"source": ENTRIES, "folder": "out", "seed": 7} | changes)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("way", ["file", "link", "dangling link"])
def test_what_is_no_folder_is_in_the_way(tmp_path, way):
    out = tmp_path / "out"
    if way == "file":
        out.write_text("a file")
    else:
        out.symlink_to(tmp_path / "elsewhere")
        if way == "link":
            (tmp_path / "elsewhere").mkdir()
    before = sorted(os.listdir(tmp_path))
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="is no folder"):
            checkpoint.write(ENTRIES, out, 7, overwrite=overwrite)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("folder", [".", "..", "../../home"])
def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch, folder):
    (tmp_path / "home" / "work").mkdir(parents=True)
    (tmp_path / "home" / "thesis.tex").write_text("all of it")
    monkeypatch.chdir(tmp_path / "home" / "work")
    for overwrite in (False, True):
        with pytest.raises(OSError, match="is the current folder"):
            checkpoint.write(ENTRIES, folder, 7, overwrite=overwrite)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["home", "thesis.tex", "work"]


def test_a_disk_that_is_mounted_there_is_not_replaced(tmp_path):
    from file_systems import mounted

    with mounted(tmp_path / "out") as folder:
        with pytest.raises(OSError, match="name a folder in it"):
            checkpoint.write(ENTRIES, folder, 7)
        assert os.listdir(tmp_path) == ["out"]
        checkpoint.write(ENTRIES, folder / "in", 7)
        assert os.listdir(folder) == ["in"]


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
    """Written, and then found to be whole: 0.5 GB and 3 GB."""
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "out", str(tensors)], capture_output=True, text=True, check=True
    )
    peak, files, kept = map(int, result.stdout.split())
    assert files == kept == (1 if tensors == 5 else 4)
    assert peak < 256_000
    for file in (tmp_path / "out").iterdir():
        file.unlink()


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


@pytest.mark.parametrize("name", ["notes.txt", "model.safetensors.bak", "runs/a"])
def test_a_folder_that_holds_anything_else_is_not_replaced(tmp_path, name):
    plan = {"w": {"shape": [3], "scheme": "ones"}}
    checkpoint.write(plan, tmp_path / "out", 7)
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(FileExistsError, match="which would be lost"):
        checkpoint.write(plan, tmp_path / "out", 8, overwrite=True)
    assert (tmp_path / "out" / name).read_text() == "mine"
    assert checkpoint.verify(tmp_path / "out", {"w": "ones"}, 7).equal


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
