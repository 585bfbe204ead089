"""Where a run came from: the code's commit, the catalogue's digest, and DVC's md5 of it where DVC tracks it."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from components.configuration import OPERATIONS, Configuration
from model.data.catalogue import Catalogue
from pipelines.dvc_lineage import dvc_md5

CODE = Path(__file__).resolve().parents[1]
# Variables that point git to another repository or change its output; git's hooks set some of them.
REDIRECTS = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SHALLOW_FILE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
)


def lineage(catalogue: Catalogue) -> dict[str, str]:
    """Strings only, "" where unknown: they are parameters of the pipeline, and on a cluster keys of its cache.

    git_rev  the commit and a digest of uncommitted changes; "" outside a checkout (an image)
    """
    return {
        "git_rev": git_revision(CODE),
        "catalogue": str(catalogue.root),
        "catalogue_digest": catalogue.digest(),
        "dvc_md5": dvc_md5(Path(catalogue.root)) or "",
    }


def unread_lineage(catalogue: str, occasion: str) -> dict[str, str]:
    """Like lineage(), for a catalogue that only the cluster sees: it has no digest yet, but an occasion, `schedule`.

    The occasion keeps the cluster's cache from answering with what another day's data gave.
    """
    origin = {"git_rev": git_revision(CODE), "catalogue": catalogue, "catalogue_digest": "", "dvc_md5": ""}
    return origin | {"schedule": occasion}


def git_revision(folder: Path) -> str:
    """The commit; "-dirty-" and a digest of the changes to tracked files where there are any; "" outside a checkout."""
    revision = _git(folder, "rev-parse", "HEAD").strip()
    changes = _git(folder, "diff", "--no-ext-diff", "--no-color", "HEAD")
    return revision + (f"-dirty-{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else "")


def run_identity(config: Configuration, origin: dict[str, str]) -> str:
    """Identifies a run by its inputs: the same run, started again after a kill, joins its MLflow run."""
    told = json.dumps({name: value for name, value in config.to_dict().items() if name not in OPERATIONS})
    total = hashlib.sha256("\0".join([told, origin["git_rev"], origin["catalogue_digest"]]).encode())
    return f"{config.profile}-{total.hexdigest()[:10]}"


def _git(folder: Path, *arguments: str) -> str:
    """What git answers; "" where there is no git or no checkout."""
    try:
        command = ["git", "-C", str(folder), *arguments]
        environment = {name: value for name, value in os.environ.items() if name not in REDIRECTS}
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
