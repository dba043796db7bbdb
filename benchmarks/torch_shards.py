"""Make one rank's part of a large sharded model in this process, and print the times as JSON.

Usage: python benchmarks/torch_shards.py MODEL RANKS TENSOR_PARALLEL RANK

The other ranks are simulated: nothing is communicated, so the process group need not be real.
"""

import json
import os
import sys
import time

import memory
import torch
import torch.distributed as dist
import torch_models
import transformers
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore

from pyinit import Stream
from pyinit.adapters import torch as pt

PLAN = {
    **{f"self_attn.{name}_proj": ColwiseParallel for name in "qkv"},
    "self_attn.o_proj": RowwiseParallel,
    "mlp.gate_proj": ColwiseParallel,
    "mlp.up_proj": ColwiseParallel,
    "mlp.down_proj": RowwiseParallel,
}


def shard(model, ranks, tensor_parallel):
    """Shard a Llama by heads and by layers, as training programs do."""
    mesh = init_device_mesh("cpu", (ranks // tensor_parallel, tensor_parallel), mesh_dim_names=("dp", "tp"))
    for layer in model.model.layers:
        if tensor_parallel > 1:
            parallelize_module(layer, mesh["tp"], {name: kind() for name, kind in PLAN.items()})
        fully_shard(layer, mesh=mesh["dp"])
    fully_shard(model, mesh=mesh["dp"])


def main():
    """Build, shard and fill, and print the times."""
    name, ranks, tensor_parallel, rank = sys.argv[1], *map(int, sys.argv[2:])
    transformers.logging.set_verbosity_error()
    torch.set_default_dtype(torch.bfloat16)
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=ranks)
    kind, config = torch_models.CONFIGS[name]
    make, times = getattr(transformers, kind), {}
    start = time.perf_counter()

    def lap(what):
        nonlocal start
        now = time.perf_counter()
        times[what], start = now - start, now

    with pt.deferred() as recipes:
        model = make(config)
    lap("deferred")
    shard(model, ranks, tensor_parallel)
    lap("sharding")
    pt.materialize(model, recipes, torch_models.SEED)
    lap("materialize")
    pt.initialize_module(model, torch_models.SEED, recipes)  # into memory that has been written before
    lap("again")
    held = sum(parameter.to_local().numel() for parameter in model.parameters())
    whole = sum(parameter.numel() for parameter in model.parameters())
    flat = torch.empty(held)
    lap("rest")
    for key in ("flat, new memory", "flat"):
        pt.init.normal_(flat, std=0.02, stream=Stream(0))
        lap(key)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    result = {"seconds": times, "held": held, "parameters": whole, "tensors": len(recipes), "versions": versions}
    print(json.dumps({**result, "peak_bytes": memory.peak()}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
