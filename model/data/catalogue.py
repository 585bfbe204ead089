"""THE data contract: a catalogue is a folder of Parquet shards — pins, boards, queries; users and preferences.

    pins/*.parquet     pin_id str · image bytes · title · description · caption · annotations list[str] · group_id
                       created_at timestamp[us, UTC] · consent bool · slice_<name> str · number_<name> double
    boards/*.parquet   board_id str · pin_id str · title · saved_at timestamp[us, UTC] · user_id str    (a saved Pin)
    queries/*.parquet  query str · pin_id str · clicks int64                                          (a clicked Pin)
    users/*.parquet    user_id str · consent bool                                                           (a user)
    preferences/*.parquet  user_id str · pin_id str · kind str · weight double · time timestamp[us, UTC]   (an event)

Only pin_id and image must be there; every reader says what else it needs. Pins of one group_id are variants of one
thing and never divided between training and fresh. A slice_<name> column is a slice for the fairness report; filters of
the service name slices and numbers.

A board belongs to its user_id; where it names none, the board stands for its user, and its board_id is the user's id
(`owners`). A preference is a save, a like or a purchase that is on no board.
"""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.data.forgotten import Forgotten
from model.errors import CatalogueError
from model.files import replaced

TIME = pa.timestamp("us", tz="UTC")
SLICE_PREFIX, NUMBER_PREFIX = "slice_", "number_"
# The text signals of a Pin, long ones first; `annotations` is a list and is joined by ", " to be read as text.
LONG_SIGNALS = ("title", "description", "caption")
SHORT_SIGNALS = ("annotations",)
TEXT_SIGNALS = LONG_SIGNALS + SHORT_SIGNALS
# Every text the text tower may be asked to read, in the order of its type embedding.
TEXT_TYPES = (*TEXT_SIGNALS, "query")

PINS = pa.schema(
    [
        pa.field("pin_id", pa.string(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("description", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("annotations", pa.list_(pa.string())),
        pa.field("group_id", pa.string()),
        pa.field("created_at", TIME),
        pa.field("consent", pa.bool_()),
    ]
)
BOARDS = pa.schema(
    [
        pa.field("board_id", pa.string(), nullable=False),
        pa.field("pin_id", pa.string(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("saved_at", TIME),
        pa.field("user_id", pa.string()),
    ]
)
QUERIES = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),
        pa.field("pin_id", pa.string(), nullable=False),
        pa.field("clicks", pa.int64()),
    ]
)
USERS = pa.schema([pa.field("user_id", pa.string(), nullable=False), pa.field("consent", pa.bool_())])
PREFERENCES = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("pin_id", pa.string(), nullable=False),
        pa.field("kind", pa.string()),
        pa.field("weight", pa.float64()),
        pa.field("time", TIME),
    ]
)
SHARD_BYTES = 256 * 2**20  # of images held before they are written
SCHEMAS = {"pins": PINS, "boards": BOARDS, "queries": QUERIES, "users": USERS, "preferences": PREFERENCES}
IDS = ("pin_id", "board_id", "user_id")
OF_USERS = ("users", "preferences")  # tables that a catalogue without users has no folder of
REQUIRED = {
    "pins": ("pin_id", "image"),
    "boards": ("board_id", "pin_id"),
    "queries": ("query", "pin_id"),
    "users": ("user_id",),
    "preferences": ("user_id", "pin_id"),
}


@dataclass(frozen=True)
class Catalogue:
    """A catalogue folder, opened for reading; rows of forgotten Pins and users are left out of all that is read, not of
    count().

    Raises:
        CatalogueError: the folder is missing, holds no Pins, or a shard breaks the contract.
    """

    root: Path
    forgotten: Forgotten = field(default_factory=Forgotten)

    def __post_init__(self) -> None:
        if not Path(self.root).is_dir():
            raise CatalogueError(
                f"There is no catalogue at {self.root}; make one with `pinclip generate` or `pinclip import`."
            )
        if not self.shards("pins"):
            raise CatalogueError(f"The catalogue {self.root} has no pins/*.parquet; import or generate it again.")
        for table in SCHEMAS:
            for shard in self.shards(table):
                _check_shard(shard, table)
        if self.count("pins") == 0:
            raise CatalogueError(f"The catalogue {self.root} is empty: its pins/ shards hold no rows.")

    def shards(self, table: str) -> list[Path]:
        return sorted((Path(self.root) / table).glob("*.parquet"))

    def count(self, table: str) -> int:
        return sum(pq.ParquetFile(shard).metadata.num_rows for shard in self.shards(table))

    def columns(self, table: str) -> list[str]:
        """Names present in any shard, in contract order, then the number and slice columns."""
        present = {name for shard in self.shards(table) for name in pq.read_schema(shard).names}
        known = [name for name in SCHEMAS[table].names if name in present]
        return known + sorted(name for name in present if name.startswith((SLICE_PREFIX, NUMBER_PREFIX)))

    def batches(
        self, table: str, columns: Sequence[str], rows: int = 1024, shards: Sequence[Path] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Streams the table, or some of its shards, shard by shard; a column that a shard lacks comes as nulls."""
        schema = pa.schema([_field(table, name) for name in columns])
        for shard in self.shards(table) if shards is None else shards:
            file = pq.ParquetFile(shard)
            present = [name for name in columns if name in file.schema_arrow.names]
            ids = [name for name in IDS if self.forgotten and name in file.schema_arrow.names]
            for batch in file.iter_batches(batch_size=rows, columns=list(dict.fromkeys([*present, *ids]))):
                if self.forgotten:
                    batch = batch.filter(pc.invert(_forgotten(batch, self.forgotten)))
                arrays = [
                    batch.column(field.name).cast(field.type)
                    if field.name in present
                    else pa.nulls(batch.num_rows, field.type)
                    for field in schema
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema([f.with_nullable(True) for f in schema]))

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """The whole table in memory: for ids and texts, never for images."""
        schema = pa.schema([_field(table, name).with_nullable(True) for name in columns])
        return pa.Table.from_batches(self.batches(table, columns, rows=65_536), schema=schema)

    def digest(self) -> str:
        """sha256 over the names and the bytes of all shards: the data's fingerprint in every lineage record."""
        total = hashlib.sha256()
        for table in SCHEMAS:
            for shard in self.shards(table):
                total.update(f"{table}/{shard.name}\0".encode())
                with shard.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()


class CatalogueWriter:
    """Writes shards beside the target and renames the whole folder when all of it is there.

    with CatalogueWriter(Path("catalogue")) as writer:
        writer.write("pins", table)      # any number of times
        writer.write("boards", table)
    """

    def __init__(self, out: Path, rows_per_shard: int = 4096) -> None:
        self.out, self.rows_per_shard = Path(out), rows_per_shard
        self._pending: dict[str, list[pa.Table]] = {table: [] for table in SCHEMAS}
        self._shards = dict.fromkeys(SCHEMAS, 0)

    def __enter__(self) -> "CatalogueWriter":
        if self.out.is_dir() and any(self.out.iterdir()) and not (self.out / "pins").is_dir():
            raise CatalogueError(f"{self.out} is a folder with other things in it; choose a new folder.")
        self._replacement = replaced(self.out)
        self._scratch = self._replacement.__enter__()
        for table in SCHEMAS:
            if table not in OF_USERS:
                (self._scratch / table).mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if error is None:
            for table in SCHEMAS:
                self._flush(table, least=1)
        return self._replacement.__exit__(kind, error, trace)

    def write(self, table: str, rows: pa.Table) -> None:
        """Appends rows; columns outside the contract are refused, absent optional ones stay absent."""
        free = (SLICE_PREFIX, NUMBER_PREFIX)
        unknown = [n for n in rows.column_names if n not in SCHEMAS[table].names and not n.startswith(free)]
        if unknown:
            raise CatalogueError(f"{table} has no column {unknown[0]!r}; the contract is in model/data/catalogue.py.")
        self._pending[table].append(rows.cast(pa.schema([_field(table, name) for name in rows.column_names])))
        self._flush(table, least=self.rows_per_shard)

    def _flush(self, table: str, least: int) -> None:
        """Writes shards of `rows_per_shard`; what is left stays pending unless it has `least` rows or grows heavy."""
        if sum(part.nbytes for part in self._pending[table]) > SHARD_BYTES:
            least = 1
        rows = pa.concat_tables(self._pending[table], promote_options="default") if self._pending[table] else None
        while rows is not None and rows.num_rows >= least:
            path = self._scratch / table / f"{self._shards[table]:05d}.parquet"
            path.parent.mkdir(exist_ok=True)
            pq.write_table(rows.slice(0, self.rows_per_shard), path, compression="zstd", row_group_size=1024)
            self._shards[table] += 1
            rows = rows.slice(self.rows_per_shard)
        self._pending[table] = [rows] if rows is not None and rows.num_rows else []


def owners(boards: pa.Table | pa.RecordBatch) -> pa.Array | pa.ChunkedArray:
    """The user of each row of boards: the one that it names, else the board itself."""
    if "user_id" not in boards.schema.names:
        return boards.column("board_id")
    named = boards.column("user_id")
    named = pc.if_else(pc.equal(named, ""), pa.scalar(None, pa.string()), named)
    return pc.coalesce(named, boards.column("board_id"))


def joined_texts(texts: Sequence[str | list[str] | None]) -> list[str]:
    """A text signal's values as plain strings: a list joined by ", ", null as ""."""
    return [", ".join(t for t in text if t) if isinstance(text, list) else (text or "") for text in texts]


def _forgotten(rows: pa.RecordBatch, forgotten: Forgotten) -> pa.Array:
    """Bool, True where the row's Pin or user is forgotten."""
    names, masks = rows.schema.names, []
    if "pin_id" in names:
        masks.append(forgotten.mask(rows.column("pin_id")))
    if "board_id" in names:
        masks.append(forgotten.mask_of_users(owners(rows)))
    elif "user_id" in names:
        masks.append(forgotten.mask_of_users(rows.column("user_id")))
    return functools.reduce(pc.or_, masks, pa.array([False] * rows.num_rows, pa.bool_()))


def _field(table: str, name: str) -> pa.Field:
    if name.startswith(SLICE_PREFIX):
        return pa.field(name, pa.string())
    if name.startswith(NUMBER_PREFIX):
        return pa.field(name, pa.float64())
    return SCHEMAS[table].field(name)


def _check_shard(shard: Path, table: str) -> None:
    try:
        names = pq.read_schema(shard).names
    except (pa.ArrowInvalid, OSError) as error:
        raise CatalogueError(f"{shard} is no readable Parquet file ({error}); import or generate it again.") from None
    for name in REQUIRED[table]:
        if name not in names:
            raise CatalogueError(f"{shard} lacks the column {name!r}; its columns are {', '.join(names)}.")
