"""Any online store of Feast's, through Feast's own reads and writes."""

from typing import TYPE_CHECKING

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


def write_newer(store: "FeatureStore", view: "FeatureView", rows: "pa.Table") -> None:
    store.write_to_online_store(view.name, rows.to_pandas())
