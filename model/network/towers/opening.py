"""A tower of a checkpoint with its weights, or of a model folder without them: fp32, safetensors, heads left out."""

from pathlib import Path
from typing import Any, Literal, overload

import torch

from model.config import TowerConfig
from model.errors import ModelError
from model.files import replaced, write_json
from model.network.towers import efficientnet_lite
from model.network.towers.backbone import Backbone, TextBackbone, VisionBackbone
from model.network.towers.description import read_description
from model.network.towers.pixels import image_statistics
from model.network.towers.shared_space import IMAGE_VECTORS, TEXT_VECTORS
from model.network.towers.sources import TowerKind, explained, first_line, resolve, unreadable
from model.network.towers.text_families import TEXT_FAMILIES
from model.network.towers.vision_families import VISION_FAMILIES
from model.network.towers.words import pooling_of

FAMILIES: dict[TowerKind, dict[str, Any]] = {"vision": VISION_FAMILIES, "text": TEXT_FAMILIES}
SHARED: dict[TowerKind, dict[str, Any]] = {"vision": IMAGE_VECTORS, "text": TEXT_VECTORS}
LITE: dict[TowerKind, tuple[str, ...]] = {"vision": (efficientnet_lite.MODEL_TYPE,), "text": ()}


@overload
def open_tower(kind: Literal["vision"], config: TowerConfig, saved: Path | None) -> VisionBackbone: ...
@overload
def open_tower(kind: Literal["text"], config: TowerConfig, saved: Path | None) -> TextBackbone: ...
def open_tower(kind: TowerKind, config: TowerConfig, saved: Path | None) -> Backbone:
    """The tower of the checkpoint config.pretrained; of the model folder `saved` the architecture alone.

    Its weights learn as config.trainable says.

    Raises:
        ModelError: the checkpoint cannot be reached, is of another family, or its weights do not fit its config.json.
    """
    shared = config.join == "vector"
    tower = _load(kind, config.pretrained, shared) if saved is None else _build(kind, saved / kind, shared)
    shares = learning_rate_shares(tower, config)
    for name, parameter in tower.named_parameters():
        parameter.requires_grad_(shares[name] > 0)
    return tower


@overload
def outline(kind: Literal["vision"], name: str, shared: bool = False) -> VisionBackbone: ...
@overload
def outline(kind: Literal["text"], name: str, shared: bool = False) -> TextBackbone: ...
def outline(kind: TowerKind, name: str, shared: bool = False) -> Backbone:
    """The tower without weights, in moments: what it takes and gives can be asked.

    `shared`: with the head that leads to the space that an image–text model's towers share.

    Raises:
        ModelError: see open_tower.
    """
    source = resolve(kind, name)
    with explained(kind, name), torch.device("meta"):
        if not shared and (lite := _is_lite(kind, source)) is not None:
            tower: Backbone = efficientnet_lite.build(lite)
        else:
            tower_class, adapter, options = _family(kind, name, _configuration(source)["model_type"], shared)
            tower = adapter(tower_class(tower_class.config_class.from_pretrained(source), **options))
    return _described(kind, tower, source, name)


def save_tower(folder: Path, tower: Backbone) -> None:
    """Writes what open_tower reads of a model folder."""
    with replaced(folder) as scratch:
        scratch.mkdir()
        write_json(scratch / "config.json", tower.architecture())
        if isinstance(tower, VisionBackbone):
            write_json(scratch / "preprocessor_config.json", tower.statistics)
        if isinstance(tower, TextBackbone):
            write_json(scratch / "1_Pooling" / "config.json", {"pooling_mode": tower.pooling})


def learning_rate_shares(tower: Backbone, config: TowerConfig) -> dict[str, float]:
    """Share of the learning rate of each parameter, by name; 0 where it is frozen.

    The last layer learns at `layer_decay`, the one below at its square, and so on down to the embeddings (layer-wise
    decay, as in ELECTRA and BEiT).
    """
    layers = tower.layers
    learning = {"frozen": 0, "last": config.trainable_layers, "full": layers + 1}[config.trainable]
    below_top = {name: layers - height for name, height in tower.heights().items()}
    return {name: config.layer_decay ** (below + 1) if below < learning else 0.0 for name, below in below_top.items()}


def _load(kind: TowerKind, name: str, shared: bool) -> Backbone:
    source = resolve(kind, name)
    with explained(kind, name):
        if not shared and _is_lite(kind, source) is not None:
            tower: Backbone = efficientnet_lite.load(Path(source))
        else:
            tower_class, adapter, options = _family(kind, name, _configuration(source)["model_type"], shared)
            config = tower_class.config_class.from_pretrained(source)
            model, report = tower_class.from_pretrained(
                source, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
            )
            _check_complete(kind, name, report["missing_keys"])
            tower = adapter(model)
    return _described(kind, tower, source, name)


def _build(kind: TowerKind, folder: Path, shared: bool) -> Backbone:
    try:
        found = read_description(folder / "config.json")
        if found["model_type"] in LITE[kind]:
            tower: Backbone = efficientnet_lite.build(found)
        else:
            tower_class, adapter, options = _family(kind, str(folder), found["model_type"], shared)
            tower = adapter(tower_class(tower_class.config_class.from_pretrained(folder), **options))
    except unreadable() as error:
        raise ModelError(f"{folder} is no configuration of a tower ({first_line(error)}); copy it again.") from None
    return _described(kind, tower, str(folder), str(folder))


def _described(kind: TowerKind, tower: Backbone, source: str, name: str) -> Backbone:
    """The tower with what stands beside its weights: statistics of pixels, pooling of tokens."""
    if isinstance(tower, VisionBackbone):
        packaged = Path(source).is_file()
        tower.statistics = efficientnet_lite.STATISTICS if packaged else image_statistics(source, name, tower)
    if isinstance(tower, TextBackbone):
        tower.pooling = pooling_of(source, name, tower)
    return tower


def _is_lite(kind: TowerKind, source: str) -> dict[str, Any] | None:
    """The configuration of an EfficientNet-lite, None where it is another family's."""
    found = efficientnet_lite.LITE0 if Path(source).is_file() else _configuration(source)
    return found if found.get("model_type") in LITE[kind] else None


def _configuration(source: str) -> dict[str, Any]:
    """config.json as it stands there, of whatever family."""
    from transformers import PreTrainedConfig

    if Path(source).is_file():
        return efficientnet_lite.LITE0
    return {"model_type": "nothing"} | PreTrainedConfig.get_config_dict(source)[0]


def _family(kind: TowerKind, name: str, model_type: str, shared: bool) -> tuple[Any, type[Backbone], dict[str, Any]]:
    """(the class of transformers, its adapter, what its constructor is told)."""
    import transformers

    families = (SHARED if shared else FAMILIES)[kind]
    family = str(model_type).removesuffix("_model").removesuffix(f"_{kind}")
    if family not in families:
        known = ", ".join(sorted(families if shared else {*families, *LITE[kind]}))
        raise ModelError(f"{kind}.pretrained {name!r} is a {model_type!r}; choose a checkpoint of {known}.")
    class_name, adapter, options = families[family]
    return getattr(transformers, class_name), adapter, options


def _check_complete(kind: TowerKind, name: str, missing: set[str]) -> None:
    if missing:
        raise ModelError(
            f"{kind}.pretrained {name!r} lacks {len(missing)} weights that its config.json speaks of, e.g. "
            f"{min(missing)}; copy both from one checkpoint."
        )
