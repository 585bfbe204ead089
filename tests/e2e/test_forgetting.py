"""A Pin that a whole run has seen is forgotten: it was in a dozen places, and is in no file any more."""

import json
import shutil
import time

import numpy as np
import pytest
from searched_files import holding

from components.forgetting import forget as module
from components.forgetting.forget import Where, forget
from components.forgetting.pins import described
from model.data.catalogue import Catalogue
from serving.features import Features
from serving.service.journal import Journal
from serving.space import SpaceManifest

pytestmark = pytest.mark.timeout(900)
# Not ours to erase, and listed by the proof: DVC's cache, git's objects.
OTHERS = (".dvc/cache", ".git")
HELD = {  # of where the Pin is before; the names of runs and shards are random
    ".pinclip/feast/offline/pin_embedding_v1/",
    ".pinclip/feast/offline/pin_semantic_id_v1/",
    ".pinclip/feast/offline/pin_stats/",
    ".pinclip/feast/online.db",
    ".pinclip/mlartifacts/",
    ".pinclip/serving/v1/index/",
    ".pinclip/serving/v1/journal/",
    "catalogues/generated/boards/",
    "catalogues/generated/pins/",
    "catalogues/generated/queries/",
    "runs/.work/killed/",
    "runs/dvc/examples.json",
    "runs/dvc/neighbours/",
    "runs/dvc/quantized/",
    "runs/dvc/report.html",
    "runs/dvc/vectors/",
}


@pytest.fixture(scope="module")
def promoted(project, tmp_path_factory):
    """The project with a champion, a service that was killed, a run that was killed; afterwards as it was before."""
    kept = tmp_path_factory.mktemp("kept") / "project"
    shutil.copytree(project.root, kept, symlinks=True)
    project.run("pinclip", "promote", "1")
    yield project
    shutil.rmtree(project.root)
    kept.rename(project.root)


@pytest.fixture(scope="module")
def pin_id(promoted) -> str:
    """A Pin that the report shows, that a board holds and that a query led to."""
    root = promoted.root
    source = Catalogue(root / "catalogues/generated")
    saved = set(source.read("boards", ["pin_id"])["pin_id"].to_pylist())
    clicked = set(source.read("queries", ["pin_id"])["pin_id"].to_pylist())
    shown = promoted.json("runs/dvc/examples.json")["search"]
    ids = [result["pin_id"] for entry in shown[:6] for result in entry["results"][:10]]
    return next(one for one in ids if one in saved and one in clicked)


@pytest.fixture(scope="module")
def marks(promoted, pin_id) -> tuple[list[str], list[bytes]]:
    """(id and words, image and thumbnail)"""
    pins = described([pin_id], [promoted.root / "catalogues/generated"])
    return [pin_id, *sorted(pins.texts)], [*pins.images, *(uri.encode() for uri in pins.pictures)]


@pytest.fixture(scope="module")
def busy(promoted, pin_id):
    """A journal that a killed service left, and the work folder of a killed run."""
    home = promoted.settings.home
    space = SpaceManifest.read(home / "feast", "v1")
    row = next(rows for rows in space.rows()).take(np.array([0]))
    journal = Journal(home / "serving/v1/journal", space.folder, space.affine)
    now = np.array([time.time_ns() // 1000])
    journal.append([pin_id], space.affine.pack(row.codes_NE), now)
    journal.append(["stays"], space.affine.pack(row.codes_NE), now)
    journal.opened.close()
    shutil.copytree(promoted.root / "catalogues/generated", promoted.root / "runs/.work/killed/catalogue")


def where(project) -> Where:
    return Where.of(project.root, [], [], project.settings)


def vectors(project, ids):
    """What is served of the Pins: vectors, and which are missing."""
    return Features.of(project.settings.home / "feast/feature_store.yaml").pin_vectors(ids, "v1")


def test_killed_after_every_place_it_finishes_and_the_pin_is_in_no_file(promoted, pin_id, marks, busy, monkeypatch):
    root, settings = promoted.root, promoted.settings
    before = holding(root, *marks, without=OTHERS)
    assert {start for start in HELD if not any(path.startswith(start) for path in before)} == set()
    ids = Catalogue(root / "catalogues/generated").read("pins", ["pin_id"])["pin_id"].to_pylist()
    others = [one for one in ids if one != pin_id]
    served = vectors(promoted, others)
    old = root.parent / "old-catalogue"
    shutil.copytree(root / "catalogues/generated", old)

    clear, done = module.clear, set()

    def killed(place, *arguments):
        """Right after the first place that an earlier call has not finished."""
        result = clear(place, *arguments)
        if place.name not in done:
            done.add(place.name)
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(module, "clear", killed)
    while True:  # a call more than there are places
        try:
            proof = forget([pin_id], where(promoted), settings)
            break
        except KeyboardInterrupt:
            continue
    assert proof.complete
    assert holding(root, *marks, without=OTHERS) == []

    told = json.loads(proof.file.read_text())
    assert done >= {spot["kind"] for spot in told["places"]}
    assert told["complete"] and told["pins"] == proof.pins
    erased = {spot["kind"] for spot in told["places"] if spot["erased"] and spot["found"]}
    assert erased >= {"tastes", "online store", "offline shards", "index and journals", "monitoring", "MLflow"}
    assert erased >= {"runs, looks and studies", "working copies", "catalogues"}
    assert any("models:/pinclip/1" in one["what"] for one in told["remains"])
    assert any("dvc gc" in one["how"] for one in told["remains"])

    assert vectors(promoted, [pin_id])[1].all()
    assert all(np.array_equal(*pair) for pair in zip(vectors(promoted, others), served, strict=True))
    assert "stays" in SpaceManifest.read(settings.home / "feast", "v1").ids().to_pylist()

    # An old catalogue comes back from a backup: sync adds nothing, and the tastes are those that it reckons itself.
    shutil.rmtree(root / "catalogues/generated")
    old.rename(root / "catalogues/generated")
    said = promoted.run("pinclip", "sync")
    assert "1 Pins without consent are forgotten" in said  # it was in the catalogue again
    assert "0 Pins had no vector" in said and "0 rows of statistics and tastes are new" in said
    assert holding(root, *marks, without=OTHERS) == []

    again = promoted.run("pinclip", "forget", pin_id)
    assert "found" in again and " 0 " in again
    assert "They were forgotten before, and nothing of them has come back." in again
    *_, last = sorted((settings.home / "forgotten").glob("*.json"))
    assert json.loads(last.read_text())["complete"]
    assert not any(spot["found"] for spot in json.loads(last.read_text())["places"])
