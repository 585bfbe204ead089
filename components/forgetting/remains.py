"""What we cannot erase, each with its owner and what the owner has to do."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.settings import Settings


@dataclass(frozen=True)
class Remainder:
    what: str
    owner: str
    how: str


def remains(settings: Settings, versions: Iterable[int], folders: Iterable[Path], artifacts: str) -> list[Remainder]:
    """versions: that were trained on the Pins or users and are still registered; folders: catalogues that held them,
    and where the command was typed; artifacts: where MLflow keeps files."""
    found = [
        Remainder(
            f"weights and tokenizer of models:/{settings.model_name}/{version}, trained on a catalogue that held them",
            "the owner of the model",
            "train a new version (`pinclip forget --retrain`, or `pinclip run`), promote it, then delete this one in "
            "MLflow and run `mlflow gc`",
        )
        for version in versions
    ]
    if any((place / ".dvc").is_dir() for folder in folders for place in (folder, *folder.parents)):
        found.append(
            Remainder(
                "DVC's cache and remotes: former contents of catalogues and runs",
                "whoever may write to them",
                "commit the new state (`dvc commit`, `git commit`), then `dvc gc --workspace` and "
                "`dvc gc --workspace --cloud`; other clones too",
            )
        )
    if settings.redis:
        how = "`redis-cli BGREWRITEAOF` and `redis-cli BGSAVE`, or wait for the server's next ones"
        found.append(Remainder("Redis's append-only file and snapshot", "the owner of Redis", how))
    if "://" in artifacts and not artifacts.startswith("file:"):
        how = "where the bucket keeps versions: delete those that are not current, e.g. by a lifecycle rule"
        found.append(Remainder(f"former versions of objects in {artifacts}", "the owner of the bucket", how))
    if os.environ.get("PINCLIP_KFP_HOST"):
        how = "delete the runs in KFP, and its objects by the lifecycle rule of its bucket"
        found.append(
            Remainder("outputs of steps in KFP's object store, logs of pods", "the owner of Kubeflow Pipelines", how)
        )
    backups = "let them run out within the time that you have promised; after a restore: `pinclip forget --withdrawn`"
    source = "take them out of the tables and images that `pinclip import` reads"
    return [
        *found,
        Remainder("the tables that catalogues are imported from", "the owner of the tables", source),
        Remainder("backups and snapshots of disks, databases and buckets", "whoever makes them", backups),
    ]
