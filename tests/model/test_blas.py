"""Threads side by side: products on one thread while a block is inside, on as many as before when the last has left."""

from threading import get_ident

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from model.blas import threads


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def two_before():
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.mark.usefixtures("two_before")
def test_one_thread_inside_until_the_last_has_left():
    def inside(_: int) -> set[int]:
        with threads():
            return blas_threads()

    with threads() as pool:
        assert list(pool.map(inside, range(8))) == [{1}] * 8
        assert inside(0) == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_before")
def test_threads_are_given_back_after_an_error():
    with pytest.raises(ZeroDivisionError), threads() as pool:
        list(pool.map(lambda x: 1 // x, [0]))
    assert blas_threads() == {2}


def test_work_that_asks_for_threads_does_its_own_in_turn():
    def alone(_: int) -> bool:
        with threads() as own:
            return set(own.map(lambda _: get_ident(), range(3))) == {get_ident()}

    with threads() as pool:
        assert all(pool.map(alone, range(4)))
    assert not alone(0)


def test_products_are_those_of_one_thread():
    x = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)

    def part(start: int) -> np.ndarray:
        return x[start : start + 100] @ x.T

    with threads() as pool:
        parts = list(pool.map(part, (0, 100, 200)))
    assert all(np.array_equal(found, part(start)) for found, start in zip(parts, (0, 100, 200), strict=True))
