"""`full` but for its sizes: SigLIP 2 fine-tuned by two workers, in parts, compiled, with activations forgotten."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.config import load
from model.config.overrides import override
from model.training.loop import fit
from model.training.objective import PinClip

SCRIPT = Path(__file__).parent / "fit_workers.py"
SIZES = (
    *("vision.image_size=32", "vision.width=32", "vision.depths=1", "vision.heads=2"),
    *("text.context=16", "text.width=24", "text.heads=2", "text.trainable_layers=2"),
    *("fusion.dim=32", "fusion.prefixes=16,32", "fusion.layers=1", "fusion.heads=2"),
    *("train.epochs=1", "train.batch_size=32", "train.workers=2", "train.micro_batch=8", "train.checkpoint_steps=2"),
)


@pytest.fixture(scope="module")
def full(checkpoints):
    """SigLIP 2 at a fixed resolution, which the profile names, is a SigLIP model."""
    tower = checkpoints["siglip"]
    config = load("full", [f"vision.pretrained={tower}", f"text.pretrained={tower}", *SIZES])
    assert (config.train.compile, config.train.activation_checkpointing, config.train.precision) == (True, True, "bf16")
    return config


def test_two_workers_killed_and_resumed_end_as_one_that_was_left_alone(tmp_path, walked, full):
    """That one computes plainly: not compiled, nothing forgotten."""
    (tmp_path / "config.json").write_text(full.to_json())
    arguments = map(str, (tmp_path, *walked, tmp_path / "config.json"))
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    steps = [int(line) for line in (tmp_path / "steps").read_text().split()]
    assert steps == [1, 2, 3, *range(3, steps[-1] + 1)]
    assert steps[-1] >= 5
    figures = json.loads((tmp_path / "figures.json").read_text())
    plain = override(full, {"train": {"workers": 1, "compile": False, "activation_checkpointing": False}})
    alone = fit(*walked, tmp_path / "alone", plain, lambda point: None)
    assert figures["gradient_norm"] == pytest.approx(alone["gradient_norm"], rel=1e-2)
    torch.manual_seed(full.seed)
    start = PinClip(plain).encoder.state_dict()
    found, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("model", "alone"))
    learned = {name.split(".")[0] for name, value in start.items() if not torch.equal(expected[name], value)}
    assert learned == {"vision", "text", "fusion", "image_head", "text_head"}
    # In bf16 gradients that are nothing but rounding, as of the keys' biases, move as far as all others.
    assert distance(found, expected) < 0.1 * distance(start, expected)


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return torch.cat([(other[name] - one[name]).flatten() for name in other if "bias" not in name]).norm().item()
