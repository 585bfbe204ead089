"""Work in parts (model/parts.py) on the nodes of a Ray cluster: a task of one CPU a part.

    embedding.embed(prepared, model, vectors, advance, spread(in_turn, gpu=True))

With RAY_ADDRESS set, the parts run on that cluster; without it they run in this process, and Ray is not started: for a
machine's own cores it would add a start of seconds and a copy of the model a core. A part whose process or node dies
is worked on again elsewhere; it may come out twice, which must leave the same file.

A task has one thread. Another number of them adds up the sums of fp32 in another order, which changes the last bits of
a vector; on one number, and in bf16 as far as measured, they are the same wherever they are computed.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from components.ray.cluster import has_cluster, ray_cluster
from model.errors import RunError
from model.parts import Each

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
    """One part's life in a worker; `kept` stands in a list, for Ray hands over a new copy of what does not."""
    return _work(kept[0])(part)


@lru_cache(maxsize=1)
def _work(kept: "ObjectRef") -> Callable[[Any], Any]:
    """Once a process: what the work opens at its first part stays open."""
    import ray

    work: Callable[[Any], Any] = ray.get(kept)
    return work


def _answer(reference: "ObjectRef") -> Any:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # it holds what the work raised
        raise error.cause from error
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise RunError(
            f"A part was lost {RETRIES + 1} times with the process or node that worked on it ({reason}); look for want "
            "of memory in the logs of the Ray cluster."
        ) from error
