"""Real processes over gloo that run functions of a test file, for the tests of sharded models.

The processes are started once for a file. A world of n is a process group of the first n of them.
"""

import importlib
import os
import sys
import tempfile
import traceback
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path


class ProcessError(AssertionError):
    """Errors from some of the processes."""


class Pool:
    """Processes that wait for functions to call.

    Parameters
    ----------
    size : int
        The number of processes.
    """

    def __init__(self, size):
        context = get_context("spawn")
        self.folder = tempfile.TemporaryDirectory()
        self.groups, self.world = 0, None
        self.pipes, self.processes = [], []
        for rank in range(size):
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(there, rank, sys.path), daemon=True)
            process.start()
            self.pipes.append(here)
            self.processes.append(process)

    def run(self, world, function, *args):
        """Call a function of a test module in the first `world` processes; return the result of each."""
        if world != self.world:  # a group is kept for the next call with the same number of processes
            self.world = world
            self.groups += 1
        file = Path(self.folder.name, str(self.groups))
        for pipe in self.pipes[:world]:
            pipe.send((world, f"file://{file}", function.__module__, function.__name__, args))
        answers = []
        for rank, pipe in enumerate(self.pipes[:world]):
            if not pipe.poll(120):
                self.world = None
                raise ProcessError(f"process {rank} of {world} did not answer within two minutes")
            answers.append(pipe.recv())
        wrong = [f"process {rank} of {world}:\n{said}" for rank, (good, said) in enumerate(answers) if not good]
        if wrong:
            self.world = None
            raise ProcessError("\n".join(wrong))
        return [value for _, value in answers]

    def close(self):
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(10)
            process.kill()
        self.folder.cleanup()


def serve(pipe, rank, path):
    """The main function of a process: run the calls that it receives, each with a barrier at its end."""
    sys.path[:] = path
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    patience = timedelta(seconds=60)
    group = None
    while True:
        try:
            world, where, module, name, args = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if where != group:
                if dist.is_initialized():
                    dist.destroy_process_group()
                dist.init_process_group("gloo", init_method=where, rank=rank, world_size=world, timeout=patience)
                group = where
            answer = True, getattr(importlib.import_module(module), name)(*args)
            dist.barrier()  # if one left while others still connect, they would wait for ever
        except BaseException:
            answer = False, traceback.format_exc()
        pipe.send(answer)


@contextmanager
def pool(size):
    """The processes for the tests of a file."""
    made = Pool(size)
    try:
        yield made
    finally:
        made.close()
