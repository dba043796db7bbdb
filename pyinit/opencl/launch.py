"""backend="device": the driver compiles pyinit's own kernels, and runs them where the array lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyinit import _core
from pyinit.kernels.jobs import Job, Kind, Write, prepare
from pyinit.kernels.sources import kernel_name
from pyinit.opencl.driver import check_device
from pyinit.opencl.programs import fills

if TYPE_CHECKING:
    from pyinit.opencl.arrays import ClArray


def fill(view: ClArray, write: Write, state: _core.StreamState, arguments: tuple[Any, ...]) -> None:
    """Fill an array of pyopencl, as `View.fill` says."""

    def ready(kind: Kind) -> None:
        check_device(view.device, kind)
        fills(view.context, view.device, kind)

    job = prepare(write, state, view.geometry, arguments, ready)
    if job is not None:
        launch(job, view)


def launch(job: Job, view: ClArray) -> None:
    """Start the kernel of a job."""
    where = job.layout
    rest = (np.uint64(where.first), np.uint64(where.length)) if where.is_run else (view.constant(where.packed()),)
    program, name = fills(view.context, view.device, job.kind), kernel_name(job.kind, where.is_run)
    view.run(program, name, (job.constants, view.array.base_data, np.uint64(view.start), *rest), where.units)
