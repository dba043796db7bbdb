"""`fast_init`: each weight has the values of its name's stream, whatever else is built."""

import copy
import subprocess
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_net import Net, build, expected, expected_linear, linear_bound, uniform  # noqa: E402

import pyinit  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402


def test_without_torch_one_sentence_says_what_to_install():
    script = "import sys; sys.modules['torch'] = None; import pyinit, pyinit.adapters; import pyinit.adapters.torch"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: pyinit.adapters.torch needs PyTorch: pip install torch, or pip install 'pyinit-weights[torch]'"
    )


def test_weights_are_those_of_the_streams_of_their_names():
    net, report = build()
    assert torch.equal(net.a.weight, expected("a.weight", (6, 8), std=0.3))
    bound = 8**-0.5
    bias = pyinit.Stream(5).child("a.bias").uniform(6, low=-bound, high=bound)
    assert torch.equal(net.a.bias, torch.from_numpy(bias))
    table = expected("b.weight", (9, 8))
    table[2] = 0
    assert torch.equal(net.b.weight, table)
    assert report.drawn == 4
    assert report.replaced == 1
    assert report.early == []
    assert str(report.recipes["b.weight"]) == "Normal(), [2] = 0.0"
    assert all(p.requires_grad and p.is_leaf for p in net.a.parameters())


def test_neither_order_nor_other_layers_matter():
    a, b, c = build()[0], build(swapped=True)[0], build(more=True)[0]
    for name, parameter in a.named_parameters():
        assert torch.equal(parameter, b.get_parameter(name))
        assert torch.equal(parameter, c.get_parameter(name))
    assert not torch.equal(a.a.weight, build(seed=6)[0].a.weight)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_weights_are_those_of_float32_rounded(dtype):
    class Scaled(Net):
        def __init__(self):
            super().__init__()
            with torch.no_grad():
                self.a.weight.mul_(0.37).add_(0.11)
            self.c = nn.Parameter(torch.randn(50) * 0.3 + 0.7)
            nn.init.orthogonal_(self.b.weight)

    with pt.fast_init(5):
        wide = Scaled()
    torch.set_default_dtype(dtype)
    try:
        with pt.fast_init(5):
            narrow = Scaled()
    finally:
        torch.set_default_dtype(torch.float32)
    with pt.fast_init(5):
        converted = Scaled().to(dtype)
    for name, parameter in wide.named_parameters():
        assert narrow.get_parameter(name).dtype == dtype
        assert torch.equal(narrow.get_parameter(name), parameter.to(dtype)), name
        assert torch.equal(converted.get_parameter(name), parameter.to(dtype)), name


def test_float64_draws_words_of_its_own():
    with pt.fast_init(5):
        a, b, c = nn.Linear(8, 6, dtype=torch.float64), nn.Linear(8, 6).double(), nn.Linear(8, 6)
    names = [pyinit.Stream(5).child(f"{prefix}weight") for prefix in ("", "Linear:", "Linear2:")]
    bound = linear_bound(8)
    drawn = [s.uniform((6, 8), dtype=d, low=-bound, high=bound) for s, d in zip(names, ("f8", "f4", "f4"))]
    for model, values in zip((a, b, c), drawn):
        assert np.array_equal(model.weight.detach().numpy(), values.astype(model.weight.detach().numpy().dtype))


def test_tied_weights_have_the_first_name():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(9, 8), nn.Linear(8, 9, bias=False)
            self.head.weight = self.embed.weight

    with pt.fast_init(5) as report:
        net = Tied()
    assert net.head.weight is net.embed.weight
    assert torch.equal(net.head.weight, expected("embed.weight", (9, 8)))
    assert report.recipes["head.weight"].name == "embed.weight"
    assert report.recipes.plan()[1] == ("head.weight", "same as embed.weight", (9, 8))


def test_parts_that_are_drawn_one_by_one():
    class Parts(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Parameter(torch.empty(12, 4))
            for part in (slice(0, 4), slice(4, 8), slice(8, 12)):
                nn.init.normal_(self.qkv[part])
            self.late = nn.Parameter(torch.zeros(5))
            with torch.no_grad():
                self.late[1:3].normal_()

    with pt.fast_init(5) as report:
        net = Parts()
    streams = ("qkv", "qkv#1", "qkv#2")
    assert torch.equal(net.qkv, torch.cat([expected(name, (4, 4)) for name in streams]))
    assert torch.equal(net.late[1:3], expected("late", 2))
    assert net.late[[0, 3, 4]].tolist() == [0, 0, 0]
    assert str(report.recipes["qkv"]).startswith("[0:4] = Normal(), [4:8] = Normal() of 'qkv#1'")
    assert pt.verify(net, pt.Recipes({"qkv": report.recipes["qkv"]}), 5)[0].verdict == "equal"


def test_views_of_one_buffer_have_their_own_names():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            flat = torch.empty(30)
            self.a, self.b = nn.Parameter(flat[:12].view(3, 4)), nn.Parameter(flat[12:].view(2, 9))
            nn.init.normal_(self.b)
            nn.init.normal_(self.a)

    with pt.fast_init(5) as report:
        net = Flat()
    assert torch.equal(net.a, expected("a", (3, 4)))
    assert torch.equal(net.b, expected("b", (2, 9)))
    assert report.recipes["b"].scheme == pyinit.initializers.normal()


def test_memory_layout_does_not_matter():
    with pt.fast_init(5):
        a = nn.Conv2d(3, 4, 5)
    with pt.fast_init(5):
        b = nn.Conv2d(3, 4, 5).to(memory_format=torch.channels_last)
    with pt.fast_init(5):
        c = nn.Module()
        c.weight = nn.Parameter(torch.empty(5, 5, 4, 3).permute(2, 3, 0, 1))
        nn.init.kaiming_uniform_(c.weight, a=5**0.5)
    assert b.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(a.weight, b.weight)
    assert torch.equal(a.weight, c.weight)


def test_what_no_module_has_is_made_at_the_end():
    with pt.fast_init(5) as report:
        noise, scaled = torch.randn(7), torch.rand(4) * 3
    assert torch.equal(noise, expected("#0", 7))
    assert torch.equal(scaled, torch.from_numpy(pyinit.Stream(5).child("#1").uniform(4)) * 3)
    assert [early.shape for early in report.early] == [(7,), (4,)]


def test_names_without_what_wrappers_put_before_them():
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(3, 2)  # a name that a user chose

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that its own parts are deprecated
        torch.compile(nn.Linear(3, 2))
    with pt.fast_init(5) as report:
        net = torch.compile(nn.Sequential(nn.Linear(3, 2)))
    assert torch.equal(net.get_parameter("_orig_mod.0.weight"), expected_linear("0.weight"))
    assert list(report.recipes) == ["0.weight", "0.bias"]
    with pt.fast_init(5):
        net = nn.DataParallel(nn.Sequential(nn.Linear(3, 2)))
        user = Wrapper()
    assert torch.equal(net.module[0].weight, expected_linear("0.weight"))
    assert torch.equal(user.module.weight, expected_linear("Wrapper:module.weight"))


def test_ddp_in_a_group_of_one(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        with pt.fast_init(5) as report:
            net = nn.Sequential(nn.Linear(3, 2))
        wrapped = nn.parallel.DistributedDataParallel(net)
        assert pt.verify(wrapped, report.recipes, 5).equal
        pt.initialize_module(wrapped, 5, {"*": "normal"})
        assert torch.equal(net[0].weight, expected("0.weight", (2, 3)))
    finally:
        torch.distributed.destroy_process_group()


def test_several_models():
    with pt.fast_init(5) as report:
        a, b = nn.Linear(3, 2), nn.Linear(3, 2)
        copied = copy.deepcopy(a)
    assert torch.equal(a.weight, expected_linear("weight"))
    assert torch.equal(b.weight, expected_linear("Linear:weight"))
    assert torch.equal(copied.weight, a.weight)
    assert copied.weight.data_ptr() != a.weight.data_ptr()
    assert list(report.recipes) == ["weight", "bias", "Linear:weight", "Linear:bias"]
    assert "2 models, whose names begin with ['', 'Linear:']" in str(report)
    assert pt.verify(a, report).equal
    assert pt.verify(b, report).equal
    assert pt.verify(copied, report).equal
    with torch.no_grad():
        b.weight[0, 1] += 1
    assert pt.verify(a, report).equal
    assert pt.verify(b, report)[0] == ("weight", "differs", (0, 1), 1 / 6, pytest.approx(1))


def test_what_is_built_on_the_side_does_not_change_the_models_names():
    alone = build()[0]
    with pt.fast_init(5) as report:
        side = nn.ModuleList([nn.BatchNorm1d(3), nn.Linear(3, 2)])
        noise = nn.Linear(2, 2)
        model = Net()
    for name, parameter in alone.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name))
    assert {name.partition(":")[0] for name in report.recipes if ":" in name} == {"ModuleList", "Linear"}
    assert pt.verify(side, report).equal
    assert pt.verify(noise, report).equal
    assert pt.verify(model, report).equal


def test_a_teacher_that_starts_as_a_copy():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.student = Net()
            self.teacher = copy.deepcopy(self.student)
            self.third = Net()
            self.third.load_state_dict(self.student.state_dict())

    with pt.fast_init(5) as report:
        net = Both()
    for name, parameter in net.student.named_parameters():
        assert torch.equal(parameter, net.teacher.get_parameter(name))
        assert torch.equal(parameter, net.third.get_parameter(name))
    assert torch.equal(net.teacher.a.weight, expected("student.a.weight", (6, 8), std=0.3))
    assert report.early == []


def test_a_template_that_is_kept_does_not_change_the_names():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pt.fast_init(5) as report:
            template = nn.TransformerEncoderLayer(8, 2, 16)
            kept = nn.TransformerEncoder(template, 2)
        with pt.fast_init(5):
            dropped = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2)
    for name, parameter in kept.named_parameters():
        assert torch.equal(parameter, dropped.get_parameter(name)), name
    assert torch.equal(template.linear1.weight, kept.layers[0].linear1.weight)
    assert "layers.0.linear1.weight" in report.recipes


def test_lazy_modules():
    with pt.fast_init(5) as report:
        lazy = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
        pending = nn.LazyLinear(4)
        lazy(torch.ones(2, 3))
    assert torch.equal(lazy[0].weight, torch.from_numpy(uniform("0.weight", (4, 3), linear_bound(3))))
    assert report.early == []  # nothing has read the output for the batch
    torch.manual_seed(1)
    assert pending(torch.ones(2, 3)).shape == (2, 4)


def test_pyinits_own_functions_are_recorded():
    with pt.fast_init(5) as report:
        net = nn.Linear(8, 6)
        pt.init.orthogonal_(net.weight, gain=2.0)
        pt.init.zeros_(net.bias)
    assert str(report.recipes["weight"]) == "Orthogonal(gain=2.0)"
    w = net.weight.detach()
    assert torch.allclose(w @ w.T, 4 * torch.eye(6), atol=1e-5)
    with pt.fast_init(5) as report:
        net = nn.Linear(8, 6)
        pt.init.normal_(net.weight, stream=pyinit.Stream(9))
        noise = pt.randn(4, seed=9)
    assert torch.equal(net.weight, torch.from_numpy(pyinit.Stream(9).normal((6, 8))))
    assert torch.equal(noise, torch.from_numpy(pyinit.Stream(9).normal(4)))


def test_seeds_and_generators():
    with pt.fast_init(None) as report:
        a = nn.Linear(3, 2)
    with pt.fast_init(report.seed):
        b = nn.Linear(3, 2)
    assert torch.equal(a.weight, b.weight)
    with pt.fast_init(pyinit.Stream(5, "ars5").child("mine"), num_threads=1):
        c = nn.Linear(3, 2)
    with pt.fast_init(5, generator="ars5"):
        d = nn.Linear(3, 2)
    assert not torch.equal(c.weight, d.weight)
    with pytest.raises(ValueError, match="seed"), pt.fast_init(-1):
        pass


def test_names_are_of_one_draw_each():
    with pt.fast_init(5):
        net = nn.ParameterDict()
        parts = torch.empty(8)
        parts[:4].normal_()
        parts[4:].normal_()
        net["a"], net["a#1"] = nn.Parameter(parts), nn.Parameter(torch.randn(4))
    assert len(torch.cat([net["a"], net["a#1"]]).unique()) == 12


def test_dropped_models_take_no_names():
    def drop():
        net = nn.Linear(3, 2)
        net.cycle = lambda: net

    with pt.fast_init(5):
        drop()
        net = nn.Linear(3, 2)
    assert torch.equal(net.weight, expected_linear("weight"))


def test_modules_that_are_in_one_another_or_equal():
    class Equal(nn.Linear):
        def __eq__(self, other):
            return isinstance(other, Equal)

        def __hash__(self):
            return 1

    with pt.fast_init(5) as report:
        net = nn.Module()
        net.child = nn.Linear(3, 2)
        net.child.parent = net
    assert list(report.recipes) == ["child.weight", "child.bias"]
    assert torch.equal(net.child.weight, expected_linear("child.weight"))
    with pt.fast_init(5) as report:
        kept = Equal(3, 2), Equal(3, 2)
    assert list(report.recipes) == ["weight", "bias", "Equal:weight", "Equal:bias"]
    assert kept
