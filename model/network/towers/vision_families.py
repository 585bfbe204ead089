"""Vision backbones of transformers, an adapter for each kind. Shape legend: model/network/towers/backbone.py"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from model.network.towers.backbone import VisionBackbone


class PatchTokens(VisionBackbone):
    """A ViT: the patch tokens are the last, after class and register tokens."""

    layer = r"layers\.\d+"

    def forward(self, x_B3SS: Tensor) -> Tensor:
        tokens = self.model(pixel_values=x_B3SS).last_hidden_state
        return tokens[:, -(self.side(x_B3SS.shape[-1]) ** 2) :]


class Siglip(PatchTokens):
    layer = r"encoder\.layers\.\d+"

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.model.use_head, self.model.head = False, None  # the pooling head


class Clip(PatchTokens):
    layer = r"encoder\.layers\.\d+"

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.model.post_layernorm = nn.Identity()  # reads the class token alone


class Siglip2(Siglip):
    """SigLIP 2 at any resolution (NaFlex), which reads patches; at a fixed one it is a SigLIP model."""

    image_size = None

    def forward(self, x_B3SS: Tensor) -> Tensor:
        return self.model(**patches(x_B3SS, self.patch)).last_hidden_state


def patches(x_B3SS: Tensor, patch: int) -> dict[str, Tensor]:
    """What SigLIP 2 at any resolution reads of pixels."""
    pins, side = len(x_B3SS), x_B3SS.shape[-1] // patch
    x_BGPGP3 = x_B3SS.permute(0, 2, 3, 1).unflatten(2, (side, -1)).unflatten(1, (side, -1))
    return {
        "pixel_values": x_BGPGP3.transpose(2, 3).flatten(3).flatten(1, 2),
        "pixel_attention_mask": torch.ones(pins, side**2, dtype=torch.int64, device=x_B3SS.device),
        "spatial_shapes": torch.full((pins, 2), side, device=x_B3SS.device),
    }


class AnySize(PatchTokens):
    """DINO: positions are interpolated or rotary. Its mask token is no part of what an image is."""

    image_size = None
    layer = r"(encoder|model)\.layer\.\d+"

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        cast(Any, self.model).embeddings.mask_token = None


class Swin(PatchTokens):
    """Windows of one size, laid over patches that four stages merge."""

    layer = r"encoder\.layers\.\d+\.blocks\.\d+"

    @property
    def patch(self) -> int:
        return int(self.settings.patch_size) * 2 ** (len(self.settings.depths) - 1)


class ConvNext(VisionBackbone):
    """The last feature map; the norm after it reads the pooled map alone."""

    image_size = None
    layer = r"encoder\.stages\.\d+\.layers\.\d+"

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.model.layernorm = nn.Identity()

    @property
    def width(self) -> int:
        return int(self.settings.hidden_sizes[-1])

    @property
    def patch(self) -> int:
        return 4 * 2 ** (len(self.settings.hidden_sizes) - 1)

    def forward(self, x_B3SS: Tensor) -> Tensor:
        return self.model(pixel_values=x_B3SS).last_hidden_state.flatten(2).transpose(1, 2)


class Dinov3ConvNext(ConvNext):
    """Its norm reads every token."""

    layer = r"model\.stages\.\d+\.layers\.\d+"

    def __init__(self, model: nn.Module) -> None:
        VisionBackbone.__init__(self, model)

    def forward(self, x_B3SS: Tensor) -> Tensor:
        return PatchTokens.forward(self, x_B3SS)


HEADLESS = {"add_pooling_layer": False}
# model_type -> the class of transformers, its adapter, what its constructor is told
VISION_FAMILIES: dict[str, tuple[str, type[VisionBackbone], dict[str, Any]]] = {
    "siglip": ("SiglipVisionModel", Siglip, {}),
    "siglip2": ("Siglip2VisionModel", Siglip2, {}),
    "clip": ("CLIPVisionModel", Clip, {}),
    "vit": ("ViTModel", PatchTokens, HEADLESS),
    "dinov2": ("Dinov2Model", AnySize, {}),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", AnySize, {}),
    "dinov3_vit": ("DINOv3ViTModel", AnySize, {}),
    "dinov3_convnext": ("DINOv3ConvNextModel", Dinov3ConvNext, {}),
    "swin": ("SwinModel", Swin, HEADLESS),
    "convnext": ("ConvNextModel", ConvNext, {}),
    "convnextv2": ("ConvNextV2Model", ConvNext, {}),
}
