"""All settings as one tree: what makes and judges a model (model/config), and what the platform does with it.

load("demo", ["train.epochs=2", "gate.min_fresh_search=0.3"])    ->  Configuration
pipeline_arguments(configuration, inputs)["train_config"]        ->  {"epochs": 2, …}
given(Config, locals())                                          ->  the part that a step was given
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, TypeVar

from components.gate import GateConfig
from components.monitoring.config import MonitoringConfig
from components.spaces.config import PromotionConfig
from model.config import PROFILES as MODEL_PROFILES
from model.config import Config
from model.config.overrides import section
from model.config.presets import laid_over, preset
from model.config.tree import VALUES

# Seconds of training prove the chain, not the model.
SMOKE_GATE = {"min_gain_over_clip": -1.0, "max_loss_to_clip": 1.0, "max_slice_gap": 1.0}
PROFILES = MODEL_PROFILES | {"smoke": MODEL_PROFILES["smoke"] | {"gate": SMOKE_GATE}}
OPERATIONS = ("promotion", "monitoring")  # read after a run, so no part of it

C = TypeVar("C", bound=Config)


@section
class Configuration(Config):
    gate: GateConfig = field(default_factory=GateConfig)
    promotion: PromotionConfig = field(default_factory=PromotionConfig)
    monitoring: MonitoringConfig = field(default_factory=MonitoringConfig)


def load(profile: str = "demo", overrides: Iterable[str] = ()) -> Configuration:
    """The profile's settings with `section.key=value` overrides applied in order.

    Raises:
        ConfigError: an unknown profile, an unknown key, or a value that does not fit.
    """
    return laid_over(preset(Configuration(), PROFILES, profile), overrides)


def pipeline_arguments(config: Configuration, inputs: Iterable[str]) -> dict[str, Any]:
    """The arguments for those of a pipeline's `inputs` that are settings: `train_config` is the section `train`,
    `config` all settings as JSON.

    Each section is a parameter of its own, so that a step's inputs, which are its key in the cluster's cache, hold only
    what it reads.
    """
    tree = json.loads(config.to_json())  # lists: KFP takes no tuples
    known = {_parameter(name): value for name, value in tree.items()}
    known["config"] = json.dumps(tree)  # on one line: KFP repeats a default in a comment, which a second would end
    return {name: value for name, value in known.items() if name in set(inputs)}


def given(kind: type[C], inputs: Mapping[str, Any]) -> C:
    """The settings among a step's inputs, as configuration: the inverse of pipeline_arguments(). A step names them
    once, in its signature.

    Raises:
        ConfigError: a key does not exist, or a value does not fit.
    """
    sections = {_parameter(name): name for name in kind.__dataclass_fields__}
    return kind.of(**{sections[name]: value for name, value in inputs.items() if name in sections})


def _parameter(name: str) -> str:
    return name if name in VALUES else f"{name}_config"
