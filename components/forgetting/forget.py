"""Forget: Pins and users are erased from every place, in an order that survives a kill anywhere.

    tombstone -> what is searched for -> online, tastes, shards, indexes … run folders -> catalogues -> looked at again

The tombstone comes first: whoever reads from then on brings nothing back. The catalogues come last, and only when
nothing is left elsewhere: they say what a Pin's texts and pictures are, so that a call that is repeated searches for
the same, after a kill or when a run that was at work has ended.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.forgetting.artifacts import Artifacts
from components.forgetting.extracted import Extracted
from components.forgetting.folders import Folders
from components.forgetting.indexes import Indexes
from components.forgetting.monitoring import Reference
from components.forgetting.online import Online
from components.forgetting.pins import Pins, described
from components.forgetting.place import Place
from components.forgetting.proof import Proof, now
from components.forgetting.remains import remains
from components.forgetting.shards import Shards
from components.forgetting.tastes import Tastes
from components.forgetting.working import Working
from components.mlflow_client import connect, mlflow_errors
from components.settings import Settings
from components.spaces.materialize import LOCK, Progress
from components.tombstones import bury
from model.data.board_titles import users_in
from model.data.catalogue import Catalogue
from model.data.forgotten import user_key
from model.data.reading import read_table
from model.files import file_lock, is_scratch
from serving.space import published_manifests

PASSES = 3  # over everything: what was at work beside the first may have written the Pins once more


@dataclass(frozen=True)
class Where:
    """Folders that no setting names: they lie where somebody typed a command."""

    catalogues: tuple[Path, ...]
    outputs: tuple[Path, ...]  # of runs, looks and studies
    typed_in: Path

    @staticmethod
    def of(folder: Path, catalogues: Iterable[Path], outputs: Iterable[Path], settings: Settings) -> "Where":
        """The usual folders below `folder`, those named, and the catalogues of published spaces and versions."""
        usual = [path.parent for path in (folder / "catalogues").glob("*/pins") if not is_scratch(path.parent)]
        known = [Path(path) for path in _known_catalogues(settings)]
        sources = {path.absolute(): None for path in (*usual, *known, *catalogues) if any(path.glob("pins/*.parquet"))}
        places = (folder / "runs", folder / "monitoring", folder / "studies", *outputs)
        return Where(tuple(sources), tuple({path.absolute(): None for path in places if path.is_dir()}), folder)


def forget(
    pin_ids: Sequence[str],
    where: Where,
    settings: Settings,
    report: Progress = lambda fraction, message: None,
    user_ids: Sequence[str] = (),
) -> Proof:
    """Erases the Pins and users; returns the proof, which is kept too. Who is nowhere gets a tombstone all the same.

    Of a user all boards, preferences and tastes go; the Pins on those boards stay.

    What somebody works with just now stays, and the proof says so: it is not complete until a later call has ended.

    Raises:
        StoreError: MLflow or a store does not answer; the next call goes on.
    """
    ids, users = list(dict.fromkeys(pin_ids)), list(dict.fromkeys(user_ids))
    keys = [user_key(user) for user in users]
    tombstones = bury([*ids, *keys], settings)
    proof = Proof.open(
        [tombstones.digest(pin_id) for pin_id in ids], settings, [tombstones.digest(key) for key in keys]
    )
    pins = described(ids, where.catalogues, users)
    holding = _holding(pins, where.catalogues)
    registered = _registered(settings)
    proof.note_origin(holding, (number for number, catalogue in registered.items() if catalogue in holding))
    proof.write()
    places, catalogues = _places(proof, where, settings), Folders("catalogues", where.catalogues)
    with file_lock(settings.home / LOCK, wait=True):  # no publication, sync or retirement meanwhile
        for _ in range(PASSES):
            found = [clear(place, pins, proof, report) for place in places]
            if all(spot.kind == catalogues.name for spot in proof.left):  # an earlier call may have left those
                found.append(clear(catalogues, pins, proof, report))
            else:
                proof.note_found(catalogues.name, catalogues.find(pins))
            if not any(found):
                break
    proof.ended = now()
    trained = [number for number in proof.versions if number in registered]
    proof.remains = remains(settings, trained, [where.typed_in, *map(Path, proof.catalogues)], _artifacts(settings))
    proof.write()
    return proof


def clear(place: Place, pins: Pins, proof: Proof, report: Progress) -> int:
    """How much was found; all of it is erased, but for what the proof then says is left."""
    found = place.find(pins)
    proof.note_found(place.name, found)
    if count := sum(found.values()):
        report(0.0, f"{place.name}: {count} found")
        place.erase(pins)
    proof.note_left(place.name, place.find(pins) if count else found)
    return count


def _places(proof: Proof, where: Where, settings: Settings) -> list[Place]:
    """In their order: what is told apart by the vectors of a space comes before those."""
    return [
        Tastes(settings),
        Online(settings),
        Shards(settings),
        Indexes(settings),
        Reference(settings, where.catalogues, proof.pins),
        Artifacts(settings),
        Extracted(settings),
        Folders("runs, looks and studies", where.outputs),
        Working(settings, where.outputs, where.catalogues),
    ]


def _holding(pins: Pins, catalogues: Iterable[Path]) -> list[str]:
    def holds(source: Catalogue) -> bool:
        ids = read_table(source, "pins", ["pin_id"])["pin_id"].to_pylist()
        return not pins.id_set.isdisjoint(ids) or bool(pins.users and not pins.user_set.isdisjoint(users_in(source)))

    return [str(path) for path in catalogues if holds(Catalogue(path))]


def _known_catalogues(settings: Settings) -> list[str]:
    """Those that published spaces and registered versions were made from."""
    named = [space.lineage.get("catalogue") for space in published_manifests(settings.home / "feast")]
    return [path for path in dict.fromkeys([*named, *_registered(settings).values()]) if path]


def _registered(settings: Settings) -> dict[int, str | None]:
    """The catalogue of each version in MLflow."""
    client = connect(settings)
    with mlflow_errors():
        versions = client.search_model_versions(f"name = '{settings.model_name}'")
    return {int(one.version): one.tags.get("pinclip.catalogue") for one in versions}


def _artifacts(settings: Settings) -> str:
    client = connect(settings)
    with mlflow_errors():
        experiment = client.get_experiment_by_name(settings.experiment)
    return str(experiment.artifact_location) if experiment else ""
