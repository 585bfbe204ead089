"""The facts of Pins as a table: what validation judges instead of the bytes themselves."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.data.catalogue import TEXT_SIGNALS
from model.data.images import decoding
from model.data.images.decoding import ImageFacts

FACTS = pa.schema(
    [
        ("pin_id", pa.string()),
        ("kept", pa.bool_()),
        ("refused", pa.string()),  # why, null where kept
        *[(name, fact["column"]) for name, fact in decoding.FACTS.items()],
        *[(f"{signal}_length", pa.int32()) for signal in TEXT_SIGNALS],  # characters; of a list, its items
        ("texts", pa.int32()),  # text signals that say something
        ("copies", pa.int32()),  # kept Pins with this very image, itself included
    ]
)


def pin_facts(
    rows: pa.Table, pin_ids: Sequence[str], reasons: Sequence[str | None], images: Sequence[ImageFacts | None]
) -> pa.Table:
    """One row a Pin of `rows` (texts already clean), without `copies`; an image not looked at has null facts."""
    lengths = {f"{signal}_length": _lengths(rows, signal) for signal in TEXT_SIGNALS}
    columns = {
        "pin_id": pin_ids,
        "kept": [reason is None for reason in reasons],
        "refused": reasons,
        **lengths,
        "texts": np.sum([column > 0 for column in lengths.values()], axis=0),
    }
    for name in decoding.FACTS:
        columns[name] = [None if image is None else getattr(image, name) for image in images]
    schema = FACTS.remove(FACTS.get_field_index("copies"))
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def with_copies(facts: pa.Table) -> pa.Table:
    """Counts for every kept Pin how many kept Pins show the same bytes; null for refused ones."""
    kept = facts.filter(facts["kept"])["sha256"].value_counts()
    count_of = {entry["values"]: entry["counts"] for entry in kept.to_pylist()}
    copies = [
        count_of[d] if k else None for d, k in zip(facts["sha256"].to_pylist(), facts["kept"].to_pylist(), strict=True)
    ]
    return facts.append_column("copies", pa.array(copies, pa.int32()))


def _lengths(rows: pa.Table, signal: str) -> np.ndarray:
    """int32 (rows,): 0 where the signal is null or the column absent."""
    if signal not in rows.column_names:
        return np.zeros(rows.num_rows, dtype=np.int32)
    column = rows[signal]
    measure = pc.list_value_length if pa.types.is_list(column.type) else pc.utf8_length
    return pc.fill_null(measure(column), 0).to_numpy()
