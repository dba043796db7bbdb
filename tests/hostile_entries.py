"""The entries around the core, for `hostile_parameters.py`: files, checkpoints, networks, diagnostics and plans."""

from importlib.metadata import version
from importlib.util import find_spec

import numpy as np

from pyinit import checkpoint, diagnostics, files, models, network
from pyinit import initialize as by_plan
from pyinit.network import Dense, Network

PLAN = {"0.w": "normal(std=0.5)", "*": "uniform(-1, 1)"}
SHAPES = {"0.w": [6, 4], "1.w": [5]}

# The entries: a function of the target and its parameters, and values of these. Honest calls use the first value; a
# liar gives the second, which is valid too, from its second answer on.


def filled(target, path, **given):
    files.fill(path_of(target, path), **given)


def path_of(target, path):
    """Return a path in the target's folder, for any kind of path."""
    return str(target.folder / path) if isinstance(path, str) else path


def written(target, folder="made", source=None, **given):
    source = {"0.w": {"shape": [6, 4], "scheme": "normal"}} if source is None else source
    checkpoint.write(source, path_of(target, folder), **{"seed": 3, **given})


def by_shapes(target, source, plan):
    checkpoint.write(source, target.folder / "made", 3, plan=plan)


def verified(target, path, **given):
    files.fill(target.folder / "a.npy", (6, 4), "normal", 3, dtype="float32")
    return list(checkpoint.verify(path_of(target, path), **{"source": "normal", "seed": 3, **given}))


def compared(target, path, other):
    files.fill(target.folder / "a.npy", (6, 4), "normal", 3)
    return list(checkpoint.against(path_of(target, path), path_of(target, other)))


def made_network(target, inputs=4, layers=None, units=3, activation="tanh", dtype="float32", device="cpu"):
    net = Network(inputs, [Dense(units, activation), Dense(2)] if layers is None else layers, dtype, device)
    net.initialize(1)
    return net([[0.5] * net.inputs]).tobytes(), [array.shape for _, array in net.parameters()]


def initialized(target, **given):
    target.net.initialize(**{"seed": 1, **given})


def computed(target, x):
    return target.net(x).tobytes()


def flowed(target, x, gradient):
    return [flow.tobytes() for flow in target.net.gradient_flow(x, gradient)]


def by_lsuv(target, **given):
    network.lsuv(target.net, **{"x": np.eye(4, dtype=np.float32), "seed": 1, **given})


def trained(target, **given):
    network.train(target.net, **{"x": np.ones((6, 4)), "y": np.ones((6, 2)), **given})


def saved(target, path):
    network.save(target.net, path_of(target, path))


def loaded(target, path, device):
    network.save(target.net, target.folder / "net.safetensors")
    return [array.tobytes() for _, array in network.load(path_of(target, path), device).parameters()]


def diagnosed(target, **given):
    return diagnostics.diagnose(**{"layers": 2, "width": 8, "batch": 4, **given}).activations.std.tobytes()


def measured(target, x, gradient):
    return diagnostics.activations(target.net, x).std.tobytes(), diagnostics.gradients(target.net, x, gradient).table()


def planned(target, params=None, plan=None, shards=None, seed=7, generator="philox", num_threads=2):
    params = target.params if params is None else params
    plan = PLAN if plan is None else plan
    by_plan(params, seed, plan, shards=shards, generator=generator, num_threads=num_threads)


def listed_windows(target, global_shape, offset, where=()):
    parameter = models.Shard(global_shape, offset, where)
    by_plan(target.params, 7, PLAN, shards={"0.w": [parameter]})


def cut(target, global_shape, dim, pieces, piece):
    return models.shards(global_shape, [models.Cut(dim, pieces, piece)])


ENTRIES = {
    "files.fill": (
        filled,
        {
            "path": ("a.npy", "b.npy"),
            "shape": ((6, 4), (3, 8)),
            "scheme": ({"name": "normal", "std": 0.5}, {"name": "uniform"}),
            "seed": (3, 4),
            "dtype": (np.float32, np.float64),
            "generator": ("philox", "ars5"),
            "child": ("w", "v"),
            "name": ("weights", "v"),
            "num_threads": (2, -1),
            "chunk_bytes": (4096, -1),
        },
    ),
    "files.fill, .npz": (
        filled,
        {
            "path": ("a.npz", "a.npy"),
            "shape": ((6, 4), (3, 8)),
            "scheme": ("normal", "zeros"),
            "seed": (3, 4),
            "name": ("v", "w"),
        },
    ),
    "files.fill, .safetensors": (
        filled,
        {
            "path": ("a.safetensors", "a.npy"),
            "shape": ((6, 4), (3, 8)),
            "scheme": ("normal", "zeros"),
            "seed": (3, 4),
            "name": ("v", "w"),
        },
    ),
    "files.fill, .zarr": (
        filled,
        {
            "path": ("a.zarr", "b.zarr"),
            "shape": ((6, 4), (3, 8)),
            "scheme": ("normal", "zeros"),
            "seed": (3, 4),
            "chunks": ((2, 2), (3, 1)),
            "shards": ((4, 4), (6, 4)),
            "part": ((0, 1), (0, 2)),
        },
    ),
    "checkpoint.write": (
        written,
        {
            "folder": ("made", "other"),
            "source": ({"0.w": {"shape": [6, 4], "scheme": "normal"}}, {"1.w": {"shape": [3], "scheme": "zeros"}}),
            "seed": (3, 4),
            "dtype": ("float16", "float64"),
            "shard_bytes": (1000, 50),
            "names": ("disk", "memory"),
            "generator": ("philox", "ars5"),
            "num_threads": (2, -1),
        },
    ),
    "checkpoint.write, one file": (written, {"folder": ("one.safetensors", "one")}),
    "checkpoint.write, plan": (by_shapes, {"source": (SHAPES, {"2.w": [3]}), "plan": (PLAN, {"*": "zeros"})}),
    "checkpoint.verify": (
        verified,
        {
            "path": ("a.npy", "b.npy"),
            "source": ({"name": "normal"}, {"name": "zeros"}),
            "seed": (3, 4),
            "generator": ("philox", "ars5"),
            "child": ("w", "v"),
        },
    ),
    "checkpoint.against": (compared, {"path": ("a.npy", "b.npy"), "other": ("a.npy", "b.npy")}),
    "Network": (
        made_network,
        {
            "inputs": (4, 5),
            "units": (3, 5),
            "activation": ("tanh", "relu"),
            "dtype": (np.float32, np.float64),
            "device": ("cpu", "cuda"),
        },
    ),
    "Network, layers": (made_network, {"layers": ([Dense(2)], [Dense(3), Dense(1)])}),
    "Network.initialize": (
        initialized,
        {
            "seed": (1, 2),
            "weights": ({"name": "normal"}, {"name": "uniform"}),
            "bias": ({"name": "ones"}, {"name": "zeros"}),
        },
    ),
    "Network()": (computed, {"x": (np.ones((3, 4)), np.ones((2, 4)))}),
    "gradient_flow": (
        flowed,
        {"x": (np.ones((3, 4)), np.ones((2, 4))), "gradient": (np.ones((3, 2)), np.ones((1, 2)))},
    ),
    "lsuv": (
        by_lsuv,
        {"x": (np.eye(4), np.ones((3, 4))), "seed": (1, 2), "tolerance": (0.5, -1.0), "max_iterations": (3, -1)},
    ),
    "train": (
        trained,
        {
            "x": (np.ones((6, 4)), np.ones((3, 4))),
            "y": (np.ones((6, 2)), np.ones((3, 2))),
            "epochs": (2, 1),
            "loss": ("quadratic", "cross_entropy"),
            "learning_rate": (0.1, 0.2),
            "batch_size": (2, 3),
            "seed": (1, 2),
        },
    ),
    "network.save": (saved, {"path": ("net.safetensors", "other.safetensors")}),
    "network.load": (loaded, {"path": ("net.safetensors", "other"), "device": ("cpu", "cuda")}),
    "diagnose": (
        diagnosed,
        {
            "layers": (2, 3),
            "width": (8, 6),
            "scheme": ({"name": "normal"}, {"name": "zeros"}),
            "activation": ("tanh", "relu"),
            "batch": (4, 3),
            "seed": (0, 1),
            "generator": ("philox", "ars5"),
            "device": ("cpu", "cuda"),
        },
    ),
    "activations": (measured, {"x": (np.eye(4), np.ones((3, 4))), "gradient": (np.ones((4, 2)), np.ones((3, 2)))}),
    "initialize": (
        planned,
        {"plan": (PLAN, {"*": "zeros"}), "seed": (7, 8), "generator": ("philox", "ars5"), "num_threads": (2, -1)},
    ),
    "Shard": (
        listed_windows,
        {"global_shape": ((12, 4), (24, 4)), "offset": ((6, 0), (7, 0))},
    ),
    "Cut": (cut, {"global_shape": ((6, 4), (3, 8)), "dim": (0, 1), "pieces": (2, 3), "piece": (1, 0)}),
}

# The packages that each needs besides NumPy.
NEEDED = {"files.fill, .zarr": "zarr", "network.save": "safetensors", "network.load": "safetensors"}
for entry, package in NEEDED.items():
    if not find_spec(package) or (package == "zarr" and int(version(package).split(".")[0]) < 3):
        del ENTRIES[entry]
