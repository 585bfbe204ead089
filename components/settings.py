"""Where the platform keeps its state: a folder of this machine, or servers.

PINCLIP_HOME=/data/pinclip pinclip run --catalogue catalogue
PINCLIP_SETTINGS=deploy/servers.yaml pinclip run --catalogue catalogue

One YAML file switches a machine from its own folder to servers; the environment comes before the file. Secrets are in
no file: MLflow's user is MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, a Redis with a password is given whole
as PINCLIP_REDIS.
"""

import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from components.redis_address import check_redis_address
from model.errors import ConfigError

FILE = "PINCLIP_SETTINGS"
EXTRACTED = "extracted"  # the folder in `home` that keeps what frozen towers give, for every run and study
# user:password@host of an address, password= among Redis's options
SECRET = re.compile(r"://[^/@]*:[^/@]*@|password\s*=", re.IGNORECASE)


class Settings(BaseSettings):
    """Read from the environment, prefix PINCLIP_, then from the file; an empty variable counts as absent."""

    model_config = SettingsConfigDict(env_prefix="PINCLIP_", env_ignore_empty=True, frozen=True)

    home: Path = Path(".pinclip")  # made absolute, so that a step in another folder finds the same place
    mlflow_uri: str = ""  # left out: sqlite in `home`
    experiment: str = "pinclip"
    model_name: str = "pinclip"  # the registered model: models:/<model_name>@challenger
    prepared: Path | None = None  # a folder of all steps (components/prepared_catalogue.py); left out: each its own
    redis: str = ""  # the online store, "host:6379" and Feast's options after it; left out: SQLite in `home`

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = os.environ.get(FILE, "")
        from_file = _read(Path(path), set(cls.model_fields)) if path else {}
        return init_settings, env_settings, InitSettingsSource(settings_cls, from_file)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, object]) -> dict[str, object]:
        if redis := values.get("redis"):
            check_redis_address(str(redis))
        home = Path(str(values.get("home") or cls.model_fields["home"].default)).expanduser().absolute()
        return {**values, "home": home, "mlflow_uri": values.get("mlflow_uri") or f"sqlite:///{home / 'mlflow.db'}"}


def _read(path: Path, known: set[str]) -> dict[str, Any]:
    """The file's settings; every mistake in it is a ConfigError."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"Cannot read the settings {path} ({error.strerror}); check {FILE}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{path} is no YAML; write one setting a line, e.g. home: /data/pinclip.") from None
    if not isinstance(tree, dict) or not all(isinstance(value, str) for value in tree.values()):
        raise ConfigError(f"{path} is no list of settings; write one a line, e.g. home: /data/pinclip.")
    if unknown := sorted(set(tree) - known):
        raise ConfigError(f"{path}: there is no setting {unknown[0]}; choose of {', '.join(sorted(known))}.")
    if secret := [name for name, value in tree.items() if SECRET.search(value)]:
        raise ConfigError(
            f"{path}: {secret[0]} holds a password; take it out of the file and give it in the environment, "
            "as MLFLOW_TRACKING_PASSWORD or in PINCLIP_REDIS."
        )
    return tree
