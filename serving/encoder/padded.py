"""The encoder in the form that torch.onnx.export can follow: sequences padded to one length instead of packed.

The positions of tokens are computed outside, in serving/encoder/inputs.py, so that no shape here depends on a value.
The weights and the towers are those of model/, whose Packing also says "every row is one sequence, these are its pads".

Shape legend: B Pins · S image side · N texts · L tokens of the longest text · I image tokens · T text tokens of the Pin
with most of them · X tokens of a Pin, 1 + I + T · D width · E vector dimension
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.network.encoder import PinEncoder
from model.network.layers import Packing
from model.network.text import Texts


class PaddedTexts(Texts):
    def by_token(self, values_N: Tensor) -> Tensor:
        length = self.ids_T.numel() // self.types_N.numel()
        return values_N[:, None].expand(-1, length, *values_N.shape[1:]).flatten(0, 1)


class PaddedSentences(nn.Module):
    """(ids_NL, lengths_N) of the frozen text tower's own tokenizer -> what is kept of the texts (N, H)."""

    def __init__(self, encoder: PinEncoder) -> None:
        super().__init__()
        assert encoder.joined_text
        self.tower = encoder.joined_text.tower

    def forward(self, ids_NL: Tensor, lengths_N: Tensor) -> Tensor:
        mask_NL = _attention_mask(ids_NL, lengths_N)
        packing = padding(mask_NL)
        tokens_NLH = self.tower(ids_NL, packing.place_T.view(ids_NL.shape), packing.attention_mask_RLL)
        if self.tower.pooling == "mean":
            return self.tower.vectors(masked_mean(tokens_NLH, mask_NL))
        place_N = lengths_N - 1 if self.tower.pooling == "lasttoken" else torch.zeros_like(lengths_N)
        return self.tower.vectors(tokens_NLH[torch.arange(ids_NL.shape[0], device=ids_NL.device), place_N])


class PaddedQueries(nn.Module):
    """(ids_NL, lengths_N, types_N) -> text vectors (N, E); kept_NH: see model/network/joined.py."""

    def __init__(self, encoder: PinEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids_NL: Tensor, lengths_N: Tensor, types_N: Tensor, kept_NH: Tensor | None = None) -> Tensor:
        mask_NL = _attention_mask(ids_NL, lengths_N)
        texts = padded_texts(ids_NL, mask_NL, types_N, kept_NH)
        tokens_NLD = text_tokens(self.encoder, texts, mask_NL)
        return self.encoder.text_vectors(masked_mean(tokens_NLD, mask_NL), texts)


class PaddedPins(nn.Module):
    """Pin vectors (B, E). slots_BT: flat positions in (N, L) of a Pin's text tokens; -1: it has no more."""

    def __init__(self, encoder: PinEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self,
        pixels_BSS3: Tensor,
        has_image_B: Tensor,
        ids_NL: Tensor,
        lengths_N: Tensor,
        types_N: Tensor,
        slots_BT: Tensor,
        kept_NH: Tensor | None = None,
    ) -> Tensor:
        kept_BLH = self.encoder.kept_images(pixels_BSS3)
        _, image_BID = self.encoder.encode_images(pixels_BSS3, kept_BLH)
        mask_NL = _attention_mask(ids_NL, lengths_N)
        tokens_NLD = text_tokens(self.encoder, padded_texts(ids_NL, mask_NL, types_N, kept_NH), mask_NL)
        places_BT, seen_BT = slots_BT.clamp(min=0), slots_BT >= 0
        vectors_BE = self._fused(image_BID, has_image_B, tokens_NLD.flatten(0, 1)[places_BT], seen_BT)
        if self.encoder.config.fusion.skip:
            owned_BT = places_BT // ids_NL.shape[1]
            kept_BH = None if kept_NH is None else mean_of_texts(kept_NH, owned_BT, lengths_N, seen_BT)
            vectors_BE = self.encoder.past_fusion(vectors_BE, kept_BLH, has_image_B, kept_BH, seen_BT.any(1))
        return F.normalize(vectors_BE, dim=-1)

    def _fused(self, image_BID: Tensor, has_image_B: Tensor, text_BTD: Tensor, seen_BT: Tensor) -> Tensor:
        """model.network.fusion.HybridFusion.forward, for padded texts."""
        fusion = self.encoder.fusion
        image_BID, vectors = fusion.from_image(image_BID), []
        if fusion.config.token_level:
            vectors.append(self._token_level(image_BID, has_image_B, text_BTD, seen_BT))
        if fusion.config.global_level:
            text_BD = masked_mean(text_BTD, seen_BT)
            vectors.append(fusion.global_level(image_BID.mean(1), has_image_B, text_BD, seen_BT.any(1)))
        return torch.stack([vector.float() for vector in vectors]).sum(0)

    def _token_level(self, image_BID: Tensor, has_image_B: Tensor, text_BTD: Tensor, seen_BT: Tensor) -> Tensor:
        fusion = self.encoder.fusion
        # Of an input: the exporter would take the example's number of images, which is computed, for a constant.
        pins_B1D = fusion.pin_D.expand(has_image_B.shape[0], 1, -1)
        x_BXD = torch.cat([pins_B1D, image_BID + fusion.modality_2D[0], text_BTD + fusion.modality_2D[1]], dim=1)
        seen_BI = has_image_B[:, None].expand(-1, image_BID.shape[1])
        packing = padding(torch.cat([torch.ones_like(has_image_B)[:, None], seen_BI, seen_BT], dim=1))
        x_XD = x_BXD.flatten(0, 1)
        for block in fusion.blocks:
            x_XD = block(x_XD, packing)
        return fusion.token_out(x_XD.view_as(x_BXD)[:, 0])


def padded_texts(ids_NL: Tensor, mask_NL: Tensor, types_N: Tensor, kept_NH: Tensor | None) -> PaddedTexts:
    return PaddedTexts(ids_NL.flatten(), mask_NL.sum(1), types_N, kept_NH)


def text_tokens(encoder: PinEncoder, texts: PaddedTexts, mask_NL: Tensor) -> Tensor:
    """(N, L, D); anything where there is no token."""
    return encoder.text(texts, padding(mask_NL)).view(*mask_NL.shape, -1)


def padding(mask_NL: Tensor) -> Packing:
    """Each row one sequence, as long as its True values."""
    rows, length = mask_NL.shape
    tokens_T = torch.arange(rows * length, device=mask_NL.device)
    place_T = torch.arange(length, device=mask_NL.device).expand(rows, length).flatten()
    attention_mask_NLL = mask_NL[:, None, :].expand(-1, length, -1)
    return Packing(tokens_T, tokens_T.view(rows, length), place_T, attention_mask_NLL)


def masked_mean(x_NLD: Tensor, mask_NL: Tensor) -> Tensor:
    """(N, D), zeros where the mask is all False."""
    counts_N1 = mask_NL.sum(1, keepdim=True).clamp(min=1)
    return ((x_NLD * mask_NL[..., None]).sum(1, dtype=torch.float32) / counts_N1).to(x_NLD.dtype)


def mean_of_texts(kept_NH: Tensor, owned_BT: Tensor, lengths_N: Tensor, seen_BT: Tensor) -> Tensor:
    """What is kept of a Pin's texts, their mean (B, H), a short text as much as a long one. owned_BT: the text of each
    token."""
    share_BT = seen_BT / lengths_N[owned_BT]
    share_BT = share_BT / share_BT.sum(1, keepdim=True).clamp(min=1)
    return (kept_NH[owned_BT] * share_BT[..., None]).sum(1)


def _attention_mask(ids_NL: Tensor, lengths_N: Tensor) -> Tensor:
    return torch.arange(ids_NL.shape[1], device=ids_NL.device) < lengths_N[:, None]
