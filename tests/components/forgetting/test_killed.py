"""A call that is killed within any place finishes with the next one; Pin and user are in no file and in no store."""

import json
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from promoted_pins import CONFIG, exit_code, forget_in_a_child, home_of_children, set_champion, settings_of
from searched_files import holding
from served_pins import IDS
from tiny import TINY

from components.configuration import load
from components.forgetting.forget import Where, forget
from components.forgetting.online import Online
from components.forgetting.pins import described
from components.settings import EXTRACTED
from components.spaces.drift_reference import keep_reference
from components.spaces.promote import sync
from model.config import PrepareConfig
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.preparation import prepare
from model.extraction.records import text_keys, write_part
from model.graph import neighbourhood
from serving.features import Features
from serving.service.journal import Journal
from serving.space import SpaceManifest

pytestmark = pytest.mark.timeout(900)  # two dozen processes, one after the other
PIN = IDS[37]  # no other id begins with it, no other Pin has its picture
USER, TITLES = "ann-of-old", ("Ann's attic at Elm Row", "Wedding of B")  # of her boards b1 and b2

# Functions whose first call the child does not outlive, in the order in which a call comes by.
POINTS = [
    "components.forgetting.forget:bury",
    "components.forgetting.proof:write_json",
    "components.forgetting.tastes:erase",  # rows of users are gone online, and not yet there again
    "components.forgetting.tastes:write_newer",
    "components.forgetting.tastes:pq.write_table",  # a shard beside its place
    "components.forgetting.online:erase",
    "serving.space:write_json",  # the manifest knows of fewer Pins than the shards hold
    "components.forgetting.formats.parquet:pq.ParquetWriter.write_table",
    "components.forgetting.indexes:PinIndex.save",
    "serving.service.journal:write_rows",  # the shard is there, and its journal too
    "components.forgetting.monitoring:pq.write_table",
    "components.forgetting.artifacts:formats.look",
    "mlflow.tracking.client:MlflowClient.log_artifact",
    "model.extraction.records:remove_from",
    "components.forgetting.formats:documents.cleaned",
    "components.forgetting.formats.neighbours:pq.write_table",
    "components.forgetting.working:remove",
    "components.forgetting.formats.parquet:pq.ParquetWriter.write_table",  # of the catalogue, the last place
    "components.forgetting.forget:remains",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two spaces, and everything else that may hold a Pin."""
    with home_of_children(tmp_path_factory.mktemp("forgotten")) as home:
        name_users(home.catalogue)
        spaces = [home.published(1 / 100), home.published(1 / 127)]
        set_champion(home, spaces[-1])
        assert sync(CONFIG, home.settings).changed == 0  # what sync reckons itself is what was published
        fill(home, spaces[-1])
        yield home


def name_users(catalogue) -> None:
    """USER has two boards, whose titles nobody else asked for, and likes PIN; bob has one, and the rest no user."""
    old = Catalogue(catalogue)
    tables = {name: pa.Table.from_batches(old.batches(name, old.columns(name))) for name in ("pins", "queries")}
    boards = old.read("boards", ["board_id", "pin_id"])
    owner, title = (
        {"b1": USER, "b2": USER, "b3": "bob"},
        {"b1": TITLES[0], "b2": TITLES[1], "b3": "lamps", "b4": "lamps"},
    )
    for name, values in (("title", title), ("user_id", owner)):
        boards = boards.append_column(name, pa.array(map(values.get, boards["board_id"].to_pylist()), pa.string()))
    asked = [{"query": one, "pin_id": pin, "clicks": 1} for one, pin in ((TITLES[0], IDS[10]), (TITLES[1], IDS[20]))]
    likes = {
        "user_id": [USER, USER, "bob", "bob"],
        "pin_id": [PIN, IDS[3], PIN, IDS[50]],
        "weight": [1.0, 5.0, 1.0, 2.0],
    }
    with CatalogueWriter(catalogue, rows_per_shard=32) as writer:
        for name, rows in tables.items():
            writer.write(name, rows)
        writer.write("queries", pa.Table.from_pylist(asked))
        writer.write("boards", boards)
        writer.write("preferences", pa.table(likes))
        writer.write("users", pa.table({"user_id": [USER, "bob"], "consent": [True, True]}))


def fill(home, space: str) -> None:
    state, manifest = home.settings.home / "serving" / space, SpaceManifest.read(home.settings.home / "feast", space)
    row = next(rows for rows in manifest.rows()).take(np.array([0]))
    journal = Journal(state / "journal", manifest.folder, manifest.affine)  # of a service that has ended
    for pin_id in (PIN, "stays"):
        journal.append([pin_id], manifest.affine.pack(row.codes_NE), np.array([time.time_ns() // 1000]))
    journal.opened.close()

    killed, done = home.root / "runs/.work/killed/prepared", home.root / "runs/done"
    prepare(Catalogue(home.catalogue), killed, PrepareConfig(min_board_pins=1), image_size=16)
    keep_reference(killed, space, home.settings)
    neighbourhood.build(killed, done / "neighbours", load("smoke", TINY))
    pq.write_table(pa.table({"pin_id": IDS, "vector": [[0.0]] * len(IDS)}), done / "vectors.parquet")
    (done / "examples.json").write_text(json.dumps({"search": [{"results": [{"pin_id": i} for i in IDS[30:40]]}]}))
    texts = ["other", *sorted(described([PIN], [home.catalogue], [USER]).texts)]
    write_part(home.settings.home / EXTRACTED / "tower", "a", "t", text_keys(texts), torch.zeros(len(texts), 2))
    home.client.log_artifact(run_of(home), str(done / "examples.json"), "evaluation")
    home.client.set_tag(run_of(home), "pinclip.error", f"The vector of the Pin '{PIN}' is not finite.")


def run_of(home) -> str:
    experiment = home.client.get_experiment_by_name("models").experiment_id
    return home.client.search_runs([experiment])[0].info.run_id


def child(home, point: str) -> int:
    return exit_code(forget_in_a_child, settings_of(home), home.root, [PIN], [USER], point)


def tastes(home, users) -> dict[str, list]:
    """What a ranker reads of them, by the user."""
    store = Features.of(home.configuration).store
    rows = [{"pin_id": IDS[0], "user_id": user, "asked_at": 0} for user in users]
    read = store.get_online_features(store.get_feature_service("pin_ranking"), rows).to_dict()
    return {user: [read[name][i] for name in ("medoids", "weights")] for i, user in enumerate(users)}


def test_killed_within_any_place_the_next_call_finishes(home):
    pins = described([PIN], [home.catalogue], [USER])
    assert pins.titles == {*TITLES}
    words, contents = [PIN, USER, *pins.texts], [*pins.images]
    edges = len(pq.read_table(home.root / "runs/done/neighbours/edges.parquet"))
    liked = tastes(home, [USER, "bob", "b0", "b3"])
    assert [user for user, (medoids, _) in liked.items() if medoids is None] == ["b3"]  # it names bob
    others = [pin_id for pin_id in IDS if pin_id != PIN]
    features = Features.of(home.configuration)
    before = {space: features.pin_vectors(others, space)[0].tobytes() for space in ("v1", "v2")}
    own = ["quantized-1", "quantized-2"]  # what the tests publish from
    assert len(holding(home.root, words, contents, without=own)) > 12

    assert [(point, code) for point in POINTS if (code := child(home, point)) != 9] == []  # each was met
    proof = forget([PIN], Where.of(home.root, [], [], home.settings), home.settings, user_ids=[USER])
    assert proof.complete
    assert holding(home.root, words, contents, without=own) == []
    assert not any(Online(home.settings).find(pins).values())
    assert {spot.kind for spot in proof.spots.values() if spot.erased} == {spot.kind for spot in proof.spots.values()}
    assert all(spot.erased for spot in proof.spots.values() if spot.found)
    assert PIN not in home.client.get_run(run_of(home)).data.tags["pinclip.error"]
    assert {space: features.pin_vectors(others, space)[0].tobytes() for space in before} == before
    assert len(list((home.settings.home / "forgotten").glob("*.json"))) == 1
    now = tastes(home, [USER, "bob", "b0"])
    assert (now[USER], now["b0"]) == ([None, None], liked["b0"])
    assert now["bob"][0] and now["bob"] != liked["bob"]  # he liked the Pin
    assert len(pq.read_table(home.root / "runs/done/neighbours/edges.parquet")) == edges - 20 - 1
    assert [row["user_id"] for row in Catalogue(home.catalogue).read("preferences", ["user_id"]).to_pylist()] == ["bob"]
    assert IDS[10] in SpaceManifest.read(home.settings.home / "feast", "v2").ids().to_pylist()  # of her board
    assert "stays" in SpaceManifest.read(home.settings.home / "feast", "v2").ids().to_pylist()
    assert not list(home.root.rglob("*.partial"))

    home.client.delete_model_version("pinclip", "1")  # by its owner
    again = forget([PIN], Where.of(home.root, [], [], home.settings), home.settings, user_ids=[USER])
    assert (again.complete, again.found, again.catalogues) == (True, 0, [str(home.catalogue)])
    trained = [one.what for one in again.remains if "models:/" in one.what]
    assert len(trained) == 1 and "models:/pinclip/2" in trained[0]
