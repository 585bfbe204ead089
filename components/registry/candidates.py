"""The version that is to serve, as MLflow's registry knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from components.gate import Verdict
from components.mlflow_client import connect, mlflow_errors
from components.registry.versions import CHAMPION, Registration, version_of
from components.settings import Settings
from model.errors import StoreError

LINEAGE = ("git_rev", "catalogue", "catalogue_digest", "dvc_md5", "schedule")
FORCED = "pinclip.forced"  # why a version that failed its gate may serve all the same


@dataclass(frozen=True)
class RegisteredCandidate:
    registration: Registration
    lineage: Mapping[str, str]

    @property
    def version(self) -> int:
        return self.registration.version


def champion(settings: Settings) -> int:
    """
    Raises:
        StoreError: no version holds the alias, or MLflow does not answer.
    """
    version = version_of(CHAMPION, settings)
    if version is None:
        raise StoreError(
            f"No version of models:/{settings.model_name} is the {CHAMPION}; set that alias in MLflow, or run "
            "`pinclip promote VERSION`."
        )
    return version


def candidate(version: int, settings: Settings, reason: str = "") -> RegisteredCandidate:
    """The version, if it may serve. A `reason` lets one that failed its gate pass, and is kept as its tag.

    Raises:
        StoreError: there is no such version, it failed its gate, or MLflow does not answer.
    """
    client = connect(settings)
    with mlflow_errors():
        found = client.get_model_version(settings.model_name, str(version))
        tags, passed = found.tags, found.tags.get("pinclip.gate") == "passed"
        if not passed and reason:
            client.set_model_version_tag(settings.model_name, str(version), FORCED, reason)
    reasons = tuple(tags.get("pinclip.gate.reasons", "it carries no verdict").split("\n"))
    if not (passed or reason or tags.get(FORCED)):
        raise StoreError(
            f"Version {version} failed its gate ({reasons[0].rstrip('.')}), so nothing was switched; let another be "
            f"the {CHAMPION}, or run `pinclip promote {version} --force REASON`."
        )
    created = datetime.fromtimestamp(found.creation_timestamp / 1000, tz=UTC).isoformat()
    uri = f"models:/{settings.model_name}/{version}"
    compatible = tags.get("pinclip.compatible_with", "")
    registration = Registration(version, Verdict(passed, reasons), found.run_id or "", uri, created, compatible)
    return RegisteredCandidate(
        registration, {name: tags[f"pinclip.{name}"] for name in LINEAGE if f"pinclip.{name}" in tags}
    )


def set_champion(version: int, settings: Settings) -> None:
    """Moves the alias `champion`.

    Raises:
        StoreError: there is no such version, or MLflow does not answer.
    """
    client = connect(settings)
    with mlflow_errors():
        client.set_registered_model_alias(settings.model_name, CHAMPION, str(version))
