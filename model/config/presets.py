"""The four profiles, and how a profile and `section.key=value` overrides become a configuration."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from model.config.overrides import override, refuse_unless
from model.config.training import LOSSES
from model.config.tree import Config
from model.errors import ConfigError

Tree = TypeVar("Tree", bound=Config)
SIGLIP_2 = "google/siglip2-base-patch16-224"
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "profile": "smoke",
        "graph": {"walks": 16, "top": 8},
        "vision": {"image_size": 32, "width": 64, "depths": (1, 1), "heads": 2},
        "text": {"vocabulary": 512, "context": 16, "width": 64, "layers": 1, "heads": 2},
        "fusion": {"dim": 64, "prefixes": (32, 64), "layers": 1, "heads": 2},
        "train": {"epochs": 2, "batch_size": 64},
        "evaluation": {"max_queries": 200},
    },
    # Fusion on the level of tokens found no more with small towers and took a quarter of the time (docs/results.md).
    "demo": {"fusion": {"token_level": False}},
    # Frozen pretrained towers that pip installs, what they give kept, and a small image tower of our own beside them.
    # On validation Pins twice as many layers and four times as many tokens found no more (docs/experiments.md); words
    # of our own beside the text tower did not pay (docs/results.md).
    "pilot": {
        "profile": "pilot",
        "vision": {
            "pretrained": "efficientnet-lite0",
            "trainable": "frozen",
            "join": "beside",
            "image_size": 128,
            "grid": 2,
            "patch": 16,
            "depths": (1, 1),
        },
        "text": {"pretrained": "all-minilm-l6-v2", "trainable": "frozen", "join": "alone", "layers": 1},
        "fusion": {"token_level": False, "skip": True},
        # At width 128 fp32 takes less time than bf16 even where the processor has it.
        "train": {"epochs": 12, "precision": "fp32"},
    },
    "full": {
        "profile": "full",
        # 14 x 14 patches, then one funnel stage: 49 tokens of an image reach fusion.
        "vision": {"pretrained": SIGLIP_2, "image_size": 224, "width": 768, "depths": (2,), "heads": 12},
        # The lower layers and the 256,000 rows of its token table stay frozen: they are 239 M of its 282 M parameters.
        "text": {
            "pretrained": SIGLIP_2,
            "trainable": "last",
            "trainable_layers": 6,
            "context": 64,
            "width": 768,
            "heads": 12,
        },
        "fusion": {"layers": 4, "heads": 12},
        # At thousands of Pins a batch the sigmoid never holds a row of logits whole; Muon is for towers from scratch.
        "objective": {"image_text_loss": "sigmoid"},
        "train": {
            "optimizer": "adamw",
            "epochs": 20,
            "batch_size": 4096,
            "learning_rate": 5e-4,
            "workers": 8,
            "precision": "bf16",
            "compile": True,
            "activation_checkpointing": True,
        },
    },
}


def load(profile: str = "demo", overrides: Iterable[str] = ()) -> Config:
    """The profile's configuration with `section.key=value` overrides applied in order.

    Raises:
        ConfigError: an unknown profile, an unknown key, or a value that does not fit.
    """
    return laid_over(preset(Config(), PROFILES, profile), overrides)


def preset(defaults: Tree, presets: Mapping[str, dict[str, Any]], profile: str) -> Tree:
    """Raises ConfigError where there is no such profile."""
    if profile not in presets:
        raise ConfigError(f"There is no profile {profile!r}; choose one of {', '.join(presets)}.")
    return override(defaults, presets[profile])


def laid_over(config: Tree, overrides: Iterable[str]) -> Tree:
    """`section.key=value` overrides, all at once: values that only fit together may come in any order.

    Raises:
        ConfigError: an unknown key, or a value that does not fit.
    """
    changes: dict[str, Any] = {}
    for item in overrides:
        key, separator, value = item.partition("=")
        if not separator:
            raise ConfigError(f"--set {item!r} has no '='; write it as section.key=value, e.g. train.epochs=2.")
        *sections, name = key.strip().split(".")
        section = changes
        for part in sections:
            section = section.setdefault(part, {})
            refuse_unless(
                isinstance(section, dict), f"--set {item!r}: {part!r} was given a value before; set its keys alone."
            )
        section[name] = value.strip()
    return _located(override(config, changes))


def clip_baseline(config: Config) -> Config:
    """The same network and budget with CLIP's objective: softmax over the batch, a Pin's own texts alone.

    Softmax because it is CLIP's own and at small batches the stronger baseline.
    """
    clip = {
        **dict.fromkeys(LOSSES, 0.0),
        "image_text": 1.0,
        "image_texts": ("long", "short"),
        "image_text_loss": "softmax",
    }
    return override(config, {"objective": clip, "train": {"compatible_with": ""}})


def _located(config: Tree) -> Tree:
    """Local checkpoint folders as absolute paths, because steps and workers run in other folders."""
    towers = {"vision": config.vision.pretrained, "text": config.text.pretrained}
    folders = {name: {"pretrained": str(Path(p).absolute())} for name, p in towers.items() if p and Path(p).is_dir()}
    return override(config, folders)
