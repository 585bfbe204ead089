"""The checkpoint's image processor: what its tower wants of pixels."""

import math
from typing import Any

from model.errors import ModelError
from model.network.towers.backbone import VisionBackbone
from model.network.towers.sources import explained

NAMES = ("image_mean", "image_std")


def image_statistics(source: str, name: str, tower: VisionBackbone) -> dict[str, list[float]]:
    """image_mean and image_std of the checkpoint's image processor, by channel, for pixels in [0, 1].

    Raises:
        ModelError: there is no image processor, or it is of a tower that reads other images.
    """
    from transformers import ImageProcessingMixin

    with explained("vision", name):
        found, _ = ImageProcessingMixin.get_image_processor_dict(source)
        mean, std = [found.get(key) for key in NAMES]
    if not (_are_three(mean) and _are_three(std) and min(std) > 0):
        raise ModelError(
            f"vision.pretrained {name!r} does not say image_mean and image_std, three numbers each (std above 0); "
            "put the checkpoint's preprocessor_config.json beside its weights."
        )
    _check_size(name, _side(found), tower)
    return {key: [float(value) for value in found[key]] for key in NAMES}


def _are_three(said: Any) -> bool:
    numbers = isinstance(said, list) and all(isinstance(one, int | float) and math.isfinite(one) for one in said)
    return numbers and len(said) == 3


def _side(found: dict[str, Any]) -> int | None:
    """Pixels a side of the images that it makes; None where it does not say, or they are not square."""
    said = found.get("crop_size") if found.get("do_center_crop") else found.get("size")
    if isinstance(said, dict):
        sides = {said.get("height"), said.get("width")}
        said = sides.pop() if len(sides) == 1 else None
    return said if isinstance(said, int) else None


def _check_size(name: str, side: int | None, tower: VisionBackbone) -> None:
    fits = side is None or (side % tower.patch == 0 if tower.image_size is None else side == tower.image_size)
    if not fits:
        wanted = f"{tower.image_size} pixels a side" if tower.image_size else f"multiples of {tower.patch} pixels"
        raise ModelError(
            f"vision.pretrained {name!r}: its preprocessor_config.json makes images of {side} pixels a side, but its "
            f"tower reads {wanted}; copy both from one checkpoint."
        )
