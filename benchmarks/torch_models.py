"""Build one transformers model in one way, in this process, and print its times as JSON.

Usage: python benchmarks/torch_models.py MODEL DTYPE WAY
"""

import json
import mmap
import os
import resource
import sys
import time

import numpy as np
import torch
import transformers
from memory import peak
from transformers import GPT2Config, LlamaConfig, OPTConfig, ViTConfig

from pyinit.adapters import torch as pt

SEED = 0
PAGE = 4096
CONFIGS = {
    "GPT-2 XL": ("GPT2LMHeadModel", GPT2Config(n_embd=1600, n_layer=48, n_head=25)),
    "Llama 1B": (
        "LlamaForCausalLM",
        LlamaConfig(
            vocab_size=128256,
            hidden_size=2048,
            intermediate_size=8192,
            num_hidden_layers=16,
            num_attention_heads=32,
            num_key_value_heads=8,
            tie_word_embeddings=True,
        ),
    ),
    "ViT-L": (
        "ViTForImageClassification",
        ViTConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
    ),
    "OPT-175B": (
        "OPTForCausalLM",
        OPTConfig(
            hidden_size=12288,
            num_hidden_layers=96,
            num_attention_heads=96,
            ffn_dim=49152,
            word_embed_proj_dim=12288,
        ),
    ),
    "Llama 70B": (
        "LlamaForCausalLM",
        LlamaConfig(
            vocab_size=128256,
            hidden_size=8192,
            intermediate_size=28672,
            num_hidden_layers=80,
            num_attention_heads=64,
            num_key_value_heads=8,
        ),
    ),
    "tiny": ("GPT2LMHeadModel", GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=300)),  # for the tests
}
BYTES = {"GPT-2 XL": 6.3e9, "Llama 1B": 5.0e9, "ViT-L": 1.3e9, "tiny": 1e6}  # in float32, for models that get memory
SIZES = {"float32": 4, "bfloat16": 2}


def build(name, way):
    """Return the model and, for fast_init, the time at which only filling was left."""
    kind, config = CONFIGS[name]
    make, built = getattr(transformers, kind), None
    if way == "plain":
        model = make(config)
    elif way == "fast_init":
        with pt.fast_init(SEED):
            model = make(config)
            built = time.perf_counter()
    elif way == "deferred":
        with pt.deferred():
            model = make(config)
    else:
        with transformers.initialization.no_init_weights():
            model = make(config)
    return model, built


def touch(size):
    """Touch as much memory as the model will use, and free it.

    On a virtual machine the first use of memory can take minutes of page faults, which would count against the way
    that runs first.
    """
    if size:
        with mmap.mmap(-1, size) as memory:
            np.frombuffer(memory, np.uint8)[::PAGE] = 1


def main():
    """Build the model, and print its times."""
    name, dtype, way = sys.argv[1:]
    transformers.logging.set_verbosity_error()
    torch.set_default_dtype(getattr(torch, dtype))
    getattr(transformers, CONFIGS[name][0])  # imports the model's code
    touch(int(BYTES.get(name, 0) * SIZES[dtype] / 4))
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    model, built = build(name, way)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "peak_bytes": peak(),
                "construction": None if built is None else built - start,
                "user": after.ru_utime - before.ru_utime,
                "system": after.ru_stime - before.ru_stime,
                "parameters": sum(p.numel() for p in model.parameters()),
                "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
            }
        ),
        flush=True,
    )
    os._exit(0)  # skips freeing gigabytes, which is slow


if __name__ == "__main__":
    main()
