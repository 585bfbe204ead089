"""`--delete`: takes away what an earlier call made, and nothing else.

A namespace goes only where this command made it, which its annotation says; one that was there before keeps the overlay
and loses our Jobs, schedules, account and token.
"""

from collections.abc import Callable
from typing import Any

from model.errors import PinclipError
from tests.e2e.on_cluster import kfp_access, overlay, runs, schedules, volumes
from tests.e2e.on_cluster.cluster_clients import MINE, READER, STRANGER, Site, kubectl
from tests.e2e.on_cluster.steps import Failed

LEFT = 300.0  # seconds that a namespace has to go


def delete(site: Site) -> list[str]:
    """What could not be taken away, a sentence each."""
    wrong: list[str] = []
    made = {name: _is_ours(site, name) for name in (site.namespace, READER, STRANGER)}
    if made[site.namespace] is not None:
        _try(site, wrong, "runs and schedules", lambda: _kfp(site))
        _try(site, wrong, f"what carries {MINE} in {site.namespace}", lambda: _marked(site))
    for name, ours in made.items():
        if ours:
            _try(site, wrong, f"the namespace {name}", lambda name=name: _namespace(site, name))
        elif ours is False:
            site.clock.tell(f"The namespace {name} was there before; the overlay in it stays.")
    _try(site, wrong, "volumes that are folders of the node", lambda: volumes.delete(site))
    if made[site.namespace] and overlay.QUEUE.is_dir():
        _try(site, wrong, "Kueue's queue", lambda: _queue())
    return wrong


def _is_ours(site: Site, name: str) -> bool | None:
    """None: there is no such namespace."""
    found: Any = site.ask(site.core.read_namespace, name, none_for={404})
    return None if found is None else (found.metadata.annotations or {}).get(MINE) == "made"


def _try(site: Site, wrong: list[str], what: str, does: Callable[[], None]) -> None:
    try:
        does()
        site.clock.tell(f"Deleted: {what}.")
    except (Failed, PinclipError) as error:
        wrong.append(f"{what} could not be deleted: {error}")
        site.clock.tell(wrong[-1])


def _kfp(site: Site) -> None:
    """Ends what runs in our experiments, and takes our recurring runs off; the records of runs stay in KFP."""
    kfp = kfp_access.server(site)
    for name in (kfp_access.EXPERIMENT, schedules.SCHEDULES):
        experiment = kfp.experiment(name)
        for one in schedules.recurring(kfp, experiment):
            kfp.call(kfp.client.delete_recurring_run, one.recurring_run_id)
        for run in schedules.all_runs(kfp, experiment):
            if run.state not in runs.ENDED:
                kfp.call(kfp.client.terminate_run, run.run_id)


def _marked(site: Site) -> None:
    kinds = "jobs,rolebindings,serviceaccounts,secrets"
    kubectl("-n", site.namespace, "delete", kinds, "-l", f"{MINE}=true", "--ignore-not-found", "--wait=false")


def _namespace(site: Site, name: str) -> None:
    site.ask(site.core.delete_namespace, name, none_for={404})

    def gone() -> bool:
        return _is_ours(site, name) is None

    site.clock.until(gone, LEFT, f"The namespace {name} did not go", lambda: _why(site, name))


def _why(site: Site, name: str) -> list[str]:
    found: Any = site.ask(site.core.read_namespace, name, none_for={404})
    return [one.message for one in (found.status.conditions or [])] if found else []


def _queue() -> None:
    kubectl("delete", "-k", str(overlay.QUEUE), "--ignore-not-found", "--wait=false")
