"""A model folder: model.safetensors, config.json, tokenizer.json. Nothing in it is ever unpickled."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from model.config import Config
from model.encoder import PinEncoder
from model.errors import ModelError
from model.files import replaced


def save_model(folder: Path, encoder: PinEncoder, tokenizer: Tokenizer) -> None:
    """Writes the three files beside and moves them into `folder` one by one, weights last."""
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(folder / "config.json") as scratch:
        scratch.write_text(encoder.config.to_json(), encoding="utf-8")
    with replaced(folder / "tokenizer.json") as scratch:
        tokenizer.save(str(scratch))
    with replaced(folder / "model.safetensors") as scratch:
        save_file({name: value.contiguous() for name, value in encoder.state_dict().items()}, str(scratch))


def load_model(folder: Path) -> tuple[PinEncoder, Tokenizer]:
    """The encoder in evaluation mode and its tokenizer.

    Raises:
        ModelError: a file is missing or corrupt, or the weights are of another architecture.
    """
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise ModelError(f"The model folder {folder} lacks {name}; train again or point at a whole model folder.")
    encoder = PinEncoder(Config.from_json((folder / "config.json").read_text(encoding="utf-8")))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens, embeddings = tokenizer.get_vocab_size(), encoder.config.text.vocabulary
    if tokens > embeddings:
        raise ModelError(
            f"The tokenizer in {folder} has {tokens} tokens and the weights have {embeddings}; "
            "they do not belong together: copy both from one training run."
        )
    weights = folder / "model.safetensors"
    try:
        encoder.load_state_dict(load_file(weights))
    except SafetensorError as error:
        raise ModelError(f"{weights} is corrupt ({error}); copy it again or train again.") from None
    except RuntimeError:
        raise ModelError(
            f"{weights} holds another architecture than the config.json beside it; copy both from one training run."
        ) from None
    return encoder.eval(), tokenizer


def parameters(encoder: torch.nn.Module) -> int:
    return sum(p.numel() for p in encoder.parameters())
