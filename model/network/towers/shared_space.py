"""Towers of image–text models with the heads that lead to the space of both: one vector for an image or a text.

Shape legend: model/network/towers/backbone.py
"""

import math
from typing import Any, cast

from torch import Tensor

from model.network.towers import text_families
from model.network.towers.backbone import TextBackbone, VisionBackbone
from model.network.towers.vision_families import patches


class ImageVector(VisionBackbone):
    """SigLIP: an attention head pools the tokens. The vector is a grid of one token (B, 1, H)."""

    layer = r"encoder\.layers\.\d+"

    def side(self, image_size: int) -> int:
        return 1

    @property
    def usual_size(self) -> int:
        """Pixels a side of the images that it learned from."""
        return self.image_size or math.isqrt(int(self.settings.num_patches)) * self.patch

    def forward(self, x_B3SS: Tensor) -> Tensor:
        return self.model(pixel_values=x_B3SS).pooler_output[:, None]


class Siglip2Image(ImageVector):
    """At any resolution (NaFlex)."""

    image_size = None

    def forward(self, x_B3SS: Tensor) -> Tensor:
        return self.model(**patches(x_B3SS, self.patch)).pooler_output[:, None]


class ClipImage(ImageVector):
    """Projects the class token."""

    layer = r"vision_model\.encoder\.layers\.\d+"

    @property
    def width(self) -> int:
        return int(self.settings.projection_dim)

    def forward(self, x_B3SS: Tensor) -> Tensor:
        return self.model(pixel_values=x_B3SS).image_embeds[:, None]


class SiglipText(text_families.Positions):
    """Projects the last token of a text that is padded to its context (model/network/towers/words.py)."""

    @property
    def width(self) -> int:
        return int(self.settings.projection_size)

    def vectors(self, pooled_NH: Tensor) -> Tensor:
        return cast(Any, self.model).head(pooled_NH)


class ClipText(text_families.Clip):
    """Projects the last token."""

    layer = r"text_model\.encoder\.layers\.\d+"

    @property
    def width(self) -> int:
        return int(self.settings.projection_dim)

    def vectors(self, pooled_NH: Tensor) -> Tensor:
        return cast(Any, self.model).text_projection(pooled_NH)


# As VISION_FAMILIES and TEXT_FAMILIES
IMAGE_VECTORS: dict[str, tuple[str, type[VisionBackbone], dict[str, Any]]] = {
    "siglip": ("SiglipVisionModel", ImageVector, {}),
    "siglip2": ("Siglip2VisionModel", Siglip2Image, {}),
    "clip": ("CLIPVisionModelWithProjection", ClipImage, {}),
}
TEXT_VECTORS: dict[str, tuple[str, type[TextBackbone], dict[str, Any]]] = {
    "siglip": ("SiglipTextModel", SiglipText, {}),
    "siglip2": ("Siglip2TextModel", SiglipText, {}),
    "clip": ("CLIPTextModelWithProjection", ClipText, {}),
}
