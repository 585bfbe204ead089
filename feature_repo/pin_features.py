"""The Pin's features: its vector and its semantic ID, in views of each embedding space, and its statistics.

A vector is stored as the bytes of its codes: np.frombuffer(vector, np.int8) gives x_q, and scale * (x_q - zero_point),
both tags of the view, gives the vector; where the tag `bits` is 4, a byte holds two codes, the first in its low half.
serving/features/client.py does all of it, for many Pins at once.
"""

from pathlib import Path

from feast import Entity, FeatureView, Field, ValueType
from feast.types import Array, Bytes, Int64, String, UnixTimestamp

from feature_repo.feature_files import OWNER, stored_view
from serving.space import PIN_EMBEDDING, PIN_SEMANTIC_ID, SpaceManifest

pin = Entity(
    name="pin",
    join_keys=["pin_id"],
    value_type=ValueType.STRING,
    description="A Pin: one image with its texts, as it stands in the catalogue.",
    owner=OWNER,
    tags={"catalogue_column": "pins.pin_id"},
)


def embedding_view(space: SpaceManifest) -> FeatureView:
    """The vectors of one space; the manifest's fields are its tags."""
    schema = [
        Field(name="pin_id", dtype=String, description="The Pin's id."),
        Field(name="vector", dtype=Bytes, description="Codes: int8, or two in a byte.", tags={"space": space.name}),
    ]
    description = f"Pin vectors of the space {space.name}: codes under one scale and one zero point."
    tags = {name: str(value) for name, value in space.fields.items()}
    return stored_view(space.feast_home, f"{PIN_EMBEDDING}{space.name}", pin, schema, description, tags)


def semantic_id_view(space: SpaceManifest) -> FeatureView | None:
    """None for a space that has no semantic IDs."""
    if not space.semantic_ids_file.is_file():
        return None
    codes = "Coarse to fine: like Pins share how their codes begin."
    schema = [
        Field(name="pin_id", dtype=String, description="The Pin's id."),
        Field(name="codes", dtype=Array(Int64), description=codes, tags={"space": space.name}),
    ]
    tags = {"space": space.name, "model": space.model}
    description = f"Semantic IDs of the space {space.name}: residual codes of the Pin vectors."
    return stored_view(space.feast_home, f"{PIN_SEMANTIC_ID}{space.name}", pin, schema, description, tags)


def stats_view(feast_home: Path) -> FeatureView:
    """The statistics belong to no space: they are the same for every model."""
    schema = [
        Field(name="pin_id", dtype=String, description="The Pin's id."),
        Field(name="saves", dtype=Int64, description="How often the Pin has been saved."),
        Field(name="boards", dtype=Int64, description="On how many boards it is."),
        Field(name="created_at", dtype=UnixTimestamp, description="When it was made; the view pin_age counts from it."),
    ]
    return stored_view(feast_home, "pin_stats", pin, schema, "Saves of a Pin up to a moment.", {"entity": "pin"})
