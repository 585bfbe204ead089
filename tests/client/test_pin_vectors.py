"""The light client reads from a real Redis what publishing wrote, with numpy and redis alone; so does Node."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from feature_home import DIM, quantized
from hypothesis import given
from hypothesis import strategies as st
from pinclip_features import Codes, PinVectors, VectorsError
from pinclip_features.keys import entity_key, field, header, murmur3, whole_numbers

from components.spaces.feature_store import open_store
from components.spaces.retire import retire
from model.embedding.affine import Affine
from model.errors import StoreError
from serving.features import Features
from serving.online.feast_bytes import bytes_header, entity_keys

CLIENT = Path(__file__).parents[2] / "client"


@pytest.fixture(scope="module")
def home(redis, features_home, tmp_path_factory):
    """Two spaces; the first, of codes of four bits, serves."""
    home = features_home.beside(tmp_path_factory.mktemp("light"), f"{redis.address},db=0")
    home.serving, home.serving_vectors = home.new_space(seed=2, bits=4)
    home.other, home.other_vectors = home.new_space(seed=1)
    home.compatible, _ = home.new_space(seed=3, compatible_with=home.serving)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINCLIP_REDIS", redis.address)
        yield home


@pytest.fixture
def vectors(redis, home):
    return PinVectors.of(redis.address)


def test_the_same_vectors_as_the_client_of_the_pipeline(home, vectors):
    features = Features.of(home.configuration)
    assert vectors.serving() == home.serving
    bits = {name: fields["bits"] for name, fields in vectors.spaces().items()}
    assert bits == {home.other: 8, home.serving: 4, home.compatible: 8}
    for space, stored in ((home.other, home.other_vectors), (home.serving, home.serving_vectors)):
        ids = [*list(stored)[::-1], "who", "p1"]
        expected, unknown = features.pin_vectors(ids, space)
        found, missing = vectors.read(ids, space)
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)
        assert np.array_equal(missing, unknown)
    assert np.array_equal(vectors.read(["p1"])[0], vectors.read(["p1"], home.serving)[0])


def test_only_spaces_that_were_made_for_each_other_are_read_beside_each_other(home, vectors):
    features = Features.of(home.configuration)
    for client in (vectors, features):
        assert client.comparable(home.serving, home.serving)
        assert client.comparable(home.compatible, home.serving)
        assert client.comparable(home.serving, home.compatible)
        assert not client.comparable(home.other, home.serving)
        assert not client.comparable(home.compatible, home.other)
    assert np.array_equal(
        vectors.read(["p1"], home.compatible, beside=home.serving)[0], vectors.read(["p1"], home.compatible)[0]
    )
    assert not vectors.read(["p1"], beside=home.serving)[1].any()
    refusal = f"Vectors of {home.other} cannot be compared with those of {home.serving}; read both from one space"
    with pytest.raises(VectorsError, match=refusal):
        vectors.read(["p1"], home.other, beside=home.serving)


def test_a_text_is_no_list_of_pins_and_an_empty_name_no_space(home, vectors):
    for read in (vectors.read, vectors.semantic_ids):
        for text in ("p1", ""):
            with pytest.raises(VectorsError, match="in a list"):
                read(text)
        for odd in ([1], ["p1", b"p1"], [None, "p1"]):
            with pytest.raises(VectorsError, match="are texts"):
                read(odd)
        with pytest.raises(VectorsError, match="retired or was never published"):
            read(["p1"], "")
    with pytest.raises(VectorsError, match="cannot be compared"):
        vectors.read(["p1"], beside="")
    with pytest.raises(StoreError, match="in a list"):
        Features.of(home.configuration).pin_vectors("p1", home.serving)


def test_more_than_one_pipeline_takes_and_none(home, vectors, monkeypatch):
    monkeypatch.setattr("pinclip_features.reading.AT_ONCE", 7)
    whole = Features.of(home.configuration).pin_vectors(list(home.other_vectors), home.other)[0]
    assert np.array_equal(vectors.read(list(home.other_vectors), home.other)[0], whole)
    found, missing = vectors.read([])
    assert (found.shape, missing.shape) == ((0, DIM), (0,))


def test_a_malformed_value_is_missing_and_counted(home, vectors):
    now = [pd.Timestamp.now(tz="UTC")]
    row = {"pin_id": ["long"], "vector": [bytes(DIM + 1)], "event_timestamp": now, "created": now}
    open_store(home.settings).push(f"pin_embedding_{home.other}_push", pd.DataFrame(row))
    found, missing = vectors.read(["long", "p1", "who"], home.other)
    assert missing.tolist() == [True, False, True]
    assert not found[missing].any()
    assert vectors.malformed == 1


def test_semantic_ids_are_those_that_feast_gives(home, vectors):
    ids = ["p1", "who", *list(home.other_vectors)[100:120]]
    for space in (home.other, home.serving):
        asked = [{"pin_id": pin_id} for pin_id in ids]
        told = open_store(home.settings).get_online_features([f"pin_semantic_id_{space}:codes"], asked).to_dict()
        assert vectors.semantic_ids(ids, space) == [codes and tuple(codes) for codes in told["codes"]]
    assert vectors.semantic_ids(["p1"]) == vectors.semantic_ids(["p1"], home.serving)
    with pytest.raises(VectorsError, match="The space v0 is retired or was never published"):
        vectors.semantic_ids(["p1"], "v0")


@given(st.lists(st.integers(0, 2**16), min_size=1, max_size=8))
def test_lists_of_whole_numbers_are_read_as_protobuf_writes_them(numbers):
    from feast.protos.feast.types.Value_pb2 import Int64List, Value

    written = Value(int64_list_val=Int64List(val=numbers)).SerializeToString()
    assert whole_numbers(written) == tuple(numbers)
    for wrong in (written[:-1], written + b"\0", b"", b"\x0a" + written[1:]):
        assert whole_numbers(wrong) is None


def test_node_reads_the_same(redis, home, vectors):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: apt-get install nodejs")
    command = [node, str(CLIENT / "node" / "pin_vectors.mjs"), "127.0.0.1", str(redis.port), "p1", "who", "größe"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert told["space"] == home.serving
    assert told["vectors"]["who"] is told["vectors"]["größe"] is None
    np.testing.assert_allclose(told["vectors"]["p1"], vectors.read(["p1"])[0][0], atol=1e-6)


@pytest.mark.parametrize(
    ("address", "space", "sentence"),
    [
        ("127.0.0.1:1", None, "Redis does not answer (.*); see that it runs"),
        ("ftp://here", None, r"This is no address of a Redis \(.*; write host:6379 or redis://"),
        ("host:6379,pasword=x", None, "knows no option pasword; it knows db, password, ssl, username"),
        ("host:many,password=x", None, "This is no address of a Redis"),
        (None, "v99", "The space v99 is retired or was never published; published are: v"),
    ],
)
def test_mistakes_are_sentences(redis, home, address, space, sentence):
    with pytest.raises(VectorsError, match=sentence):
        PinVectors.of(address or redis.address).read(["p1"], space)


def test_installed_alone_it_is_small_and_imports_nothing_of_ours(redis, home, vectors, tmp_path):
    """A fresh environment with the built distribution: what a ranking team installs."""
    uv, python = str(Path(sys.executable).parent / "uv"), tmp_path / "env" / "bin" / "python"
    copy = shutil.copytree(CLIENT, tmp_path / "client")  # building leaves files beside the sources
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "env")], check=True)
    asked = subprocess.run(
        [uv, "pip", "install", "-q", "--python", str(python), str(copy)], capture_output=True, text=True
    )
    if "Failed to fetch" in asked.stderr or "dns error" in asked.stderr:
        pytest.skip(f"no package index answers: {asked.stderr.splitlines()[-1]}")
    assert asked.returncode == 0, asked.stderr
    code = "import sys, pinclip_features as p; v, m = p.PinVectors.of(sys.argv[1]).read(['p1', 'who']); "
    code += "print(m.tolist(), v[0].tolist()); assert not {'torch', 'feast', 'model', 'serving'} & set(sys.modules)"
    done = subprocess.run([python, "-c", code, redis.address], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == f"[False, True] {vectors.read(['p1'])[0][0].tolist()}\n", done.stderr
    size = sum(file.stat().st_size for file in (tmp_path / "env").rglob("*") if file.is_file())
    assert size <= 150e6


def test_a_retired_space_is_told_no_more(redis, features_home, tmp_path, monkeypatch):
    monkeypatch.setenv("PINCLIP_REDIS", redis.address)
    home = features_home.beside(tmp_path, f"{redis.address},db=2")
    (first, _), (second, _) = home.new_space(seed=1), home.new_space(seed=2)
    told = PinVectors.of(f"redis://{redis.address}/2")
    assert set(told.spaces()) == {first, second}
    retire(second, home.settings)
    assert (set(told.spaces()), told.serving()) == ({first}, first)


def test_addresses_in_their_usual_forms():
    written = "host:6380, password=pw=,db=2,ssl=True"
    for address in (written, "rediss://:pw%3D@host:6380/2"):
        told = PinVectors.of(address).redis.get_connection_kwargs()
        assert (told["host"], told["port"], told["password"], int(told["db"])) == ("host", 6380, "pw=", 2)
    assert PinVectors.of("localhost").redis.get_connection_kwargs()["host"] == "localhost"


@given(st.text(), st.text(max_size=300))
def test_keys_are_those_of_the_pipeline(pin_id, name):
    mmh3 = pytest.importorskip("mmh3")
    assert entity_key("pinclip", pin_id) == entity_keys("pin_id", [pin_id])[0] + b"pinclip"
    assert murmur3(name.encode()) == mmh3.hash(name.encode(), signed=False)
    assert header(len(name)) == bytes_header(len(name)) if name else True


def test_a_field_is_that_of_feast():
    from serving.feast_import import import_feast

    import_feast()
    from feast.infra.online_stores.helpers import _mmh3

    assert field("pin_embedding_v7", "vector") == _mmh3("pin_embedding_v7:vector")


@pytest.mark.parametrize("bits", [4, 8])
def test_codes_are_read_as_they_were_written(tmp_path, bits):
    folder, stored = quantized(tmp_path, seed=3, bits=bits)
    fields = json.loads((folder / "quantization.json").read_text())
    packed = np.frombuffer(b"".join(stored.values()), np.uint8).reshape(len(stored), -1)
    affine = Affine.of(fields)
    assert np.array_equal(Codes.of(fields).vectors(packed), affine.vectors(affine.unpack(packed)))
