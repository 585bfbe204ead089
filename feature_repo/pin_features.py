"""What the feature store holds: for each embedding space one view and one service, and the moving `pin_ranking`.

    <home>/feast/offline/pin_embedding_v7/*.parquet   pin_id · vector · event_timestamp · created
    <home>/feast/offline/pin_embedding_v7.json        the manifest: scale, zero_point, dim, …; written last
    <home>/feast/pin_ranking.json                     {"space": "v7"}, the space that `pin_ranking` serves

Publishing and `feast apply` both build their objects here. A vector is stored as the bytes of its codes:
np.frombuffer(vector, np.int8) gives x_q, and scale * (x_q - zero_point), both tags of the view, gives the vector; where
the tag `bits` is 4, a byte holds two codes, the first in its low half (model/affine.py unpacks them).
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, FileSource, Project, ValueType
from feast.data_format import ParquetFormat
from feast.types import Bytes, String

OWNER = "pinclip"
RANKING = "pin_ranking"

project = Project(
    name="pinclip",  # as in feature_store.yaml
    description="Pin vectors as features for ranking.",
    owner=OWNER,
    tags={"entity": "pin"},
)
pin = Entity(
    name="pin",
    join_keys=["pin_id"],
    value_type=ValueType.STRING,
    description="A Pin: one image with its texts, as it stands in the catalogue.",
    owner=OWNER,
    tags={"catalogue_column": "pins.pin_id"},
)


def shards_folder(feast_home: Path, space: str) -> Path:
    return feast_home / "offline" / f"pin_embedding_{space}"


def manifest_file(feast_home: Path, space: str) -> Path:
    return feast_home / "offline" / f"pin_embedding_{space}.json"


def ranking_file(feast_home: Path) -> Path:
    return feast_home / f"{RANKING}.json"


def embedding_view(feast_home: Path, manifest: Mapping[str, Any]) -> FeatureView:
    """The vectors of one space; the manifest's entries are its tags."""
    space, tags = manifest["space"], {name: str(value) for name, value in manifest.items()}
    source = FileSource(
        name=f"pin_vectors_{space}",
        path=str(shards_folder(feast_home, space).resolve()),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
        description=f"Quantized Pin vectors of the space {space}, as the pipeline published them.",
        owner=OWNER,
        tags={"space": space},
    )
    return FeatureView(
        name=f"pin_embedding_{space}",
        entities=[pin],
        schema=[
            Field(name="pin_id", dtype=String, description="The Pin's id."),
            Field(name="vector", dtype=Bytes, description="Codes: int8, or two in a byte.", tags={"space": space}),
        ],
        source=source,
        ttl=timedelta(0),  # a vector holds until its space is retired
        online=True,
        description=f"Pin vectors of the space {space}: codes under one scale and one zero point.",
        owner=OWNER,
        tags=tags,
    )


def space_service(view: FeatureView) -> FeatureService:
    """For a ranker that stays with one space until it is retired."""
    space = view.tags["space"]
    description = f"Features of the space {space}, unchanged while the space lives."
    return FeatureService(
        name=f"{RANKING}_{space}", features=[view], description=description, owner=OWNER, tags={"space": space}
    )


def moving_service(view: FeatureView) -> FeatureService:
    """For a reader that follows the newest published space; its tag `space` says which one that is."""
    description = "Features of the newest published space; read the tag `space` before you mix vectors."
    return FeatureService(
        name=RANKING, features=[view], description=description, owner=OWNER, tags={"space": view.tags["space"]}
    )


def published(feast_home: Path) -> list[Project | Entity | FeatureView | FeatureService]:
    """Every object that the files of a Feast home describe."""
    manifests = [json.loads(path.read_text()) for path in sorted((feast_home / "offline").glob("pin_embedding_*.json"))]
    views = [embedding_view(feast_home, manifest) for manifest in manifests]
    moving = json.loads(ranking_file(feast_home).read_text())["space"] if ranking_file(feast_home).is_file() else None
    services = [space_service(view) for view in views]
    services += [moving_service(view) for view in views if view.tags["space"] == moving]
    return [project, pin, *views, *services]
