"""Which tower is it? The key under which what a frozen tower gives may be kept."""

import json
from hashlib import sha256

import torch
from tokenizers import Tokenizer

from model.network.towers.backbone import Backbone, VisionBackbone


def fingerprint(tower: Backbone, tokenizer: Tokenizer | None = None) -> str:
    """sha256 over architecture, weights, statistics of pixels and, of a text tower, its tokenizer.

    Where a text is cut and how large an image is are no part of it: they are settings, not the tower's.
    """
    said = {"architecture": tower.architecture()}
    if isinstance(tower, VisionBackbone):
        said["statistics"] = tower.statistics
    if tokenizer is not None:
        words = json.loads(tokenizer.to_str())
        said["tokenizer"] = words | {"truncation": None, "padding": None}
    digest = sha256(json.dumps(said, sort_keys=True).encode())
    for name, value in sorted(tower.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
