"""MLflow's files: examples, report with thumbnails, card, of runs and logged models, deleted ones too; and runs' tags.

Each file is fetched, looked through as a file on disk is, and logged again in its place, so that a bucket on S3 is
served as a folder is. A bucket with versions keeps the old object: its owner ends those (remains.py). The folders of
models are listed there too: weights hold no rows.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.forgetting import formats
from components.forgetting.formats import pages
from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.mlflow_client import connect, mlflow_errors
from components.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

LARGEST = 256 * 2**20  # bytes of a file that is looked through


class Artifacts:
    name = "MLflow"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def find(self, pins: Pins) -> Counts:
        return self._each(pins, False)

    def erase(self, pins: Pins) -> Counts:
        """
        Raises:
            StoreError: MLflow refuses or does not answer.
        """
        return self._each(pins, True)

    def _each(self, pins: Pins, erase: bool) -> Counts:
        client, counts = connect(self.settings), dict[str, int]()
        with mlflow_errors(), tempfile.TemporaryDirectory(prefix="pinclip-") as scratch:
            for run, tags in _runs(client):
                for path in _files(client, run, ""):
                    counts[f"run {run}: {path}"] = _look(client, run, path, Path(scratch), pins, erase)
                for name, value in tags.items():
                    counts[f"run {run}: tag {name}"] = _look_at_tag(client, run, name, value, pins, erase)
        return counts


def _look(client: "MlflowClient", run: str, path: str, scratch: Path, pins: Pins, erase: bool) -> int:
    local = Path(client.download_artifacts(run, path, str(scratch)))
    before = local.stat().st_mtime_ns
    found = formats.look(local, pins, erase)
    if erase and found and local.is_file() and local.stat().st_mtime_ns != before:
        client.log_artifact(run, str(local), str(Path(path).parent) if "/" in path else None)
    local.unlink(missing_ok=True)
    return found


def _look_at_tag(client: "MlflowClient", run: str, name: str, value: str, pins: Pins, erase: bool) -> int:
    """Our own tags alone: a trial's error, a version's reasons."""
    cleaned, found = pages.cleaned(value, pins) if name.startswith("pinclip.") and pins.may_be_in(value) else ("", 0)
    if erase and found:
        client.set_tag(run, name, cleaned)
    return found


def _runs(client: "MlflowClient") -> Iterator[tuple[str, dict[str, str]]]:
    """(id, tags)"""
    from mlflow.entities import ViewType

    experiments = [one.experiment_id for one in client.search_experiments(view_type=ViewType.ALL)]
    token: str | None = ""
    while token is not None and experiments:
        page = client.search_runs(experiments, run_view_type=ViewType.ALL, page_token=token or None)
        yield from ((run.info.run_id, run.data.tags) for run in page)
        token = page.token or None


def _files(client: "MlflowClient", run: str, folder: str) -> Iterator[str]:
    """Everything but logged models, whose folders lie outside the run's, and what is too large to hold rows."""
    for one in client.list_artifacts(run, folder or None):
        if one.is_dir:
            yield from _files(client, run, one.path)
        elif (one.file_size or 0) <= LARGEST:
            yield one.path
