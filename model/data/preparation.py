"""Prepare: a catalogue from anywhere becomes one that every later step can trust.

    prepared/catalogue/          consented, decodable, unique Pins, clean texts; boards, queries and preferences naming
                                 only those, and users that may be used
    prepared/facts.parquet       one row a consented source Pin, kept or refused (model/data/facts.py)
    prepared/quarantine.parquet  one row a broken source row: table, key, reason
    prepared/pixels.u8           the kept images decoded, where they are asked for (model/data/pixels.py)
    prepared/summary.json        rows read, kept, quarantined and dropped, by table and reason; the source's digest

Consent comes first. Without a consent column the owner of the catalogue vouches for all of it; with one, only `true`
is consent: null is not, and one row without it withholds every row of that pin_id. A withheld Pin is counted and
leaves no other trace; users alike (model/data/users.py). Boards of fewer than `min_board_pins` Pins are personal and go
(k-anonymity), counted after refused Pins are gone, and so do the preferences of users with fewer Pins in all.

Pins that the import refused are counted too. The bytes of the output depend on nothing but the source, the
configuration and, where preferences have a time in the future, the day.
"""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.config import PrepareConfig
from model.cpus import cpus
from model.data.boards_and_queries import KnownPins, prepare_boards, prepare_preferences, prepare_queries
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.cleaning import REPLACEMENT, clean_column, readable
from model.data.facts import pin_facts, with_copies
from model.data.ids import BLANK_ENDS, DOT_PARTS, HOLDS_CONTROL, TOO_LONG, pin_id_refusal
from model.data.images.decoding import ImageFacts, image_facts
from model.data.images.formats import FORMATS, HEIF_READER
from model.data.ledger import NO_CONSENT, Ledger
from model.data.pixels import decode_catalogue
from model.data.reading import read_table, refused_by_import, table_batches
from model.data.users import known_users
from model.errors import CatalogueError
from model.files import replaced, write_json
from model.parallel import in_small_lists

Progress = Callable[[float, str], None]  # share done in [0, 1], what is being done
_BATCH = 128  # Pins decoded at once
_SHARD_BYTES = 256 * 2**20
_LINKS_PER_SHARD = 65_536  # rows of boards and of queries: they carry no images
_PINS_SHARE = 0.9  # of the time without pixels
_ROW = "row"  # number of the row in the source: names a row that has no pin_id
_FIXES = {
    NO_CONSENT: "set the consent column to true where it was given, or leave the column out",
    "no usable pin_id": "map pin_id to a column of unique, non-empty text",
    f"pin_id {HOLDS_CONTROL}": "take them out of the ids",
    f"pin_id {TOO_LONG}": "give shorter ids",
    f"pin_id {BLANK_ENDS}": "trim the ids",
    f"pin_id {DOT_PARTS}": "take ./ and ../ out of the ids",
    "too many bytes": "shrink the images or raise prepare.max_image_bytes",
    "too many pixels": "shrink the images or raise prepare.max_image_pixels",
    "too small": "give larger images or lower prepare.min_image_side",
    "unknown format": f"give {', '.join(FORMATS)} bytes in the image column",
    "no reader for HEIF": f"run {HEIF_READER}",
}


def prepare(
    source: Catalogue,
    out: Path,
    config: PrepareConfig,
    report: Progress = lambda fraction, message: None,
    image_size: int | None = None,
) -> dict:
    """Writes the folder above and returns its summary.

    image_size: pixels a side of the images that a tower reads; without it no pixels.u8 is written.

    Raises:
        CatalogueError: no Pin is left, or a column does not fit the contract.
    """
    ledger = Ledger()
    _carry_over(refused_by_import(source), ledger)
    with replaced(out) as scratch:
        scratch.mkdir()
        with CatalogueWriter(scratch / "catalogue", _rows_per_shard(source)) as writer:
            facts = _prepare_pins(source, writer, config, ledger, report)
            pins = _known(source, facts, ledger)
            writer.rows_per_shard = _LINKS_PER_SHARD
            users = known_users(source, ledger)
            boards, board_counts = prepare_boards(source, pins, users, config.min_board_pins, ledger)
            writer.write("boards", boards)
            report(0.95, "boards")
            writer.write("queries", prepare_queries(source, pins, ledger))
            if source.shards("preferences"):
                least, now = config.min_board_pins, datetime.now(UTC)
                rows = prepare_preferences(source, pins, users, boards, least, now, ledger)
                writer.write("preferences", rows)
        pq.write_table(facts, scratch / "facts.parquet", compression="zstd")
        pq.write_table(ledger.table(), scratch / "quarantine.parquet", compression="zstd")
        summary = _summary(source, facts, ledger, board_counts)
        write_json(scratch / "summary.json", summary)
        if image_size is not None:
            report(0.97, "images")
            decode_catalogue(Catalogue(scratch / "catalogue"), image_size, config, scratch / "pixels.u8")
    report(1.0, f"{summary['pins']['kept']:,} of {summary['pins']['read']:,} Pins kept")
    return summary


def _carry_over(refused: pa.Table, ledger: Ledger) -> None:
    """Counts the Pins that the import refused: a run judges the source data, not what the import left of it."""
    ledger.read["pins"] += refused.num_rows
    ledger.quarantine("pins", refused["key"], refused["reason"].to_pylist())


def _prepare_pins(
    source: Catalogue, writer: CatalogueWriter, config: PrepareConfig, ledger: Ledger, report: Progress
) -> pa.Table:
    """Writes the usable Pins; returns the facts of all consented ones."""
    total, done, seen, facts = source.count("pins"), 0, set[str](), []
    gone = withheld(source)
    with ThreadPoolExecutor(cpus()) as pool:  # Pillow lets other threads run while it decodes
        for rows in table_batches(source, "pins", source.columns("pins"), _BATCH):
            rows = rows.append_column(_ROW, pa.array(range(done, done + rows.num_rows)))
            done += rows.num_rows
            ledger.read["pins"] += rows.num_rows
            rows = ledger.without("pins", rows, pc.is_in(rows["pin_id"], gone), NO_CONSENT, quarantine=False)
            kept, measured = _prepare_batch(rows, seen, config, ledger, pool)
            writer.write("pins", kept)
            facts.append(measured)
            report(_PINS_SHARE * done / total, f"{done:,} of {total:,} Pins")
    return with_copies(pa.concat_tables(facts).combine_chunks())


def _prepare_batch(
    rows: pa.Table, seen: set[str], config: PrepareConfig, ledger: Ledger, pool: Executor
) -> tuple[pa.Table, pa.Table]:
    """The usable rows with clean texts, and the facts of all rows."""
    numbers = rows[_ROW].to_pylist()
    rows = rows.drop_columns(_ROW)
    for name in rows.column_names:
        if name != "pin_id" and rows.schema.field(name).type in (pa.string(), pa.list_(pa.string())):
            rows = rows.set_column(rows.column_names.index(name), name, clean_column(rows[name]))
    pin_ids = readable(rows["pin_id"]).to_pylist()
    reasons = [_id_refusal(pin_id, seen) for pin_id in pin_ids]
    looked_at = list(zip(rows["image"].to_pylist(), reasons, strict=True))
    images = list(in_small_lists(pool, partial(_look, limits=config), looked_at))
    reasons = [image.reason if image else reason for image, reason in zip(images, reasons, strict=True)]
    refused = [(p or f"row {n}", r) for p, n, r in zip(pin_ids, numbers, reasons, strict=True) if r]
    ledger.quarantine("pins", [key for key, _ in refused], [reason for _, reason in refused])
    facts = pin_facts(rows, pin_ids, reasons, images)
    return rows.filter(facts["kept"]), facts


def _id_refusal(pin_id: str | None, seen: set[str]) -> str | None:
    """Why the row cannot be used, by its id alone; of rows that share an id the first counts."""
    if not pin_id or not pin_id.strip() or REPLACEMENT in pin_id:
        return "no usable pin_id"
    if refused := pin_id_refusal(pin_id):
        return f"pin_id {refused}"
    if pin_id in seen:
        return "duplicate pin_id"
    seen.add(pin_id)
    return None


def _look(image: tuple[bytes | None, str | None], limits: PrepareConfig) -> ImageFacts | None:
    """Of (its bytes, why its row is refused)."""
    data, refused = image
    return None if refused else image_facts(data or b"", limits)


def withheld(source: Catalogue) -> pa.Array:
    """The pin_ids with any row whose consent is not given."""
    if "consent" not in source.columns("pins"):
        return pa.array([], pa.string())
    rows = read_table(source, "pins", ["pin_id", "consent"])
    return rows["pin_id"].filter(pc.invert(pc.fill_null(rows["consent"], False))).unique()


def _known(source: Catalogue, facts: pa.Table, ledger: Ledger) -> KnownPins:
    kept = facts["pin_id"].filter(facts["kept"]).combine_chunks()
    if not len(kept):
        raise CatalogueError(_nothing_left(source, ledger))
    refused = facts["pin_id"].filter(pc.invert(facts["kept"])).drop_null().unique()
    # A duplicate row is refused and its pin_id lives on in the first row.
    return KnownPins(kept, refused.filter(pc.invert(pc.is_in(refused, kept))), withheld(source))


def _summary(source: Catalogue, facts: pa.Table, ledger: Ledger, boards: dict) -> dict:
    kept = facts.filter(facts["kept"])
    tables = ledger.summaries()
    tables["pins"] |= {
        "without_text": int(pc.sum(pc.equal(kept["texts"], 0)).as_py() or 0),
        "same_image": kept.num_rows - pc.count_distinct(kept["sha256"]).as_py(),
    }
    tables["boards"] |= boards
    return {"digest": source.digest()} | tables


def _nothing_left(source: Catalogue, ledger: Ledger) -> str:
    reason, rows = (ledger.quarantined["pins"] + ledger.dropped["pins"]).most_common(1)[0]
    return (
        f"None of the {ledger.read['pins']:,} Pins of {source.root} can be used: {rows:,} are refused as {reason!r}; "
        f"{_FIXES.get(reason, 'check the image column of the import')}."
    )


def _rows_per_shard(source: Catalogue) -> int:
    """So many that a shard of large photographs still fits in memory while it is gathered."""
    size = sum(shard.stat().st_size for shard in source.shards("pins")) / source.count("pins")
    return int(min(4096, max(64, _SHARD_BYTES // size)))
