"""Images and titles of the catalogue's Pins by id, for the page.

An image lies in a compressed row group of up to 1,024: reading one costs reading that many bytes, so those that were
asked for last stay in memory. Nothing of the service but its page waits for this.
"""

from collections import OrderedDict
from pathlib import Path
from threading import Lock

import pyarrow.parquet as pq

from model.data.catalogue import Catalogue
from model.data.forgotten import Forgotten
from model.data.images.formats import MEDIA_TYPES, format_of

KEPT_BYTES = 64_000_000


class Pictures:
    def __init__(self, catalogue: Path | None) -> None:
        """
        Raises:
            CatalogueError: the catalogue is missing or breaks its contract.
        """
        self._shards = Catalogue(catalogue).shards("pins") if catalogue else []
        self._titles: dict[str, str | None] = {}
        self._groups: dict[str, tuple[int, int]] = {}  # shard, row group
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock, self._forgotten = Lock(), Forgotten()
        for number, shard in enumerate(self._shards):
            self._learn(number, pq.ParquetFile(shard))

    def __contains__(self, pin_id: str) -> bool:
        return pin_id in self._groups

    def title(self, pin_id: str) -> str | None:
        return self._titles.get(pin_id)

    def spread(self, count: int) -> list[str]:
        """So many Pins, or all there are, at equal distances in the catalogue."""
        ids = list(self._groups)
        return [ids[place * len(ids) // count] for place in range(count)] if count < len(ids) else ids

    def forget(self, forgotten: Forgotten) -> None:
        """From now on nobody sees these Pins; their images may lie in the catalogue for a while longer."""
        if forgotten == self._forgotten:  # each space reads the tombstones for itself
            return
        with self._lock:
            self._forgotten = forgotten
            for pin_id in [pin_id for pin_id in self._groups if pin_id in forgotten]:
                del self._groups[pin_id]
                self._titles.pop(pin_id, None)
                self._kept.pop(pin_id, None)

    def image(self, pin_id: str) -> tuple[bytes, str] | None:
        """(bytes, media type); None for a Pin that the catalogue does not have."""
        if pin_id not in self._groups:
            return None
        with self._lock:
            data = self._kept.pop(pin_id, None) or self._read(pin_id)
            self._kept[pin_id] = data
            while sum(map(len, self._kept.values())) > KEPT_BYTES and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return data, MEDIA_TYPES.get(format_of(data) or "", "application/octet-stream")

    def _learn(self, number: int, shard: pq.ParquetFile) -> None:
        columns = [name for name in ("pin_id", "title") if name in shard.schema_arrow.names]
        for group in range(shard.num_row_groups):
            table = shard.read_row_group(group, columns=columns)
            ids = table["pin_id"].to_pylist()
            self._groups.update(dict.fromkeys(ids, (number, group)))
            if "title" in columns:
                self._titles.update(zip(ids, table["title"].to_pylist(), strict=True))

    def _read(self, pin_id: str) -> bytes:
        """The neighbours in the row group, which were read as well, are kept too as far as there is room."""
        number, group = self._groups[pin_id]
        table = pq.ParquetFile(self._shards[number]).read_row_group(group, columns=["pin_id", "image"])
        images = dict(zip(table["pin_id"].to_pylist(), table["image"].to_pylist(), strict=True))
        if sum(map(len, images.values())) < KEPT_BYTES // 4:
            self._kept.update({one: data for one, data in images.items() if one in self._groups})
        return images[pin_id]
