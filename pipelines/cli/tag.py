"""`pinclip tag`: a catalogue's words for a folder of pictures; pipelines/cli/app.py registers it."""

from pathlib import Path
from typing import Annotated

import typer


def tag(
    folder: Annotated[Path, typer.Argument(help="Pictures, also in folders below it.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write: file, tags, why there is none.")],
    version: Annotated[int | None, typer.Option(help="Of a published space. [the one that serves]", min=1)] = None,
    catalogue: Annotated[Path | None, typer.Option(help="Whose words. [the one that the space was made of]")] = None,
) -> None:
    """Name what is on pictures that belong to no catalogue.

    In the catalogue's own words, each with the probability that it fits; none below 0.3.
    """
    from components.settings import Settings
    from components.spaces.embed_missing import kept_model
    from components.spaces.space_words import SpaceWords
    from model.errors import CatalogueError, ConfigError

    if not folder.is_dir():
        raise CatalogueError(f"There is no folder {folder}; give one that holds pictures.")
    if out.suffix != ".parquet":
        raise ConfigError(f"--out is {out}; name a file that ends in .parquet.")
    settings = Settings()
    words = SpaceWords.read(version, catalogue, settings)
    model = kept_model(words.space.name, words.space.model, settings)

    from model.embedding.embedder import Embedder  # torch: when all else is known
    from model.tags.picture_folder import tag_pictures

    tagged, refused = tag_pictures(folder, Embedder(model), words.of_vectors, out, _report)
    aside = f"; {refused:,} cannot be read: {out.with_suffix('.refused.parquet')}" if refused else ""
    typer.echo(f"{tagged:,} pictures tagged by version {words.space.model_version}: {out}{aside}")


def _report(fraction: float, message: str) -> None:
    typer.echo(f"{fraction:4.0%}  {message}")
