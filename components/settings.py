"""Where the platform keeps its state: the MLflow database, its artifacts and the Feast stores, one folder.

PINCLIP_HOME=/data/pinclip pinclip run --catalogue catalogue
"""

from pathlib import Path

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment, prefix PINCLIP_; an empty variable counts as absent."""

    model_config = SettingsConfigDict(env_prefix="PINCLIP_", env_ignore_empty=True, frozen=True)

    home: Path = Path(".pinclip")  # made absolute, so that a step in another folder finds the same place
    mlflow_uri: str = ""  # left out: sqlite in `home`
    experiment: str = "pinclip"
    model_name: str = "pinclip"  # the registered model: models:/<model_name>@challenger
    redis: str = ""  # the online store, "host:6379" and Feast's options after it; left out: SQLite in `home`

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, object]) -> dict[str, object]:
        home = Path(str(values.get("home") or cls.model_fields["home"].default)).expanduser().absolute()
        return {**values, "home": home, "mlflow_uri": values.get("mlflow_uri") or f"sqlite:///{home / 'mlflow.db'}"}
