"""`full` but for its sizes: SigLIP 2 fine-tuned by two workers, in parts, compiled, with activations forgotten.

The blocks are traced and differentiated by torch.compile, and run without its minutes of C++ compiling
(tests/model/training/test_compute.py compiles one).
"""

import os
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from tiny_checkpoints import write

from components.ray import training
from model.config import load
from model.config.overrides import override
from model.training.loop import fit
from model.training.objective import PinClip

SIZES = (
    *("vision.image_size=32", "vision.width=32", "vision.depths=1", "vision.heads=2"),
    *("text.context=16", "text.width=24", "text.heads=2", "text.trainable_layers=2"),
    *("fusion.dim=32", "fusion.prefixes=16,32", "fusion.layers=1", "fusion.heads=2"),
    *("train.epochs=1", "train.batch_size=32", "train.workers=2", "train.micro_batch=8", "train.checkpoint_steps=2"),
)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """SigLIP 2 at a fixed resolution, which the profile names, is a SigLIP model."""
    tower = write(tmp_path_factory.mktemp("checkpoints"))["siglip"]
    config = load("full", [f"vision.pretrained={tower}", f"text.pretrained={tower}", *SIZES])
    assert (config.train.compile, config.train.activation_checkpointing, config.train.precision) == (True, True, "bf16")
    return config


def test_two_workers_killed_and_resumed_end_as_one_that_was_left_alone(tmp_path, nodes, walked, full):
    """That one computes plainly: not compiled, nothing forgotten."""

    class DieOnce:
        """report() of the first worker; whoever unpickles it compiles without C++."""

        def __setstate__(self, state):
            torch.compile = partial(torch.compile, backend="aot_eager")
            self.__dict__.update(state)

        def __call__(self, point):
            before = self.log.read_text().split() if self.log.is_file() else []
            self.log.write_text(" ".join([*before, str(point["step"])]))
            if point["step"] == 3 and "3" not in before:
                os._exit(1)

    nodes(3)
    report = DieOnce()
    report.log = tmp_path / "log"
    out = tmp_path / "out" / "model"
    figures = training.train(*walked, out, full, report)
    assert report.log.read_text().split() == ["1", "2", "3", "3", "4"]
    plain = override(full, {"train": {"workers": 1, "compile": False, "activation_checkpointing": False}})
    alone = fit(*walked, tmp_path / "alone", plain, lambda point: None)
    assert figures["gradient_norm"] == pytest.approx(alone["gradient_norm"], rel=1e-2)
    torch.manual_seed(full.seed)
    start = PinClip(plain).encoder.state_dict()
    found, expected = (load_file(folder / "model.safetensors") for folder in (out, tmp_path / "alone"))
    learned = {name.split(".")[0] for name, value in start.items() if not torch.equal(expected[name], value)}
    assert learned == {"vision", "text", "fusion", "image_head", "text_head"}
    # In bf16 gradients that are nothing but rounding, as of the keys' biases, move as far as all others.
    assert distance(found, expected) < 0.1 * distance(start, expected)


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return torch.cat([(other[name] - one[name]).flatten() for name in other if "bias" not in name]).norm().item()
