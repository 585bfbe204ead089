"""Vectors from a trained model: of a whole catalogue into shards, or of a few Pins and queries at once.

    vectors/  pins/*.parquet   pin_id · pin · image · text        fixed-size lists of float32, L2-normalised; shard by
                                                                  shard those of the catalogue
              queries.parquet  query · vector                     every distinct query of the catalogue
              held_out.parquet fresh Pins by their picture or texts alone (model/embedding/held_out.py), where asked for
              embedding.json   dim, prefixes

`text` is the vector of the Pin's first text in the contract's order, zeros where it has none.
Shape legend: n Pins of a block · E vector dimension
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from model.data.catalogue import TEXT_SIGNALS, TEXT_TYPES, Catalogue, joined_texts
from model.data.cleaning import RawTexts, clean_query, clean_texts
from model.data.images.decoding import UnreadableImage, to_pixels
from model.data.pixels import Pixels
from model.embedding.held_out import HELD_OUT_FILE, held_out_rows, write_held_out
from model.embedding.kernel_cache import keep_few_kernels
from model.extraction.reading import Extraction
from model.files import remove, replaced, write_json
from model.network.checkpoint import load_model
from model.network.text import Texts, encode_texts, pack_texts
from model.parallel import Each, in_turn
from model.training.precision import training_dtype

BLOCK = 256  # Pins of one forward pass
QUERIES = 8192  # of one row group


class Embedder:
    """A model folder, ready to encode. `extracted`: extraction.json of the catalogue that it shall encode; without
    it frozen towers compute what they give.

    Raises:
        ModelError: see model.network.checkpoint.load_model.
    """

    def __init__(self, folder: Path, extracted: Path | None = None) -> None:
        keep_few_kernels()
        self.encoder, self.tokenizer = load_model(folder)
        self.extraction = Extraction.read(extracted)
        if extracted:
            self.extraction.check(*self.encoder.kept_towers())
        self.config = self.encoder.config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.encoder.to(self.device, training_dtype(self.config.train))

    @property
    def dim(self) -> int:
        return self.config.fusion.dim

    def pins(self, images: Sequence[bytes | None], texts: Sequence[RawTexts]) -> np.ndarray:
        """Pin vectors (n, E) float32 from encoded images (None: missing) and texts by signal name ({}: missing).

        Raises:
            UnreadableImage: an image that model.data.images.decoding refuses; its `place` is set.
        """
        pixels = self._decoded(images)
        present = np.array([image is not None for image in images])
        blocks = [
            self.block(np.stack(pixels[i : i + BLOCK]), present[i : i + BLOCK], texts[i : i + BLOCK])[0]
            for i in range(0, len(images), BLOCK)
        ]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.dim), dtype=np.float32)

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """Query vectors (n, E) float32, in the Pins' space; queries are cleaned as those of a catalogue."""
        kind = TEXT_TYPES.index("query")
        blocks = [
            self._text_vectors(self._pack([(clean_query(text), kind) for text in texts[i : i + BLOCK]]))
            for i in range(0, len(texts), BLOCK)
        ]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.dim), dtype=np.float32)

    @torch.inference_mode()
    def block(
        self, pixels: np.ndarray, has_image: np.ndarray, texts: Sequence[RawTexts], kept_nLH: Tensor | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pin, image, text) vectors, each (n, E), of at most BLOCK Pins in one forward pass; it cleans the texts.

        kept_nLH: what is kept of the images, where that is known.
        """
        shown = [(i, name, text) for i, named in enumerate(texts) for name, text in clean_texts(named).items()]
        packed = self._pack([(text, TEXT_TYPES.index(name)) for _, name, text in shown])
        owner = np.array([i for i, _, _ in shown], dtype=np.int64)
        pixels_nSS3 = torch.from_numpy(pixels).to(self.device)
        kept_nLH = self.encoder.kept_images(pixels_nSS3, None if kept_nLH is None else kept_nLH.to(self.device))
        image_nE, tokens = self.encoder.encode_images(pixels_nSS3, kept_nLH)
        text_NE, text_tokens = self.encoder.encode_texts(packed)
        has = torch.from_numpy(np.asarray(has_image, dtype=bool)).to(self.device)
        owner_N = torch.from_numpy(owner).to(self.device)
        pin_nE = self.encoder.fuse(tokens, has, text_tokens, packed, owner_N, kept_nLH)
        first = np.searchsorted(owner, np.arange(len(texts)))  # a Pin's first text leads in TEXT_SIGNALS' order
        text = np.zeros((len(texts), self.dim), dtype=np.float32)
        with_text = np.isin(np.arange(len(texts)), owner)
        text[with_text] = text_NE.cpu().numpy()[first[with_text]]
        return pin_nE.cpu().numpy(), image_nE.cpu().numpy(), text

    def _decoded(self, images: Sequence[bytes | None]) -> list[np.ndarray]:
        size, limits = self.config.vision.image_size, self.config.prepare
        blank, pixels = np.zeros((size, size, 3), dtype=np.uint8), []
        for place, image in enumerate(images):
            try:
                pixels.append(blank if image is None else to_pixels(image, size, limits))
            except UnreadableImage as error:
                error.place = place
                raise
        return pixels

    @torch.inference_mode()
    def _text_vectors(self, texts: Texts) -> np.ndarray:
        return self.encoder.encode_texts(texts)[0].cpu().numpy()

    def _pack(self, texts: Sequence[tuple[str, int]]) -> Texts:
        words = [text for text, _ in texts]
        ids = encode_texts(self.tokenizer, words, self.config.text.context)
        return pack_texts(ids, [kind for _, kind in texts], self._kept_texts(words)).to(self.device)

    def _kept_texts(self, texts: Sequence[str]) -> Tensor | None:
        joined = self.encoder.joined_text
        if joined is None:
            return None
        return self.extraction.text_vectors(texts) if self.extraction.texts else joined.kept(texts)


@dataclass(frozen=True)
class Shard:
    """A shard of the prepared catalogue; its vectors become a shard of the same name."""

    path: Path
    first: int  # the row of its first Pin in the catalogue


def embed(
    prepared: Path,
    model_folder: Path,
    out: Path,
    report: Callable[[float, str], None] = lambda fraction, message: None,
    each: Each = in_turn,
    extracted: Path | None = None,
    held_out: bool = False,
) -> int:
    """Embeds every Pin and query of a prepared catalogue into the folder above; returns the number of Pins.

    `extracted`: extraction.json of this catalogue; without it frozen towers compute again what they gave.
    `held_out`: the fresh Pins once more, by picture and by texts alone.
    `each` works on the shards (model/parallel.py): whoever does must see the three folders.
    """
    catalogue, done = Catalogue(prepared / "catalogue"), 0
    shards, total = _shards(catalogue), catalogue.count("pins")
    with replaced(out.absolute()) as scratch:
        (scratch / "pins").mkdir(parents=True)
        work = ShardEmbedder(prepared.absolute(), model_folder.absolute(), scratch, extracted, held_out)
        for pins in each(work, [*shards, None]):
            done += pins
            report(done / total, f"{done} Pins")
        for left in (scratch / "pins").glob(".*.partial"):  # of a process that died while it wrote
            remove(left)
    return done


class ShardEmbedder:
    """work(shard) writes the vectors of a shard, work(None) those of the queries, the held-out Pins and embedding.json.

    It is pickled as its paths; each process opens model and catalogue once, with its first shard.
    """

    def __init__(
        self,
        prepared: Path,
        model_folder: Path,
        out: Path,
        extracted: Path | None = None,
        held_out: bool = False,
    ) -> None:
        self.prepared, self.model_folder, self.out, self.extracted = prepared, model_folder, out, extracted
        self.held_out = held_out

    def __call__(self, shard: Shard | None) -> int:
        """Returns the number of Pins."""
        return self._pins(shard) if shard else self._rest()

    @cached_property
    def embedder(self) -> Embedder:
        return Embedder(self.model_folder, self.extracted)

    @cached_property
    def image_records(self) -> np.ndarray | None:
        """Numbers of the Pins' records, where what an image tower gave is kept."""
        return self.embedder.extraction.of_pins(self.prepared) if self.embedder.extraction.images else None

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.prepared / "catalogue")

    @cached_property
    def pixels(self) -> Pixels:
        size = self.embedder.config.vision.image_size
        return Pixels(self.prepared / "pixels.u8", size, self.catalogue.count("pins"))

    def _pins(self, shard: Shard) -> int:
        blocks, row = [], shard.first
        for batch in self.catalogue.batches("pins", ["pin_id", *TEXT_SIGNALS], BLOCK, [shard.path]):
            columns = [joined_texts(batch.column(name).to_pylist()) for name in TEXT_SIGNALS]
            texts = [dict(zip(TEXT_SIGNALS, values, strict=True)) for values in zip(*columns, strict=True)]
            rows, present = range(row, row + batch.num_rows), np.ones(batch.num_rows, dtype=bool)
            vectors = self.embedder.block(self.pixels.read(rows), present, texts, self._kept_images(rows))
            blocks.append(_table(batch.column("pin_id"), vectors))
            row += batch.num_rows
        with replaced(self.out / "pins" / shard.path.name) as scratch:
            pq.write_table(pa.concat_tables(blocks), scratch)
        return row - shard.first

    def _kept_images(self, rows: range | np.ndarray) -> Tensor | None:
        records = self.embedder.extraction.images
        return None if records is None or self.image_records is None else records.read(self.image_records[rows])

    def _rest(self) -> int:
        self._queries()
        if self.held_out:
            config = self.embedder.config
            rows = held_out_rows(self.catalogue, config)
            write_held_out(self.catalogue, rows, config, self._alone, BLOCK, self.out / HELD_OUT_FILE)
        prefixes = list(self.embedder.config.fusion.prefixes)
        write_json(self.out / "embedding.json", {"dim": self.embedder.dim, "prefixes": prefixes})
        return 0

    def _alone(self, rows: np.ndarray, has_image: bool, texts: Sequence[RawTexts]) -> np.ndarray:
        present = np.full(len(rows), has_image)
        return self.embedder.block(self.pixels.read(rows), present, texts, self._kept_images(rows))[0]

    def _queries(self) -> None:
        queries = sorted(set(self.catalogue.read("queries", ["query"])["query"].to_pylist()))
        schema = pa.schema({"query": pa.string(), "vector": pa.list_(pa.float32(), self.embedder.dim)})
        with replaced(self.out / "queries.parquet") as scratch, pq.ParquetWriter(scratch, schema) as writer:
            for start in range(0, len(queries), QUERIES):
                asked = queries[start : start + QUERIES]
                writer.write_table(pa.table({"query": asked, "vector": _as_column(self.embedder.queries(asked))}))


def _shards(catalogue: Catalogue) -> list[Shard]:
    paths = catalogue.shards("pins")
    ends = np.cumsum([pq.read_metadata(path).num_rows for path in paths])
    return [Shard(path.absolute(), int(end)) for path, end in zip(paths, [0, *ends], strict=False)]


def _as_column(matrix: np.ndarray) -> pa.FixedSizeListArray:
    values = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(values, matrix.shape[1])


def _table(ids: pa.Array, vectors: tuple[np.ndarray, np.ndarray, np.ndarray]) -> pa.Table:
    columns = {name: _as_column(v) for name, v in zip(("pin", "image", "text"), vectors, strict=True)}
    return pa.table({"pin_id": ids, **columns})
