"""A model folder: model.safetensors, config.json (model/config/folder.py), tokenizer.json. Nothing is ever unpickled.

It is whole: pretrained towers leave their weights and configurations in it (model/network/towers).

The weights carry the fingerprint of their tokenizer, because another of the same size would load and encode every text
wrongly.
"""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer

from model.config.folder import read_config, write_config
from model.errors import ModelError
from model.files import replaced
from model.network.encoder import PinEncoder

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
    """The encoder in evaluation mode and its tokenizer.

    Raises:
        ModelError: a file is missing or corrupt, or the three do not belong together.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise ModelError(f"The model folder {folder} lacks {name}; train again or point at a whole model folder.")
    tensors, fingerprint = _read_weights(folder / "model.safetensors")
    if fingerprint != _fingerprint(folder):
        raise ModelError(
            f"The tokenizer.json in {folder} is not the one that the weights were trained with; "
            "copy both from one training run."
        )
    encoder = PinEncoder(read_config(folder), folder)
    try:
        encoder.load_state_dict(tensors)
    except RuntimeError:
        raise ModelError(
            f"{folder / 'model.safetensors'} holds another architecture than the config.json beside it; "
            "copy both from one training run."
        ) from None
    return encoder.eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))


def count_parameters(encoder: torch.nn.Module) -> int:
    return sum(p.numel() for p in encoder.parameters())


def _read_weights(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors, and the fingerprint of the tokenizer that they were trained with."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get("tokenizer", "")  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path} is corrupt ({error}); copy it again or train again.") from None


def _fingerprint(folder: Path) -> str:
    return hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
