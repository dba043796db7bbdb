"""Fill one tensor by a scheme, or record the fill: the common part of the functions of `init`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyinit.adapters.torch.sharding import fill_held, is_distributed
from pyinit.adapters.torch.storages import check_whole
from pyinit.adapters.torch.watching import active
from pyinit.arrays import dtype_of_torch
from pyinit.initializers import Scheme
from pyinit.streams import Stream

__all__ = ["check_stream", "fill"]


def fill(tensor: Tensor, scheme: Scheme, stream: Any, generator: Any = None) -> Tensor:
    """Fill a tensor by a scheme, or record the fill."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor must be a torch.Tensor; got {type(tensor).__name__}")
    check_stream(stream, generator)
    shape = tuple(tensor.shape)
    scheme = scheme.resolve(shape)
    scheme.check(numpy_dtype(tensor.dtype), shape)  # before torch's generator or the record changes
    recorder = active()
    if recorder is not None and stream is None:
        return recorder.draw(tensor, scheme)
    if recorder is not None and recorder.is_whole(tensor):
        recorder.forget(tensor)
    if tensor.device.type == "meta":
        if recorder is not None:
            check_whole(tensor)
            # The stream advances now, so make the values now and keep them for materialize.
            made = scheme(torch.empty(shape, dtype=tensor.dtype, device="cpu"), stream)
            with torch.no_grad():
                tensor.copy_(made)
        return tensor
    if stream is None and scheme.needs_stream:
        if is_distributed(tensor):
            raise TypeError(
                "a DTensor needs stream=, the same in all processes; the states of torch's generators may differ"
            )
        stream = Stream(drawn_seed())
    return fill_held(tensor, scheme, stream)


def numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    """Return the NumPy or pyinit dtype of a torch dtype."""
    known = dtype_of_torch(dtype)
    if known is not None:
        return known
    try:
        return np.dtype(str(dtype).removeprefix("torch."))
    except TypeError:
        raise TypeError(f"tensor must have a dtype that pyinit can fill; got {dtype}") from None


def check_stream(stream: Any, generator: Any = None) -> None:
    """Raise TypeError if `stream` is not a Stream, or if a torch generator is given."""
    if generator is not None:
        raise TypeError("generator= is torch's and not used here; pass stream=pyinit.Stream(seed) instead")
    if stream is not None and not isinstance(stream, Stream):
        raise TypeError(f"stream must be a pyinit.Stream; got {type(stream).__name__}")


def drawn_seed() -> int:
    """Draw a seed from torch's default CPU generator, whatever the default device."""
    return int(torch.empty((), dtype=torch.int64, device="cpu").random_().item())
