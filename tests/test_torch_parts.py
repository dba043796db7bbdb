"""Parts of a model, each built by one process, with the names of the whole model: pipeline stages, and experts."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_sharded import equal  # noqa: E402

from pyinit.adapters import torch as pt  # noqa: E402


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down, self.norm = nn.Linear(6, 12), nn.Linear(12, 6), nn.LayerNorm(6)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6, padding_idx=0)
        self.layers = nn.ModuleList(Block() for _ in range(4))
        self.head = nn.Linear(6, 11)


def layers_two_to_three(name):
    """Return the names in the whole model for a stage with the last two layers and the head."""
    first, _, rest = name.partition(".")
    return name if first == "head" else f"layers.{int(first) + 2}.{rest}"


def stage():
    made = nn.ModuleDict({"0": Block(), "1": Block(), "head": nn.Linear(6, 11)})
    return made


def same(part, whole, rename):
    theirs = dict(whole.named_parameters())
    for name, parameter in part.named_parameters():
        assert equal(parameter, theirs[rename(name)]), name


def test_a_pipeline_stage_has_the_weights_of_the_whole_model():
    with pt.fast_init(seed=8) as report:
        whole = Deep()
    with pt.fast_init(seed=8, prefix="layers.2.") as own:
        block = Block()
    same(block, whole, "layers.2.".__add__)
    assert own.recipes["layers.2.up.weight"] == report.recipes["layers.2.up.weight"]
    assert pt.verify(block, own).equal
    assert pt.verify(block, report.recipes, 8, prefix="layers.2.").equal
    assert not pt.verify(block, report.recipes, 8, prefix="layers.1.").equal

    with pt.fast_init(seed=8, prefix="layers.2.") as own:
        block, other = Block(), nn.Linear(2, 2)
    assert pt.verify(block, own).equal
    assert pt.verify(other, own).equal  # its names begin with the class

    with pt.fast_init(seed=8, prefix=layers_two_to_three):
        built = stage()
    same(built, whole, layers_two_to_three)
    with pt.deferred(prefix=layers_two_to_three) as recipes:
        later = stage()
    assert set(recipes) <= set(report.recipes)
    same(pt.materialize(later, recipes, 8, prefix=layers_two_to_three), whole, layers_two_to_three)
    with pt.deferred():
        later = stage()
    same(pt.materialize(later, report.recipes, 8, prefix=layers_two_to_three), whole, layers_two_to_three)

    plan = {"embed*": "zeros", "*bias": "zeros", "*norm*": "ones", "*": "kaiming_normal"}
    pt.initialize_module(whole, 4, plan)
    pt.initialize_module(built, 4, plan, prefix=layers_two_to_three)
    same(built, whole, layers_two_to_three)
    assert pt.verify(built, plan, 4, prefix=layers_two_to_three).equal
    pt.initialize_module(whole, 4)
    pt.initialize_module(built, 4, prefix=layers_two_to_three)
    same(built, whole, layers_two_to_three)


class Experts(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.router = nn.Linear(6, 8)
        self.experts = nn.ModuleList(Block() for _ in range(count))


@pytest.mark.parametrize("rank", range(4))
def test_an_expert_parallel_rank_builds_its_own_experts(rank):
    def rename(name):
        first, _, rest = name.partition(".")
        number, _, inner = rest.partition(".")
        return f"experts.{int(number) + 2 * rank}.{inner}" if first == "experts" else name

    with pt.fast_init(seed=8):
        whole = Experts(8)
    with pt.fast_init(seed=8, prefix=rename):
        part = Experts(2)
    same(part, whole, rename)


def test_wrong_prefixes():
    block, plan = Block(), {"*": "normal"}
    before = [parameter.clone() for parameter in block.parameters()]
    for prefix, words in (
        (lambda name: "w", "the same name, 'w'"),
        (lambda name: None, "must be a str"),
        (3, "must be a"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            pt.initialize_module(block, 0, plan, prefix=prefix)
    with pytest.raises(ValueError, match=r"no pattern matches 'layers\.0\.norm\.weight'"):
        pt.initialize_module(block, 0, {"*up*": "ones", "*down*": "ones"}, prefix="layers.0.")
    assert all(map(equal, before, block.parameters()))
