"""`pinclip serve`: the near-real-time service on the spaces that this machine has published."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from rich.console import Console

from components.ray.cluster import ray_cluster
from components.registry.artifacts import model_folder
from components.settings import Settings
from components.spaces.paths import state_folder
from components.spaces.published_spaces import published_spaces, serving_space
from model.errors import RunError, StoreError
from pipelines.local.ports import is_free
from serving.service.config import TOKEN, Find, Opening, ServiceConfig, SpaceFiles
from serving.space import SpaceManifest

POLL_INTERVAL = 10.0  # seconds between two looks for the first publication


def serve(
    names: Sequence[str],
    host: str,
    port: int,
    catalogue: Path | None,
    wait: bool = False,
    without_damaged: bool = False,
) -> None:
    """Serves the named spaces, or all that are published, until Ctrl-C or SIGTERM.

    Images are those of `catalogue`, or of the one that the serving space was made from, where it is still there. With
    `wait`, it starts before anything is published, and is ready once something is. `without_damaged` goes on without
    shards and lines of journals that cannot be read; the log and /metrics say what was lost.

    Raises:
        ConfigError: an address that others reach, and no token.
        RunError: the port is taken, Ray does not start, or what is to be served cannot be opened.
        StoreError: nothing is published, or not such a space.
    """
    config = ServiceConfig(host=host, port=port, token=os.environ.get(TOKEN, ""), open_new=not names)
    config = replace(config, without_damaged=without_damaged)
    if not is_free(port):
        raise RunError(f"Port {port} is taken; choose another --port.")
    find, chosen = partial(found, tuple(names), catalogue), "what will be published"
    opening: Opening | Find = find
    if not wait:
        opening = find()
        chosen = ", ".join(one.name for one in opening.spaces)
    console = Console()
    console.print(f"Opening {chosen}; the first time its index is built.", highlight=False)
    from serving.service.deployment import serve_until_stopped

    with ray_cluster(log=True):
        says = f"http://{host}:{port} serves {chosen}; Ctrl-C ends it."
        serve_until_stopped(opening, config, lambda: console.print(says, highlight=False))


def found(names: Sequence[str], catalogue: Path | None) -> Opening:
    """The spaces to serve.

    Raises:
        StoreError: nothing is published, not such a space, or MLflow does not return the model.
    """
    settings = Settings()
    manifests, serving = published_spaces(settings)
    chosen = _chosen(manifests, names)
    files = tuple(space_files(manifests[name], settings) for name in chosen)
    serving = serving if serving in chosen else chosen[-1]
    if (
        catalogue is None
        and (made_from := Path(manifests[serving].lineage.get("catalogue", ""))).joinpath("pins").is_dir()
    ):
        catalogue = made_from
    return Opening(files, serving, catalogue)


def space_files(space: SpaceManifest, settings: Settings) -> SpaceFiles:
    model, state = _model(space.model, settings), state_folder(space.name, settings)
    return SpaceFiles(space.name, space.feast_home, model, state)


@cache
def _model(uri: str, settings: Settings) -> Path:
    """The model folder, downloaded once, so that retries for another space do not fill the disk."""
    return model_folder(uri, settings)


def _chosen(manifests: dict[str, SpaceManifest], names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in manifests:
            raise StoreError(f"The space {name} is not published; there are: {', '.join(manifests)}.")
    return [name for name in manifests if name in names or not names]


def wait_for_publication(look: float = POLL_INTERVAL) -> None:
    """Returns once the features of a space serve; prints what it waits for."""
    settings, says = Settings(), ""
    while True:
        try:
            if space := serving_space(settings):
                Console().print(f"The space {space} serves.", highlight=False)
                return
            missing = f"No features are published in {settings.home / 'feast'} yet; run the training pipeline."
        except StoreError as error:
            missing = str(error)
        if missing != says:
            Console().print(f"Waiting: {missing}", highlight=False, soft_wrap=True)
        says = missing
        time.sleep(look)
