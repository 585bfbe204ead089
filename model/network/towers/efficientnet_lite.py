"""EfficientNet-lite (Tan 2019, without squeeze and excitation, ReLU6), below its classifier.

Convolutions pad as TensorFlow's "same", of which a strided one puts more on the right and below. It reads
(pixel - 127) / 128, as public configurations of these weights say; the package itself does not.

Shape legend: B Pins · C channels · H W of a map · L tokens
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from model.network.towers.backbone import VisionBackbone

MODEL_TYPE = "efficientnet_lite"
STATISTICS = {"image_mean": [127 / 255] * 3, "image_std": [128 / 255] * 3}
# stages: repeats, kernel, stride of the first, expansion, channels
LITE0 = {
    "model_type": MODEL_TYPE,
    "stem": 32,
    "stages": [
        [1, 3, 1, 1, 16],
        [2, 3, 2, 6, 24],
        [2, 5, 2, 6, 40],
        [3, 3, 2, 6, 80],
        [3, 5, 1, 6, 112],
        [4, 5, 2, 6, 192],
        [1, 3, 1, 6, 320],
    ],
    "hidden_size": 1280,
}


class Convolution(nn.Module):
    """A convolution padded as TensorFlow pads, then batch norm."""

    def __init__(self, before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(after, eps=1e-3)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        down, right = (self._missing(length) for length in x_BCHW.shape[-2:])
        padded = F.pad(x_BCHW, (right // 2, right - right // 2, down // 2, down - down // 2))
        return self.norm(self.conv(padded))

    def _missing(self, length: int) -> int:
        """Pixels to add to an axis of that length, so that ceil(length / stride) come out."""
        return max((-(-length // self.stride) - 1) * self.stride + self.kernel - length, 0)


class InvertedBottleneck(nn.Module):
    """MBConv: expand, convolve each channel alone, project; around it a shortcut where the shape stays."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = before * expansion
        self.expand = Convolution(before, inside) if expansion > 1 else None
        self.depthwise = Convolution(inside, inside, kernel, stride, groups=inside)
        self.project = Convolution(inside, after)
        self.shortcut = stride == 1 and before == after

    def forward(self, x_BCHW: Tensor) -> Tensor:
        inside = x_BCHW if self.expand is None else F.relu6(self.expand(x_BCHW))
        found = self.project(F.relu6(self.depthwise(inside)))
        return x_BCHW + found if self.shortcut else found


class Network(nn.Module):
    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.stem = Convolution(3, config["stem"], kernel=3, stride=2)
        blocks, width = list[nn.Module](), config["stem"]
        for repeats, kernel, stride, expansion, after in config["stages"]:
            for number in range(repeats):
                blocks.append(InvertedBottleneck(width, after, kernel, 1 if number else stride, expansion))
                width = after
        self.blocks = nn.ModuleList(blocks)
        self.top = Convolution(width, config["hidden_size"])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The last feature map."""
        x_BCHW = F.relu6(self.stem(x_BCHW))
        for block in self.blocks:
            x_BCHW = block(x_BCHW)
        return F.relu6(self.top(x_BCHW))


class EfficientNetLite(VisionBackbone):
    layer = r"blocks\.\d+"
    image_size = None

    @property
    def width(self) -> int:
        return int(self.settings["hidden_size"])

    @property
    def patch(self) -> int:
        stride = 2
        for _, _, of_stage, _, _ in self.settings["stages"]:
            stride *= of_stage
        return stride

    def architecture(self) -> dict[str, Any]:
        return dict(self.settings)

    def forward(self, x_B3SS: Tensor) -> Tensor:
        return self.model(x_B3SS).flatten(2).transpose(1, 2)


def load(source: Path) -> EfficientNetLite:
    """Of a folder with config.json and model.safetensors, or of the package's file of weights.

    Raises:
        OSError, ValueError, RuntimeError, KeyError: it is not there, or no EfficientNet-lite.
    """
    if source.is_dir():
        tower = build(json.loads((source / "config.json").read_text(encoding="utf-8")))
        tower.model.load_state_dict(load_file(source / "model.safetensors"))
    else:
        tower = build(LITE0)
        weights = torch.load(source, map_location="cpu", weights_only=True)
        tower.model.load_state_dict(dict(renamed(weights)))
    return tower


def build(config: dict[str, Any]) -> EfficientNetLite:
    return EfficientNetLite(Network(config))


def renamed(weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The weights of efficientnet_lite_pytorch by the names here; its classifier is left out."""
    of_block = {
        "_expand_conv": "expand.conv",
        "_bn0": "expand.norm",
        "_depthwise_conv": "depthwise.conv",
        "_bn1": "depthwise.norm",
        "_project_conv": "project.conv",
        "_bn2": "project.norm",
    }
    outside = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "top.conv", "_bn1": "top.norm"}
    for name, value in weights.items():
        *block, module, kind = name.split(".")
        if block:
            yield f"blocks.{block[1]}.{of_block[module]}.{kind}", value
        elif module != "_fc":
            yield f"{outside[module]}.{kind}", value
