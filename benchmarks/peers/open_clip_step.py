"""open_clip's training step with SigLIP's loss. Runs in an environment of its own, started by ../training_step.py:

    uv venv env && uv pip install --python env/bin/python torch==2.14.1 torchvision==0.29.1 open_clip_torch

Reads the setting as JSON from standard input, prints {"seconds": [...], "parameters": n}.
"""

import json
import sys
import time

import torch
from open_clip.loss import SigLipLoss
from open_clip.model import CLIP


def main() -> None:
    s = json.load(sys.stdin)
    torch.set_num_threads(s["threads"])
    torch.manual_seed(0)
    vision = {"image_size": s["image"], "patch_size": s["patch"], "width": s["width"], "layers": s["image_layers"],
              "head_width": s["head_width"]}  # fmt: skip
    text = {"context_length": s["context"], "vocab_size": s["vocabulary"], "width": s["width"],
            "heads": s["width"] // s["head_width"], "layers": s["text_layers"]}  # fmt: skip
    model = CLIP(embed_dim=s["dim"], vision_cfg=vision, text_cfg=text, init_logit_bias=-10.0)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.05)
    loss = SigLipLoss()
    images = torch.randn(s["batch"], 3, s["image"], s["image"])
    texts = torch.zeros(s["batch"], s["context"], dtype=torch.int64)
    for row, length in enumerate(s["lengths"]):
        texts[row, :length] = torch.randint(1, s["vocabulary"], (length,))
    seconds = []
    for _ in range(s["steps"]):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            image, words, scale, bias = model(images, texts)
            value = loss(image, words, scale, bias)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "parameters": sum(p.numel() for p in model.parameters())}))


if __name__ == "__main__":
    main()
