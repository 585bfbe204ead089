"""What the tests of promotion share: versions with a real tiny model and a catalogue, and children that die on the way.

The functions that run in a child are here because a child imports them by name.
"""

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import feature_home
import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import served_pins
from feature_home import Home

from components.configuration import load
from components.forgetting.forget import Where, forget
from components.gate import Verdict
from components.registry.versions import CHAMPION, Registration, log_model
from components.settings import Settings
from components.spaces import promote
from components.spaces.config import PromotionConfig
from components.spaces.publish import publish
from components.spaces.published_spaces import serving_space
from model.data.catalogue import Catalogue, CatalogueWriter
from model.embedding.affine import Affine
from model.embedding.embedder import Embedder
from model.files import write_json
from serving.features import Features

CONFIG = PromotionConfig()
FORKED = multiprocessing.get_context("forkserver")  # children of a process that has imported all and started nothing
FORKED.set_forkserver_preload(
    [
        "promoted_pins",
        "feast.infra.online_stores.sqlite",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.store.tracking.sqlalchemy_store",
    ]
)


class ModelHome(Home):
    """A home whose versions have one tiny model and differ in how its vectors are quantized."""

    def __init__(self, root: Path, mlflow_uri: str = "", redis: str = "") -> None:
        super().__init__(root, redis, mlflow_uri)
        self.prepared = served_pins.catalogue(root / "drawn")
        self.catalogue = self.prepared / "catalogue"
        folder = served_pins.tiny_model(root / "model")
        self.embedder = Embedder(folder)
        experiment = mlflow.create_experiment("models", None if mlflow_uri else (root / "artifacts").as_uri())
        with mlflow.start_run(experiment_id=experiment):
            self.model_id = log_model(folder, load("smoke"), {"pinclip.weights_sha256": "w"})

    def version(self, passed: bool = True) -> Registration:
        """A registered version that nothing was published of."""
        tags = {"pinclip.gate": "passed" if passed else "failed", "pinclip.gate.reasons": "Recall is too low."}
        tags["pinclip.catalogue"] = str(self.catalogue)
        source = f"models:/{self.model_id}"
        made = self.client.create_model_version("pinclip", source, tags=tags, model_id=self.model_id)
        number, created = int(made.version), feature_home.CREATED.isoformat()
        return Registration(number, Verdict(passed, ()), "run", f"models:/pinclip/{number}", created)

    def published(self, scale: float) -> str:
        """Publishes a version whose bytes no other scale gives; returns its space."""
        registration = self.version()
        pins = Catalogue(self.catalogue).read("pins", ["pin_id", "image", "title"]).to_pydict()
        vectors_NE = self.embedder.pins(pins["image"], [{"title": title} for title in pins["title"]])
        affine, folder = Affine(scale, 0, 8, vectors_NE.shape[1]), self.root / f"quantized-{registration.version}"
        (folder / "pins").mkdir(parents=True)
        stored = pa.array([row.tobytes() for row in affine.quantize(vectors_NE)], pa.binary())
        pq.write_table(pa.table({"pin_id": pins["pin_id"], "vector": stored}), folder / "pins" / "00000.parquet")
        write_json(folder / "quantization.json", asdict(affine))
        lineage = feature_home.LINEAGE | {"catalogue": str(self.catalogue)}
        publish(folder, self.prepared, registration, lineage, self.settings)
        return registration.space

    def add_pins(self, ids: list[str], **columns: list) -> None:
        """More Pins in the catalogue, after it was published."""
        table = {"pin_id": ids, "image": [served_pins.drawn(i) for i in range(len(ids))], "title": ids} | columns
        old = Catalogue(self.catalogue)
        known = pa.Table.from_batches(old.batches("pins", old.columns("pins")))
        if "consent" in columns:
            known = known.append_column("consent", pa.array([True] * known.num_rows))
        with CatalogueWriter(self.catalogue, rows_per_shard=32) as writer:
            writer.write("boards", old.read("boards", ["board_id", "pin_id"]))
            writer.write("pins", known)
            writer.write("pins", pa.table(table))


def set_champion(home: Home, space: str) -> None:
    """What a person does in MLflow."""
    home.client.set_registered_model_alias("pinclip", CHAMPION, space[1:])


def champion(home: Home) -> str:
    return f"v{home.client.get_model_version_by_alias('pinclip', CHAMPION).version}"


class Reader:
    """A ranker: reads where `pin_ranking` stands, then some vectors of that space; and whatever `pin_ranking` gives."""

    def __init__(self, home: Home, spaces: list[str], ids: list[str]) -> None:
        self.features, self.ids = Features.of(home.configuration), ids
        self.rows = [{"pin_id": pin_id, "user_id": "b0", "asked_at": datetime.now(UTC)} for pin_id in ids]
        self.expected = {space: self._vectors(f"pin_ranking_{space}") for space in spaces}
        assert len({str(vectors) for vectors in self.expected.values()}) == len(spaces)
        assert all(None not in vectors for vectors in self.expected.values())

    def look(self) -> str:
        """The space that serves; every answer is whole and of one space."""
        from feast.errors import FeatureViewNotFoundException

        self.features.store.refresh_registry()
        space = self.features.serving_space()
        assert self._vectors(f"pin_ranking_{space}") == self.expected[space]
        try:
            assert self._vectors("pin_ranking") in self.expected.values()
        except FeatureViewNotFoundException:  # it moved between Feast's two looks at it; never a mixture
            assert self.features.serving_space() != space
        return space

    def _vectors(self, service: str) -> list[bytes | None]:
        store = self.features.store
        return store.get_online_features(store.get_feature_service(service), self.rows).to_dict()["vector"]


@contextmanager
def home_of_children(folder: Path) -> Iterator[ModelHome]:
    """A home for children of FORKED, whose server looks at no other folders than this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        yield ModelHome(folder)


def exit_code(function: Callable[..., None], *arguments: object) -> int | None:
    """Of a child that runs the function."""
    process = FORKED.Process(target=function, args=arguments)
    process.start()
    process.join(120)
    return process.exitcode


def sync_in_a_child(settings: dict[str, str], point: str) -> None:
    """A sync that dies at `point`: a message that it reports, or `module:function`, right after its first call.

    A child that lives to the end leaves with 0, one that dies with 9.
    """

    def report(fraction: float, message: str) -> None:
        if point and point in message:
            os._exit(9)

    _die_at(point)
    promote.sync(CONFIG, Settings(**settings), report)


def forget_in_a_child(settings: dict[str, str], folder: Path, pin_ids: list[str], users: list[str], point: str) -> None:
    """A call of `pinclip forget` in `folder` that dies right after the first call of `point`, as sync_in_a_child."""
    _die_at(point)
    found = Settings(**settings)
    forget(pin_ids, Where.of(folder, [], [], found), found, user_ids=users)


def _die_at(point: str) -> None:
    if ":" in point:
        module, name = point.split(":")
        _dies_after(importlib.import_module(module), name)


def _dies_after(module: object, name: str) -> None:
    *path, last = name.split(".")
    for part in path:
        module = getattr(module, part)
    function = getattr(module, last)

    def dying(*arguments, **named):
        function(*arguments, **named)
        os._exit(9)

    setattr(module, last, dying)


def settings_of(home: Home) -> dict[str, str]:
    return {"home": str(home.settings.home), "mlflow_uri": home.settings.mlflow_uri, "redis": home.settings.redis}


def serving(home: Home) -> str | None:
    return serving_space(home.settings)
