"""What the tests of monitoring look at: a space of a tiny model, published from a generated catalogue."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from feature_home import Home
from served_pins import tiny_model

from components.configuration import load
from components.gate import Verdict
from components.mlflow_client import connect
from components.registry.versions import Registration, log_model
from model.data.catalogue import TEXT_SIGNALS, Catalogue, CatalogueWriter, joined_texts
from model.data.preparation import prepare
from model.embedding.affine import Affine
from model.embedding.embedder import Embedder
from model.files import write_json
from model.sources.synthetic.generate import SyntheticConfig, generate

PINS = 400
CONFIG = load("smoke", ["monitoring.pins=400", "monitoring.canaries=150", "monitoring.pairs=100"])


class World:
    """`settings` name the home; `rows` are the Pins that `space` was made of, `catalogue` their folder."""

    def __init__(self, root: Path, home: Home) -> None:
        self.root, self.settings = root, home.settings
        self.catalogue = root / "catalogue"
        generate(SyntheticConfig(pins=PINS, boards=40), self.catalogue)
        source = Catalogue(self.catalogue)
        self.rows = source.read("pins", source.columns("pins"))
        prepare(source, root / "prepared", CONFIG.prepare)
        home.prepared = root / "prepared"
        model = tiny_model(root / "model")
        registration = self._registered(home, model)
        self.space = registration.space
        home.publish(self._quantized(model), registration)

    def with_pins(self, name: str, rows: pa.Table) -> Path:
        """A catalogue of these Pins."""
        with CatalogueWriter(self.root / name) as writer:
            writer.write("pins", rows)
        return self.root / name

    def _quantized(self, model: Path) -> Path:
        pins = Catalogue(self.root / "prepared" / "catalogue").read("pins", ["pin_id", "image", *TEXT_SIGNALS])
        columns = [joined_texts(pins[name].to_pylist()) for name in TEXT_SIGNALS]
        texts = [dict(zip(TEXT_SIGNALS, values, strict=True)) for values in zip(*columns, strict=True)]
        vectors_NE = Embedder(model).pins(pins["image"].to_pylist(), texts)
        affine = Affine(scale=1 / 127, zero_point=0, bits=8, dim=vectors_NE.shape[1])
        stored = pa.array([row.tobytes() for row in affine.quantize(vectors_NE)], pa.binary())
        folder = self.root / "quantized"
        (folder / "pins").mkdir(parents=True)
        pq.write_table(pa.table({"pin_id": pins["pin_id"], "vector": stored}), folder / "pins" / "00000.parquet")
        write_json(folder / "quantization.json", asdict(affine))
        return folder

    def _registered(self, home: Home, model: Path) -> Registration:
        import mlflow

        connect(home.settings)
        experiment = mlflow.create_experiment(str(self.root), (self.root / "artifacts").as_uri())
        with mlflow.start_run(experiment_id=experiment):
            logged = log_model(model, load("smoke"), {"pinclip.weights_sha256": "w"})
        tags = {"pinclip.gate": "passed"}
        version = home.client.create_model_version("pinclip", f"models:/{logged}", model_id=logged, tags=tags)
        created = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
        number = int(version.version)
        return Registration(number, Verdict(True, ()), "run", f"models:/pinclip/{number}", created)
