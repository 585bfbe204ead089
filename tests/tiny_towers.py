"""Tiny checkpoints of every family of towers but the VLMs' (tests/tiny_checkpoints.py), as `save_pretrained`
leaves them: images of 32 pixels become 4 x 4 tokens, texts have 24 positions. Every weight is random.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from model.files import write_json
from model.network.towers import efficientnet_lite

CORPUS = ["a red chair", "a blue chair in a room", "ein roter Stuhl", "two cats on a sofa", "tea and a cup"] * 4
LAYERS = {"intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}
VIT = LAYERS | {"hidden_size": 40, "patch_size": 8, "image_size": 32}
TEXT = LAYERS | {"hidden_size": 24, "type_vocab_size": 2}
STAGES = {"depths": [1, 2], "hidden_sizes": [16, 40]}
VISION = {
    "vit": ("ViT", VIT),
    "dinov2": ("Dinov2", VIT | {"image_size": 48, "mlp_ratio": 2}),  # positions for 6 x 6 patches
    "dinov2_with_registers": ("Dinov2WithRegisters", VIT | {"mlp_ratio": 2}),
    "dinov3_vit": ("DINOv3ViT", VIT | {"num_register_tokens": 2}),
    "dinov3_convnext": ("DINOv3ConvNext", STAGES),
    "swin": ("Swin", {"image_size": 32, "embed_dim": 20, "depths": [1, 2], "num_heads": [1, 2], "window_size": 2}),
    "convnext": ("ConvNext", STAGES | {"num_stages": 2}),
    "convnextv2": ("ConvNextV2", STAGES | {"num_stages": 2}),
}
LITE = {
    "model_type": efficientnet_lite.MODEL_TYPE,
    "stem": 8,
    "stages": [[1, 3, 1, 1, 8], [2, 5, 2, 3, 12], [1, 3, 2, 2, 16]],
    "hidden_size": 40,
}
TEXTS = {
    "bert": ("Bert", TEXT | {"max_position_embeddings": 24}),
    "roberta": ("Roberta", TEXT | {"max_position_embeddings": 26, "pad_token_id": 1}),
    "xlm-roberta": ("XLMRoberta", TEXT | {"max_position_embeddings": 26, "pad_token_id": 1}),
    "mpnet": ("MPNet", TEXT | {"max_position_embeddings": 26}),
    "modernbert": (
        "ModernBert",
        TEXT | {"max_position_embeddings": 24, "local_attention": 4, "global_attn_every_n_layers": 2},
    ),
    "distilbert": (
        "DistilBert",
        {"dim": 24, "hidden_dim": 48, "n_layers": 3, "n_heads": 2, "max_position_embeddings": 24},
    ),
}


def write_vision(root: Path) -> dict[str, Path]:
    for family, (name, settings) in VISION.items():
        _save(root / family, name, settings)
    network = _shaken(efficientnet_lite.build(LITE).model)
    write_json(root / "efficientnet_lite" / "config.json", LITE)
    save_file(network.state_dict(), str(root / "efficientnet_lite" / "model.safetensors"))
    for family in (*VISION, "efficientnet_lite"):
        said = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], "size": {"height": 32, "width": 32}}
        write_json(root / family / "preprocessor_config.json", said)
    return {family: root / family for family in (*VISION, "efficientnet_lite")}


def write_texts(root: Path) -> dict[str, Path]:
    for family, (name, settings) in TEXTS.items():
        tokenizer = _tokenizer(family)
        known = len(tokenizer)
        special = {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        special |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
        _save(root / family, name, settings | special | {"vocab_size": known})
        tokenizer.save_pretrained(root / family)
    return {family: root / family for family in TEXTS}


def _save(folder: Path, name: str, settings: dict) -> None:
    import transformers

    config = getattr(transformers, f"{name}Config")(**settings)
    _shaken(getattr(transformers, f"{name}Model")(config)).save_pretrained(folder)


def _shaken(model: torch.nn.Module) -> torch.nn.Module:
    """Initial weights leave biases at 0 and norms at 1, which hides an error."""
    torch.manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            value += 0.2 * torch.randn_like(value)
        for name, value in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                value += 0.5 * torch.rand_like(value)
    return model


def _tokenizer(family: str):
    """Trained by `tokenizers`, saved by the family's own class."""
    import transformers

    if family in ("roberta", "modernbert"):
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        special, alphabet = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
        backend.train_from_iterator(CORPUS, trainer)
        return transformers.RobertaTokenizer(backend.get_vocab(), _merges(backend))
    if family == "xlm-roberta":
        backend = Tokenizer(models.Unigram())
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        special = ["<s>", "<pad>", "</s>", "<unk>"]
        trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=special, unk_token="<unk>")
        backend.train_from_iterator(CORPUS, trainer)
        vocabulary = [tuple(pair) for pair in _model(backend)["vocab"]]
        return transformers.XLMRobertaTokenizer([*vocabulary, ("<mask>", 0.0)])
    mpnet = family == "mpnet"
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"] if mpnet else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    backend.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=90, special_tokens=special))
    kind = transformers.MPNetTokenizer if mpnet else transformers.BertTokenizer
    return kind(backend.get_vocab())


def _merges(backend: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in _model(backend)["merges"]]


def _model(backend: Tokenizer) -> dict:
    import json

    return json.loads(backend.to_str())["model"]
