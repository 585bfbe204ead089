"""A model folder: model.safetensors, config.json (model/config/folder.py), tokenizer.json. Nothing is ever unpickled.

It is whole: pretrained towers leave their weights and configurations in it (model/network/towers).

The weights carry the fingerprint of their tokenizer, because another of the same size would load and encode every text
wrongly.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer

from model.config import Config
from model.config.folder import read_config, write_config
from model.errors import ModelError
from model.files import replaced
from model.network.encoder import PinEncoder
from model.network.limits import check_finite, check_sizes, read_tokenizer, without_memory

FILES = ("config.json", "tokenizer.json", "model.safetensors")


def save_model(folder: Path, encoder: PinEncoder, tokenizer: Tokenizer) -> None:
    """Writes each file beside and moves it into `folder`, weights last."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder.save_towers(folder)
    write_config(folder, encoder.config)
    with replaced(folder / "tokenizer.json") as scratch:
        tokenizer.save(str(scratch))
    tensors = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    with replaced(folder / "model.safetensors") as scratch:
        save_file(tensors, str(scratch), {"tokenizer": _fingerprint(folder)})


def load_model(folder: Path) -> tuple[PinEncoder, Tokenizer]:
    """The encoder in evaluation mode and its tokenizer. No memory is taken for more than the weights fill.

    Raises:
        ModelError: a file is missing, corrupt or absurd, the three do not belong together, or a weight is no finite
            number.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise ModelError(f"The model folder {folder} lacks {name}; train again or point at a whole model folder.")
    check_sizes(folder)
    weights, config = folder / "model.safetensors", read_config(folder)
    with _opened(weights) as file:
        if (file.metadata() or {}).get("tokenizer", "") != _fingerprint(folder):
            raise ModelError(
                f"The tokenizer.json in {folder} is not the one that the weights were trained with; "
                "copy both from one training run."
            )
        _check_architecture(config, weights, {name: file.get_slice(name).get_shape() for name in file.keys()})  # noqa: SIM118
        encoder = PinEncoder(config, folder)
        encoder.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    check_finite(encoder, weights)
    return encoder.eval(), read_tokenizer(folder / "tokenizer.json", encoder.text.vocabulary)


def count_parameters(encoder: torch.nn.Module) -> int:
    return sum(p.numel() for p in encoder.parameters())


@contextmanager
def _opened(weights: Path) -> Iterator[Any]:
    try:
        with safe_open(weights, "pt") as file:
            yield file
    except SafetensorError as error:
        raise ModelError(f"{weights} is corrupt ({error}); copy it again or train again.") from None


def _check_architecture(config: Config, weights: Path, shapes: dict[str, list[int]]) -> None:
    """Builds the network without memory and compares its tensors with those of the file."""
    with without_memory(weights, len(shapes)):
        described = PinEncoder(config, weights.parent).state_dict()
    if {name: list(value.shape) for name, value in described.items()} != shapes:
        raise ModelError(
            f"{weights} holds another architecture than the config.json beside it; copy both from one training run."
        )


def _fingerprint(folder: Path) -> str:
    return hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
