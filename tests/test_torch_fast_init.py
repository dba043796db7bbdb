"""`fast_init`: what it records, what it makes early, and that torch is unchanged outside the block."""

import copy
import math
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import pyinit  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402


class Net(nn.Module):
    """A net of two layers in either order, and optionally a third."""

    def __init__(self, swapped=False, more=False):
        super().__init__()
        makers = {"a": lambda: nn.Linear(8, 6), "b": lambda: nn.Embedding(9, 8, padding_idx=2)}
        for name in sorted(makers, reverse=swapped):
            setattr(self, name, makers[name]())
            if more:
                setattr(self, f"{name}_more", nn.Conv1d(3, 4, 5))
        nn.init.normal_(self.a.weight, std=0.3)  # a second draw


def build(*args, seed=5, **kwargs):
    """Build a net inside `fast_init`; return it and the report."""
    with pt.fast_init(seed) as report:
        net = Net(*args, **kwargs)
    return net, report


def expected(name, shape, seed=5, **normal):
    """Return the normal samples of the stream of a name."""
    return torch.from_numpy(pyinit.Stream(seed).child(name).normal(shape, **normal))


def linear_bound(inputs):
    """Return the bound of the uniform weights of `nn.Linear`, computed as in torch."""
    return math.sqrt(3.0) * (nn.init.calculate_gain("leaky_relu", math.sqrt(5)) / math.sqrt(inputs))


def uniform(name, shape, bound):
    """Return the uniform samples of the stream of a name, within ±bound."""
    return pyinit.Stream(5).child(name).uniform(shape, low=-bound, high=bound)


def expected_linear(name):
    """Return the expected weight of an `nn.Linear(3, 2)`, by its name."""
    return torch.from_numpy(uniform(name, (2, 3), linear_bound(3)))


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


def test_random_operations_of_every_kind():
    """The values do not depend on the state of torch's generator."""

    def build():
        net = nn.Module()
        drawn = {
            "normal": torch.normal(1.0, 2.0, (400,)),
            "normal_of_tensors": torch.normal(torch.zeros(400), 2 * torch.ones(400)),
            "rand": torch.rand(400),
            "like": torch.randn_like(torch.zeros(400, dtype=torch.float64)),
            "complex": torch.randn(400, dtype=torch.complex64),
            "permutation": torch.randperm(400),
            "integers": torch.randint(3, 9, (400,)),
            "integers_in_place": torch.empty(400, dtype=torch.int32).random_(5),
            "coins": torch.empty(400).bernoulli_(0.25),
            "exponential": torch.empty(400).exponential_(2.0),
            "cauchy": torch.empty(400).cauchy_(),
            "log_normal": torch.empty(400).log_normal_(0.0, 0.5),
            "geometric": torch.empty(400).geometric_(0.3),
            "choice": torch.multinomial(torch.ones(400), 20),
            "dropped": torch.nn.functional.dropout(torch.ones(400), 0.25),
        }
        for name, tensor in drawn.items():
            net.register_buffer(name, tensor)
        return net

    nets = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        with pt.fast_init(5) as report:
            nets.append(build())
        assert torch.equal(torch.get_rng_state(), state)
    for (name, a), (_, b) in zip(nets[0].named_buffers(), nets[1].named_buffers()):
        assert torch.equal(a, b), name
    net = nets[0]
    by_torch = {early.reader.partition(",")[0] for early in report.early}
    assert by_torch == {"aten.normal.Tensor_Tensor", "aten.multinomial.default"}
    assert sorted(net.permutation.tolist()) == list(range(400))
    assert set(net.integers.tolist()) == set(range(3, 9))
    assert set(net.integers_in_place.tolist()) == set(range(5))
    assert abs(net.coins.mean() - 0.25) < 0.1
    assert abs(net.exponential.mean() - 0.5) < 0.1
    assert abs(net.cauchy.median()) < 0.3
    assert abs(net.log_normal.log().std() - 0.5) < 0.1
    assert abs(net.geometric.mean() - 1 / 0.3) < 0.6
    assert abs(net.normal.mean() - 1) < 0.5
    assert abs(net.normal.std() - 2) < 0.3
    assert abs(net.complex.abs().square().mean() - 1) < 0.2
    assert abs(net.complex.real.square().mean() - 0.5) < 0.15
    assert torch.equal(net.like, expected("like", 400, dtype="f8"))


@pytest.mark.parametrize(
    "read",
    [
        lambda t: t.tolist(),
        lambda t: t.numpy().copy(),
        lambda t: np.asarray(t).copy(),
        lambda t: [x.item() for x in t.flatten()],
        lambda t: pickle.loads(pickle.dumps(t)),
        lambda t: np.from_dlpack(t).copy(),
        lambda t: pyinit.arrays.on_host(t).copy(),
        lambda t: repr(t),
        lambda t: bool((t > 0).any()),
        lambda t: torch.unique(t),
        lambda t: torch.equal(t, t.clone()),
    ],
)
def test_what_is_read_is_made_early(read):
    with pt.fast_init(5) as report:
        tensor = torch.randn(3, 4)
        seen = read(tensor)
        layer = nn.Linear(3, 2)
    assert [early.key for early in report.early] == ["#0"]
    assert torch.equal(tensor, expected("#0", (3, 4)))
    again = read(tensor)
    assert np.array_equal(seen, again) if isinstance(seen, np.ndarray) else str(seen) == str(again)
    assert torch.equal(layer.weight, expected_linear("weight"))


def test_what_no_module_has_is_made_at_the_end():
    with pt.fast_init(5) as report:
        noise, scaled = torch.randn(7), torch.rand(4) * 3
    assert torch.equal(noise, expected("#0", 7))
    assert torch.equal(scaled, torch.from_numpy(pyinit.Stream(5).child("#1").uniform(4)) * 3)
    assert [early.shape for early in report.early] == [(7,), (4,)]


def test_values_that_the_model_computes_or_loads_are_kept():
    with pt.fast_init(5) as report:
        net = nn.Linear(3, 2)
        net.load_state_dict({"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([1.0, 2.0])})
    assert net.weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert pt.verify(net, report.recipes, 5).equal
    assert report.drawn == 2
    assert torch.equal(pt.materialize(nn.Linear(3, 2, device="meta"), report.recipes, 0).bias, net.bias)


def test_exceptions_leave_torch_as_it_was_and_values_whole():
    original = nn.init._no_grad_trunc_normal_
    made = []

    def fails():
        made.append(nn.Linear(3, 2))
        assert nn.init._no_grad_trunc_normal_ is not original
        raise KeyError

    with pytest.raises(KeyError), pt.fast_init(5):
        fails()
    [net] = made
    assert nn.init._no_grad_trunc_normal_ is original
    assert torch.equal(net.weight, expected_linear("weight"))
    torch.manual_seed(1)
    a = nn.Linear(3, 2).weight
    torch.manual_seed(1)
    assert torch.equal(nn.Linear(3, 2).weight, a)
    hooks = nn.modules.module
    assert not hooks._global_parameter_registration_hooks
    assert not hooks._global_module_registration_hooks
    assert not hooks._global_buffer_registration_hooks


def test_a_draw_with_wrong_numbers_fails_where_it_stands():
    with pt.fast_init(5):
        for draw in (
            lambda: torch.empty(3).normal_(std=-1.0),
            lambda: torch.empty(3).uniform_(1.0, 0.0),
            lambda: torch.empty(3).bernoulli_(2.0),
            lambda: torch.empty(3).exponential_(-1.0),
            lambda: torch.empty(3).geometric_(0.0),
        ):
            with pytest.raises(RuntimeError, match=r"expect|from|must|out of range"):
                draw()


def test_blocks_nest():
    with pt.fast_init(5) as outer:
        first = nn.Linear(3, 2)
        with pt.fast_init(6) as inner:
            second = Net()
            with torch.no_grad():
                second.b.weight[4].fill_(7.0)
        assert second.b.weight[4].tolist() == [7.0] * 8
        assert torch.equal(second.a.weight, expected("a.weight", (6, 8), seed=6, std=0.3))
        third = torch.randn(3)
    assert torch.equal(first.weight, expected_linear("weight"))
    assert torch.equal(second.a.weight, expected("a.weight", (6, 8), seed=6, std=0.3))
    assert torch.equal(third, expected("#0", 3))
    assert list(inner.recipes) == ["a.weight", "a.bias", "b.weight"]
    assert "weight" in outer.recipes


def test_other_threads_draw_as_ever():
    torch.manual_seed(4)
    plain = nn.init.trunc_normal_(nn.Linear(30, 20).weight.detach())
    found, errors = [], []

    def work():
        try:
            found.append(nn.init.trunc_normal_(nn.Linear(30, 20).weight.detach()))
        except Exception as error:
            errors.append(error)

    torch.manual_seed(4)
    with pt.fast_init(5):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        mine = nn.Linear(3, 2)
    assert not errors
    assert torch.equal(found[0], plain)
    assert torch.equal(mine.weight, expected_linear("weight"))


def test_blocks_of_many_threads():
    original = nn.init._no_grad_trunc_normal_
    found = {}

    def work(seed):
        for _ in range(20):
            with pt.fast_init(seed):
                layer = nn.Linear(3, 2)
                nn.init.trunc_normal_(layer.bias)
            found.setdefault(seed, set()).add((layer.weight.sum().item(), layer.bias.sum().item()))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(found[seed]) for seed in range(4)] == [1] * 4
    assert nn.init._no_grad_trunc_normal_ is original


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


def test_a_parameter_that_is_read_in_the_block_is_warned_of():
    def printed():
        layer = nn.Linear(3, 2)
        assert str(layer.weight)
        return layer

    with pytest.warns(UserWarning, match=r"^weight: read inside fast_init\(\)"), pt.fast_init(5) as report:
        layer = printed()
    assert torch.equal(layer.weight, torch.from_numpy(uniform("#0", (2, 3), linear_bound(3))))
    assert report.early[0].reader.startswith("Tensor.__repr__ at test_torch_fast_init.py:")
    assert pt.verify(layer, report).equal


def test_a_value_that_was_rounded_stays_so():
    with pt.fast_init(5) as report:
        net = nn.Module()
        net.register_parameter("w", nn.Parameter(torch.randn(50, 4)))
        net.register_parameter("lost", nn.Parameter(net.w.detach() - net.w.detach().bfloat16().float()))
        net.register_parameter("narrow", nn.Parameter(torch.randn(50, 4, dtype=torch.bfloat16) * 0.3 + 0.1))
    w, narrow = net.w.detach(), torch.from_numpy(pyinit.Stream(5).child("narrow").normal((50, 4)))
    assert torch.equal(net.lost, w - w.bfloat16().float())
    assert net.lost.abs().max() > 1e-3
    assert torch.equal(net.narrow, (narrow * 0.3 + 0.1).bfloat16())
    assert pt.verify(net, report).equal


def test_out_that_does_not_fit_is_resized_at_once():
    with pt.fast_init(5):
        a = torch.randn(4)
        out = torch.mul(a, 2.0, out=torch.empty(0))
        kept = torch.mul(a, 3.0, out=torch.empty(4))
        with pytest.raises(RuntimeError, match="size"):
            a.add_(torch.ones(3))
    assert torch.equal(out, 2 * a)
    assert torch.equal(kept, 3 * a)


def test_memory_that_numpy_sees_is_never_left_behind():
    with pt.fast_init(5):
        tensor = torch.randn(4)
        seen = tensor.numpy()
        seen[1] = 7
        tensor.mul_(2)
        assert seen[1] == 14
    assert tensor[1] == 14


def test_parts_that_overlap_are_drawn_in_order():
    with pt.fast_init(5) as report:
        net = nn.Module()
        net.w = nn.Parameter(torch.empty(10))
        with torch.no_grad():
            net.w[:6].normal_()
            net.w[4:].uniform_()
    drawn = expected("w", 6), torch.from_numpy(pyinit.Stream(5).child("w#1").uniform(6))
    assert torch.equal(net.w, torch.cat([drawn[0][:4], drawn[1]]))
    assert pt.verify(net, report).equal


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


def test_the_meta_device_is_left_alone():
    with pt.fast_init(5) as report, torch.device("meta"):
        net = Net()
    assert all(p.device.type == "meta" for p in net.parameters())
    assert str(report.recipes["b.weight"]) == "Normal(), [2] = 0.0"
    assert torch.equal(pt.materialize(net, report.recipes, 5).b.weight, build()[0].b.weight)


def test_a_generator_that_is_given_is_torchs():
    def drawn(into):
        return nn.init.normal_(into, generator=torch.Generator().manual_seed(3))

    with pt.fast_init(5) as report:
        a, layer = drawn(torch.empty(5)), nn.Linear(3, 2)
        with torch.no_grad():
            drawn(layer.weight)
        trunc = nn.init.trunc_normal_(torch.empty(9), generator=torch.Generator().manual_seed(3))
    assert torch.equal(a, drawn(torch.empty(5)))
    assert torch.equal(layer.weight, drawn(torch.empty(2, 3)))
    assert torch.equal(trunc, nn.init.trunc_normal_(torch.empty(9), generator=torch.Generator().manual_seed(3)))
    assert report.early == []


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


def test_a_graph_that_was_built_in_the_block_goes_on():
    with pt.fast_init(5):
        net = nn.Linear(3, 2)
        scaled = net.weight * 2.0
        loss = (scaled * torch.ones(2, 3)).sum()
    loss.backward()
    assert torch.equal(net.weight.grad, torch.full((2, 3), 2.0))
    assert torch.equal(scaled, net.weight * 2)


def test_an_optimizer_that_is_made_in_the_block_holds_the_weights():
    with pt.fast_init(5):
        net = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    before = net.weight.detach().clone()
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert torch.equal(net.weight, before - 1)


# What a reader, an operation or a name must not get wrong


def module(**parameters):
    """A module that has parameters."""
    net = nn.Module()
    for name, tensor in parameters.items():
        setattr(net, name, nn.Parameter(tensor))
    return net


def test_inference_mode():
    with pt.fast_init(5), torch.inference_mode():
        drawn = torch.randn(3, 4)
        made = drawn.t().reshape(-1), drawn.to(torch.float64), nn.functional.linear(drawn, drawn)
    for a, b in zip(made, (drawn.t().reshape(-1), drawn.double(), drawn @ drawn.T)):
        assert torch.allclose(a, b)


def test_complex_tensors():
    with pt.fast_init(5):
        z, u = torch.randn(9, dtype=torch.complex64), torch.rand(9, dtype=torch.complex64)
        copied = torch.empty_like(z).copy_(z.conj())
        made = z.conj().clone(), z.conj().imag.clone()
    assert torch.equal(copied, z.conj())
    assert torch.equal(made[0], z.conj())
    assert torch.equal(made[1], -z.imag)
    assert u.imag.unique().numel() == 9


def test_draws_into_given_tensors():
    with pt.fast_init(5):
        net = module(weight=torch.randn(3, out=torch.empty(3)))
        order = torch.randperm(9, out=torch.empty(9, dtype=torch.int64))
        coins = torch.empty(99, dtype=torch.bool).random_()
    assert torch.equal(net.weight, expected("weight", 3))
    assert order.sort()[0].tolist() == list(range(9))
    assert len(coins.unique()) == 2


def test_what_memory_held_before_stays():
    with pt.fast_init(5) as report:
        net = module(weight=torch.ones(4, 4, dtype=torch.bfloat16))
        with torch.no_grad():
            net.weight[0].normal_().mul_(2)
            wide = torch.randn(4)
            wide[::3].expand(2, 2).fill_(7)
    assert torch.equal(net.weight[0], (2 * expected("weight", 4)).bfloat16())
    assert bool((net.weight[1:] == 1).all())
    assert torch.equal(wide[1:3], expected("#0", 4)[1:3])
    assert pt.verify(net, report.recipes, 5).equal


def test_layers_that_run_in_the_block():
    with pt.fast_init(5):
        net = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3))
        recurrent, drawn = nn.LSTM(3, 4), torch.randn(5, 2, 6, 6)
        net(drawn).square().sum().backward()
        steps = recurrent(drawn[0, 0, :, :3])[0]
    other = copy.deepcopy(net)
    other[1].reset_running_stats()
    other.zero_grad()
    other(drawn).square().sum().backward()
    assert torch.allclose(net[1].running_mean, other[1].running_mean)
    assert torch.allclose(net[0].weight.grad, other[0].weight.grad, atol=1e-5)
    assert torch.allclose(steps, recurrent(drawn[0, 0, :, :3])[0], atol=1e-6)


def test_long_chains_and_shared_operands():
    with pt.fast_init(5) as report:
        long, wide = torch.randn(3), torch.randn(3)
        for _ in range(1500):
            long = long + 1
        for _ in range(50):
            wide = (wide + wide) / 2
        net = module(long=long, wide=wide)
    assert torch.equal(net.wide, expected("wide", 3))
    assert torch.allclose(net.long, expected("long", 3) + 1500, atol=0.1)
    assert pt.verify(net, report.recipes, 5).equal
    assert pt.Recipes.from_json(report.recipes.to_json()) == report.recipes
    assert "..." in str(report.recipes)


def test_recipes_of_views():
    """What a part was computed from is kept, and samples are numbered as they were drawn."""
    with pt.fast_init(5) as report:
        flat = torch.empty(8)
        for part in (flat[4:], flat[:4]):
            part.normal_()
        flat[:4].add_(flat[4:])
        net = module(sum=flat[:4], turned=torch.randn(3, 4).t(), split=torch.rand(12).mul_(2).view(3, 4))
        net.none = nn.Parameter(torch.randn(3)[3:])
    assert torch.equal(net.turned, expected("turned", (3, 4)).t())
    assert pt.verify(net, report.recipes, 5).equal


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


def test_inner_blocks_use_what_outer_ones_draw():
    with pt.fast_init(5):
        outer = torch.randn(100)
        with pt.fast_init(6):
            used = torch.zeros(100) * torch.randn(100) + outer
            outer[:5].uniform_()
    assert torch.equal(used, expected("#0", 100))
    assert torch.equal(outer[5:], used[5:])
    with pytest.raises(RuntimeError, match="inside deferred"), pt.deferred(), pt.fast_init(5):
        pass


def test_classes_that_wrap_tensors():
    two = pytest.importorskip("torch.testing._internal.two_tensor").TwoTensor
    with pt.fast_init(5):
        a, b = torch.randn(3), torch.randn(3)
        doubled = two(a, b) * 2
    assert torch.equal(doubled.a, a * 2)
    assert torch.equal(doubled.b, b * 2)


def test_memory_that_numpy_reads_too():
    with pt.fast_init(5):
        array = np.zeros(3, np.float32)
        torch.from_numpy(array).normal_()
        seen = array.copy()
        tensor = torch.empty(3)
        shared = tensor.numpy()
        tensor.normal_()
        also = shared.copy()
    assert np.array_equal(seen, expected("#0", 3).numpy())
    assert np.array_equal(also, expected("#1", 3).numpy())


def test_functions_that_call_functions():
    if not hasattr(torch.utils._python_dispatch.TorchDispatchMode, "supports_higher_order_operators"):
        pytest.skip("this PyTorch lets no mode see them")
    with pt.fast_init(5):
        drawn = torch.randn(4)
        made = torch.cond(drawn.sum() > 0, lambda x: x + 1, lambda x: x - 1, (drawn,))
    assert torch.equal(made, drawn + (1 if drawn.sum() > 0 else -1))


def test_views_and_copies_of_another_dtype():
    with pt.fast_init(5):
        z = torch.randn(1, dtype=torch.complex64)
        z.real[0] = torch.tensor(3.0)
        single = torch.randn(4, 3)
        single[torch.tensor([0]), :] = 0.5
        double = single.double()
    assert z.real.item() == 3
    assert 0 < abs(z.imag.item()) < 9
    assert torch.equal(double, single.double())
