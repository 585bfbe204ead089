"""The sections that make and judge a model, as one tree. What the platform adds is in components/configuration.py."""

import json
from collections.abc import Iterable
from dataclasses import asdict, field
from typing import Any, Self

from pydantic import Field

from model.config.data import GraphConfig, PrepareConfig, SplitConfig
from model.config.evaluation import EvaluationConfig, QuantizationConfig
from model.config.network import FusionConfig, TextConfig, VisionConfig
from model.config.overrides import override, refuse_unless, section, with_only
from model.config.training import ObjectiveConfig, TrainConfig
from model.errors import ConfigError

VALUES = ("profile", "seed")  # outside any section
# The sections that determine the weights: a training gets these, and every model folder holds them.
TRAINED = ("seed", "prepare", "split", "graph", "vision", "text", "fusion", "objective", "train")


@section
class Config:
    """A step gets some of the sections, `Config.of(...)`; reading one that it was not given raises AttributeError."""

    # Factories: a class attribute would be found in place of a value that was not given.
    profile: str = field(default_factory=lambda: "demo")
    seed: int = Field(default_factory=int, ge=0, le=2**32 - 1)
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    graph: GraphConfig = field(default_factory=GraphConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    text: TextConfig = field(default_factory=TextConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        refuse_unless(
            self.text.width % self.fusion.heads == 0,
            f"fusion works at text.width {self.text.width}, which does not divide by fusion.heads {self.fusion.heads}.",
        )

    @classmethod
    def of(cls, **given: Any) -> Self:
        """The part with the sections `given`, each a mapping of its keys.

        Raises:
            ConfigError: a key does not exist, or a value does not fit.
        """
        return with_only(override(cls(), given), given)

    def only(self, names: Iterable[str]) -> Self:
        """The part with the sections of these names that are here."""
        return self.of(**{name: value for name, value in self.to_dict().items() if name in set(names)})

    def to_dict(self) -> dict[str, Any]:
        """What is here: sections as mappings of their keys."""
        return {name: value if name in VALUES else asdict(value) for name, value in vars(self).items()}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A key that the text leaves out has its default.

        Raises:
            ConfigError: no JSON of settings, an unknown key, or a value that does not fit.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"The settings are no JSON ({error}); write an object of sections.") from None
        refuse_unless(isinstance(values, dict), "The settings are no JSON object; write an object of sections.")
        return override(cls(), values)
