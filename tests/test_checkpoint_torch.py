"""Checkpoints of PyTorch models: written from recipes, and loaded by transformers and safetensors."""

import gc
import json
import math
import random

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

from torch import nn  # noqa: E402
from torch_checkpoints import SEED, UNTOLD, Odd, assert_same, built, experts, loaded  # noqa: E402
from torch_zoo import TRANSFORMERS, transformers_models  # noqa: E402

import pyinit  # noqa: E402
from pyinit import checkpoint  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402
from pyinit.adapters.torch import hugging_face  # noqa: E402
from pyinit.adapters.torch.tape import order  # noqa: E402
from pyinit.adapters.torch.windows import is_divisible, part  # noqa: E402

__all__ = ["experts"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_loads_what_is_written(tmp_path, name, dtype):
    model, expected = built(name, dtype)
    folder = tmp_path / "written"
    written = checkpoint.write(model, folder, SEED, shard_bytes=random.Random(name).randrange(20_000, 300_000))
    assert written.files == len(list(folder.glob("*.safetensors")))
    back, told = type(model).from_pretrained(folder, output_loading_info=True)
    assert not any(told.values()), told
    assert_same(back.state_dict(), expected.state_dict())
    assert checkpoint.verify(folder, model, SEED).equal
    assert {row.verdict for row in checkpoint.verify(folder)} <= {"equal", UNTOLD}  # its own metadata is true
    if dtype == "float32":
        expected.save_pretrained(tmp_path / "theirs")
        theirs = loaded(tmp_path / "theirs")
        for file in (tmp_path / "theirs").glob("*config.json"):
            assert json.loads(file.read_text()) == json.loads((folder / file.name).read_text())
    else:
        theirs = hugging_face.revert_weight_conversion(expected, dict(expected.state_dict()))
        theirs = {key: theirs[key] for key in loaded(folder)}
    assert_same(loaded(folder), theirs)


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe", "gpt_oss"])
def test_names_of_parameters(tmp_path, name):
    model, expected = built(name)
    checkpoint.write(model, tmp_path / "a", SEED, names="memory", shard_bytes=100_000)
    assert_same(loaded(tmp_path / "a"), expected.state_dict())
    assert checkpoint.verify(tmp_path / "a", model, SEED).equal  # verify finds out which names they are


def test_another_dtype_and_other_sources(tmp_path):
    model, expected = built("qwen3_moe", "bfloat16")
    with pt.deferred() as recipes:
        single = transformers_models()["qwen3_moe"]()
    checkpoint.write(recipes, tmp_path / "a", SEED, dtype="bfloat16")
    assert_same(type(model).from_pretrained(tmp_path / "a").state_dict(), expected.state_dict())
    assert json.loads((tmp_path / "a" / "config.json").read_text())["dtype"] == "bfloat16"
    rows = checkpoint.verify(tmp_path / "a", single, SEED)
    assert rows.equal
    assert {row.verdict for row in rows} >= {"equal in bfloat16"}
    checkpoint.write(model, tmp_path / "b", SEED)
    assert loaded(tmp_path / "b").keys() == loaded(tmp_path / "a").keys()
    assert_same(loaded(tmp_path / "b"), loaded(tmp_path / "a"))
    with pt.fast_init(SEED) as report:
        _alive = transformers_models()["qwen3_moe"]()
    checkpoint.write(report, tmp_path / "c", SEED, dtype="bfloat16")
    assert_same(loaded(tmp_path / "c"), loaded(tmp_path / "a"))
    pt.materialize(single, recipes, SEED)
    checkpoint.write(recipes, tmp_path / "d", SEED, dtype="bfloat16")  # even if the model's values change later
    assert_same(loaded(tmp_path / "d"), loaded(tmp_path / "a"))


def test_the_bytes_do_not_depend_on_threads_nor_the_tensors_on_files(tmp_path):
    model, _ = built("qwen3_next")
    for number, threads in enumerate((1, 3, None)):
        checkpoint.write(model, tmp_path / str(number), SEED, num_threads=threads, shard_bytes=100_000)
    files = [{f.name: f.read_bytes() for f in (tmp_path / str(number)).iterdir()} for number in range(3)]
    assert files[0] == files[1] == files[2]
    checkpoint.write(model, tmp_path / "whole", SEED)
    assert_same(loaded(tmp_path / "whole"), loaded(tmp_path / "0"))


def test_tied_weights_are_written_once(tmp_path):
    for name, key, other in (
        ("llama, tied", "model.embed_tokens.weight", "lm_head.weight"),
        ("t5", "shared.weight", "encoder.embed_tokens.weight"),
    ):
        model, _ = built(name)
        tensors, _, aliases = pt.tensors_of(model, pyinit.Stream(SEED), None, "disk")
        assert key in {tensor.name for tensor in tensors}
        assert other in aliases[key]
        assert not aliases[key] & {tensor.name for tensor in tensors}

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
            self.second.weight = self.first.weight

    with pt.deferred() as recipes:
        _model = Tied()
    checkpoint.write(recipes, tmp_path / "tied", SEED)
    assert set(loaded(tmp_path / "tied")) == {"first.weight", "first.bias", "second.bias"}


def test_running_statistics(tmp_path):
    model, _ = built("resnet")
    checkpoint.write(model, tmp_path / "a", SEED, dtype="float16")
    found = {key: value for key, value in loaded(tmp_path / "a").items() if "running" in key or "batches" in key}
    assert {value.dtype for value in found.values()} == {torch.float16, torch.int64}
    assert {value.unique().item() for key, value in found.items() if key.endswith("running_var")} == {1}
    assert checkpoint.verify(tmp_path / "a", model, SEED).equal


def test_a_window_of_an_expert_does_not_make_the_others(experts):
    model, recipes = experts
    disk = hugging_face.on_disk(model, {name: recipe.view for name, recipe in recipes.items()})
    names = [name for name in disk if ".experts." in name]
    assert len(names) == 2 * 4 * 3
    for name in names:
        view = disk[name]
        assert is_divisible(view), name
        region = tuple(slice(n // 4, n // 2) for n in view.geometry.shape)
        made = sum(contents.size for contents in order(part(view, region).contents))
        assert made == math.prod(s.stop - s.start for s in region), name  # only the window itself


def test_other_parameters_are_written_too(tmp_path):
    with pt.deferred() as recipes:
        model = Odd()
    with pt.fast_init(SEED):
        expected = Odd()
    checkpoint.write(model, tmp_path / "a", SEED)
    assert_same(loaded(tmp_path / "a"), expected.state_dict())
    del model
    gc.collect()
    again = pt.Recipes.from_json(recipes.to_json())  # without the model
    checkpoint.write(again, tmp_path / "b", SEED)
    assert_same(loaded(tmp_path / "b"), expected.state_dict())
    assert checkpoint.verify(tmp_path / "a", again, SEED).equal
    assert pt.verify(expected, again, SEED).equal


@pytest.mark.parametrize("name", ["llama", "mixtral", "bert", "t5", "vit", "whisper", "resnet"])
def test_a_model_of_its_configuration(tmp_path, name):
    model, _ = built(name)
    checkpoint.write(model, tmp_path / "a", SEED)
    for path in (tmp_path / "a", tmp_path / "a" / "config.json"):
        again = hugging_face.from_config(path)
        assert type(again) is type(model)
        assert all(parameter.device.type == "meta" for parameter in again.parameters())
    checkpoint.write(again, tmp_path / "b", SEED)
    assert_same(loaded(tmp_path / "b"), loaded(tmp_path / "a"))
    half = hugging_face.from_config(tmp_path / "a", type(model).__name__, "bfloat16")
    assert {parameter.dtype for parameter in half.parameters()} <= {torch.bfloat16, torch.float32}
    assert next(half.parameters()).dtype == torch.bfloat16
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    del config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    suited = hugging_face.from_config(tmp_path)
    assert type(suited) is type(model) or name in ("vit", "resnet")


@pytest.mark.parametrize("dtype", hugging_face.STORED)
def test_weights_in_a_dtype_that_no_model_computes_in(tmp_path, dtype):
    model, config = built("llama")[0], tmp_path / "own" / "config.json"
    checkpoint.write(model, tmp_path / "own", SEED)
    again = hugging_face.from_config(config, dtype=dtype)
    assert again.dtype == model.dtype
    checkpoint.write(again, tmp_path / "narrow", SEED, dtype=dtype)
    assert {tensor.dtype for tensor in loaded(tmp_path / "narrow").values()} == {getattr(torch, dtype)}
    assert json.loads((tmp_path / "narrow" / "config.json").read_text())["dtype"] == str(model.dtype)[6:]
    rows = checkpoint.verify(tmp_path / "narrow", hugging_face.from_config(config), SEED)
    assert {row.verdict for row in rows} == {f"equal in {dtype}"}


def test_configurations_that_cannot_be_built(tmp_path):
    with pytest.raises(FileNotFoundError):
        hugging_face.from_config(tmp_path)
    file = tmp_path / "config.json"
    for text in ("{}", "[", '{"model_type": "nobody_knows"}', '{"model_type": "x", "auto_map": {"AutoConfig": "m.C"}}'):
        file.write_text(text)
        with pytest.raises(ValueError, match="transformers cannot read it"):
            hugging_face.from_config(file)
    file.write_text('{"model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "architectures": ["Mine"]}')
    with pytest.raises(ValueError, match="no model class 'Mine'"):
        hugging_face.from_config(file)
    with pytest.raises(ValueError, match="no model class 'AutoModel'"):
        hugging_face.from_config(file, "AutoModel")
    with pytest.raises(ValueError, match="BertModel takes a BertConfig; got a LlamaConfig"):
        hugging_face.from_config(file, "BertModel")
    with pytest.raises(ValueError, match="'float31' is not a dtype"):
        hugging_face.from_config(file, "LlamaModel", "float31")


def test_what_cannot_be_written(tmp_path):
    with pt.deferred() as recipes:
        model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    pt.materialize(model, recipes, SEED)
    for real in (model, nn.Linear(2, 2)):
        with pytest.raises(TypeError, match="has memory"):
            checkpoint.write(real, tmp_path / "a", SEED)
    with pytest.raises(ValueError, match="no recipes"):
        checkpoint.write(nn.Linear(2, 2, device="meta"), tmp_path / "a", SEED)
    with pt.deferred() as recipes:
        model = nn.Module()
        model.wave = nn.Parameter(torch.randn(3, 2, dtype=torch.complex64))
        model.other = nn.Parameter(torch.randn(3, 2, dtype=torch.complex128))
    with pytest.raises(TypeError, match=r"wave \(complex64\), other \(complex128\)"):
        checkpoint.write(model, tmp_path / "a", SEED)
    with pt.deferred() as recipes:
        model = nn.Module()
        model.one, model.two = nn.Parameter(torch.empty(3)), nn.Parameter(torch.empty(2))
        model.fine = nn.Parameter(torch.ones(2))
    for source in (model, recipes):
        with pytest.raises(ValueError, match="one, two: nothing was written to it"):
            checkpoint.write(source, tmp_path / "a", SEED)
    with pt.deferred() as recipes:
        model = nn.Linear(2, 2)
    model.more = nn.Linear(2, 2, device="meta")
    with pytest.raises(ValueError, match=r"more\.weight, more\.bias: there is no recipe"):
        checkpoint.write(model, tmp_path / "a", SEED)
    with pytest.raises(TypeError, match="plan must be None"):
        checkpoint.write(model, tmp_path / "a", SEED, plan={"*": "normal"})
    assert not list(tmp_path.iterdir())


def test_a_part_of_a_larger_model(tmp_path):
    with pt.fast_init(SEED):
        whole = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    with pt.deferred(prefix="1."):
        stage = nn.BatchNorm1d(3)
    checkpoint.write(stage, tmp_path / "a", SEED)
    expected = {name: value for name, value in whole.state_dict().items() if name.startswith("1.")}
    assert_same(loaded(tmp_path / "a"), expected)
