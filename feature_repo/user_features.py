"""The user's features: a few of the Pins that the user likes (tastes), in one view for each embedding space.

user_id is that of the catalogue; a board that names no user stands for one, by its board_id (model/features/tastes.py).
"""

from feast import Entity, FeatureView, Field, ValueType
from feast.types import Array, Bytes, Float32, String

from feature_repo.feature_files import OWNER, stored_view
from serving.space import USER_TASTE, SpaceManifest

user = Entity(
    name="user",
    join_keys=["user_id"],
    value_type=ValueType.STRING,
    description="Who looks at Pins: a user of the catalogue, or a board that names none, by its board_id.",
    owner=OWNER,
    tags={"catalogue_column": "boards.user_id, else boards.board_id"},
)


def taste_view(space: SpaceManifest) -> FeatureView:
    schema = [
        Field(name="user_id", dtype=String, description="The user's id."),
        Field(name="medoids", dtype=Bytes, description="The `vector` of up to three Pins, joined; largest first."),
        Field(
            name="weights",
            dtype=Array(Float32),
            description="Share of the likings that each stands for.",
        ),
    ]
    description = f"Tastes in the space {space.name}: medoids of the Pins that the user likes (Ward's clustering)."
    tags = {"space": space.name, "model": space.model}
    return stored_view(space.feast_home, f"{USER_TASTE}{space.name}", user, schema, description, tags)
