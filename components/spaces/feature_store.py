"""Feast, as this project uses it: open the store of a home, register objects, bring rows into the online store.

The online store is the Redis that PINCLIP_REDIS names ("host:6379,db=0,password=…"), else the one of
feature_repo/feature_store.yaml: SQLite, which lies in the home, or another of Feast's. Files hold the name of that
variable, and an address only where it came without a password from the settings' file.
"""

import contextlib
import io
import os
import sqlite3
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.settings import SECRET, Settings
from components.spaces.offline_rows import newest, read_appended, shards
from model.errors import StoreError
from model.files import file_lock, write_text
from serving.feast_import import import_feast
from serving.online import write_newer

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

REPO = Path(__file__).resolve().parents[2] / "feature_repo"
REDIS = "PINCLIP_REDIS"
BATCH = 10_000  # rows written at once


def open_store(settings: Settings) -> "FeatureStore":
    """The feature store of the settings' home; writes <home>/feast/feature_store.yaml for `feast` and for readers."""
    import yaml

    import_feast()
    from feast import FeatureStore, RepoConfig

    home = (settings.home / "feast").resolve()
    config = yaml.safe_load((REPO / "feature_store.yaml").read_text(encoding="utf-8"))
    config["registry"]["path"] = str(home / "registry.db")
    if settings.redis:
        # An address from the settings' file has no password; one from the environment may, and stays there.
        hidden = os.environ.get(REDIS) or SECRET.search(settings.redis)
        named = f"${{{REDIS}}}" if hidden else settings.redis
        config["online_store"] = {"type": "redis", "connection_string": named}
    elif config["online_store"]["type"] == "sqlite":
        config["online_store"]["path"] = str(home / "online.db")
    write_text(home / "feature_store.yaml", yaml.safe_dump(config, sort_keys=False))
    if settings.redis:
        config["online_store"]["connection_string"] = settings.redis
    config["registry"]["registry_store_type"] = "components.spaces.atomic_registry.AtomicRegistryStore"
    return FeatureStore(config=RepoConfig(repo_path=REPO, **config))


@contextlib.contextmanager
def writing(store: "FeatureStore") -> Iterator[None]:
    """Locks the registry for one writer, which starts from the file on disk: Feast writes the whole file from memory,
    so two writers at once would undo each other. Readers never wait.
    """
    with file_lock(Path(store.config.registry.path).with_name("registry.lock"), wait=True), quiet():
        store.refresh_registry()
        yield


def apply_objects(store: "FeatureStore", objects: list[Any]) -> None:
    with writing(store):
        store.apply(objects)


def delete(store: "FeatureStore", names: list[str]) -> None:
    """Removes services, views and sources by name, those that exist, with what the online store holds of them."""
    with writing(store):
        listed = [*store.list_feature_services(), *store.list_on_demand_feature_views(), *store.list_feature_views()]
        listed += store.list_data_sources()
        if left := [one for one in listed if one.name in names]:
            store.apply([], objects_to_delete=left, partial=False)


def bring_online(store: "FeatureStore", view_name: str, folder: Path, now: datetime) -> int:
    """Writes the newest values of what the log has got since the last time into the online store; returns how many.

    Feast serves nothing of a view while its own `materialize` runs; this leaves what is served alone. If a run breaks
    off, the next one writes the same rows again.
    """
    view, written = store.get_feature_view(view_name), 0
    key, since = view.entity_columns[0].name, view.most_recent_end_time
    if since is not None and _is_lost(store, view, key, folder):
        since = None
    step = store.config.materialization_config.online_write_batch_size or BATCH
    for shard in shards(folder):
        rows = newest(read_appended(shard, since), key)
        with quiet():
            for start in range(0, rows.num_rows, step):
                write_newer(store, view, rows.slice(start, step))
        written += rows.num_rows
    if written:
        with writing(store):
            store.registry.apply_materialization(view, store.project, since or now, now)
    return written


def _is_lost(store: "FeatureStore", view: "FeatureView", key: str, folder: Path) -> bool:
    """Whether the online store has forgotten the view: a file removed, a Redis without its memory."""
    feature, some = view.features[0].name, read_appended(shards(folder)[0]).slice(0, 1)
    answer = store.get_online_features([f"{view.name}:{feature}"], {key: some[key].to_pylist()}).to_dict()
    return bool(answer[feature] == [None])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides the banners and deprecation warnings that Feast prints on every call."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def feast_errors(settings: Settings) -> Iterator[None]:
    import_feast()
    from feast.errors import FeastError
    from google.protobuf.message import DecodeError
    from redis.exceptions import RedisError

    home = settings.home / "feast"
    try:
        yield
    except DecodeError:
        raise StoreError(
            f"The registry {home / 'registry.db'} is corrupt; remove it, then run `feast apply` in feature_repo and "
            "`pinclip sync`."
        ) from None
    except RedisError as error:
        raise StoreError(
            f"Redis does not answer ({error}); see that {REDIS} names one that runs, then run this step again."
        ) from error
    except (FeastError, sqlite3.Error) as error:
        raise StoreError(f"Feast refused ({error}); check that {home} is writable and used by no other run.") from error
