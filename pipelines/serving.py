"""`pinclip serve`: the near-real-time service on the spaces that this machine has published."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from components.ray_cluster import ray_cluster
from components.settings import Settings
from components.spaces import model_folder, published
from model.errors import RunError, StoreError
from pipelines.ui import is_free
from serving.service.config import TOKEN, ServiceConfig, SpaceFiles


def serve(names: Sequence[str], host: str, port: int, catalogue: Path | None) -> None:
    """Serves the named spaces, or all that are published, until Ctrl-C or SIGTERM.

    Images are those of `catalogue`, or of the one that the newest space was made from, where it is still there.

    Raises:
        ConfigError: an address that others reach, and no token.
        RunError: the port is taken, or Ray does not start.
        StoreError: nothing is published, or not such a space.
    """
    config = ServiceConfig(host=host, port=port, token=os.environ.get(TOKEN, ""), open_new=not names)
    if not is_free(port):
        raise RunError(f"Port {port} is taken; choose another --port.")
    settings = Settings()
    manifests, newest = published(settings)
    chosen = _chosen(manifests, names)
    files = [space_files(manifests[name], settings) for name in chosen]
    newest = newest if newest in chosen else chosen[-1]
    if catalogue is None and (made_from := Path(manifests[newest].get("catalogue", ""))).joinpath("pins").is_dir():
        catalogue = made_from
    console = Console()
    console.print(f"Opening {', '.join(chosen)}; the first time takes a minute.", highlight=False)
    from serving.service.deployment import serve_until_stopped

    with ray_cluster(log=True):
        says = f"http://{host}:{port} serves {', '.join(chosen)}; Ctrl-C ends it."
        serve_until_stopped(files, newest, catalogue, config, lambda: console.print(says, highlight=False))


def space_files(manifest: dict[str, Any], settings: Settings) -> SpaceFiles:
    name = manifest["space"]
    model = model_folder(manifest["model"], settings)
    return SpaceFiles(name, settings.home / "feast", model, settings.home / "serving" / name)


def _chosen(manifests: dict[str, dict[str, Any]], names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in manifests:
            raise StoreError(f"The space {name} is not published; there are: {', '.join(manifests)}.")
    return [name for name in manifests if name in names or not names]
