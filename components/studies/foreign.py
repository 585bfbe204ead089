"""Foreign image–text models beside the arms: as they are, and frozen below heads that learn from the catalogue."""

import re
from collections.abc import Sequence
from pathlib import Path

from components.studies.trials import Trial
from model.config import Config
from model.config.arms import heads_alone
from model.errors import ConfigError, ModelError

AS_IT_IS, HEADS = ", as it is", ", heads alone"


def foreign_trials(names: Sequence[str], config: Config, seeds: int) -> list[Trial]:
    """Of each model, by folder or name on the hub: as it is, and with heads that learn by the CLIP objective.

    Raises:
        ConfigError: two models would have the same name in the tables.
        ModelError: there is no such model, or it has no space of images and texts.
    """
    models = {Path(name).name if Path(name).is_dir() else name: _heads(name, config) for name in names}
    if len(models) < len(names):
        raise ConfigError(f"Two models of --against have the same name ({', '.join(names)}); name each once.")
    return [
        Trial(f"{model}{how}", config.seed + i, heads, trained=how == HEADS)
        for i in range(seeds)
        for model, heads in models.items()
        for how in (AS_IT_IS, HEADS)
    ]


def is_foreign(name: str) -> bool:
    """Whether a trial of this name is of a foreign model."""
    return name.endswith((AS_IT_IS, HEADS))


def _heads(name: str, config: Config) -> Config:
    """`config` with heads alone above the frozen model."""
    from model.network.towers.checks import check_towers  # torch and transformers take seconds
    from model.network.towers.opening import outline

    source = str(Path(name).absolute()) if Path(name).is_dir() else name
    try:
        image, text = outline("vision", source, shared=True), outline("text", source, shared=True)
        if image.width != text.width:
            raise ModelError(f"images become {image.width} numbers and texts {text.width}, so they share no space.")
        heads = heads_alone(config, source, image.usual_size, text.context)
        check_towers(heads)
    except ModelError as error:
        said = re.sub(r"\b(vision|text)\.pretrained=", "--against ", str(error))  # what to give in this command
        raise ModelError(f"--against {name} cannot be compared: {said}") from None
    return heads
