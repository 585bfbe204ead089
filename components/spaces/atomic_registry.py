"""Feast's registry file, replaced in one rename: after a kill or on a full disk the former file remains, never half a
file.

Feast loads the class by the name that components/spaces/feature_store.py gives it.
"""

import uuid
from datetime import UTC, datetime

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry

from model.files import replaced


class AtomicRegistryStore(FileRegistryStore):
    def _write_registry(self, registry_proto: Registry) -> None:
        registry_proto.version_id = str(uuid.uuid4())
        registry_proto.last_updated.FromDatetime(datetime.now(UTC))
        with replaced(self._filepath) as scratch:
            scratch.write_bytes(registry_proto.SerializeToString())
