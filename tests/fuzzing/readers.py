"""A fuzzer of the readers of foreign files: it damages their bytes, and only a clear error may result."""

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from hostile import check

import pyinit
from fuzzing.choices import Choices
from pyinit.checkpoint import folders, plans
from pyinit.files import zarr

FOLDER = Path(tempfile.mkdtemp(prefix="pyinit-fuzzing-"))
LARGEST = 1 << 16  # bytes of a file
PLAN = {"*.bias": "zeros", "*": {"name": "normal", "std": 0.02}}
SHAPES = {
    "fc.weight": ([3, 4], "float32", "normal(std=0.02)"),
    "fc.bias": ([4], "float16", "zeros"),
    "norm.scale": ([], "bfloat16", "ones"),
    "empty": ([0, 3], "float8_e4m3fn", "uniform"),
}


def safetensors(path: Path) -> None:
    """A checkpoint of one file: its header is compared with its contents."""
    pyinit.checkpoint.verify(path)
    pyinit.checkpoint.verify(path, {"*": "normal"}, seed=1)
    pyinit.checkpoint.against(path, path)


def npy(path: Path) -> None:
    """A NumPy array."""
    pyinit.checkpoint.verify(path, "xavier_normal", seed=7)


def index(path: Path) -> None:
    """The index of a checkpoint of several files, only one of which exists."""
    folder = path.parent / "several"
    shutil.copyfile(path, folder / "model.safetensors.index.json")
    folders.read(folder)


def plan(path: Path) -> None:
    """A plan with shapes, or a plan of patterns that fills a model."""
    found = plans.load(path)
    if any("shape" in entry for entry in found.values() if isinstance(entry, dict)):
        plans.planned(found)
    else:
        pyinit.initialize({"fc.weight": np.zeros((2, 3), np.float32), "fc.bias": np.zeros(3, np.float32)}, 0, found)


def description(path: Path) -> None:
    """The description of a Zarr array."""
    zarr.described(path.read_bytes())


def distributed(path: Path) -> None:
    """A chunk of a distributed checkpoint of PyTorch; its metadata, a pickle, is undamaged."""
    folder = path.parent / "distributed"
    if folder.is_dir():
        [file] = folder.glob("*.distcp")
        shutil.copyfile(path, file)
        pyinit.checkpoint.verify(folder, {"w": "normal"}, seed=7, trust_pickle=True)


READERS: dict[str, Callable[[Path], None]] = {
    "model.safetensors": safetensors,
    "array.npy": npy,
    "index.json": index,
    "plan.json": plan,
    "plan.yaml": plan,
    "plan.toml": plan,
    "zarr.json": description,
    "chunk.distcp": distributed,
}


def samples() -> dict[str, bytes]:
    """An undamaged file for each reader, as a fuzzer's start."""
    shapes = {name: {"shape": s, "dtype": d, "scheme": text} for name, (s, d, text) in SHAPES.items()}
    pyinit.checkpoint.write(shapes, FOLDER / "one", 7, overwrite=True)
    pyinit.checkpoint.write(shapes, FOLDER / "several", 7, shard_bytes=20, overwrite=True)
    pyinit.files.fill(FOLDER / "a.npy", (5, 7), "xavier_normal", seed=7, overwrite=True)
    found = {
        "model.safetensors": (FOLDER / "one" / "model.safetensors").read_bytes(),
        "array.npy": (FOLDER / "a.npy").read_bytes(),
        "index.json": (FOLDER / "several" / "model.safetensors.index.json").read_bytes(),
        "plan.json": json.dumps(PLAN).encode(),
        "plan.yaml": yaml.safe_dump(shapes).encode(),
        "plan.toml": b'"*.bias" = "zeros"\n"*" = {name = "normal", std = 0.02}\n',
        "zarr.json": b'{"zarr_format": 3, "node_type": "array", "shape": [3]}',
    }
    return found | distributed_sample()


def distributed_sample() -> dict[str, bytes]:
    """A distributed checkpoint, if PyTorch is installed."""
    try:
        import torch
        import torch.distributed.checkpoint as dcp
    except ImportError:
        return {}
    values = pyinit.Stream(7).child("w").normal((4, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it says that there is only one process
        dcp.save({"w": torch.from_numpy(values)}, checkpoint_id=FOLDER / "distributed", no_dist=True)
    [file] = (FOLDER / "distributed").glob("*.distcp")
    return {"chunk.distcp": file.read_bytes()}


def prepare() -> None:
    """Write the files next to a damaged one, once."""
    if not FOLDER.is_dir() or not (FOLDER / "several").is_dir():
        FOLDER.mkdir(exist_ok=True)
        samples()


def one_input(data: bytes) -> None:
    """Let a reader read a file: the first byte chooses the reader, and the others are the file."""
    prepare()
    choices = Choices(data[:LARGEST])
    name = choices.of(list(READERS))
    path = FOLDER / name
    path.write_bytes(choices.rest())
    try:
        with np.errstate(all="raise"):
            READERS[name](path)
    except (OSError, TypeError, ValueError) as error:
        check(error)
    finally:
        os.unlink(path)
