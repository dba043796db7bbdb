"""Threads that live as long as one fill and share its tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread


@dataclass(eq=False)
class Work:
    """Tasks that were begun together, and the number of them not yet reported as done."""

    team: Team
    left: int

    def wait(self) -> None:
        """Return when all are done; raise the exception of any of the team's tasks."""
        while self.left:
            work, error = self.team.done.get()  # Ctrl-C arrives here
            if error is not None:
                raise error
            work.left -= 1


class Team:
    """Threads, and the queues between them and the calling thread.

    Not a ThreadPoolExecutor: if one of its threads cannot start, `submit` raises but leaves the task in its queue.

    Attributes
    ----------
    size : int
        The number of threads that `begin` starts; 0 if none can start.
    threads : list of Thread
        The threads that have started or are starting.
    """

    def __init__(self, size: int) -> None:
        self.size = size if size > 1 else 0
        self.threads: list[Thread] = []
        self.todo: SimpleQueue[tuple[Work, Callable[[], object]] | None] = SimpleQueue()
        self.done: SimpleQueue[tuple[Work, BaseException | None]] = SimpleQueue()

    def start(self) -> None:
        """Start the threads, or as many as the system allows."""
        while len(self.threads) < self.size:
            thread = Thread(target=self.run, name="pyinit fill")
            self.threads.append(thread)  # first: Ctrl-C may come while it starts
            try:
                thread.start()
            except RuntimeError:  # no more threads can start: the started ones do the work
                self.threads.pop()
                self.size = len(self.threads)

    def begin(self, tasks: Iterable[Callable[[], object]]) -> Work:
        """Hand out tasks; if there are no threads, do them here."""
        todo = list(tasks)
        work = Work(self, len(todo))
        for task in todo:
            self.todo.put((work, task))
        self.start()  # after the tasks: the first threads work while the others start
        if not self.threads:
            self.drop()
            for task in todo:
                task()
            work.left = 0
        return work

    def run(self) -> None:
        """Do tasks until the end mark of the queue; leave the mark there for the other threads."""
        while (item := self.todo.get()) is not None:
            work, task = item
            try:
                task()
            except BaseException as error:  # `Work.wait` raises it again
                self.done.put((work, error))
            else:
                self.done.put((work, None))
        self.todo.put(None)

    def drop(self) -> None:
        """Drop the tasks that no thread has begun."""
        with suppress(Empty):
            while True:
                self.todo.get_nowait()

    def stop(self) -> None:
        """Return when all threads have ended, each after its current task."""
        self.drop()
        self.todo.put(None)
        for thread in self.threads:
            if thread.is_alive():  # if not, Ctrl-C came before it ran; it will find the end mark
                thread.join()


@contextmanager
def team(size: int) -> Iterator[Team]:
    """Give a team of `size` threads that end with the block; a team of one is the calling thread."""
    helpers = Team(size)
    try:
        yield helpers
    finally:
        helpers.stop()
