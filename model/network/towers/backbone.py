"""What the network knows of a pretrained tower, whatever its family.

Shape legend: B Pins · S image side · L tokens · R rows of packed texts · H the tower's width
"""

import json
import re
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

Pooling = Literal["mean", "cls", "lasttoken"]  # sentence-transformers' words
# What a configuration says of the file that it was read from, or of the program that wrote it.
ORIGIN = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype")


class Backbone(nn.Module):
    """The network `model` of a checkpoint, without its heads.

    It computes as in evaluation, always: no dropout, no stochastic depth, batch norm by its running statistics. A step
    that is computed twice gives the same, and a tower that is fine-tuned keeps the statistics of its first training.
    """

    layer: ClassVar[str] = r"encoder\.layers?\.\d+"  # pattern of the names of its layers
    bottom: ClassVar[tuple[str, ...]] = ()  # parameters that stand after the layers and work below them

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.train()

    def train(self, mode: bool = True) -> "Backbone":
        return super().train(False)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def settings(self) -> Any:
        """The configuration of transformers."""
        return cast(Any, self.model).config

    @property
    def layers(self) -> int:
        return len(self._layer_names())

    def heights(self) -> dict[str, int]:
        """Height of each parameter by name: 0 below the layers, k for the k-th layer and what stands above it."""
        layers, height, found = self._layer_names(), 0, {}
        for name, _ in self.named_parameters():
            owner = next((k for k, layer in enumerate(layers, 1) if name.startswith(f"{layer}.")), None)
            height = owner or height
            found[name] = 0 if name.removeprefix("model.") in self.bottom else height
        return found

    def architecture(self) -> dict[str, Any]:
        """What the network is built by: config.json of a model folder."""
        said = json.loads(self.settings.to_json_string())
        return {key: value for key, value in said.items() if key not in ORIGIN}

    def _layer_names(self) -> list[str]:
        return [name for name, _ in self.named_modules() if re.fullmatch(rf"model\.{self.layer}", name)]


class VisionBackbone(Backbone):
    """Pixels -> the tokens of a square grid; class and register tokens are left out."""

    statistics: dict[str, list[float]]  # image_mean and image_std by channel, for pixels in [0, 1]

    @property
    def width(self) -> int:
        return int(self.settings.hidden_size)

    @property
    def patch(self) -> int:
        """Pixels a side of what becomes one token."""
        return int(self.settings.patch_size)

    @property
    def image_size(self) -> int | None:
        """The one size that it reads, pixels a side; None: any multiple of `patch`."""
        return int(self.settings.image_size)

    def side(self, image_size: int) -> int:
        """Tokens a side of an image of that size."""
        return image_size // self.patch

    def forward(self, x_B3SS: Tensor) -> Tensor:
        """Pixels, normalised by `statistics` -> tokens (B, L, H), row after row of the grid."""
        raise NotImplementedError


class TextBackbone(Backbone):
    """Token ids -> tokens."""

    first_position: int = 0  # the position that the family gives a text's first token
    pooling: Pooling  # how the checkpoint makes one vector of a text's tokens

    @property
    def width(self) -> int:
        return int(self.settings.hidden_size)

    @property
    def vocabulary(self) -> int:
        """Tokens that its weights know."""
        return int(self.settings.vocab_size)

    @property
    def context(self) -> int:
        """Tokens of the longest text that it has positions for."""
        return int(self.settings.max_position_embeddings) - self.first_position

    def forward(self, ids_RL: Tensor, place_RL: Tensor, mask_RLL: Tensor) -> Tensor:
        """Tokens (R, L, H). A row holds several texts; place_RL: the position of each token within its text;
        mask_RLL: True where a token may attend to another, one of the same text."""
        raise NotImplementedError

    def vectors(self, pooled_NH: Tensor) -> Tensor:
        """The vectors of texts whose pooled tokens are pooled_NH: these, or what a head makes of them."""
        return pooled_NH
