"""Shared parts of the feature sources and views of a Feast home: the owner, the rows on disk, the serving space.

<home>/feast/offline/<view>/*.parquet     the rows of a view: its entity's key, its features, event_timestamp, created

serving/space.py has the manifest of a published space, which lies beside them.
Which space `pin_ranking` serves is written in one place: its tag `space` in the registry.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureView, Field, FileSource
from feast.data_format import ParquetFormat
from feast.data_source import PushSource
from feast.protos.feast.core.Registry_pb2 import Registry

from serving.space import rows_folder

OWNER, RANKING = "pinclip", "pin_ranking"


def serving_space(feast_home: Path) -> str | None:
    """The space that `pin_ranking` serves, as the registry says now; None before the first publication."""
    file = feast_home / "registry.db"
    services = Registry.FromString(file.read_bytes()).feature_services if file.is_file() else ()
    return next((one.spec.tags["space"] for one in services if one.spec.name == RANKING), None)


def stored_view(
    feast_home: Path, name: str, entity: Entity, schema: list[Field], description: str, tags: Mapping[str, str]
) -> FeatureView:
    """A view over the rows in its folder; between two publications values can be pushed to `<name>_push`."""
    common = {"description": description, "owner": OWNER, "tags": dict(tags)}
    files = FileSource(
        name=f"{name}_rows",
        path=str(rows_folder(feast_home, name).resolve()),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
        **common,
    )
    return FeatureView(
        name=name,
        entities=[entity],
        schema=schema,
        source=PushSource(name=f"{name}_push", batch_source=files, **common),
        ttl=timedelta(0),  # a value holds until the next
        online=True,
        **common,
    )
