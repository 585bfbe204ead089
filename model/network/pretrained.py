"""Pretrained towers through transformers: SigLIP 2, SigLIP and CLIP, by local folder or hub name, safetensors only.

A tower is what the checkpoint learned below its pooling head: pixels -> patch tokens, token ids -> text tokens.
A model folder holds the towers' configurations beside the weights, so that it is loaded without the checkpoint:

    vision/config.json  vision/preprocessor_config.json  text/config.json
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer, normalizers
from torch import nn

from model.config import TextConfig, TowerConfig
from model.errors import ModelError
from model.files import replaced, write_json

TowerKind = Literal["vision", "text"]
FAMILIES = {"siglip": "Siglip", "siglip2": "Siglip2", "clip": "CLIP"}  # model_type -> how its classes begin
NAFLEX = "siglip2_vision_model"  # SigLIP 2 at any resolution reads patches; at a fixed one it is a SigLIP model


def open_tower(kind: TowerKind, config: TowerConfig, saved: Path | None) -> nn.Module:
    """The tower of the checkpoint config.pretrained; of the model folder `saved` the architecture alone.

    Its weights learn as config.trainable says.

    Raises:
        ModelError: the checkpoint cannot be reached, is of another family, or its weights do not fit its config.json.
    """
    tower = _load(kind, config.pretrained) if saved is None else _build(kind, saved / kind)
    _remove_head(tower)
    shares = learning_rate_shares(tower, config)
    for name, parameter in tower.named_parameters():
        parameter.requires_grad_(shares[name] > 0)
    return tower


def save_tower(folder: Path, tower: nn.Module, statistics: dict[str, list[float]] | None = None) -> None:
    """Writes what open_tower and image_statistics read from a model folder."""
    with replaced(folder) as scratch:
        cast(Any, tower).config.save_pretrained(scratch)
        if statistics:
            write_json(scratch / "preprocessor_config.json", statistics)


def learning_rate_shares(tower: nn.Module, config: TowerConfig) -> dict[str, float]:
    """Share of the learning rate of each parameter, by name; 0 where it is frozen.

    The last layer learns at `layer_decay`, the one below at its square, and so on down to the embeddings (layer-wise
    decay, as in ELECTRA and BEiT).
    """
    layers = len(cast(Any, tower).encoder.layers)
    learning = {"frozen": 0, "last": config.trainable_layers, "full": layers + 1}[config.trainable]
    shares = {}
    for name, _ in tower.named_parameters():
        below_top = layers - _height(name, layers)
        shares[name] = config.layer_decay ** (below_top + 1) if below_top < learning else 0.0
    return shares


def image_statistics(source: str) -> dict[str, list[float]]:
    """image_mean and image_std of the checkpoint's image processor, by channel, for pixels in [0, 1].

    Raises:
        ModelError: the checkpoint has no image processor.
    """
    from transformers import ImageProcessingMixin

    with _explained("vision", source):
        found, _ = ImageProcessingMixin.get_image_processor_dict(source)
    if not {"image_mean", "image_std"} <= set(found):
        raise ModelError(
            f"vision.pretrained {source!r} does not say image_mean and image_std; "
            "put the checkpoint's preprocessor_config.json beside its weights."
        )
    return {name: found[name] for name in ("image_mean", "image_std")}


def load_tokenizer(config: TextConfig) -> Tokenizer:
    """The checkpoint's own tokenizer.

    Raises:
        ModelError: it is missing, is none of the library `tokenizers`, or knows more tokens than the tower.
    """
    from transformers import AutoConfig, AutoTokenizer

    with _explained("text", config.pretrained):
        whole = AutoConfig.from_pretrained(config.pretrained)
        tokenizer = getattr(AutoTokenizer.from_pretrained(config.pretrained), "backend_tokenizer", None)
    if not isinstance(tokenizer, Tokenizer):
        raise ModelError(f"text.pretrained {config.pretrained!r} has no tokenizer.json; choose SigLIP 2 or CLIP.")
    known = getattr(whole, "text_config", whole).vocab_size
    if max(tokenizer.get_vocab().values()) >= known:
        raise ModelError(
            f"The tokenizer of text.pretrained {config.pretrained!r} knows more tokens than its weights ({known}); "
            "copy both from one checkpoint."
        )
    tokenizer.no_padding()
    if whole.model_type.startswith("siglip"):  # SigLIP learned lower-case text, and not all of its files say so
        rest = [tokenizer.normalizer] if tokenizer.normalizer else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *rest])
    return tokenizer


def _load(kind: TowerKind, name: str) -> nn.Module:
    from transformers import AutoConfig

    with _explained(kind, name):
        tower_class = _class_of(kind, name, AutoConfig.from_pretrained(name).model_type)
        # fp32 whatever the file holds, and no dropout: computing a step twice must give the same result.
        options = {"use_safetensors": True, "dtype": torch.float32, "attention_dropout": 0.0}
        tower, report = tower_class.from_pretrained(name, output_loading_info=True, **options)
    if report["missing_keys"]:
        raise ModelError(
            f"{kind}.pretrained {name!r} lacks {len(report['missing_keys'])} weights that its config.json speaks of, "
            f"e.g. {min(report['missing_keys'])}; copy both from one checkpoint."
        )
    return cast(nn.Module, tower.train())


def _build(kind: TowerKind, folder: Path) -> nn.Module:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        return cast(nn.Module, _class_of(kind, str(folder), config.model_type)(config))
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder} is no configuration of a tower ({_first_line(error)}); copy it again.") from None


def _class_of(kind: TowerKind, name: str, model_type: str) -> Any:
    """The class of transformers that is the tower of a whole model or of a tower alone."""
    import transformers

    family = model_type.removesuffix("_model").removesuffix(f"_{kind}")
    if family not in FAMILIES:
        raise ModelError(
            f"{kind}.pretrained {name!r} is a {model_type!r}; choose a SigLIP 2, SigLIP or CLIP checkpoint."
        )
    return getattr(transformers, f"{FAMILIES[family]}{kind.capitalize()}Model")


def _remove_head(tower: Any) -> None:
    """Removes the layers of the pooling head, which would never get a gradient."""
    family = tower.config.model_type
    if family in ("siglip_vision_model", NAFLEX):
        tower.use_head, tower.head = False, None
    elif family == "clip_vision_model":
        tower.post_layernorm = nn.Identity()
    elif family in ("siglip_text_model", "siglip2_text_model"):
        tower.head = nn.Identity()


def _height(name: str, layers: int) -> int:
    """0 for what lies below the layers, k for the k-th of them, `layers` for what lies above."""
    if name.startswith("encoder.layers."):
        return int(name.split(".")[2]) + 1
    return 0 if name.startswith(("embeddings.", "pre_layrnorm.")) else layers


@contextmanager
def _explained(kind: TowerKind, name: str) -> Iterator[None]:
    """Turns whatever transformers raises into one sentence, and keeps its reports of unused weights to itself."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"{kind}.pretrained {name!r} cannot be loaded ({_first_line(error)}); name a folder with config.json and "
            "model.safetensors, or a model on the hub that this machine reaches."
        ) from None
    finally:
        logging.set_verbosity(verbosity)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
