"""What `pinclip tag` wrote (model/tags/picture_folder.py): pictures of no catalogue, with words of one.

A word that is a text of the Pins or a title of the users leaves the lists; the pictures stay.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.forgetting.pins import Pins
from model.files import replaced

TAGS, WORD = "tags", "tag"


def is_tagged(schema: pa.Schema) -> bool:
    if TAGS not in schema.names:
        return False
    kind = schema.field(TAGS).type
    return pa.types.is_list(kind) and pa.types.is_struct(kind.value_type) and kind.value_type.get_field_index(WORD) >= 0


def look(file: Path, pins: Pins, erase: bool = False) -> int:
    """Tags that were found."""
    table = pq.read_table(file)
    lists = [tags or [] for tags in table[TAGS].to_pylist()]
    kept = [[one for one in tags if one[WORD] not in pins.texts] for tags in lists]
    found = sum(map(len, lists)) - sum(map(len, kept))
    if found and erase:
        field, place = table.schema.field(TAGS), table.schema.get_field_index(TAGS)
        with replaced(file) as scratch:
            pq.write_table(table.set_column(place, field, pa.array(kept, field.type)), scratch, compression="zstd")
    return found
