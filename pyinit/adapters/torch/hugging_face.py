"""Hugging Face models: build one from its configuration, and name its tensors as on disk."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

try:
    import transformers
    from transformers.core_model_loading import revert_weight_conversion
except ImportError as error:
    raise ImportError("a Hugging Face model needs transformers 5: pip install transformers") from error

from pyinit.adapters.torch.deferral import deferred
from pyinit.adapters.torch.recording import Recorder
from pyinit.adapters.torch.tape import Geometry, View
from pyinit.adapters.torch.watching import recording

__all__ = ["beside", "from_config", "on_disk"]

STORED = ("float8_e4m3fn", "float8_e5m2")  # dtypes for stored weights, in which no model computes

# If a configuration names no class, the first of these with a class for it is used.
HEADS = (
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_FOR_MASKED_LM_MAPPING",
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_MAPPING",
)


def from_config(path: str | os.PathLike[str], arch: str = "auto", dtype: str | None = None) -> Any:
    """Build a model from its configuration, on the meta device.

    Parameters
    ----------
    path : str or path-like
        A config.json, or its folder. Nothing is downloaded, and no code but transformers' own runs.
    arch : str
        The name of a class in transformers. "auto": the class that the configuration names, otherwise one that suits
        it.
    dtype : str, optional
        The model's dtype: "float32", "bfloat16", ... With None or a float8 dtype, the configuration's.

    Returns
    -------
    PreTrainedModel
        Built inside `deferred`; pass it to `pyinit.checkpoint.write`.

    Raises
    ------
    ValueError
        If transformers does not know the configuration, the class or the dtype.
    OSError
        If the file does not exist.
    """
    path = Path(path)
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist")
    options: dict[str, Any] = {}
    if dtype is not None and dtype not in STORED:
        options["dtype"] = found = getattr(torch, dtype, None)
        if not isinstance(found, torch.dtype):
            raise ValueError(f"{dtype!r} is not a dtype of PyTorch")
    try:
        config = transformers.AutoConfig.from_pretrained(file, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # its kind depends on what is wrong with the file
        raise ValueError(f"{file}: transformers cannot read it: {' '.join(str(error).split())[:300]}") from error
    kind = class_of(config, arch, file)
    try:
        with deferred():
            return kind._from_config(config, **options)
    except ImportError as error:  # only some models need this package
        raise ImportError(f"{kind.__name__} cannot be built: {' '.join(str(error).split())}") from error


def class_of(config: Any, arch: str, file: Path) -> Any:
    """Find the class of a model, or raise ValueError."""
    named = getattr(config, "architectures", None) or [] if arch == "auto" else [arch]
    for name in named[:1]:
        found: Any = getattr(transformers, str(name), object)
        if not (isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)):
            raise ValueError(f"{file}: transformers has no model class {name!r}; no other code is run")
        takes = getattr(found, "config_class", None) or object
        if not isinstance(config, takes):
            raise ValueError(f"{file}: {name} takes a {takes.__name__}; got a {type(config).__name__}")
        return found
    for head in HEADS:
        mapping = getattr(transformers, head)
        if type(config) in mapping:
            found = mapping[type(config)]
            return found[0] if isinstance(found, tuple) else found
    raise ValueError(f"{file}: transformers has no model for a {type(config).__name__}; give arch")


@torch.no_grad()
def on_disk(model: Any, held: Mapping[str, View | torch.Tensor]) -> dict[str, View | torch.Tensor]:
    """Turn the tensors of a model into those of its checkpoints, as `save_pretrained` does.

    The model's own conversions run on recorded meta tensors. So the recorder knows of which parameter each tensor on
    disk is a part.
    """
    recorder = Recorder(None)
    found: dict[str, Any] = {}
    for name, value in held.items():
        if isinstance(value, View):
            contents, where = value
            flat = torch.empty(contents.size, dtype=contents.dtype, device="meta")
            recorder.enter(flat).contents = contents
            value = where.on(flat)
        found[name] = value
    with recording(recorder):
        found = revert_weight_conversion(model, found)
    return {name: viewed(recorder, value) for name, value in found.items()}


def viewed(recorder: Recorder, tensor: torch.Tensor) -> View | torch.Tensor:
    """Return the view that makes a tensor, or the tensor itself if it has values."""
    entry = recorder.entry(tensor)
    return tensor if entry is None else View(entry.contents, Geometry.of(tensor))


def beside(model: Any, dtype: str | None) -> dict[str, bytes]:
    """Return the files that `save_pretrained` writes beside the weights: the configurations."""
    config = copy.deepcopy(model.config)
    config.dtype = str(model.dtype).removeprefix("torch.") if dtype is None or dtype in STORED else dtype
    config.architectures = [type(model).__name__]
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        if model.can_generate() and getattr(model, "generation_config", None) is not None:
            model.generation_config.save_pretrained(folder)
        return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
