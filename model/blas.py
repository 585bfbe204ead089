"""Threads that ask for matrix products side by side, each product on one thread.

    with threads() as pool:
        pool.map(search, parts)

By itself OpenBLAS, which numpy brings, computes one product at a time on all CPUs. Threads that search side by side
would queue for it, and its own threads spin while they wait for the next product.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock, local
from typing import Any

from threadpoolctl import ThreadpoolController

from model.cpus import cpus

_thread = local()  # .works: it is one of a pool's


@contextmanager
def threads() -> Iterator[Executor]:
    """As many as there are CPUs, each started when there is work for it. Work that asks for threads itself gets none:
    its own is all it needs, and what it hands over is done in turn."""
    if getattr(_thread, "works", False):
        yield _InTurn()
        return
    limit = _limit()
    limit.enter()
    try:
        with ThreadPoolExecutor(cpus(), initializer=_works) as pool:
            yield pool
    finally:
        limit.exit()


def _works() -> None:
    _thread.works = True


class _InTurn(Executor):
    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*args, **named))
        return future


class _Limit:
    """Products of this process use one thread from the first enter() to the exit() that leaves nobody inside."""

    def __init__(self) -> None:
        self.lock, self.inside = Lock(), 0

    def enter(self) -> None:
        with self.lock:
            if not self.inside:
                # Looked for each time: scipy and faiss bring libraries of their own, once they are imported.
                self.before = ThreadpoolController().limit(limits=1, user_api="blas")
            self.inside += 1

    def exit(self) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.before.restore_original_limits()


@cache
def _limit() -> _Limit:
    return _Limit()
