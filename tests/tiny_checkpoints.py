"""Tiny checkpoints of the families that model/network/towers knows, each as `save_pretrained` leaves it:
model.safetensors, config.json, preprocessor_config.json and a tokenizer that was really trained.

SigLIP 2 at a fixed resolution is a SigLIP model with a Gemma tokenizer: that is what "siglip" holds here. Each has one
space of images and texts.
"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    GemmaTokenizer,
    Siglip2Config,
    Siglip2Model,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

LAYERS = {"intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}
TEXT = LAYERS | {"hidden_size": 24, "max_position_embeddings": 20, "bos_token_id": 2, "eos_token_id": 1}
VISION = LAYERS | {"hidden_size": 40, "patch_size": 8}
CORPUS = ["a red chair", "a blue chair in a room", "ein roter Stuhl", "two cats on a sofa", "tea and a cup"] * 4


def write(root: Path) -> dict[str, Path]:
    torch.manual_seed(0)
    fixed = VISION | {"image_size": 32}
    siglip, gemma = SiglipImageProcessorPil(size={"height": 32, "width": 32}), _gemma(GemmaTokenizer)
    save(root / "siglip", SiglipModel(_config(SiglipConfig, gemma, fixed)), siglip, gemma)
    any_size, gemma2 = VISION | {"num_patches": 16}, _gemma(Siglip2Tokenizer)
    save(root / "siglip2", Siglip2Model(_config(Siglip2Config, gemma2, any_size)), Siglip2ImageProcessorPil(), gemma2)
    words, square = _clip(), {"height": 32, "width": 32}
    cut = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=square)
    save(root / "clip", CLIPModel(_config(CLIPConfig, words, fixed)), cut, words)
    return {name: root / name for name in ("siglip", "siglip2", "clip")}


def save(folder: Path, *parts) -> None:
    for part in parts:
        part.save_pretrained(folder)


def _config(kind, tokenizer, vision: dict):
    text = TEXT | {"vocab_size": len(tokenizer), "projection_size": vision["hidden_size"]}
    return kind(text_config=text, vision_config=vision)


def _gemma(kind):
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "▁")])
    backend.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=340, special_tokens=special))
    return kind(**_learned(backend), add_bos_token=False, add_eos_token=True)


def _clip():
    special = ["<|startoftext|>", "<|endoftext|>"]
    backend = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=560, special_tokens=special, initial_alphabet=alphabet, end_of_word_suffix="</w>"
        ),
    )
    return CLIPTokenizer(**_learned(backend))


def _learned(backend: Tokenizer) -> dict:
    model = json.loads(backend.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [tuple(pair) for pair in model["merges"]]}
