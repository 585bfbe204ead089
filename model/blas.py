"""Threads that ask for matrix products side by side, each product on one thread.

    with threads() as pool:
        pool.map(search, parts)

By itself OpenBLAS, which numpy brings, computes one product at a time on all CPUs. Threads that search side by side
would queue for it, and its own threads spin while they wait for the next product.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

from model.cpus import cpus


class _Limit:
    """Products of this process use one thread from the first enter() to the exit() that leaves nobody inside."""

    def __init__(self) -> None:
        self.lock, self.inside = Lock(), 0
        self.libraries = ThreadpoolController()

    def enter(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = self.libraries.limit(limits=1, user_api="blas")
            self.inside += 1

    def exit(self) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.before.restore_original_limits()


@cache
def _limit() -> _Limit:
    return _Limit()


@contextmanager
def threads() -> Iterator[ThreadPoolExecutor]:
    """As many as there are CPUs; they start as work comes."""
    limit = _limit()
    limit.enter()
    try:
        with ThreadPoolExecutor(cpus()) as pool:
            yield pool
    finally:
        limit.exit()
