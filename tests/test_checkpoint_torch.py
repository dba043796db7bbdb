"""Checkpoints of PyTorch models: written from recipes, loaded by transformers and safetensors, and verified."""

import contextlib
import gc
import itertools
import json
import math
import random
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

import torch.distributed.checkpoint as dcp  # noqa: E402
from torch import nn  # noqa: E402
from torch_zoo import TRANSFORMERS, transformers_models  # noqa: E402

import pyinit  # noqa: E402
from pyinit import checkpoint, cli  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402
from pyinit.adapters.torch import hugging_face  # noqa: E402
from pyinit.adapters.torch.playing import Player  # noqa: E402
from pyinit.adapters.torch.recording import Recorder  # noqa: E402
from pyinit.adapters.torch.tape import Geometry, View, order  # noqa: E402
from pyinit.adapters.torch.watching import recording  # noqa: E402
from pyinit.adapters.torch.windows import is_divisible, part, placed  # noqa: E402
from pyinit.untrusted import DamagedError  # noqa: E402

SEED = random.Random().randrange(2**64)
UNTOLD = "not compared: its file does not tell its scheme; give a configuration"


@contextlib.contextmanager
def default_dtype(name):
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, name))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def built(name, dtype="float32"):
    """A model of the zoo: deferred, and with its weights."""
    build = transformers_models()[name]  # of a configuration that no other test has changed
    with default_dtype(dtype):
        with pt.deferred():
            model = build()
        with pt.fast_init(SEED):
            expected = build()
        if name == "rwkv" and dtype == "bfloat16":  # computes constants: torch in bfloat16, a recipe in float32
            with pt.deferred() as recipes:
                expected = build()
            pt.materialize(expected, recipes, SEED)
    assert getattr(torch, dtype) in {parameter.dtype for parameter in expected.parameters()}
    return model, expected


def loaded(folder):
    """All tensors of a folder, by safetensors alone."""
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= safetensors.load_file(file)
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


def rewritten(folder, change):
    """Change the tensors of a folder of one file, and leave what the file says of itself."""
    file = folder / "model.safetensors"
    with safetensors.safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    tensors = safetensors.load_file(file)
    change(tensors)
    safetensors.save_file(tensors, file, metadata)


# Hugging Face


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
    assert {row.verdict for row in checkpoint.verify(folder)} <= {"equal", UNTOLD}  # of itself it tells no lies
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
    assert checkpoint.verify(tmp_path / "a", model, SEED).equal  # which finds out which names they are


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
    checkpoint.write(recipes, tmp_path / "d", SEED, dtype="bfloat16")  # though the model has other values some day
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


@pytest.fixture(scope="module")
def experts():
    with pt.deferred() as recipes:
        model = transformers_models()["qwen3_moe"]()
    return model, recipes


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
        assert made == math.prod(s.stop - s.start for s in region), name  # no more than the window itself


# Windows of views


class Odd(nn.Module):
    """A parameter with a row of zeros, a scaled one, one of two draws, in channels_last, and one made as a whole."""

    def __init__(self):
        super().__init__()
        self.padded = nn.Parameter(torch.randn(6, 8, 10))
        self.scaled = nn.Parameter(torch.randn(6, 8, 10) * 0.25 + torch.rand(6, 8, 10))
        self.conv = nn.Parameter(torch.randn(4, 6, 3, 5).to(memory_format=torch.channels_last))
        self.halves = nn.Parameter(torch.empty(6, 8, 10))
        self.square = nn.Parameter(torch.empty(6, 8, 10))
        with torch.no_grad():
            self.padded[:, 3].zero_()
            self.halves[:3].uniform_()
            self.halves[3:].normal_()
        nn.init.orthogonal_(self.square)


def turned(tensor, rng):
    """A random view of a tensor, or a copy of one."""
    for _ in range(rng.randrange(1, 5)):
        kind, dim = rng.randrange(7), rng.randrange(tensor.dim()) if tensor.dim() else 0
        if kind == 0 and tensor.dim() > 1:
            tensor = tensor.select(dim, rng.randrange(tensor.shape[dim]))
        elif kind == 1 and tensor.dim():
            tensor = rng.choice(tensor.chunk(2, dim))
        elif kind == 2 and tensor.dim() > 1:
            tensor = tensor.transpose(dim, rng.randrange(tensor.dim()))
        elif kind == 3:
            tensor = tensor.unsqueeze(rng.randrange(tensor.dim() + 1))
        elif kind == 4:
            tensor = tensor.contiguous()
        elif kind == 5 and tensor.dim():
            tensor = tensor[
                (slice(None),) * dim + (slice(rng.randrange(tensor.shape[dim]), None, rng.choice((1, 2, 3))),)
            ]
        elif tensor.dim() and rng.random() < 0.3:
            tensor = torch.cat([tensor, tensor * 2], dim)
    return tensor


def test_windows_of_random_views():
    with pt.deferred() as recipes:
        model = Odd()
    with pt.fast_init(SEED):
        whole_model = Odd()
    expected = dict(whole_model.named_parameters())
    del model
    divisible = compared = 0
    for number in range(400):
        name = sorted(expected)[number % 5]
        view, rng = recipes[name].view, random.Random(f"{SEED} {number}")
        state = rng.getstate()
        recorder = Recorder(None)
        flat = torch.empty(view.contents.size, device="meta")
        recorder.enter(flat).contents = view.contents
        with recording(recorder), torch.no_grad():
            there = turned(view.geometry.on(flat), rng)
        rng.setstate(state)
        whole = turned(expected[name].detach(), rng)
        found = View(recorder.entry(there).contents, Geometry.of(there))
        begins = [rng.randrange(n) for n in whole.shape]
        region = tuple(slice(b, rng.randrange(b + 1, n + 1)) for b, n in zip(begins, whole.shape))
        made = Player(pyinit.Stream(SEED)).make(part(found, region), torch.device("cpu"))
        assert torch.equal(made, whole[region]), (SEED, number)
        memory = torch.zeros(2 * made.numel() + 3)
        gapped = memory[3:].view(*made.shape, 2)[..., 0]
        contents = placed(part(found, region), gapped)
        assert (contents.size, contents.dtype) == (len(memory), memory.dtype)
        Player(pyinit.Stream(SEED)).play([(contents, memory)])
        assert torch.equal(gapped, made), (SEED, number)
        assert memory.count_nonzero() == made.count_nonzero()
        compared += name in ("padded", "conv", "scaled")
        divisible += name in ("padded", "conv", "scaled") and is_divisible(found)
    assert divisible > compared * 0.25
    last = Geometry.whole((6, 8, 10))._replace(shape=(2, 8, 10), offset=4 * 80)
    assert is_divisible(View(recipes["halves"].view.contents, last))  # as it is a part of the second draw alone


UNARY = ("softplus", "sigmoid", "gelu", "exp", "log1p", "expm1", "sin", "cos", "tanh", "rsqrt", "atan", "silu", "mish")


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", [*UNARY, "pow", "square", "div"])
def test_what_torch_computes_does_not_depend_on_how_it_is_cut(name, transposed):
    functions = {"pow": lambda x: x**1.5, "div": lambda x: 1.0 / x}
    function = functions.get(name) or getattr(nn.functional, name, None) or getattr(torch, name)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            values = function(torch.rand(301, 97) + 0.1)
            self.weight = nn.Parameter(values.t() if transposed else values)

    with pt.deferred():
        model = Model()
    [tensor], _, _ = pt.tensors_of(model, pyinit.Stream(SEED), None, "disk")
    whole, parts = np.empty((2, tensor.size), np.float32)
    tensor.fill(whole, 0)
    cuts = sorted({0, tensor.size, *np.random.default_rng(SEED % 2**32).integers(0, tensor.size, 9).tolist()})
    for start, stop in itertools.pairwise(cuts):
        tensor.fill(parts[start:stop], start)
    assert whole.tobytes() == parts.tobytes()


@pytest.mark.parametrize("name", UNARY)
def test_what_torch_computes_does_not_depend_on_its_threads(name):
    function = getattr(nn.functional, name, None) or getattr(torch, name)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(function(torch.rand(3001, 101) + 0.1))

    made, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            with pt.fast_init(SEED):
                model = Model()
            assert torch.get_num_threads() == threads
            made.append(model.weight.detach())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(weight, made[0]) for weight in made)


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


# Verification


def test_what_verify_finds(tmp_path):
    model, _ = built("gpt2")
    folder = tmp_path / "a"
    checkpoint.write(model, folder, SEED)
    for source in ((model, SEED), (None, SEED), ()):  # its files tell
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
        if not source:  # the files tell of each tensor under one name
            assert rows.pop("transformer.wte.weight").verdict == "missing"
        assert {row.verdict for row in rows.values()} == {"equal"}


def test_distributed_checkpoints(tmp_path, experts):
    model, recipes = experts
    with pt.fast_init(SEED):
        whole = transformers_models()["qwen3_moe"]()
    moments = {name: {"exp_avg": torch.zeros_like(p)} for name, p in whole.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no process group
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


# Building from a configuration, and what cannot be written


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
    """Run the program; give its exit code and what it printed."""
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
