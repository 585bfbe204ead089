"""The arms of an ablation: PinCLIP, the CLIP objective, and PinCLIP with one idea taken away or exchanged.

An arm is the study's configuration with a few named fields changed; everything else, data and budget too, is the same.
"""

from collections.abc import Callable, Sequence
from typing import Any

from model.config import Config, clip_baseline
from model.config.overrides import override
from model.errors import ConfigError

FULL, CLIP = "pinclip", "clip"


def _with(section: str, **fields: object) -> Callable[[Config], Config]:
    return lambda config: override(config, {section: fields})


def _no_funnel(config: Config) -> Config:
    """The same number of layers in one stage, without token pooling; a pretrained tower without the stages on top."""
    depths = () if config.vision.pretrained and not config.vision.kept else (sum(config.vision.depths),)
    return override(config, {"vision": {"depths": depths}})


def _joined(section: str, join: str) -> Callable[[Config], Config]:
    """A frozen tower with the small one of ours beside it, or alone."""
    return lambda config: override(config, {section: {"join": join}}) if getattr(config, section).kept else config


def _without_tower(section: str) -> Callable[[Config], Config]:
    """Our own tower without the frozen one beside it."""
    return lambda config: override(config, _own(config, section)) if getattr(config, section).kept else config


def _own(config: Config, section: str) -> dict[str, dict[str, Any]]:
    own: dict[str, Any] = {"pretrained": "", "join": "below"}
    return {section: own | ({"image_size": config.vision.own_size} if section == "vision" else {})}


def _no_prefixes(config: Config) -> Config:
    return override(config, {"fusion": {"prefixes": (config.fusion.dim,)}})


ARMS: dict[str, Callable[[Config], Config]] = {
    FULL: lambda config: config,
    CLIP: clip_baseline,
    "no-neighbour": _with("objective", neighbour=0.0),
    "hybrid-fusion": _with("fusion", token_level=True, global_level=True),
    "global-fusion": _with("fusion", token_level=False, global_level=True),
    "token-fusion": _with("fusion", token_level=True, global_level=False),
    "no-skip": _with("fusion", skip=False),
    "one-text": _with("objective", image_texts=("long",)),
    "no-funnel": _no_funnel,
    "no-stem": _joined("vision", "alone"),
    "no-words": _joined("text", "alone"),
    "words": _joined("text", "beside"),
    "no-image-tower": _without_tower("vision"),
    "no-text-tower": _without_tower("text"),
    "no-prefixes": _no_prefixes,
    "no-masking": _with("objective", mask_neighbours=False),
    "hard-negatives": _with("train", near_pairs=8),
    "sigmoid": _with("objective", image_text_loss="sigmoid", fused_loss="sigmoid"),
    "softmax": _with("objective", image_text_loss="softmax", fused_loss="softmax"),
    "adamw": _with("train", optimizer="adamw"),
}


def heads_alone(config: Config, model: str, image_size: int, context: int) -> Config:
    """The CLIP objective on heads alone, above the vectors that a frozen image–text model gives."""
    frozen = {"pretrained": model, "trainable": "frozen", "join": "vector"}
    towers = {
        "vision": frozen | {"image_size": image_size, "grid": 1, "depths": ()},
        "text": frozen | {"context": context, "layers": 0},
        "fusion": {"token_level": False, "global_level": True, "skip": False},
    }
    return clip_baseline(override(config, towers))


def arms(names: Sequence[str], config: Config) -> dict[str, Config]:
    """The configuration of each named arm, in the order asked for; without names all that differ from PinCLIP's.

    Raises:
        ConfigError: there is no such arm, or the configuration cannot be changed so.
    """
    for name in names:
        if name not in ARMS:
            raise ConfigError(f"There is no arm {name!r}; choose from {', '.join(ARMS)}.")
    changed = {name: arm(config) for name, arm in ARMS.items() if name == FULL or arm(config) != config}
    return {name: ARMS[name](config) for name in names or changed}
