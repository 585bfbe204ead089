"""Text backbones of transformers, an adapter for each kind.

Several texts stand in a row, masked from each other: a text's tokens depend on nothing beside it. A family that counts
positions is given them; one that looks at distances finds those within a text to be the same in a row.

Shape legend: model/network/towers/backbone.py
"""

from typing import Any

import torch
from torch import Tensor, nn

from model.network.towers.backbone import TextBackbone


class Positions(TextBackbone):
    """BERT, DistilBERT, SigLIP: positions from 0. MPNet's bias by distance is right too: see above."""

    def forward(self, ids_RL: Tensor, place_RL: Tensor, mask_RLL: Tensor) -> Tensor:
        return self.model(
            ids_RL, position_ids=place_RL + self.first_position, attention_mask=self._added(mask_RLL)
        ).last_hidden_state

    def _added(self, mask_RLL: Tensor) -> Any:
        return added(mask_RLL, self.dtype)


class Siglip(Positions):
    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.model.head = nn.Identity()


class Clip(Positions):
    """A token sees those before it."""

    def _added(self, mask_RLL: Tensor) -> Tensor:
        return added(mask_RLL.tril(), self.dtype)


class DistilBert(Positions):
    layer = r"transformer\.layer\.\d+"


class Roberta(Positions):
    """RoBERTa, XLM-R and MPNet count from the number after the pad token's."""

    bottom = ("encoder.relative_attention_bias.weight",)  # MPNet's, which every layer reads

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.first_position = int(self.settings.pad_token_id) + 1


class ModernBert(Positions):
    """Rotary positions; in most layers a token sees no further than half a window."""

    layer = r"layers\.\d+"

    def _added(self, mask_RLL: Tensor) -> dict[str, Tensor]:
        place_L = torch.arange(mask_RLL.shape[-1], device=mask_RLL.device)
        near_LL = (place_L[:, None] - place_L[None, :]).abs() <= self.settings.sliding_window
        seen = {"full_attention": mask_RLL, "sliding_attention": mask_RLL & near_LL}
        return {name: added(mask, self.dtype) for name, mask in seen.items()}


def added(mask_RLL: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to the scores of attention, (R, 1, L, L)."""
    hidden = torch.zeros((), dtype=dtype, device=mask_RLL.device)
    return torch.where(mask_RLL, hidden, torch.finfo(dtype).min)[:, None]


HEADLESS = {"add_pooling_layer": False}
# model_type -> the class of transformers, its adapter, what its constructor is told
TEXT_FAMILIES: dict[str, tuple[str, type[TextBackbone], dict[str, Any]]] = {
    "siglip": ("SiglipTextModel", Siglip, {}),
    "siglip2": ("Siglip2TextModel", Siglip, {}),
    "clip": ("CLIPTextModel", Clip, {}),
    "bert": ("BertModel", Positions, HEADLESS),
    "roberta": ("RobertaModel", Roberta, HEADLESS),
    "xlm-roberta": ("XLMRobertaModel", Roberta, HEADLESS),
    "mpnet": ("MPNetModel", Roberta, HEADLESS),
    "modernbert": ("ModernBertModel", ModernBert, {}),
    "distilbert": ("DistilBertModel", DistilBert, {}),
}
