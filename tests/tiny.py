"""What the tests of several folders train on: settings of a tiny model, and a tiny catalogue, prepared and walked."""

from pathlib import Path

from model.config import Config
from model.data.catalogue import Catalogue
from model.data.preparation import prepare
from model.graph import neighbourhood
from model.sources.synthetic.generate import SyntheticConfig, generate

# Laid over the profile `smoke`; an epoch of 200 Pins takes about a second.
TINY = (
    "vision.image_size=32",
    "vision.width=32",
    "text.width=32",
    "text.vocabulary=400",
    "fusion.dim=32",
    "fusion.prefixes=16,32",
    "train.batch_size=32",
    "train.epochs=1",
    "train.precision=fp32",
)


def tiny_catalogue(root: Path, pins: int = 200, boards: int = 40, seed: int = 0) -> Path:
    """The folder of a generated catalogue."""
    generate(SyntheticConfig(pins=pins, boards=boards, image_size=32, seed=seed), root / "catalogue")
    return root / "catalogue"


def walked_catalogue(root: Path, config: Config, catalogue: Path | None = None) -> tuple[Path, Path]:
    """The folders (prepared, neighbours) of a catalogue; of a generated one where none is given."""
    source, prepared, neighbours = catalogue or tiny_catalogue(root), root / "prepared", root / "neighbours"
    prepare(Catalogue(source), prepared, config.prepare, image_size=config.vision.image_size)
    neighbourhood.build(prepared, neighbours, config)
    return prepared, neighbours
