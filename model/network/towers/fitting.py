"""Whether the settings fit a tower: the size of images, the stages on top, the length of texts."""

from model.config import TextConfig, VisionConfig
from model.errors import ModelError
from model.network.towers.backbone import TextBackbone, VisionBackbone


def grid_side(config: VisionConfig, tower: VisionBackbone) -> int:
    """Tokens a side that the tower gives. Raises ModelError where the tower or the funnel cannot take the image."""
    side, stages = _side(config, tower), len(config.depths)
    if side % 2**stages:
        raise ModelError(
            f"vision.depths asks for {stages} funnel stages, but the tower's {side} x {side} patches cannot be "
            "halved so often; shorten vision.depths."
        )
    return side


def check_grid(config: VisionConfig, tower: VisionBackbone) -> None:
    """Raises ModelError where the tower cannot take the image, or gives fewer tokens than are kept."""
    if (side := _side(config, tower)) < config.grid:
        raise ModelError(
            f"vision.grid is {config.grid}, but the tower {config.pretrained} gives {side} x {side} tokens of an "
            f"image of {config.image_size} pixels; set vision.grid={side} or a larger vision.image_size."
        )


def _side(config: VisionConfig, tower: VisionBackbone) -> int:
    """Tokens a side that the tower gives."""
    size, reads, patch = config.image_size, tower.image_size, tower.patch
    if reads is not None and size != reads:
        raise ModelError(
            f"vision.image_size is {size}, but the tower {config.pretrained} reads {reads} pixels; "
            f"set vision.image_size={reads}."
        )
    if size % patch:
        raise ModelError(
            f"vision.image_size {size} does not divide by the tower's patch of {patch}; choose a multiple."
        )
    return tower.side(size)


def check_context(config: TextConfig, tower: TextBackbone) -> None:
    """Raises ModelError where text.context is beyond the tower's positions."""
    if config.context > tower.context:
        raise ModelError(
            f"text.context is {config.context}, but the tower {config.pretrained} reads {tower.context} tokens; "
            f"set text.context={tower.context}."
        )
