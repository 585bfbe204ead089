"""Work in independent parts: the shards of a catalogue, the blocks of a graph.

A function of model/ whose work falls into such parts takes `each`, a map over them: one after another or in threads
here, on the nodes of a cluster in components/ray/parallel.py. Results come in the order of the parts, so where a part
was worked on changes nothing.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import chain
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, Protocol, TypeVar

from model.cpus import cpus

P = TypeVar("P")
R = TypeVar("R")
PARTS_OF_A_TASK = 8  # few enough that a batch of 256 pictures keeps 16 CPUs busy
AHEAD = 2  # results for each CPU that wait to be taken
_kept: dict[str, Callable[[Any], Any]] = {}  # the work of this process, where it is one of in_processes()


class Each(Protocol):
    """work(part) of every part, in their order; `work` and the parts may travel to another process, by value."""

    def __call__(self, work: Callable[[P], R], parts: Sequence[P]) -> Iterable[R]: ...


def in_turn(work: Callable[[P], R], parts: Sequence[P]) -> Iterable[R]:
    return map(work, parts)


def in_threads(work: Callable[[P], R], parts: Sequence[P]) -> Iterator[R]:
    """For work that spends its time in numpy, which lets threads run side by side."""
    with ThreadPoolExecutor(cpus()) as pool:
        yield from pool.map(work, parts)


def in_small_lists(pool: Executor, work: Callable[[P], R], parts: Sequence[P]) -> Iterator[R]:
    """For parts of a fraction of a millisecond, which a task each would make a quarter slower."""
    lists = (parts[start : start + PARTS_OF_A_TASK] for start in range(0, len(parts), PARTS_OF_A_TASK))
    return chain.from_iterable(pool.map(lambda some: [work(part) for part in some], lists))


def in_processes(work: Callable[[P], R], parts: Sequence[P]) -> Iterator[R]:
    """For work that spends its time in Python. `work` travels once to each process; few results wait at a time."""
    spawn, waiting = get_context("spawn"), deque[Future[R]]()  # a fork of a process with threads may hang
    with ProcessPoolExecutor(cpus(), spawn, _keep, (work,)) as pool:
        for part in parts:
            waiting.append(pool.submit(_work_on, part))
            if len(waiting) > AHEAD * cpus():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _keep(work: Callable[[Any], Any]) -> None:
    _kept["work"] = work
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """The processes of a parent that is killed would wait for its next part for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work_on(part: Any) -> Any:
    return _kept["work"](part)
