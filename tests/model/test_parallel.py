"""Work in parts: its results come in the order of the parts, wherever they were worked on."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from model.cpus import cpus
from model.parallel import in_processes, in_small_lists, in_threads, in_turn

ROOT = Path(__file__).parents[2]


def shifted(by, part):
    if part == 41:
        raise ValueError("The part 41 is bad.")
    return part + by


def in_small_lists_of_a_pool(work, parts):
    with ThreadPoolExecutor(cpus()) as pool:
        yield from in_small_lists(pool, work, parts)


EACH = [in_turn, in_threads, in_small_lists_of_a_pool, in_processes]


def own_number(part):
    time.sleep(0.01)
    return os.getpid()


@pytest.mark.parametrize("each", EACH)
def test_results_come_in_the_order_of_the_parts(each):
    assert list(each(partial(shifted, 1), range(40))) == list(range(1, 41))
    assert not list(each(partial(shifted, 1), []))


@pytest.mark.parametrize("each", EACH)
def test_what_the_work_raises_comes_out(each):
    with pytest.raises(ValueError, match="41 is bad"):
        list(each(partial(shifted, 1), range(60)))


def test_the_processes_end_with_a_parent_that_is_killed():
    code = (
        "from model.parallel import in_processes\n"
        "from tests.model.test_parallel import own_number\n"
        "for one in in_processes(own_number, range(10_000)): print(one, flush=True)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    worker = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    for _ in range(100):
        if not Path(f"/proc/{worker}").exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"The process {worker} outlives its parent.")
