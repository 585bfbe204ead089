"""Any online store of Feast's, through Feast's own reads and writes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from model.errors import StoreError
from serving.online.feast_bytes import bytes_header

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore, FeatureView

    from serving.online import Read


def errors() -> tuple[type[Exception], ...]:
    """Each store's client has exceptions of its own."""
    return (Exception,)


def reader(store: "FeatureStore", view: str) -> "Read":
    from feast.infra.key_encoding_utils import deserialize_entity_key

    table, version = store.get_feature_view(view), store.config.entity_key_serialization_version

    def read(keys: list[bytes]) -> list[bytes | None]:
        entities = [deserialize_entity_key(key, version) for key in keys]
        found = store.provider.online_read(store.config, table, entities, ["vector"])
        values = [features["vector"].bytes_val if features else b"" for _, features in found]
        return [bytes_header(len(value)) + value if value else None for value in values]

    return read


def held(store: "FeatureStore", views: Sequence[str], keys: Sequence[bytes]) -> int:
    from feast.infra.key_encoding_utils import deserialize_entity_key

    entities = [deserialize_entity_key(key, store.config.entity_key_serialization_version) for key in keys]
    tables = [store.get_feature_view(view) for view in views]
    found = [store.provider.online_read(store.config, table, entities) for table in tables]
    return sum(bool(features) for rows in found for _, features in rows)


def erase(store: "FeatureStore", views: Sequence[str], keys: Sequence[bytes]) -> int:
    """Feast has no way to remove single rows of an online store; the owner of the store has."""
    if held(store, views, keys):
        raise StoreError(
            f"Rows of these entities are in the online store ({store.config.online_store.type}), and Feast removes no "
            f"single rows from it; remove them there, views {', '.join(views)}, then call again."
        )
    return 0


def write_newer(store: "FeatureStore", view: "FeatureView", rows: "pa.Table") -> None:
    store.write_to_online_store(view.name, rows.to_pandas())
