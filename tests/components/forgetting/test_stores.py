"""The stores of a published space: one Pin goes from each, and everything of the others is what it was."""

import json
import os
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from components.forgetting.forget import Where, forget
from components.forgetting.online import Online
from components.forgetting.pins import Pins
from components.forgetting.shards import Shards
from components.forgetting.tastes import Tastes
from components.forgetting.withdrawn import forget_withdrawn, withdrawn
from components.forgetting.working import Working
from components.settings import Settings
from components.spaces.feature_store import open_store
from components.tombstones import bury
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.forgotten import user_key
from model.files import lock_descriptor
from serving.features import Features
from serving.index import IndexConfig, PinIndex
from serving.online import held
from serving.online.feast_bytes import entity_keys
from serving.online.redis import SPACES
from serving.space import SpaceManifest

PINS = Pins(("p7",))


@pytest.fixture(params=["sqlite", "redis"])
def home(request, features_home, tmp_path, monkeypatch):
    address = f"{request.getfixturevalue('redis').address},db=3" if request.param == "redis" else ""
    monkeypatch.setenv("PINCLIP_REDIS", address)
    return features_home.beside(tmp_path, address)


def stored(home):
    """Everything in the online store, by entity; without the copy of the manifests."""
    store = open_store(home.settings)
    if home.settings.redis:
        client = store.provider.online_store._get_client(store.config.online_store)
        return {key: client.hgetall(key) for key in client.scan_iter(_type="hash") if key != SPACES.encode()}
    connection = store.provider.online_store._get_conn(store.config)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {table: connection.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables}
    return {(table, row): True for table, found in rows.items() for row in found}


def test_a_forgotten_pin_is_in_no_store_and_the_others_are_what_they_were(home):
    space, vectors = home.new_space(seed=1)
    (key,) = entity_keys("pin_id", ["p7"])
    before, feast = stored(home), home.settings.home / "feast"
    online, shards = Online(home.settings), Shards(home.settings)
    others = [pin_id for pin_id in vectors if pin_id != "p7"]
    served = Features.of(home.configuration).pin_vectors(others, space)[0].tobytes()
    rows = [row for shard in sorted((feast / "offline").rglob("*.parquet")) for row in pq.read_table(shard).to_pylist()]

    views = [f"pin_embedding_{space}", f"pin_semantic_id_{space}", "pin_stats"]
    kind = "redis" if home.settings.redis else "sqlite"
    assert online.find(PINS) == dict.fromkeys([f"{kind}: {view}" for view in views], 1)
    there = [spot for spot, count in shards.find(PINS).items() if count]
    assert {view for view in views for spot in there if f"/{view}/" in spot} == set(views)
    online.erase(PINS)
    shards.erase(PINS)
    assert not any([*online.find(PINS).values(), *shards.find(PINS).values()])

    assert stored(home) == {name: value for name, value in before.items() if key not in _bytes_of(name)}
    assert len(before) > len(stored(home))
    assert Features.of(home.configuration).pin_vectors(others, space)[0].tobytes() == served
    left = [row for shard in sorted((feast / "offline").rglob("*.parquet")) for row in pq.read_table(shard).to_pylist()]
    assert left == [row for row in rows if row.get("pin_id") != "p7"]
    manifest = SpaceManifest.read(feast, space)
    assert manifest.pins == len(others)
    assert PinIndex.of_published(manifest, IndexConfig("exact")).ids() == set(others)
    if not home.settings.redis:
        assert key not in (feast / "online.db").read_bytes()


def _bytes_of(name) -> bytes:
    return name if isinstance(name, bytes) else b"|".join(part for part in name[1] if isinstance(part, bytes))


def test_a_run_that_read_its_catalogue_before_publishes_without_the_pin(home):
    bury(["p7"], home.settings)
    space, _ = home.new_space(seed=2)
    manifest = SpaceManifest.read(home.settings.home / "feast", space)
    assert (manifest.pins, "p7" in manifest.ids().to_pylist()) == (229, False)
    assert Features.of(home.configuration).pin_vectors(["p7"], space)[1].all()
    assert not any(Online(home.settings).find(PINS).values())


def test_a_forgotten_user_has_no_tastes_and_all_others_are_what_they_were(home, tmp_path):
    space, _ = home.new_space(seed=6)
    (key,) = entity_keys("user_id", ["b1"])
    before, log = stored(home), home.settings.home / "feast/offline" / f"user_taste_{space}"
    rows = [row for shard in sorted(log.glob("*.parquet")) for row in pq.read_table(shard).to_pylist()]
    store = open_store(home.settings)
    assert held(store, [log.name], [key]) == 1
    proof = forget([], Where.of(tmp_path, [], [], home.settings), home.settings, user_ids=["b1"])
    assert (proof.complete, proof.pins, len(proof.users)) == (True, [], 1)
    assert held(store, [log.name], [key]) == 0
    others = [{name: one[name] for name in one if key not in _bytes_of(name)} for one in (before, stored(home))]
    assert others[0] == others[1]
    left = [row for shard in sorted(log.glob("*.parquet")) for row in pq.read_table(shard).to_pylist()]
    assert left == [row for row in rows if row["user_id"] != "b1"] != rows
    if not home.settings.redis:
        assert key not in (home.settings.home / "feast/online.db").read_bytes()
    again = forget([], Where.of(tmp_path, [], [], home.settings), home.settings, user_ids=["b1"])
    assert (again.complete, again.found) == (True, 0)


def test_tastes_that_only_the_online_store_has_are_found_there(home, tmp_path):
    """Forgotten while PINCLIP_REDIS named another store: the log of the home no longer tells of the user."""
    space, _ = home.new_space(seed=8)
    log, (key,) = home.settings.home / "feast/offline" / f"user_taste_{space}", entity_keys("user_id", ["b2"])
    for shard in log.glob("*.parquet"):
        rows = pq.read_table(shard)
        pq.write_table(rows.filter(pc.not_equal(rows["user_id"], "b2")), shard)
    store = open_store(home.settings)
    assert held(store, [log.name], [key]) == 1
    proof = forget([], Where.of(tmp_path, [], [], home.settings), home.settings, user_ids=["b2"])
    assert proof.complete
    assert proof.found > 0
    assert held(store, [log.name], [key]) == 0


def test_a_user_whose_consent_is_gone_is_found_where_there_are_tastes(features_home, tmp_path):
    home = features_home.beside(tmp_path)
    home.new_space(seed=7)
    with CatalogueWriter(tmp_path / "catalogues/now") as writer:
        writer.write("pins", pa.table({"pin_id": ["p1"], "image": [b"1"]}))
        writer.write("users", pa.table({"user_id": ["b1", "b2", "never-had"], "consent": [False, True, False]}))
    catalogues = [tmp_path / "catalogues/now"]
    assert withdrawn(catalogues, home.settings) == ([], ["b1"])
    proof = forget_withdrawn(tmp_path, home.settings, lambda fraction, message: None)
    assert (proof.complete, proof.said) == (True, "0 Pins and 1 users")
    assert withdrawn(catalogues, home.settings) == ([], [])
    bury([user_key("b2")], home.settings)  # and came back from a backup
    assert withdrawn(catalogues, home.settings) == ([], ["b2"])


def test_without_its_catalogue_a_user_who_holds_the_very_vector_loses_the_row(home):
    home.new_space(seed=3)
    tastes = Tastes(home.settings)
    one = next(pins for i in range(230) if any(tastes.find(pins := Pins((f"p{i}",))).values()))
    tastes.erase(one)
    assert not any(tastes.find(one).values())


def test_the_command_forgets_in_all_spaces_so_that_a_rollback_brings_nothing_back(home, tmp_path):
    spaces = [home.new_space(seed)[0] for seed in (4, 5)]
    proof = forget(["p7"], Where.of(tmp_path, [], [], home.settings), home.settings)
    assert proof.complete
    assert {spot.found for spot in proof.spots.values() if spot.kind == "online store"} == {1}
    features = Features.of(home.configuration)
    for space in spaces:
        assert features.pin_vectors(["p7"], space)[1].all()
        assert not features.pin_vectors(["p8"], space)[1].any()
    if home.settings.redis:  # its copy of the manifests, for readers without Feast
        store = open_store(home.settings)
        told = store.provider.online_store._get_client(store.config.online_store).hgetall(SPACES)
        assert {name.decode(): json.loads(fields)["pins"] for name, fields in told.items()} == dict.fromkeys(
            spaces, 229
        )


def test_what_a_run_holds_stays_with_the_catalogue_until_the_run_has_ended(features_home, tmp_path):
    settings = features_home.beside(tmp_path).settings
    catalogue, work = tmp_path / "catalogues/mine", tmp_path / "runs/.work/now"
    with CatalogueWriter(catalogue) as writer:
        writer.write("pins", pa.table({"pin_id": ["p7", "p8"], "image": [b"7", b"8"]}))
    shutil.copytree(catalogue, work / "catalogue")
    descriptor = os.open(work, os.O_RDONLY)  # as the process of a run holds it
    lock_descriptor(descriptor)
    proof = forget(["p7"], Where.of(tmp_path, [], [], settings), settings)
    assert [(spot.kind, spot.place) for spot in proof.left if spot.kind != "catalogues"] == [
        ("working copies", str(work))
    ]
    assert not proof.complete
    assert Catalogue(catalogue).read("pins", ["pin_id"])["pin_id"].to_pylist() == ["p7", "p8"]
    os.close(descriptor)
    again = forget(["p7"], Where.of(tmp_path, [], [], settings), settings)
    assert (again.complete, again.file) == (True, proof.file)
    assert Catalogue(catalogue).read("pins", ["pin_id"])["pin_id"].to_pylist() == ["p8"]
    assert not work.exists()


def test_a_rayjob_with_a_heartbeat_keeps_its_folder(tmp_path):
    folder, place = tmp_path / "rayjobs/train", Working(Settings(home=tmp_path / "home"), [])
    folder.mkdir(parents=True)
    (folder / "request.json").write_text('{"pin_id": "p7"}')
    (folder / "followed").write_text("now")
    assert place.erase(PINS)[str(folder)] == 1
    assert folder.exists()
    os.utime(folder / "followed", (0, 0))
    place.erase(PINS)
    assert not folder.exists()
