"""Work in independent parts: the shards of a catalogue, the blocks of a graph.

A function of model/ whose work falls into such parts takes `each`, a map over them: one after another or in threads
here, on the nodes of a cluster in components/ray/parallel.py. Results come in the order of the parts, so where a part
was worked on changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from model.cpus import cpus

P = TypeVar("P")
R = TypeVar("R")


class Each(Protocol):
    """work(part) of every part, in their order; `work` and the parts may travel to another process, by value."""

    def __call__(self, work: Callable[[P], R], parts: Sequence[P]) -> Iterable[R]: ...


def in_turn(work: Callable[[P], R], parts: Sequence[P]) -> Iterable[R]:
    return map(work, parts)


def in_threads(work: Callable[[P], R], parts: Sequence[P]) -> Iterator[R]:
    """For work that spends its time in numpy, which lets threads run side by side."""
    with ThreadPoolExecutor(cpus()) as pool:
        yield from pool.map(work, parts)
