"""The same odd Pins by every way there is: prepare and embed, the registered model, the service, the ONNX graphs."""

import base64
import json
import random
import re
import zlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import chunk, encoded, noise, png, with_chunks
from PIL import Image
from shipped_model import opened

from model.config import PrepareConfig
from model.data.catalogue import PINS, QUERIES, TEXT_SIGNALS, Catalogue, CatalogueWriter
from model.data.fields import read_row
from model.data.images.decoding import to_pixels
from model.data.pixels import decode_catalogue
from model.data.preparation import prepare
from model.embedding.embedder import BLOCK, Embedder, embed
from model.embedding.stored import read_queries, read_vectors
from serving.encoder.on_cpu import OnnxEncoder
from serving.encoder.on_gpu import TorchEncoder
from serving.service.config import ServiceConfig
from serving.service.messages import PinsIn
from serving.service.reading import new_pin, parsed, words

COUNT = 1_000
TEXTS = [
    "teal circle",
    "  teal\ncircle ",
    "\ufeffteal\u202ecircle\u202c\x00",
    "tea\u0301l \u2028 circle",
    "teal\u3000circle\t\x7f",
    "ﬁne ☂️ größe 🧑‍🎨",
    "a" * 5_000,
    "teal circle " * 400,
    "nan",
    "null",
    "None",
    "<NA>",
    "",
    " \n ",
    "\u2066",
    None,
]
LISTS = [None, [], ["teal", "teal"], ["circle\n", None, "nan", " teal"], ["", "null"], ["x" * 3_000, "y"], TEXTS]


def pictures() -> list[bytes]:
    picture = noise(20, 24)
    text = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(2_000_000)))
    hole = chunk(b"tRNS", b"\0\0")
    turned = Image.Exif()
    turned[0x0112] = 6
    return [
        with_chunks(encoded(picture, "PNG"), text, chunk(b"tEXt", b"a\0b", checksum=1)),
        png([b"\0\0\x80\0" * 6] * 12, 12, 16, 0, before=hole),
        encoded(picture, "JPEG", exif=turned)[:-2],
        encoded(picture.convert("CMYK"), "JPEG"),
        encoded(picture.convert("L"), "JPEG", progressive=True),
        encoded(picture.convert("P"), "GIF", save_all=True, append_images=[noise(20, 24, 1).convert("P")]),
        encoded(picture.convert("RGBA"), "WEBP"),
        encoded(picture, "AVIF"),
        encoded(picture, "TIFF", exif=turned),
        encoded(picture.resize((300, 200)), "JPEG"),
    ]


@pytest.fixture(scope="module")
def odd() -> list[dict]:
    chance, images = random.Random(0), pictures()
    return [
        {
            "pin_id": f"pin {i}",
            "image": chance.choice(images),
            **{name: chance.choice(TEXTS) for name in ("title", "description", "caption")},
            "annotations": chance.choice(LISTS),
        }
        for i in range(COUNT)
    ]


@pytest.fixture(scope="module")
def embedder(onnx_model) -> Embedder:
    return Embedder(onnx_model[0])


@pytest.fixture(scope="module")
def expected(odd, embedder) -> np.ndarray:
    """Of the Pins as they are, by the encoder itself."""
    return embedder.pins([pin["image"] for pin in odd], odd)


@pytest.fixture(scope="module")
def prepared(odd, embedder, onnx_model, tmp_path_factory):
    """The vectors folder that the steps prepare and embed leave."""
    root = tmp_path_factory.mktemp("odd")
    with CatalogueWriter(root / "catalogue") as writer:
        schema = pa.schema([field for field in PINS if field.name in odd[0]])
        writer.write("pins", pa.Table.from_pylist(odd, schema=schema))
        asked = [{"query": text, "pin_id": "pin 0", "clicks": 1} for text in TEXTS if text is not None]
        writer.write("queries", pa.Table.from_pylist(asked, schema=QUERIES))
    summary = prepare(Catalogue(root / "catalogue"), root / "prepared", PrepareConfig())
    assert summary["pins"]["kept"] == COUNT
    catalogue = Catalogue(root / "prepared" / "catalogue")
    decode_catalogue(
        catalogue, embedder.config.vision.image_size, embedder.config.prepare, root / "prepared" / "pixels.u8"
    )
    embed(root / "prepared", onnx_model[0], root / "vectors")
    return root / "vectors"


@pytest.fixture(scope="module")
def registered(shipped, onnx_model, tmp_path_factory):
    return opened(shipped, *onnx_model, tmp_path_factory.mktemp("registered"))


def test_prepare_and_embed(prepared, expected):
    assert np.array_equal(read_vectors(prepared, "pin"), expected)
    assert len(np.unique(expected.round(4), axis=0)) > COUNT // 2  # the texts and pictures count


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_registered_model(registered, odd, expected, kind):
    table = pd.DataFrame(odd).sample(frac=1, random_state=0)
    table = table.loc[sorted(table.index)].set_index("pin_id")
    table["image"] = [kind(image) for image in table["image"]]
    table["annotations"] = [None if a is None else np.array(a, dtype=object) for a in table["annotations"]]
    answer = registered.predict(None, table)
    assert list(answer.index) == list(table.index)
    found = np.stack(answer["vector"])
    assert np.abs(found - expected).max() < 1e-5
    assert (found * expected).sum(axis=1).min() > 0.9999


def refused(read, *arguments):
    """What it gives, or the sentence with which it refuses."""
    try:
        return read(*arguments)
    except Exception as error:
        assert type(error).__name__ in ("UnreadableImage", "UnreadableField"), error
        return str(error)


VALUES = st.one_of(
    st.none(), st.text(), st.sampled_from(TEXTS), st.lists(st.none() | st.text()), st.floats(), st.binary()
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("image", *TEXT_SIGNALS, "query"), VALUES)))
@settings(max_examples=300, deadline=None)
def test_the_registered_model_reads_rows_as_the_service_does(shipped, row):
    found, expected = refused(shipped.read_row, row), refused(read_row, row)
    assert str(found) == str(expected)


def broken() -> list[bytes]:
    whole = encoded(noise(200, 240), "JPEG")
    tiny, wide = encoded(noise(4, 40), "PNG"), png([b"\0" * 4] * 9, 4000, 1, 0)
    return [b"", b"<svg/>", b"GIF89a", whole[: len(whole) // 2], tiny, wide, encoded(noise(300, 200), "PNG")]


def test_the_registered_model_decodes_images_as_the_prepare_step_does(shipped):
    limits, given_back = PrepareConfig(max_image_pixels=60_000 - 1, max_image_bytes=200_000), []
    for picture in [*pictures(), *broken()]:
        expected = refused(to_pixels, picture, 32, limits)
        assert np.array_equal(refused(shipped.to_pixels, picture, 32, limits), expected)
        given_back.append(expected if isinstance(expected, str) else "")
    reasons = {reason.split(" (")[0] for reason in given_back}
    assert reasons == {"", "empty", "unknown format", "truncated", "too small", "too many pixels"}


def requested(odd: list[dict], encoder: SimpleNamespace) -> list:
    """What the service makes of the Pins in a request."""
    config = ServiceConfig(max_pins=COUNT)
    pins = [{**pin, "image": base64.b64encode(pin["image"]).decode()} for pin in odd]
    return [new_pin(pin, encoder, config) for pin in parsed(PinsIn, json.dumps({"pins": pins}).encode()).pins]


def blocks(encoder, pixels: list[np.ndarray], texts: list) -> np.ndarray:
    starts = range(0, len(texts), BLOCK)
    cut = [(np.stack(pixels[i : i + BLOCK]), texts[i : i + BLOCK]) for i in starts]
    return np.concatenate([encoder.pins(some, np.ones(len(said), dtype=bool), said) for some, said in cut])


def test_the_service_on_pytorch_and_on_onnx(odd, expected, onnx_model):
    torch_encoder, onnx_encoder = TorchEncoder(onnx_model[0]), OnnxEncoder(*onnx_model, threads=1)
    new = requested(odd, torch_encoder)
    pixels, texts = [pin.pixels_SS3 for pin in new], [pin.texts for pin in new]
    assert np.array_equal(blocks(torch_encoder, pixels, texts), expected)
    assert np.array_equal(blocks(torch_encoder, pixels, odd), expected)  # texts as they came are cleaned too
    assert np.abs(blocks(onnx_encoder, pixels, texts) - expected).max() < 1e-6
    assert np.array_equal(blocks(onnx_encoder, pixels, odd), blocks(onnx_encoder, pixels, texts))


def test_queries_by_every_way(prepared, embedder, registered, onnx_model):
    cleaned, stored = read_queries(prepared)
    for text in TEXTS:
        said = words(text, ServiceConfig())
        if not said:
            assert said not in cleaned
            with pytest.raises(ValueError, match="Row 0 is empty"):
                registered.predict(None, pd.DataFrame({"query": [text]}))
            continue
        alone = embedder.queries([text])[0]
        assert np.abs(registered.predict(None, pd.DataFrame({"query": [text]}))["vector"][0] - alone).max() < 1e-6
        assert np.array_equal(embedder.queries([said])[0], alone)
        assert np.abs(OnnxEncoder(*onnx_model, threads=1).queries([text])[0] - alone).max() < 1e-6
        assert np.abs(stored[cleaned.index(said)] - alone).max() < 1e-6  # encoded with others beside it


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (pd.DataFrame({"query": ["ok", 5]}, index=["i", "j"]), "Row 1 (index 'j'): 'query' is int"),
        (pd.DataFrame({"query": ["ok", 5]}), "Row 1: 'query' is int"),
        (pd.DataFrame([["a", "b"]], columns=["title", "title"]), "The column 'title' is there twice"),
        (pd.DataFrame([["a"]], columns=pd.MultiIndex.from_tuples([("title", "x")])), "The columns have several levels"),
    ],
)
def test_predict_says_what_it_cannot_read(registered, table, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        registered.predict(None, table)


def test_one_row_of_lists_is_never_taken_for_several_pins(registered):
    """MLflow makes one row of {"query": [a, b]}; a Pin's lists are its annotations or a mistake, in whatever column."""

    def vectors(table: dict) -> list:
        return registered.predict(None, pd.DataFrame(table))["vector"].tolist()

    assert vectors({"query": [["teal", "red"]]}) == vectors({"query": ["teal", "red"]})
    assert len(vectors({"annotations": [["teal", "red"]]})) == 1
    for others in ({}, {"caption": [["x"]]}, {"annotations": [[["x"], None]]}):
        with pytest.raises(ValueError, match="Row 0: 'title' is list"):
            vectors({"title": [["teal", "red"]], **others})


def test_predict_takes_arrow_columns_and_columns_without_a_value(registered):
    plain = registered.predict(None, pd.DataFrame({"image": [encoded(noise(20, 24), "PNG")], "title": ["teal"]}))
    arrow = pa.table({"image": [encoded(noise(20, 24), "PNG")], "title": ["teal"], "query": [float("nan")]})
    assert registered.predict(None, arrow.to_pandas(types_mapper=pd.ArrowDtype))["vector"][0] == plain["vector"][0]
