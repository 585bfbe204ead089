"""Proves pinclip on a real cluster: `make e2e-cluster IMAGE=…` (docs/operations.md: Prove it on your cluster).

    python -m tests.e2e.on_cluster --image registry.example.com/pinclip-python:0.1.0
    python -m tests.e2e.on_cluster --delete

Exit codes: 0 no step failed, 1 a step failed, 2 a mistake in how it was called, 130 Ctrl-C, 143 SIGTERM.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType

from model.errors import ConfigError
from tests.e2e.on_cluster import (
    catalogue,
    checks,
    cleanup,
    failures,
    interruptions,
    kfp_access,
    overlay,
    promotion,
    runs,
    schedules,
)
from tests.e2e.on_cluster.cluster_clients import ROOT, Site
from tests.e2e.on_cluster.report import Report, summary
from tests.e2e.on_cluster.steps import FAILED, Clock, Failed, Outcome, Step, run_all, say

MINUTES = 45.0
RUNS = "runs/e2e-cluster"

STEPS = (
    Step("versions", checks.versions),
    Step("rights", checks.rights),
    Step("storage class", checks.storage),
    Step("queue", overlay.queue, needs=("versions",)),
    Step("overlay", overlay.apply, needs=("versions", "rights", "storage class")),
    Step("labels and accounts", overlay.accounts, needs=("overlay",)),
    Step("KFP answers", kfp_access.reach, needs=("overlay",)),
    Step("catalogue", catalogue.generate, needs=("overlay",)),
    Step("smoke run", runs.smoke, needs=("labels and accounts", "KFP answers", "catalogue")),
    Step("a training that succeeds at once", failures.success, needs=("smoke run",)),
    Step("a schedule is applied", schedules.applied, needs=("labels and accounts", "KFP answers", "catalogue")),
    Step("services after the first publication", promotion.services, needs=("smoke run",)),
    Step("promotion and sync", promotion.promote, needs=("smoke run",)),
    Step("search from a labelled namespace", promotion.search, needs=("promotion and sync",)),
    Step("no answer for another namespace", promotion.refused, needs=("search from a labelled namespace",)),
    Step("schedule fires twice", schedules.fires_twice, needs=("a schedule is applied",)),
    Step("a training that fails at once", failures.mistake, needs=("KFP answers", "catalogue")),
    Step("Kueue suspends a training", interruptions.suspended, needs=("KFP answers", "catalogue")),
    Step("a train pod is deleted", interruptions.deleted, needs=("KFP answers", "catalogue")),
    Step("a run is terminated", interruptions.terminated, needs=("KFP answers", "catalogue")),
    Step("a training that runs out of memory", failures.memory, needs=("KFP answers", "catalogue")),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _leave)
    try:
        clock = Clock(options.minutes)
        site = Site(options.image, clock, _folder())
        site.greet()
        try:
            return _delete(site) if options.delete else _prove(site, options.only)
        finally:
            site.close()
    except ConfigError as error:
        print(f"e2e-cluster: {error}", file=sys.stderr)
        return 2
    except Failed as failure:  # of --delete, whose first questions belong to no step
        print(f"e2e-cluster: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _prove(site: Site, only: Sequence[str]) -> int:
    names = [step.name for step in STEPS]
    for name in set(only) - set(names):
        raise ConfigError(f"There is no step {name!r}; choose of: {', '.join(names)}.")
    _newest(site.folder)
    report = Report(site, names)
    print(
        f"{site.address}, namespace {site.namespace}, image {site.image}; {site.clock.total / 60:.0f} minutes at most"
    )
    outcomes: list[Outcome] = run_all(STEPS, site, site.clock, only, report.write)
    say(f"{summary(outcomes)}. Report: {report.path('md')} and {report.path('json')}")
    say("What was made stays; `make e2e-cluster ARGS=--delete` takes it away.")
    return 1 if any(one.state == FAILED for one in outcomes) else 0


def _delete(site: Site) -> int:
    wrong = cleanup.delete(site)
    say(f"Not all was deleted: {' '.join(wrong)}" if wrong else "All is deleted that an earlier call made.")
    return 1 if wrong else 0


def _folder() -> Path:
    """Of this call's report and of the files that it writes."""
    return ROOT / RUNS / f"{datetime.now():%Y%m%d-%H%M%S}"


def _newest(folder: Path) -> None:
    """Makes the folder, and runs/e2e-cluster/latest lead to it; not for --delete, which reports nothing."""
    folder.mkdir(parents=True)
    latest = folder.parent / "latest"
    latest.unlink(missing_ok=True)
    latest.symlink_to(folder.name)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="e2e-cluster", description=__doc__.splitlines()[0])
    parser.add_argument("--image", default="pinclip-python:lab", help="the nodes have it, or can pull it")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all steps together")
    parser.add_argument(
        "--only", action="append", default=[], metavar="STEP", help="repeatable; what it needs is taken for granted"
    )
    parser.add_argument("--delete", action="store_true", help="take away what earlier calls made, and do nothing else")
    return parser.parse_args(arguments)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
