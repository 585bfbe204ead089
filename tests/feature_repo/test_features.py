"""Every feature, read as a ranking team reads it: offline from Parquet by duckdb, online from SQLite."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from feature_home import CREATED, DIM, SAVES, prepared, space_manifest

from components.spaces.feature_store import bring_online, open_store
from components.spaces.offline_rows import append_rows, read_appended, shards
from components.spaces.published_spaces import published_space
from components.spaces.semantic_ids import append_semantic_ids
from components.spaces.skew import skew
from model.data.catalogue import TIME
from model.embedding.affine import Affine
from model.features.semantic_ids import read_semantic_ids
from model.features.tastes import SCHEMA as TASTES
from serving.feast_import import import_feast
from serving.rows import write_rows

USERS = ["b0", "b1", "b2", "nobody"]
PINS = ["p0", "p3", "p5", "p200", "unknown"]
ENTITIES = [{"pin_id": pin, "user_id": user} for pin in PINS for user in USERS]
AFFINE = Affine(scale=0.0078125, zero_point=3, bits=8, dim=DIM)


@pytest.fixture(scope="module")
def home(features_home, tmp_path_factory):
    home = features_home.beside(tmp_path_factory.mktemp("features"))
    home.space, home.vectors = home.new_space(seed=1)
    return home


def online(home, entities, now=CREATED):
    store = open_store(home.settings)
    rows = [{**entity, "asked_at": now} for entity in entities]
    return pd.DataFrame(store.get_online_features(store.get_feature_service("pin_ranking"), rows).to_dict())


def offline(home, entities, times):
    """The training set with a row for each entity at each time, in this order."""
    store = open_store(home.settings)
    rows = pd.DataFrame([{**entity, "event_timestamp": t, "asked_at": t} for entity in entities for t in times])
    rows["row"] = range(len(rows))
    found = store.get_historical_features(rows, store.get_feature_service("pin_ranking")).to_df()
    return found.sort_values("row").reset_index(drop=True)


def decoded(stored):
    return AFFINE.vectors(np.frombuffer(stored, np.int8).reshape(-1, DIM))


def test_statistics_and_tastes_are_those_of_the_catalogue(home):
    rows = online(home, ENTITIES).set_index(["pin_id", "user_id"])
    assert rows.loc["p3", "b0"][["saves", "boards"]].tolist() == [2, 2]
    assert rows.loc["p200", "b0"][["saves", "boards"]].tolist() == [0, 0]
    assert rows.loc["p3", "b0"]["age_days"] == pytest.approx(10 + 3 / 24)
    assert np.isnan(rows.loc["p0", "b0"]["age_days"])  # nobody said when it was made
    assert pd.isna(rows.loc["unknown", "b0"]["saves"])
    saved = {home.vectors[f"p{i}"] for i in range(8)}
    medoids = rows.loc["p3", "b0"]["medoids"]
    assert {medoids[i : i + DIM] for i in range(0, len(medoids), DIM)} <= saved
    assert sum(rows.loc["p3", "b0"]["weights"]) == pytest.approx(1)
    assert rows.loc["p3", "b2"]["medoids"] == home.vectors["p5"]
    assert rows.loc["p3", "nobody"]["medoids"] is None


def test_semantic_ids_are_those_of_the_codebook_and_of_the_vectors(home):
    ids = read_semantic_ids(published_space(home.space, home.settings).manifest.semantic_ids_file)
    assert ids.centroids_LKE.shape == (3, 11, DIM)  # twenty Pins a centroid
    store, service = open_store(home.settings), f"pin_semantic_ids_{home.space}"
    asked = [{"pin_id": pin_id} for pin_id in PINS]
    codes = store.get_online_features(store.get_feature_service(service), asked).to_dict()["codes"]
    assert codes[:-1] == [ids.encode(decoded(home.vectors[pin_id]))[0].tolist() for pin_id in PINS[:-1]]
    assert codes[-1] is None
    found = skew(store, service, asked, datetime.now(UTC))
    assert found == {f"pin_semantic_id_{home.space}__codes": 0}


def test_a_pin_that_is_pushed_has_its_semantic_id_with_the_next_sync(features_home, tmp_path):
    home = features_home.beside(tmp_path)
    name, vectors = home.new_space(seed=4)
    space = published_space(name, home.settings)
    write_rows(
        space.manifest.folder / "pushed-1.parquet", ["new"], [vectors["p7"]], datetime.now(UTC), datetime.now(UTC)
    )
    assert append_semantic_ids(space) == 1
    (written,) = read_appended(shards(space.rows(space.semantic_id))[-1]).to_pylist()
    first = read_appended(shards(space.rows(space.semantic_id))[0])
    known = first.filter(pc.equal(first["pin_id"], "p7"))["codes"][0].as_py()
    assert (written["pin_id"], written["codes"]) == ("new", known)
    assert append_semantic_ids(space) == 0


def test_a_space_of_few_pins_has_no_semantic_ids(features_home, tmp_path):
    home = features_home.beside(tmp_path)
    name, vectors = home.new_space(seed=5, pins=30)
    space = published_space(name, home.settings)
    assert space.semantic_id is None
    assert not space.manifest.semantic_ids_file.exists()
    assert online(home, [{"pin_id": "p1", "user_id": "b0"}]).loc[0, "vector"] == vectors["p1"]


def test_similarity_is_the_cosine_of_the_vectors(home):
    rows = online(home, ENTITIES)
    for row in rows.itertuples():
        if row.vector is None or row.medoids is None:
            assert np.isnan(row.nearest_taste)
            assert np.isnan(row.mean_taste)
        else:
            cosines = decoded(row.medoids) @ decoded(row.vector)[0]
            assert row.nearest_taste == pytest.approx(cosines.max(), abs=1e-5)
            assert row.mean_taste == pytest.approx(cosines @ np.array(row.weights), abs=1e-5)
    assert rows["nearest_taste"].notna().sum() == 4 * 3


def test_similarity_reads_two_codes_a_byte():
    """The text that Feast stores and runs, with the constants of such a space before it."""
    import_feast()
    from feast.transformation.udf_rehydrate import rehydrate_udf_from_source

    from feature_repo.ranking_services import SpaceObjects

    affine = Affine(scale=0.1, zero_point=1, bits=4, dim=5)
    space = SpaceObjects(space_manifest(Path("nowhere"), affine))
    codes = np.random.default_rng(0).integers(-8, 8, (3, 5)).astype(np.int8)
    stored = [row.tobytes() for row in affine.pack(codes)]
    text = space.similarity.feature_transformation.udf_string
    run = rehydrate_udf_from_source(text, preferred_name="user_pin_similarity")
    medoids, weights = [stored[1] + stored[2], b"", stored[1]], [[0.75, 0.25], [], [1.0]]
    rows = pd.DataFrame({"vector": [stored[0], b"short", stored[0]], "medoids": medoids, "weights": weights})
    answer = run(rows)
    cosines = affine.vectors(codes[1:]) @ affine.vectors(codes[:1])[0]
    assert answer["nearest_taste"][0] == pytest.approx(cosines.max())
    assert answer["mean_taste"][0] == pytest.approx(cosines @ [0.75, 0.25])
    assert np.isnan(answer["nearest_taste"][1])
    assert answer["nearest_taste"][2] == answer["mean_taste"][2] == pytest.approx(cosines[0])
    parts = rehydrate_udf_from_source(text.replace("8_192", "1"), preferred_name="user_pin_similarity")
    pd.testing.assert_frame_equal(parts(rows), answer)


def test_feast_serve_answers_every_service_in_json(home):
    """Times are text or seconds."""
    from fastapi.testclient import TestClient

    nearest = online(home, [{"pin_id": "p3", "user_id": "b0"}])["nearest_taste"][0]
    store = open_store(home.settings)
    from feast.feature_server import get_app

    with TestClient(get_app(store)) as served:
        for service in store.list_feature_services():
            for asked in ("2026-11-11T12:00:00Z", "2026-11-11T13:00:00.000+01:00", 1794398400):
                entities = {"pin_id": ["p3", "unknown"], "user_id": ["b0", "b0"], "asked_at": [asked, asked]}
                body = {"feature_service": service.name, "entities": entities}
                told = served.post("/get-online-features", json=body)
                assert told.status_code == 200, told.text
                names = told.json()["metadata"]["feature_names"]
                values = dict(zip(names, (one["values"] for one in told.json()["results"]), strict=True))
                if service.name == f"pin_semantic_ids_{home.space}":
                    assert (len(values["codes"][0]), values["codes"][1]) == (3, None)
                    continue
                assert values["age_days"] == [pytest.approx(20 + 3 / 24), None]
                assert values["saves"] == [2, None]
                assert values["nearest_taste"][0] == nearest


def test_a_training_set_never_sees_the_future(home):
    """Values of a year ahead are planted in every log: far from the true ones, and they would be newest."""
    ahead = CREATED + timedelta(days=365)
    space = published_space(home.space, home.settings)
    planted = {space.embedding: {"pin_id": "p3", "vector": bytes(DIM)}}
    planted[space.stats] = {"pin_id": "p3", "saves": 10**6, "boards": 10**6, "created_at": ahead}
    planted[space.taste] = {"user_id": "b0", "medoids": bytes(DIM), "weights": [1.0]}
    for view, row in planted.items():
        schema = read_appended(shards(space.rows(view))[0]).schema
        rows = pa.Table.from_pylist([{**row, "event_timestamp": ahead, "created": ahead}], schema=schema)
        pq.write_table(rows, space.rows(view) / "planted.parquet")
    try:
        made = CREATED - timedelta(days=10, hours=3)
        times = [made, CREATED - timedelta(days=6, seconds=1), CREATED - timedelta(days=2), CREATED, ahead]
        rows = offline(home, [{"pin_id": "p3", "user_id": "b0"}], times)
    finally:
        for view in planted:
            (space.rows(view) / "planted.parquet").unlink()
    assert rows["saves"].tolist() == [0, 0, 2, 2, 10**6]  # b0 saved it six days before, b1 two
    assert rows["age_days"][:4].tolist() == pytest.approx([0, 4.125 - 1 / 86400, 8.125, 10.125])
    assert [pd.isna(v) or v is None for v in rows["vector"]] == [True, True, True, False, False]  # no version yet
    assert bytes(rows["vector"][3]) == home.vectors["p3"]
    assert bytes(rows["medoids"][3]) != bytes(DIM) == bytes(rows["medoids"][4])
    assert rows["nearest_taste"].isna().tolist() == [True, True, True, False, False]


def test_offline_and_online_agree_bit_for_bit_on_every_feature(home):
    found = skew(open_store(home.settings), "pin_ranking", ENTITIES, datetime.now(UTC))
    views = {name.split("__")[0] for name in found}
    assert views == {
        *(f"pin_embedding_{home.space}", "pin_stats", f"user_taste_{home.space}"),
        *(f"user_pin_similarity_{home.space}", "pin_age"),
    }
    assert found == dict.fromkeys(found, 0)


def test_a_skew_is_seen(home):
    store = open_store(home.settings)
    values = {"pin_id": ["p5"], "saves": [99], "boards": [2], "created_at": [CREATED - timedelta(days=10, hours=5)]}
    now = datetime.now(UTC)
    store.push("pin_stats_push", pd.DataFrame(values | {"event_timestamp": [now], "created": [now]}))
    try:
        found = skew(store, "pin_ranking", [{"pin_id": "p5", "user_id": "b0"}], now)
        assert {name for name, rows in found.items() if rows} == {"pin_stats__saves"}
    finally:
        space = published_space(home.space, home.settings)
        written = read_appended(shards(space.rows(space.stats))[0])
        row = written.filter(pc.equal(written["pin_id"], "p5")).to_pandas().tail(1)
        store.write_to_online_store("pin_stats", row)


def test_the_next_publication_writes_only_what_changed(features_home, tmp_path):
    home = features_home.beside(tmp_path)
    home.new_space(seed=5)
    before = online_times(home)
    home.prepared = prepared(tmp_path / "later", [*SAVES, ("b2", "p9", CREATED - timedelta(hours=1))])
    home.new_space(seed=6)
    after = online_times(home)
    assert sorted(key for key in before if after[key] != before[key]) == ["p9"]
    rows = online(home, [{"pin_id": "p9", "user_id": "b2"}, {"pin_id": "p5", "user_id": "b2"}])
    assert rows["saves"].tolist() == [1, 2]


def online_times(home):
    """event_ts of pin_stats in SQLite by Pin."""
    import sqlite3

    from feast.infra.key_encoding_utils import deserialize_entity_key

    with sqlite3.connect(home.settings.home / "feast" / "online.db") as connection:
        rows = connection.execute("SELECT entity_key, event_ts FROM pinclip_pin_stats WHERE feature_name = 'saves'")
        return {deserialize_entity_key(key).entity_values[0].string_val: time for key, time in rows}


def test_tastes_follow_the_catalogue_within_a_space(home):
    """A log of tastes with one user changed: one row is appended, one is brought online."""
    space = published_space(home.space, home.settings)
    store, folder, now = open_store(home.settings), space.rows(space.taste), datetime.now(UTC)
    former = read_appended(shards(folder)[0]).to_pylist()
    rows = [
        {**row, "weights": [1.0], "medoids": home.vectors["p1"]} if row["user_id"] == "b1" else row for row in former
    ]
    table = pa.Table.from_pylist(rows, schema=pa.schema([*TASTES, ("event_timestamp", TIME)]))
    assert append_rows(folder, table, "user_id", now) == 1
    assert bring_online(store, space.taste.name, folder, now) == 1
    assert bring_online(store, space.taste.name, folder, now) == 0
    assert online(home, [{"pin_id": "p1", "user_id": "b1"}])["nearest_taste"].tolist() == pytest.approx([1])
