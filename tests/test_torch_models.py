"""Real models: pyinit's parameters have the distributions of a plain construction, and buffers the same values.

Every model is built in three ways: plainly, inside `fast_init`, and inside `deferred` with `materialize`. The last two
must be bit-identical.
"""

import importlib.util
import inspect
import math
import warnings

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")

import torch_zoo  # noqa: E402
from torch import nn  # noqa: E402

from pyinit.adapters import torch as pt  # noqa: E402


def built(build):
    """Build a model, without the warnings of its library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build()


def values(tensor):
    """Return a tensor's values, at most about 30,000 of them, as float64."""
    flat = tensor.detach().flatten()
    return flat[:: max(1, len(flat) // 30_000)].to(torch.float64).numpy()


def differs(plain, fast):
    """Return how the distributions of two tensors differ, or None."""
    if plain.min() == plain.max():
        return None if torch.equal(plain, fast) else "constant"
    if torch.equal(plain, fast):
        return None
    a, b = values(plain), values(fast)
    n = len(a)
    zeros = [float(np.mean(x == 0)) for x in (a, b)]
    if abs(zeros[0] - zeros[1]) > max(1e-3, 8 / n):
        return f"zeros {zeros}"
    # Two samples of one distribution differ by more with probability 1e-9.
    if stats.ks_2samp(a, b, method="asymp").statistic > 3.3 * math.sqrt(2 / n):
        return "distribution"
    largest = [float(np.sort(np.abs(x))[-2]) for x in (a, b)]  # torch may have one outlier
    if n >= 1000 and not 0.6 < largest[0] / largest[1] < 1.6:
        return f"bounds {largest}"
    return None


def check(build, early=0):
    """Build a model in all three ways and compare."""
    torch.manual_seed(3)
    plain = built(build)
    state = torch.get_rng_state()
    with pt.fast_init(seed=1) as report:
        fast = built(build)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(report.early) == early, report.early
    named = dict(fast.named_parameters(remove_duplicate=False))
    bad = {
        name: found
        for name, parameter in plain.named_parameters(remove_duplicate=False)
        if (found := differs(parameter, named[name]))
    }
    assert not bad, [(name, found, str(report.recipes[name])) for name, found in bad.items()]
    drawn = {name for name, _ in fast.named_buffers() if name in report.recipes}
    for (name, a), (_, b) in zip(plain.named_buffers(), fast.named_buffers(), strict=True):
        assert name in drawn or early or torch.equal(a, b), name
    assert pt.verify(fast, report.recipes, seed=1).equal
    if early:
        with pytest.raises(RuntimeError, match="fast_init"), pt.deferred():
            built(build)
        return report
    with pt.deferred() as recipes:
        model = built(build)
    assert all(p.device.type == "meta" for p in model.parameters())
    assert recipes == report.recipes
    assert pt.Recipes.from_json(recipes.to_json()) == recipes
    pt.materialize(model, recipes, seed=1)
    same_bits(model, fast)
    return report


def same_bits(a, b):
    """Check that two models have the same tensors."""
    for kind in ("named_parameters", "named_buffers"):
        ours, theirs = (list(getattr(m, kind)(remove_duplicate=False)) for m in (a, b))
        for (name, x), (other, y) in zip(ours, theirs, strict=True):
            assert name == other
            assert torch.equal(x, y), name
            assert (type(x), x.stride(), x.requires_grad) == (type(y), y.stride(), y.requires_grad), name


def test_every_module_of_torch_nn_is_here():
    for name, kind in vars(nn).items():
        if not (inspect.isclass(kind) and issubclass(kind, nn.Module)) or kind is nn.Module or name.startswith("Lazy"):
            continue
        if name in torch_zoo.LAYERS or name in torch_zoo.OTHERS | torch_zoo.WITHOUT:
            continue
        arguments = [2] * len(
            [
                p
                for p in inspect.signature(kind).parameters.values()
                if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            ]
        )
        assert not list(built(lambda kind=kind, a=arguments: kind(*a)).parameters()), name


@pytest.mark.parametrize("name", [*torch_zoo.LAYERS_LIKE, *torch_zoo.BUILDERS])
def test_layers(name):
    check({**torch_zoo.LAYERS_LIKE, **torch_zoo.BUILDERS}[name])


def test_a_value_that_is_read_is_made_at_once_and_listed():
    report = check(lambda: nn.utils.parametrizations.orthogonal(nn.Linear(40, 40)), early=1)
    [(key, shape, reader)] = report.early
    assert (key, shape) == ("#0", (40, 40))
    assert reader.startswith("aten.allclose.default at test_torch_models.py:")
    assert f"made early: #0 of shape (40, 40), for {reader}" in str(report)


@pytest.mark.parametrize("name", torch_zoo.TRANSFORMERS)
def test_transformers(name):
    pytest.importorskip("transformers")
    check(torch_zoo.transformers_models()[name])


@pytest.mark.parametrize("name", torch_zoo.TIMM)
def test_timm(name):
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    check(torch_zoo.timm_models()[name])


def test_the_zoo_is_as_large_as_it_should_be():
    pytest.importorskip("transformers")
    assert set(torch_zoo.TRANSFORMERS) == set(torch_zoo.transformers_models())
    assert len(torch_zoo.TRANSFORMERS) >= 25
    assert len(torch_zoo.TIMM) >= 10
