"""Whether the settings' pretrained towers can be used, found out before a run: no weights are read."""

from pathlib import Path

from safetensors import safe_open

from model.config import Config
from model.errors import ModelError
from model.network.towers.fitting import check_context, check_grid, grid_side
from model.network.towers.opening import outline
from model.network.towers.sources import TowerKind, explained, resolve
from model.network.towers.words import load_tokenizer

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def check_towers(config: Config) -> None:
    """Reads the small files of each checkpoint and compares them with the settings.

    Raises:
        ModelError: a tower cannot be reached, has no weights, is of an unknown family, its files do not belong
            together, or the settings ask for what it does not take.
    """
    if config.vision.pretrained:
        fits = check_grid if config.vision.kept else grid_side
        fits(config.vision, outline("vision", config.vision.pretrained, config.vision.join == "vector"))
        _check_weights("vision", config.vision.pretrained)
    if config.text.pretrained:
        check_context(config.text, outline("text", config.text.pretrained, config.text.join == "vector"))
        load_tokenizer(config.text)
        _check_weights("text", config.text.pretrained)


def _check_weights(kind: TowerKind, name: str) -> None:
    from transformers.utils import has_file

    source = Path(resolve(kind, name))
    with explained(kind, name):
        if source.is_file():  # of a package
            return
        if not any(has_file(str(source), file) for file in WEIGHTS):
            raise ModelError(
                f"{kind}.pretrained {name!r} has no model.safetensors; put the checkpoint's beside its config.json."
            )
        if (source / WEIGHTS[0]).is_file():
            with safe_open(source / WEIGHTS[0], "pt"):  # reads the list of tensors, and whether all are there
                pass
