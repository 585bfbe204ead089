"""Runs independent parts (model/parallel.py) on the nodes of a Ray cluster, each as a task of one CPU.

    embedding.embed(prepared, model, vectors, advance, spread(in_turn, gpu=True))

With RAY_ADDRESS set, the parts run on that cluster; without it they run in this process, and Ray is not started: on one
machine it would add seconds of start-up and a copy of the model for each core. A part whose process or node dies is
repeated elsewhere; a part may run twice and must then write the same file.

A task has one thread. Another number of threads would sum fp32 values in another order and change the last bits of a
vector; with one thread, and in bf16 as far as measured, vectors are the same wherever they are computed.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from components.ray.cluster import has_cluster, ray_cluster
from model.errors import RunError
from model.parallel import Each

if TYPE_CHECKING:
    from ray import ObjectRef

P = TypeVar("P")
R = TypeVar("R")
RETRIES = 3  # of a part whose process or node died


def spread(local: Each, gpu: bool = False) -> Each:
    """The map over parts: on the cluster of RAY_ADDRESS, a GPU a task with `gpu` where it has any; else `local`."""
    return partial(on_cluster, gpu=gpu) if has_cluster() else local


def on_cluster(work: Callable[[P], R], parts: Sequence[P], gpu: bool = False) -> Iterator[R]:
    """work(part) of every part, in their order.

    Raises: what `work` raises.
        RunError: the cluster does not answer, or a part's process died more often than RETRIES.
    """
    import ray

    with ray_cluster():
        gpus = 1 if gpu and ray.cluster_resources().get("GPU", 0) else 0
        # max_calls 0: the process, with the model that it has loaded, takes the next part too
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES, max_calls=0)(_work_on)
        kept = ray.put(work)
        for answer in [task.remote([kept], part) for part in parts]:
            yield _answer(answer)


def _work_on(kept: "list[ObjectRef]", part: Any) -> Any:
    """Runs one part in a worker. `kept` is in a list because Ray would otherwise resolve it to a new copy."""
    return _work(kept[0])(part)


@lru_cache(maxsize=1)
def _work(kept: "ObjectRef") -> Callable[[Any], Any]:
    """Unpickled once a process, so that what the work opens for its first part stays open."""
    import ray

    work: Callable[[Any], Any] = ray.get(kept)
    return work


def _answer(reference: "ObjectRef") -> Any:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # its cause is what the work raised
        raise error.cause from error
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise RunError(
            f"A part was lost {RETRIES + 1} times with the process or node that worked on it ({reason}); look for want "
            "of memory in the logs of the Ray cluster."
        ) from error
