"""The user's features: a few of the Pins that the user saved (tastes), in one view for each embedding space.

The catalogue names no people, so each board stands for one user: user_id is a board_id (model/features/tastes.py).
"""

from feast import Entity, FeatureView, Field, ValueType
from feast.types import Array, Bytes, Float32, String

from feature_repo.feature_files import OWNER, stored_view
from serving.space import USER_TASTE, SpaceManifest

user = Entity(
    name="user",
    join_keys=["user_id"],
    value_type=ValueType.STRING,
    description="Who looks at Pins. The catalogue names no people: each board is one user with one taste.",
    owner=OWNER,
    tags={"catalogue_column": "boards.board_id"},
)


def taste_view(space: SpaceManifest) -> FeatureView:
    schema = [
        Field(name="user_id", dtype=String, description="The user's id."),
        Field(name="medoids", dtype=Bytes, description="The `vector` of up to three Pins, joined; largest first."),
        Field(name="weights", dtype=Array(Float32), description="Share of the saves that each of them stands for."),
    ]
    description = f"Tastes in the space {space.name}: medoids of the user's saved Pins (Ward's clustering)."
    tags = {"space": space.name, "model": space.model}
    return stored_view(space.feast_home, f"{USER_TASTE}{space.name}", user, schema, description, tags)
