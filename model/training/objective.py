"""PinCLIP's task: the network and its alignment losses. The training loop knows neither images nor texts.

Shape legend: b Pins of this worker · B Pins of all workers · N texts · E vector dimension
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import Config
from model.network.encoder import PinEncoder, prefixes
from model.training.losses import Temperature, pair_loss
from model.training.sampling import ROLES, Batch

NEARNESS = 10.0  # weight of 1 - cosine to the anchor beside the contrastive parts


class PinClip(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config.objective
        self.prefixes = config.fusion.prefixes
        self.encoder = PinEncoder(config)
        self.image_text_temperature = Temperature(config.train.batch_size)
        self.neighbour_temperature = Temperature(config.train.batch_size)
        self.text_fused_temperature = Temperature(config.train.batch_size)
        if config.train.compatible_with:
            self.anchor_pin_temperature = Temperature(config.train.batch_size)
            self.anchor_text_temperature = Temperature(config.train.batch_size)
        if not self.config.trains_fusion:  # parameters that no loss uses must not wait for a gradient
            self.encoder.fusion.requires_grad_(False)
        self.neighbour_temperature.requires_grad_(bool(self.config.neighbour))
        self.text_fused_temperature.requires_grad_(bool(self.config.text_fused))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses by name and their weighted sum as "loss", each the mean over this worker's rows."""
        return self.compare(self.embed(batch), batch)

    def embed(self, batch: Batch) -> dict[str, Tensor]:
        """Vectors (b, E): "image", each role's text (zeros where a Pin has none) and, where fusion learns, "pin"."""
        image_bE, image_tokens = self.encoder.encode_images(batch.pixels_bSS3, batch.kept_bLH)
        text_NE, text_tokens = self.encoder.encode_texts(batch.texts)
        vectors = {"image": image_bE} | {role: _by_pin(text_NE, batch.slot[role]) for role in ROLES}
        if self.config.trains_fusion:
            vectors["pin"] = self._fuse(image_tokens, text_tokens, batch)
        return vectors

    def compare(self, vectors: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The losses of the vectors; of the batch only the labels are read."""
        text_bE = {role: vectors[role] for role in ROLES}
        losses = {"image_text": self._image_text(vectors["image"], text_bE, batch)}
        if self.config.neighbour:
            pin_bE, labels = vectors["pin"], (batch.labels["neighbour"], batch.labels_back["neighbour"])
            losses["neighbour"] = self._nested(pin_bE, pin_bE, *labels, self.neighbour_temperature)
        if self.config.text_fused:
            losses["text_fused"] = self._text_fused(vectors["pin"], text_bE, batch)
        if self.config.compatible and batch.anchor_bE is not None:
            losses["compatible"] = self._compatible(vectors["pin"], text_bE, batch.anchor_bE, batch)
        losses["loss"] = torch.stack([getattr(self.config, name) * loss for name, loss in losses.items()]).sum()
        return losses

    def _image_text(self, image_bE: Tensor, text_bE: dict[str, Tensor], batch: Batch) -> Tensor:
        """Aligns the image with each kind of text that the step shows; the mean, so that their number changes no
        weight."""
        loss, temperature = self.config.image_text_loss, self.image_text_temperature
        roles = self.config.image_texts
        shown = [role for role in roles if role in batch.shown] or roles  # without any text a loss of 0, with gradients
        parts = [
            pair_loss(loss, image_bE, text_bE[role], batch.labels[role], batch.labels_back[role], temperature)
            for role in shown
        ]
        return torch.stack(parts).mean()

    def _text_fused(self, pin_bE: Tensor, text_bE: dict[str, Tensor], batch: Batch) -> Tensor:
        """Queries find fused Pins; a Pin's own texts find it where fusion was not shown them."""
        parts = []
        for role in ROLES:
            labels, back = batch.labels[role], batch.labels_back[role]
            if role != "query":
                labels, back = labels * ~batch.has_text_b[:, None], back * ~batch.has_text_B
            parts.append(self._nested(pin_bE, text_bE[role], labels, back, self.text_fused_temperature))
        return torch.stack(parts).sum()

    def _compatible(self, pin_bE: Tensor, text_bE: dict[str, Tensor], anchor_bE: Tensor, batch: Batch) -> Tensor:
        """New Pins and texts find former Pins, as they find new ones, and each Pin comes near its own former vector.

        The first two are the influence loss of backward-compatible training (Shen 2020); the last keeps the cosines
        that a ranker has learned from.
        """
        temperature = self.anchor_text_temperature
        parts = [
            self._nested(anchor_bE, text_bE[role], *_anchored(batch, f"anchor_{role}"), temperature) for role in ROLES
        ]
        parts.append(self._nested(pin_bE, anchor_bE, *_anchored(batch, "anchor"), self.anchor_pin_temperature))
        away_b = (1 - (pin_bE * anchor_bE).sum(1)) * (anchor_bE != 0).any(1)
        return torch.stack(parts).sum() + NEARNESS * away_b.mean()

    def _fuse(self, image_tokens: Tensor, text_tokens: Tensor, batch: Batch) -> Tensor:
        owner_N = batch.owner_N
        visible_N = (owner_N >= 0) & batch.has_text_b[owner_N.clamp(min=0)]
        owner_N = torch.where(visible_N, owner_N, -1)
        return self.encoder.fuse(image_tokens, batch.has_image_b, text_tokens, batch.texts, owner_N, batch.kept_bLH)

    def _nested(self, x_bE: Tensor, y_bE: Tensor, labels_bB: Tensor, back_bB: Tensor, t: Temperature) -> Tensor:
        """Mean of the loss over the nested prefixes."""
        nested = zip(prefixes(x_bE, self.prefixes), prefixes(y_bE, self.prefixes), strict=True)
        return torch.stack([pair_loss(self.config.fused_loss, x, y, labels_bB, back_bB, t) for x, y in nested]).mean()


def _anchored(batch: Batch, name: str) -> tuple[Tensor, Tensor]:
    return batch.labels[name], batch.labels_back[name]


def _by_pin(text_NE: Tensor, slot_b: Tensor) -> Tensor:
    """Each Pin's text vector, zeros where it has none (its label is 0 there)."""
    return F.pad(text_NE, (0, 0, 0, 1))[slot_b]


def on(device: torch.device, batch: Batch) -> Batch:
    """The batch with every tensor on the device."""
    return replace(
        batch,
        pixels_bSS3=batch.pixels_bSS3.to(device),
        kept_bLH=None if batch.kept_bLH is None else batch.kept_bLH.to(device),
        texts=batch.texts.to(device),
        owner_N=batch.owner_N.to(device),
        slot={k: v.to(device) for k, v in batch.slot.items()},
        labels={k: v.to(device) for k, v in batch.labels.items()},
        labels_back={k: v.to(device) for k, v in batch.labels_back.items()},
        has_image_b=batch.has_image_b.to(device),
        has_text_b=batch.has_text_b.to(device),
        has_text_B=batch.has_text_B.to(device),
        anchor_bE=None if batch.anchor_bE is None else batch.anchor_bE.to(device),
    )
