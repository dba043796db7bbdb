"""PyTorch's adapter, for `hostile_parameters.py`: its entries, a model, and a caller's actions on the model."""

from contextlib import suppress
from functools import partial

import numpy as np

torch = None
with suppress(ImportError):
    import torch

    class Mine(torch.nn.Linear):
        """A layer whose code reads a number."""

        asked = 1.0

        def reset_parameters(self):
            float(self.asked)
            super().reset_parameters()
            float(self.asked)

        def forward(self, x):
            float(self.asked)
            return super().forward(x)


def torch_model():
    """Return a model whose code reads a number when it resets itself and when it runs; None without PyTorch."""
    if torch is None:
        return None
    model = torch.nn.Sequential(Mine(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    return model


def torch_state(model):
    """Return everything that a call may leave on a model: values, attributes and hooks."""
    if model is None:
        return None
    values = [(name, tensor.shape, tensor.device.type, text_of(tensor)) for name, tensor in model.state_dict().items()]
    hooks = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    return values, hooks, [p.requires_grad and p.grad is None for p in model.parameters()]


def text_of(tensor):
    has_memory = tensor.device.type == "cpu" and tensor.untyped_storage().nbytes() >= 4 * tensor.numel()
    return tensor.detach().numpy().tobytes() if has_memory else None


def by_init(name, target, **given):
    from pyinit.adapters.torch import init

    getattr(init, name)(target.model[0].weight, **given, stream=target.stream)


def by_module(target, **given):
    from pyinit.adapters import torch as pt

    return list(pt.initialize_module(target.model, **{"seed": 1, "plan": {"*": "normal"}, **given}))


def by_own_code(target, reset):
    """Initialise with the module's own code."""
    target.model[0].asked = reset
    by_module(target, plan=None)


def by_prefix(target, prefix):
    """Initialise with names from a caller's function."""
    by_module(target, prefix=lambda name: f"{float(prefix)}.{name}")


def built_by(target, constructor, how="fast_init"):
    """Build a model whose constructor reads a number, in a block."""
    from pyinit.adapters import torch as pt

    Mine.asked = constructor
    try:
        with pt.fast_init(1) if how == "fast_init" else pt.deferred() as recipes:
            model = Mine(4, 3)
        if how == "deferred":
            pt.materialize(model, recipes, seed=1)
    finally:
        Mine.asked = 1.0
    return torch_state(model)


def measured(target, forward):
    """Diagnose a model whose code reads a number when it runs."""
    from pyinit import diagnostics

    target.model[0].asked = forward
    x = np.eye(4, dtype=np.float32)
    return diagnostics.activations(target.model, x).std.tobytes(), diagnostics.gradients(target.model, x).table()


def built(target, how="fast", device="cpu", **given):
    import torch

    from pyinit.adapters import torch as pt

    given = {"seed": 1, **given}
    if how == "fast":
        with pt.fast_init(**given):
            model = torch.nn.Linear(4, 3)
    else:
        with pt.deferred() as recipes:
            model = torch.nn.Linear(4, 3)
        pt.materialize(model, recipes, device=device, **given)
    return [(name, tensor.detach().numpy().tobytes()) for name, tensor in model.state_dict().items()]


def verified(target, **given):
    from pyinit.adapters import torch as pt

    given = {"seed": 1, "recipes": {"*": "normal"}, **given}
    return list(pt.verify(target.model, **given))


def noise(target, shape, **given):
    """Draw from a seed or, without one, from the target's stream."""
    from pyinit.adapters import torch as pt

    return pt.randn(shape, **(given or {"stream": target.stream})).numpy().tobytes()


def free(target):
    """Free the model's memory, as FSDP does."""
    for parameter in target.model.parameters():
        parameter.untyped_storage().resize_(0)


def cut(target):
    for parameter in target.model.parameters():
        parameter.data = parameter.data[:1]


def put_others(target):
    for layer in (target.model[0], target.model[2]):
        layer.weight = torch.nn.Parameter(torch.zeros(2, 9, dtype=torch.float64))


def put_nothing(target):
    target.model[0].bias = None
    target.model.to("meta")


def take_layers(target):
    target.model._modules.clear()


DEEDS = {"free": free, "cut": cut, "put others": put_others, "put nothing": put_nothing, "take layers": take_layers}
DEEDS = DEEDS if torch is not None else {}

ENTRIES = {
    "init.normal_": (partial(by_init, "normal_"), {"mean": (0.5, 1.5), "std": (2.0, -1.0)}),
    "init.uniform_": (partial(by_init, "uniform_"), {"a": (-1.0, 1.5), "b": (1.0, -2.0)}),
    "init.trunc_normal_": (
        partial(by_init, "trunc_normal_"),
        {"mean": (0.5, 1.5), "std": (2.0, -1.0), "a": (-1.0, 9.0), "b": (1.0, -9.0)},
    ),
    "init.constant_": (partial(by_init, "constant_"), {"val": (0.25, 1.5)}),
    "init.xavier_normal_": (partial(by_init, "xavier_normal_"), {"gain": (2.0, -1.0)}),
    "init.kaiming_normal_": (
        partial(by_init, "kaiming_normal_"),
        {"a": (0.5, 1.5), "mode": ("fan_in", "fan_out"), "nonlinearity": ("leaky_relu", "relu")},
    ),
    "init.orthogonal_": (partial(by_init, "orthogonal_"), {"gain": (2.0, -1.0)}),
    "init.sparse_": (partial(by_init, "sparse_"), {"sparsity": (0.5, 2.0), "std": (0.5, -1.0)}),
    "initialize_module": (
        by_module,
        {
            "seed": (1, 2),
            "plan": ({"*": "normal(std=0.5)"}, {"*": "zeros"}),
            "generator": ("philox", "ars5"),
            "prefix": ("a.", "b."),
            "num_threads": (2, -1),
        },
    ),
    "initialize_module, own": (by_own_code, {"reset": (1.0, 2.0)}),
    "initialize_module, prefix": (by_prefix, {"prefix": (1.0, 1.0)}),
    "fast_init, constructor": (built_by, {"constructor": (1.0, 2.0)}),
    "deferred, constructor": (partial(built_by, how="deferred"), {"constructor": (1.0, 2.0)}),
    "torch diagnostics": (measured, {"forward": (1.0, 2.0)}),
    "fast_init": (built, {"seed": (1, 2), "prefix": ("a.", "b."), "num_threads": (2, -1)}),
    "materialize": (
        partial(built, how="deferred"),
        {
            "seed": (1, 2),
            "device": ("cpu", "meta"),
            "generator": ("philox", "ars5"),
            "num_threads": (2, -1),
        },
    ),
    "torch verify": (
        verified,
        {
            "recipes": ({"*": "normal"}, {"*": "zeros"}),
            "seed": (1, 2),
            "generator": ("philox", "ars5"),
            "num_threads": (2, -1),
        },
    ),
    "randn": (noise, {"shape": ((3, 4), (2, 6)), "seed": (1, 2)}),
    "randn, stream": (noise, {"shape": ((3, 4), (2, 6))}),
}
ENTRIES = ENTRIES if torch is not None else {}
