"""`pinclip embed`: vectors of a folder of pictures; pipelines/cli/app.py registers it."""

from pathlib import Path
from typing import Annotated

import typer


def embed(
    folder: Annotated[Path, typer.Argument(help="Pictures, also in folders below it.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write: file, vector.")],
    version: Annotated[int | None, typer.Option(help="Of the registered model. [the one that serves]", min=1)] = None,
) -> None:
    """Embed a folder of pictures that belong to no catalogue.

    The vectors are those of a Pin without texts: compare them with the space of the same version alone.
    """
    from components.settings import Settings
    from components.spaces.embed_missing import kept_model
    from components.spaces.published_spaces import published_spaces
    from model.errors import CatalogueError, ConfigError

    if not folder.is_dir():
        raise CatalogueError(f"There is no folder {folder}; give one that holds pictures.")
    if out.suffix != ".parquet":
        raise ConfigError(f"--out is {out}; name a file that ends in .parquet.")
    settings = Settings()
    if version is None:
        manifests, serving = published_spaces(settings)
        version = manifests[serving].model_version
    model = kept_model(f"v{version}", f"models:/{settings.model_name}/{version}", settings)

    from model.embedding.embedder import Embedder  # torch: when all else is known
    from model.embedding.picture_folder import embed_pictures

    embedded, refused = embed_pictures(folder, Embedder(model), out, _report)
    aside = f"; {refused:,} cannot be read: {out.with_suffix('.refused.parquet')}" if refused else ""
    typer.echo(f"{embedded:,} pictures embedded by version {version}: {out}{aside}")


def _report(fraction: float, message: str) -> None:
    typer.echo(f"{fraction:4.0%}  {message}")
