"""Models on the meta device: `deferred` and `materialize`."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_deferral import Net, deferred, small_llama  # noqa: E402

from pyinit.adapters import torch as pt  # noqa: E402
from pyinit.initializers import normal  # noqa: E402


def test_parameters_are_on_the_meta_device_and_buffers_are_real():
    model, recipes = deferred()
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert model.head.weight is model.embed.weight
    assert torch.equal(model.inverse, 1 / torch.arange(1.0, 5.0))
    assert model.norm.num_batches_tracked.item() == 0
    assert model.projection.device.type == "meta"  # a random buffer, which needs a seed
    assert not model.positions.requires_grad
    assert str(recipes["embed.weight"]) == "Normal(), [3] = 0.0"
    assert recipes["head.weight"].name == "embed.weight"
    assert recipes["projection"].scheme == normal()
    assert set(recipes) == {name for name, _ in model.named_parameters(remove_duplicate=False)} | {"projection"}


@pytest.mark.parametrize("seed", [0, 7])
def test_what_is_materialised_is_what_fast_init_builds(seed):
    model, recipes = deferred()
    assert pt.materialize(model, recipes, seed) is model
    with pt.fast_init(seed) as report:
        fast = Net()
    assert recipes == report.recipes
    for (name, a), (_, b) in zip(
        [*model.named_parameters(), *model.named_buffers()], [*fast.named_parameters(), *fast.named_buffers()]
    ):
        assert torch.equal(a, b), name
        assert a.requires_grad == b.requires_grad
    assert model.head.weight is model.embed.weight
    assert isinstance(model.scaled, nn.Parameter)
    assert pt.verify(model, recipes, seed).equal


def test_what_cannot_be_materialised_is_listed_and_nothing_is_allocated():
    model, recipes = deferred()
    lacking = pt.Recipes({name: recipes[name] for name in recipes if name not in ("scaled", "projection")})
    with pytest.raises(ValueError, match=r"scaled, projection: there is no recipe"):
        pt.materialize(model, lacking, 0)
    wrong = pt.Recipes({**recipes, "scaled": recipes["head.bias"]})
    with pytest.raises(ValueError, match=r"scaled: the recipe has shape \(50,\), the tensor \(40, 6\)"):
        pt.materialize(model, wrong, 0)
    assert {p.device.type for p in model.parameters()} == {"meta"}

    class Unwritten(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.empty(3)), nn.Parameter(torch.empty(3, 2))
            nn.init.ones_(self.b[0:2])

    model, recipes = deferred(Unwritten)
    with pytest.raises(ValueError, match="a, b: nothing was written to it"):
        pt.materialize(model, recipes, 0)
    with torch.device("meta"):
        model = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="running_mean, running_var, num_batches_tracked: there is no recipe"):
        pt.materialize(model, pt.Recipes({**deferred(lambda: nn.BatchNorm1d(3))[1]}), 0)
    model, recipes = deferred(lambda: nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(ValueError, match=r"0.weight, 0.bias: its shape is not known yet"):
        pt.materialize(model, recipes, 0)


def test_what_deferred_refuses():
    with pytest.raises(RuntimeError, match="fast_init"), pt.deferred():
        torch.randn(3).tolist()
    with pytest.raises(RuntimeError, match="fast_init"), pt.deferred():
        torch.multinomial(torch.ones(3), 2)
    with pytest.raises(ValueError, match="several: Linear, BatchNorm1d"), pt.deferred():
        kept = nn.Linear(3, 2), nn.BatchNorm1d(3)
    assert kept
    with pytest.raises(ValueError, match=r"neither parameters nor buffers"), pt.deferred():
        kept = torch.randn(3), nn.Linear(3, 2)


def test_constants_outside_of_modules_are_there_after_the_block():
    with pt.deferred():
        ones = torch.empty(3).fill_(1)
        net = nn.Linear(3, 2)
    assert ones.tolist() == [1, 1, 1]
    assert net.weight.device.type == "meta"


def test_real_tensors_keep_their_values():
    """Megatron-LM#4155: `to_empty` wipes buffers; `materialize` must keep them."""
    model, recipes = deferred()
    model.inverse.mul_(3)
    model.head.bias = nn.Parameter(torch.full((50,), 7.0))
    pt.materialize(model, recipes, 0)
    assert torch.equal(model.inverse, 3 / torch.arange(1.0, 5.0))
    assert torch.equal(model.head.bias, torch.full((50,), 7.0))


def test_megatron_lm_4155_buffers_are_not_wiped():
    test_real_tensors_keep_their_values()


def test_transformers_45902_inv_freq_survives():
    model, recipes = deferred(small_llama)
    pt.materialize(model, recipes, 0)
    plain = small_llama()
    assert torch.equal(model.model.rotary_emb.inv_freq, plain.model.rotary_emb.inv_freq)
    tokens = torch.arange(6).view(1, 6)
    assert torch.isfinite(model(tokens).logits).all()


class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(9, 7))
        with torch.no_grad():
            self.weight.copy_(torch.randn(7))


def test_a_row_that_is_copied_to_all_rows_writes_them():
    with pt.fast_init(3):
        expected = Rows()
    with pt.deferred() as recipes:
        model = Rows()
    assert torch.equal(pt.materialize(model, recipes, 3).weight, expected.weight)
    assert torch.equal(model.weight, model.weight[:1].expand(9, 7))


def test_a_model_that_cannot_be_made_stays_as_it_was():
    with pt.deferred() as recipes:
        model = nn.Sequential(nn.Linear(2, 3), nn.Linear(1 << 28, 1 << 28, bias=False))
    for wrong in ({"num_threads": 0}, {"device": "meta"}, {}):  # {} has no memory on the device
        with pytest.raises((ValueError, RuntimeError), match=r"num_threads must|device must have memory|memory"):
            pt.materialize(model, recipes, 0, **wrong)
        assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


def test_what_materialize_refuses():
    model, recipes = deferred()
    for wrong, message in ((None, "NoneType"), ({"*": "ones"}, "a plan goes to initialize_module")):
        with pytest.raises(TypeError, match=f"recipes must be Recipes.*{message}"):
            pt.materialize(model, wrong, 0)
    with pytest.raises(TypeError, match="seed must be"):
        pt.materialize(model, recipes, None)
    with pytest.raises(TypeError, match=r"model must be a torch.nn.Module; got OrderedDict"):
        pt.materialize(model.state_dict(), recipes, 0)
    pt.materialize(model, recipes, 0)
    with pytest.raises(ValueError, match="no tensor on the meta device; initialize_module"):
        pt.materialize(model, recipes, 0)


def test_recipes_fill_an_existing_model():
    model, recipes = deferred()
    pt.materialize(model, recipes, 3)
    other = Net()
    pt.initialize_module(other, 3, recipes)
    for (name, a), (_, b) in zip(model.named_parameters(), other.named_parameters()):
        assert torch.equal(a, b), name
    with pytest.raises(ValueError, match="scaled: there is no recipe"):
        pt.initialize_module(other, 3, pt.Recipes({name: recipes[name] for name in recipes if name != "scaled"}))


def beside(value, through_both=False):
    """A module whose parameter is written through the tensor it was made from."""
    net, weight = nn.Module(), nn.Parameter(value(3, 4))
    net.weight = weight
    with torch.no_grad():
        if through_both:
            net.weight.add_(1)
        nn.init.normal_(weight[1])
        weight.mul_(2)
    return net


@pytest.mark.parametrize("value", [torch.randn, torch.ones, torch.empty])
def test_a_parameter_that_is_written_beside_its_module(value):
    def build():
        net, weight = nn.Module(), nn.Parameter(value(3, 4))
        net.register_parameter("weight", weight)
        nn.init.xavier_normal_(weight)
        return net

    for make in (build, lambda: beside(value if value is not torch.empty else torch.zeros)):
        with pt.fast_init(5):
            fast = make()
        model, recipes = deferred(make)
        assert torch.equal(pt.materialize(model, recipes, 5).weight, fast.weight)


def test_a_parameter_that_is_written_beside_its_module_and_through_it():
    with pytest.raises(ValueError, match=r"shape \(3, 4\) was written through two tensors"):
        deferred(lambda: beside(torch.randn, through_both=True))


def test_real_memory_that_is_drawn_in_part():
    def build():
        net, weight = nn.Module(), torch.ones(6)
        weight[:2].normal_()
        net.weight = nn.Parameter(weight)
        return net

    with pt.fast_init(3):
        fast = build()
    model, recipes = deferred(build)
    assert torch.equal(pt.materialize(model, recipes, 3).weight, fast.weight)


def test_a_part_that_is_drawn_twice_does_not_count_twice():
    def build():
        net = nn.Module()
        net.weight = nn.Parameter(torch.empty(6))
        for _ in range(2):
            nn.init.normal_(net.weight[:3])
        return net

    with pytest.raises(ValueError, match="weight: nothing was written to it"):
        pt.materialize(*deferred(build), 0)
