"""config.json of a model folder, which other versions of this code read too.

It holds the sections that determine the weights (TRAINED) and, once the model is registered, those that evaluated it.
`network` lists the keys that build the network; this version reads a folder if it knows all of them. Any other key that
is missing, or whose value no longer fits, gets its default; an unknown key is ignored; the log names both.
"""

import json
import logging
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from model.config.overrides import override
from model.config.tree import TRAINED, Config
from model.errors import ConfigError, ModelError
from model.files import replaced

# The other keys of these sections say how the network learned. The default of a key that is added here later has to
# build what was built before.
NETWORK = {
    "vision": ("pretrained", "join", "image_size", "grid", "patch", "width", "depths", "heads"),
    "text": ("pretrained", "join", "vocabulary", "context", "width", "layers", "heads"),
    "fusion": ("dim", "prefixes", "layers", "heads", "token_level", "global_level", "skip"),
}


def write_config(folder: Path, config: Config) -> None:
    """Writes the config.json of a trained model."""
    _write(folder, config.only(TRAINED))


def complete_config(folder: Path, config: Config) -> None:
    """Adds the sections of `config` that the folder lacks, those of quantization and evaluation."""
    names = {field.name for field in fields(Config)}
    judged = {name: value for name, value in config.to_dict().items() if name in names}
    _write(folder, Config.of(**judged | read_config(folder).to_dict()))


def read_config(folder: Path) -> Config:
    """The sections of the file; a section of TRAINED that it lacks has its defaults.

    Raises:
        ModelError: config.json is missing, or does not say how this version builds the network.
    """
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        _check_network(found)
        return Config.of(**_known(found, path))
    except FileNotFoundError:
        raise ModelError(f"The model folder {folder} has no config.json; point at a whole model folder.") from None
    except (ValueError, TypeError, AttributeError, ConfigError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")
        raise ModelError(f"{path} does not say how to build the network ({said}); copy it again.") from None


def _write(folder: Path, config: Config) -> None:
    with replaced(folder / "config.json") as scratch:
        scratch.write_text(json.dumps(config.to_dict() | {"network": NETWORK}, indent=2), encoding="utf-8")


def _check_network(found: dict[str, Any]) -> None:
    """Raises ConfigError for a key of the network that this version does not know or find."""
    for name, keys in found.get("network", NETWORK).items():
        for key in keys:
            if key not in found.get(name, {}):
                raise ConfigError(f"{name}.{key} is missing")
            if key not in NETWORK.get(name, ()):
                raise ConfigError(f"{name}.{key} is of another version of this code, with which it has to be loaded")


def _known(found: dict[str, Any], path: Path) -> dict[str, Any]:
    """The settings that this version knows, by section; the log says which it does not, and which have defaults."""
    kinds, default = typing.get_type_hints(Config), Config()
    kept, told = dict[str, Any](), [f"{name} is unknown" for name in found if name not in (*kinds, "network")]
    for name in (name for name in kinds if name in found or name in TRAINED):
        if is_dataclass(kinds[name]):
            kept[name], said = _section(name, getattr(default, name), found.get(name, {}))
            told += said
        else:
            kept[name] = found.get(name, getattr(default, name))
    if told:
        logging.getLogger(__name__).warning("%s is of another version of this code: %s.", path, "; ".join(told))
    return kept


def _section(name: str, section: Any, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(its values, what was made of the `given` ones that do not fit)."""
    known = {key: value for key, value in given.items() if hasattr(section, key)}
    told = [f"{name}.{key} is unknown" for key in given if key not in known]
    told += [f"{name}.{field.name} has its default" for field in fields(section) if field.name not in known]
    try:
        return vars(override(section, known, f"{name}.")), told
    except ConfigError:
        if name in NETWORK:
            raise
    for key, value in known.items():
        try:
            section = override(section, {key: value}, f"{name}.")
        except ConfigError as error:
            told.append(f"{str(error).split(';')[0]}, so it has its default")
    return vars(section), told
