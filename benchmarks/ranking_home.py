"""A feature home as it stood before some saves were made: what a ranker needs to be judged on those saves.

    python benchmarks/ranking_home.py --run runs/latest --catalogue catalogues/emoji --out ranking

ranking/catalogue  the run's catalogue with times (below)
ranking/home       the run's vectors, published with the tastes and statistics of the saves made before

Published as it is, a catalogue without times gives tastes and statistics of all its saves: a label among them would be
known to the ranker. So its saves get times by what the run's training was told (model/graph/splits.py):

    saves that training was told       BEFORE the publication
    saves of fresh Pins, held-out saves  AFTER it: neither vectors, tastes nor statistics know them
    fresh Pins                         made YOUNG before it; the others OLD

The home has a registry of its own, and nothing of the run is changed.
"""

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.configuration import Configuration
from components.gate import Verdict
from components.mlflow_client import connect
from components.registry.versions import Registration
from components.settings import Settings
from components.spaces.publish import Publication, publish
from model.data.catalogue import TIME, Catalogue, CatalogueWriter
from model.data.preparation import prepare
from model.errors import RunError
from model.graph.neighbourhood import read_edges, read_fresh

BEFORE, AFTER = timedelta(days=30), timedelta(days=3)
YOUNG, OLD = timedelta(days=1), timedelta(days=365)


def with_times(prepared: Path, neighbours: Path, published: datetime, out: Path) -> None:
    """Writes the prepared catalogue anew to `out`, with created_at and saved_at as above."""
    source, edges, fresh = Catalogue(prepared / "catalogue"), read_edges(neighbours), read_fresh(neighbours)
    if (source.count("pins"), source.count("boards")) != (len(fresh), len(edges.pin)):
        raise RunError(f"{neighbours} is not of this catalogue; name the one that the run was made with.")
    made = pa.array(np.where(fresh, published - YOUNG, published - OLD), TIME)
    saved = pa.array(np.where(edges.held_out, published + AFTER, published - BEFORE), TIME)
    with CatalogueWriter(out) as writer:
        done = 0
        for batch in source.batches("pins", [name for name in source.columns("pins") if name != "created_at"]):
            pins = pa.Table.from_batches([batch])
            writer.write("pins", pins.append_column("created_at", made.slice(done, pins.num_rows)))
            done += pins.num_rows
        boards = source.read("boards", ["board_id", "pin_id", "title", "user_id"])
        writer.write("boards", boards.append_column("saved_at", saved))


def published_before(
    run: Path, prepared: Path, registration: Registration, out: Path, settings: Settings
) -> Publication:
    """Writes the catalogue with times and publishes the run's vectors with what it tells up to the registration."""
    with_times(prepared, run / "neighbours", datetime.fromisoformat(registration.created), out / "catalogue")
    return publish(run / "quantized", out, registration, {"catalogue": str(prepared)}, settings)


def own_version(settings: Settings) -> Registration:
    """A version of a registry of its own: publishing asks for one, and the run's alias stays where it is."""
    client = connect(settings)
    client.create_registered_model(settings.model_name)
    made = client.create_model_version(settings.model_name, "file:///nowhere", tags={"pinclip.gate": "passed"})
    created = datetime.fromtimestamp(made.creation_timestamp / 1000, tz=UTC).isoformat()
    verdict = Verdict(True, ("Passed in the run.",))
    return Registration(int(made.version), verdict, "", f"models:/{settings.model_name}/{made.version}", created)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/latest"))
    parser.add_argument("--catalogue", type=Path, required=True, help="the one that the run was made with")
    parser.add_argument("--out", type=Path, default=Path("ranking"), help="a new folder")
    args = parser.parse_args()
    if args.out.exists():
        raise RunError(f"{args.out} is there already; name a new folder.")
    config = Configuration.from_json((args.run / "config.json").read_text(encoding="utf-8"))
    prepare(Catalogue(args.catalogue), args.out / "prepared", config.prepare)
    home = (args.out / "home").absolute()
    settings = Settings(home=home, mlflow_uri=f"sqlite:///{home}/mlflow.db", redis="")
    home.mkdir()
    publication = published_before(args.run, args.out / "prepared", own_version(settings), args.out, settings)
    print(json.dumps(publication.__dict__))


if __name__ == "__main__":
    main()
