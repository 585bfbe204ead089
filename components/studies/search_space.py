"""The space that a search draws settings from, written in YAML as specs/tune.yaml explains."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from model.config import Config
from model.config.overrides import override
from model.errors import ConfigError

_HELP = "write {from: a, to: b}, with log: true for a logarithmic range, or {choices: [a, b]}"


@dataclass(frozen=True)
class Range:
    low: float
    high: float
    log: bool

    def ends(self) -> list[Any]:
        return [self.low, self.high]

    def draw(self, rng: np.random.Generator) -> Any:
        """A number of the range, every one equally likely; with `log` every order of magnitude."""
        if self.log:
            return float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Choices:
    values: list[Any]

    def ends(self) -> list[Any]:
        return self.values

    def draw(self, rng: np.random.Generator) -> Any:
        return self.values[rng.integers(len(self.values))]


SearchSpace = dict[str, Range | Choices]  # by setting, e.g. train.learning_rate


def read_space(path: Path, config: Config) -> SearchSpace:
    """The space of the file, every end of it a setting that works beside the rest of `config`.

    Raises:
        ConfigError: no such file, no YAML, a setting that does not exist, or a value that does not fit.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        first = (getattr(error, "strerror", None) or str(error)).splitlines()[0]
        raise ConfigError(f"Cannot read the space {path} ({first}); check --space.") from None
    if not isinstance(tree, dict) or not tree:
        raise ConfigError(f"{path} holds no settings; {_HELP}, e.g. train.batch_size: {{choices: [64, 128]}}.")
    space = {str(key): _drawn_from(str(key), value) for key, value in tree.items()}
    for key, drawn in space.items():
        if key.startswith("split.") or key == "seed":
            raise ConfigError(f"{path} searches {key}, which decides who is judged; leave it out.")
        for value in drawn.ends():
            with_settings(config, {key: value})
    return space


def with_settings(config: Config, values: dict[str, Any]) -> Config:
    """The configuration with settings by their dotted names.

    Numbers are rounded to three digits, as they are shown, and to whole ones where the setting is one.
    """
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        section = tree
        for part in sections:
            section = section.setdefault(part, {})
        value = float(f"{value:.3g}") if isinstance(value, float) else value
        section[name] = round(value) if isinstance(value, float) and type(setting_value(config, key)) is int else value
    changed: Config = override(config, tree)
    return changed


def setting_value(config: Config, key: str) -> Any:
    """The value of a setting by its dotted name; None where there is no such setting."""
    node: Any = config
    for part in key.split("."):
        node = getattr(node, part, None)
    return node


def as_text(value: Any) -> str:
    """A value as `--set` takes it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _drawn_from(key: str, value: Any) -> Range | Choices:
    choices = value.get("choices") if isinstance(value, dict) and set(value) == {"choices"} else None
    if choices and isinstance(choices, list):
        return Choices(choices)
    if not isinstance(value, dict) or not {"from", "to"} <= set(value) <= {"from", "to", "log"}:
        raise ConfigError(f"The space of {key} is {value!r}; {_HELP}.")
    low, high, log = value["from"], value["to"], bool(value.get("log", False))
    numbers = all(isinstance(end, (int, float)) for end in (low, high))
    if not numbers or not low < high or (log and low <= 0):
        raise ConfigError(f"The space of {key} goes from {low} to {high}; give rising numbers, above 0 where log.")
    return Range(float(low), float(high), log)
