"""JAX on several hosts: each process makes the shards of its own devices, without communication."""

import os
import socket
import subprocess
import sys

import pytest

pytest.importorskip("jax", minversion="0.9")

PROGRAM = """
import sys
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

import pyinit
from pyinit.adapters import jax as pj

address, rank = sys.argv[1:]
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(address, 2, int(rank))
mesh = Mesh(np.array(jax.devices()).reshape(2, 2), ("x", "y"))
key, shape = jax.random.key(7), (8, 12)
normal = pyinit.Stream(7).normal(shape)
tree = {"w": jax.ShapeDtypeStruct(shape, "bfloat16"), "q": jax.ShapeDtypeStruct(shape, "float32")}
plan = {"q": "orthogonal", "w": "he_normal"}
whole = pyinit.initialize({name: np.empty(shape, leaf.dtype) for name, leaf in tree.items()}, 3, plan)
checked = 0
for spec in (P(), P("x"), P("y"), P("x", "y"), P(None, ("y", "x"))):
    sharding = NamedSharding(mesh, spec)
    arrays = [
        (pj.normal(key, shape, out_sharding=sharding), normal),
        (jax.jit(lambda key: pj.normal(key, shape), out_shardings=sharding)(key), normal),
        *((array, whole[name]) for name, array in pj.initialize(tree, 3, plan, sharding).items()),
    ]
    for array, expected in arrays:
        assert len(array.addressable_shards) == 2 and array.sharding.num_devices == 4
        for shard in array.addressable_shards:
            assert np.asarray(shard.data).tobytes() == expected[shard.index].tobytes(), (spec, shard.index)
            checked += 1
print(checked)
"""


def test_two_processes_make_one_array():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address, str(rank)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        results = [run.communicate(timeout=120) for run in runs]
    finally:
        for run in runs:
            run.kill()
    for run, (out, err) in zip(runs, results):
        assert (run.returncode, out) == (0, "40\n"), err
