"""Deferred models and their verification take little memory, for any size of model."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_deferral import deferred  # noqa: E402

import pyinit  # noqa: E402

# VmHWM instead of getrusage, which reports the parent process if that used more.
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc that tells the peak of memory")


def test_a_large_tensor_is_never_allocated():
    class Large(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.randn(1 << 25, 1 << 15) * 0.5)
            self.b = nn.Parameter(torch.ones(1 << 40))
            self.c = nn.Linear(1 << 20, 1 << 20)

    model, recipes = deferred(Large)
    assert str(recipes["a"]) == "mul(Normal(), 0.5)"
    assert recipes["b"].scheme == pyinit.initializers.ones()
    assert {p.device.type for p in model.parameters()} == {"meta"}


@needs_proc
@pytest.mark.parametrize(
    ("name", "config", "parameters"),
    [
        (
            "OPT-175B",
            "transformers.OPTConfig(hidden_size=12288, num_hidden_layers=96, num_attention_heads=96, ffn_dim=49152, "
            "word_embed_proj_dim=12288)",
            175e9,
        ),
        (
            "Llama-70B",
            "transformers.LlamaConfig(hidden_size=8192, num_hidden_layers=80, num_attention_heads=64, "
            "num_key_value_heads=8, intermediate_size=28672, vocab_size=128256)",
            70.6e9,
        ),
    ],
)
def test_transformers_21687_large_models_need_no_memory(name, config, parameters):
    pytest.importorskip("transformers")
    script = f"""
    import re, transformers
    from pyinit.adapters import torch as pt
    with pt.deferred() as recipes:
        model = transformers.AutoModelForCausalLM.from_config({config})
    peak = re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]
    print(sum(p.numel() for p in model.parameters()), len(recipes), peak)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, recipes, kilobytes = map(int, done.stdout.split())
    assert abs(count / parameters - 1) < 0.01
    assert recipes > 700
    # Imports alone take 340 MB, and the CUDA libraries 200 MB more.
    assert kilobytes * 1024 < (600e6 if torch.version.cuda is None else 800e6)


@needs_proc
def test_verify_takes_little_memory():
    script = """
    import re, torch
    from pyinit.adapters import torch as pt

    def build():
        table = torch.nn.Embedding(40_000, 1_000, padding_idx=0)
        table.more = torch.nn.Parameter(torch.randn(20_000, 1_000) * 0.5)
        return table

    with pt.fast_init(0) as report:
        model = build()
    peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
    before = peak()
    assert pt.verify(model, report.recipes, 0).equal
    print((peak() - before) // 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100  # the model has 240 MB
