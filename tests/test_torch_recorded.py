"""Operations that a block records, and operations that run at once because their result is read."""

import copy
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_net import expected, expected_linear  # noqa: E402

import pyinit  # noqa: E402
from pyinit.adapters import torch as pt  # noqa: E402


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


def test_values_that_the_model_computes_or_loads_are_kept():
    with pt.fast_init(5) as report:
        net = nn.Linear(3, 2)
        net.load_state_dict({"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([1.0, 2.0])})
    assert net.weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert pt.verify(net, report.recipes, 5).equal
    assert report.drawn == 2
    assert torch.equal(pt.materialize(nn.Linear(3, 2, device="meta"), report.recipes, 0).bias, net.bias)


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


def module(**parameters):
    """Return a module with parameters."""
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
    """The sources of a part are kept, and samples are numbered as they were drawn."""
    with pt.fast_init(5) as report:
        flat = torch.empty(8)
        for part in (flat[4:], flat[:4]):
            part.normal_()
        flat[:4].add_(flat[4:])
        net = module(sum=flat[:4], turned=torch.randn(3, 4).t(), split=torch.rand(12).mul_(2).view(3, 4))
        net.none = nn.Parameter(torch.randn(3)[3:])
    assert torch.equal(net.turned, expected("turned", (3, 4)).t())
    assert pt.verify(net, report.recipes, 5).equal


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
