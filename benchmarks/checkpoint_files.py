"""Write or verify a checkpoint in this process, and print time and memory as JSON.

Usage: python benchmarks/checkpoint_files.py WAY FOLDER GIGABYTES

The checkpoint has the tensors of a Llama, in bfloat16. WAY is write or verify, by pyinit, or torch.save or save_file.
The latter two need a model in memory: PyTorch draws its weights first.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

import memory

from pyinit import checkpoint
from pyinit.bench import SEED

WIDTH, INNER, VOCABULARY = 4096, 14336, 128256
LAYER = {
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (WIDTH // 4, WIDTH),
    "self_attn.v_proj": (WIDTH // 4, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
    "mlp.gate_proj": (INNER, WIDTH),
    "mlp.up_proj": (INNER, WIDTH),
    "mlp.down_proj": (WIDTH, INNER),
}
PLAN = {"*norm.weight": "ones", "*": "normal(std=0.02)"}


def shapes(gigabytes):
    """Return names and shapes of layers of a given size in bfloat16; the embedding makes up the difference."""
    layer = {f"{name}.weight": shape for name, shape in LAYER.items()}
    layer |= {f"{name}_layernorm.weight": (WIDTH,) for name in ("input", "post_attention")}
    of_layer = sum(shape[0] * (shape[1] if len(shape) == 2 else 1) for shape in layer.values())
    elements = int(gigabytes * 1e9 / 2)
    layers = max(1, (elements - VOCABULARY * WIDTH) // of_layer)
    found = {"model.embed_tokens.weight": (max(1, (elements - layers * of_layer) // WIDTH), WIDTH)}
    for number in range(layers):
        found |= {f"model.layers.{number}.{name}": shape for name, shape in layer.items()}
    return found


def drawn(names):
    """Return the weights in memory, as a PyTorch program initialises them."""
    import torch

    torch.manual_seed(SEED)
    model = {name: torch.empty(shape, dtype=torch.bfloat16) for name, shape in names.items()}
    for name, tensor in model.items():
        tensor.fill_(1) if name.endswith("norm.weight") else tensor.normal_(std=0.02)
    return model


def save(way, model, folder):
    """Save weights with torch or safetensors, and wait for the disk."""
    import safetensors.torch
    import torch

    folder.mkdir()
    file = folder / "model.safetensors"
    if way == "torch.save":
        torch.save(model, file)
    else:
        safetensors.torch.save_file(model, file, {"format": "pt"})
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def main():
    """Run it, and print the times."""
    way, folder, gigabytes = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    names = shapes(gigabytes)
    start = time.perf_counter()
    model = drawn(names) if way in ("torch.save", "save_file") else None
    drawing = time.perf_counter() - start
    if way == "write":
        checkpoint.write(names, folder, SEED, plan=PLAN, dtype="bfloat16")
    elif way == "verify":
        assert checkpoint.verify(folder, PLAN, SEED).equal
    else:
        save(way, model, folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    result = {"seconds": time.perf_counter() - start, "drawing": drawing, "processor": used.ru_utime + used.ru_stime}
    result["bytes"] = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    print(json.dumps({**result, "peak_bytes": memory.peak()}))


if __name__ == "__main__":
    main()
