"""Blocks of fast_init: nested, in threads, ended by an exception, and the code after them."""

import threading

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_net import Net, build, expected, expected_linear, linear_bound, uniform  # noqa: E402

from pyinit.adapters import torch as pt  # noqa: E402


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


def test_a_parameter_that_is_read_in_the_block_is_warned_of():
    def printed():
        layer = nn.Linear(3, 2)
        assert str(layer.weight)
        return layer

    with pytest.warns(UserWarning, match=r"^weight: read inside fast_init\(\)"), pt.fast_init(5) as report:
        layer = printed()
    assert torch.equal(layer.weight, torch.from_numpy(uniform("#0", (2, 3), linear_bound(3))))
    assert report.early[0].reader.startswith("Tensor.__repr__ at test_torch_blocks.py:")
    assert pt.verify(layer, report).equal


def test_the_meta_device_is_left_alone():
    with pt.fast_init(5) as report, torch.device("meta"):
        net = Net()
    assert all(p.device.type == "meta" for p in net.parameters())
    assert str(report.recipes["b.weight"]) == "Normal(), [2] = 0.0"
    assert torch.equal(pt.materialize(net, report.recipes, 5).b.weight, build()[0].b.weight)


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
