"""The checkpoint's tokenizer, and how its sentence vector is pooled."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers

from model.config import TextConfig
from model.errors import ModelError
from model.network.towers.backbone import Pooling, TextBackbone
from model.network.towers.description import read_description
from model.network.towers.sources import explained, resolve

VLM = ("siglip", "clip")  # how the model_type begins of text towers that pool the last token
# sentence-transformers' names; a mean divided by another number points the same way once it is normalised
POOLINGS: dict[str, Pooling] = {
    "mean": "mean",
    "mean_tokens": "mean",
    "mean_sqrt_len": "mean",
    "mean_sqrt_len_tokens": "mean",
    "cls": "cls",
    "cls_token": "cls",
    "lasttoken": "lasttoken",
}


def load_tokenizer(config: TextConfig) -> Tokenizer:
    """The checkpoint's own tokenizer.

    Raises:
        ModelError: it is missing, is none of the library `tokenizers`, or is of another model.
    """
    from transformers import AutoConfig, AutoTokenizer

    source = resolve("text", config.pretrained)
    with explained("text", config.pretrained):
        whole = AutoConfig.from_pretrained(source, trust_remote_code=False)
        found = AutoTokenizer.from_pretrained(source, config=whole, trust_remote_code=False)
    tokenizer = getattr(found, "backend_tokenizer", None)
    if not isinstance(tokenizer, Tokenizer):
        raise ModelError(
            f"text.pretrained {config.pretrained!r} has no tokenizer.json; put the checkpoint's beside its weights."
        )
    _check_vocabulary(config.pretrained, tokenizer, getattr(whole, "text_config", whole).vocab_size)
    tokenizer.no_padding()
    siglip = whole.model_type.startswith("siglip")
    if siglip and config.join == "vector":  # its head reads the last token of texts that were all as long
        pad = {"pad_id": found.pad_token_id, "pad_token": found.pad_token, "direction": found.padding_side}
        with explained("text", config.pretrained):
            tokenizer.enable_padding(length=config.context, **pad)
    if siglip:  # SigLIP learned lower-case text, and not all of its files say so
        rest = [tokenizer.normalizer] if tokenizer.normalizer else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *rest])
    return tokenizer


def pooling_of(source: str, name: str, tower: TextBackbone) -> Pooling:
    """How the checkpoint makes one vector of a text's tokens: as sentence-transformers' 1_Pooling/config.json says.

    Without that file a VLM's tower pools the last token; of another the mean is taken, as sentence-transformers does.

    Raises:
        ModelError: it pools in a way that is not known here.
    """
    from transformers.utils import cached_file

    with explained("text", name):
        file = cached_file(source, "1_Pooling/config.json", _raise_exceptions_for_missing_entries=False)
        said = read_description(Path(file)) if file else {}
    if not said:
        return "lasttoken" if tower.architecture()["model_type"].startswith(VLM) else "mean"
    modes = _modes(said)
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise ModelError(
            f"text.pretrained {name!r} pools its tokens by {' and '.join(modes) or 'nothing'}; choose a sentence "
            "encoder that takes their mean, the first or the last."
        )
    return POOLINGS[modes[0]]


def _modes(said: dict[str, Any]) -> list[str]:
    """The modes that are switched on: one name in new files, a switch for each in old ones."""
    if "pooling_mode" in said:
        mode = said["pooling_mode"]
        return [mode] if isinstance(mode, str) else list(mode)
    return [key.removeprefix("pooling_mode_") for key, on in said.items() if key.startswith("pooling_mode_") and on]


def _check_vocabulary(name: str, tokenizer: Tokenizer, known: int) -> None:
    """A vocabulary is padded to a round number at most, so that one of half the weights is another model's."""
    tokens = max(tokenizer.get_vocab().values()) + 1
    if tokens > known:
        raise ModelError(
            f"The tokenizer of text.pretrained {name!r} knows more tokens than its weights ({known}); "
            "copy both from one checkpoint."
        )
    if tokens < known / 2:
        raise ModelError(
            f"The tokenizer of text.pretrained {name!r} knows {tokens} tokens of the {known} of its weights, so it is "
            "another model's; copy both from one checkpoint."
        )
