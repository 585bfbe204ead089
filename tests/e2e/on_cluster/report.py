"""What is left of a call: report.json for machines, report.md for people. Rewritten after every step."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.files import write_json, write_text
from tests.e2e.on_cluster.cluster_clients import Site
from tests.e2e.on_cluster.steps import FAILED, NOT_TRIED, PASSED, Outcome

MARKS = {PASSED: "passed", FAILED: "**FAILED**", NOT_TRIED: "not tried"}


class Report:
    def __init__(self, site: Site, planned: Sequence[str]) -> None:
        self.site, self.planned = site, tuple(planned)
        self.began = datetime.now(UTC)

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Both files; a step that was not reached counts as not tried."""
        reached = {one.step for one in outcomes}
        missing = [Outcome(name, NOT_TRIED, 0.0, "Not reached.") for name in self.planned if name not in reached]
        whole = [*outcomes, *missing]
        write_json(self.path("json"), self.facts() | {"steps": [dataclasses.asdict(one) for one in whole]})
        write_text(self.path("md"), self.page(whole))

    def path(self, kind: str) -> Path:
        return self.site.folder / f"report.{kind}"

    def facts(self) -> dict[str, Any]:
        return {
            "began": self.began.isoformat(timespec="seconds"),
            "seconds": round((datetime.now(UTC) - self.began).total_seconds()),
            "cluster": self.site.address,
            "namespace": self.site.namespace,
            "image": self.site.image,
            "versions": self.site.parts,
        }

    def page(self, outcomes: Sequence[Outcome]) -> str:
        facts = self.facts()
        parts = ", ".join(f"{part} {version}" for part, version in facts["versions"].items()) or "none found"
        head = [
            f"# pinclip on {facts['cluster']}: {summary(outcomes)}",
            "",
            f"Began {facts['began']}, {facts['seconds'] // 60} min {facts['seconds'] % 60} s. "
            f"Image `{facts['image']}`, namespace `{facts['namespace']}`. {parts}.",
            "",
            "| step | | seconds | |",
            "| --- | --- | ---: | --- |",
        ]
        rows = [f"| {one.step} | {MARKS[one.state]} | {one.seconds:.0f} | {_cell(one.said)} |" for one in outcomes]
        return "\n".join([*head, *rows, "", *_details(outcomes)])


def summary(outcomes: Sequence[Outcome]) -> str:
    """ "17 passed, 1 failed, 2 not tried"."""
    counts = {state: sum(one.state == state for one in outcomes) for state in (PASSED, FAILED, NOT_TRIED)}
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _details(outcomes: Sequence[Outcome]) -> list[str]:
    lines = []
    for one in outcomes:
        if one.evidence:
            lines += [f"## {one.step}", "", one.said, "", "```", *one.evidence, "```", ""]
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
