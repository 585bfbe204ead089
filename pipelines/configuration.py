"""The settings of a command: a profile, a YAML tree laid over it, and `--set key=value` last."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from components.configuration import Configuration, load
from model.errors import ConfigError

DEFAULT_PROFILE = "demo"
# Keys of params.yaml that are no settings of a run: `profile` names one, `generate` is for `pinclip generate`.
BESIDE = ("profile", "generate")


def configuration(profile: str | None, params: Path | None, sets: list[str]) -> Configuration:
    """Raises ConfigError for a profile, key or value that does not exist or fit, and for an unreadable file."""
    return from_tree(_read(params) if params else {}, profile, sets)


def from_tree(tree: dict[str, Any], profile: str | None = None, sets: Sequence[str] = ()) -> Configuration:
    """Like configuration(), for settings that have already been read."""
    profile = profile or str(tree.get("profile", DEFAULT_PROFILE))
    settings = {key: value for key, value in tree.items() if key not in BESIDE}
    return load(profile, [*_flat(settings), *sets])


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the parameters {path} ({error.strerror}); check --params.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise ConfigError(f"{path} is no YAML{line}; write sections and keys, e.g. train: {{epochs: 2}}.") from None
    if not isinstance(tree or {}, dict):
        raise ConfigError(f"{path} holds no sections; write sections and keys, e.g. train: {{epochs: 2}}.")
    return tree or {}


def _flat(tree: dict[str, Any], path: str = "") -> Iterator[str]:
    """{"train": {"epochs": 2}} -> "train.epochs=2"."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}={','.join(map(str, value)) if isinstance(value, list) else value}"
