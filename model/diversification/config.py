"""Settings of diversification. Costs are in units of utility, which by default is in standard deviations."""

import math
from dataclasses import dataclass
from typing import Literal

from model.errors import ConfigError


@dataclass(frozen=True)
class DiversificationConfig:
    """What repetition costs, how far back it counts, and what likeness is made of.

    Raises:
        ConfigError: a value that does not fit.
    """

    beta: float = 1.0  # what an exact copy of the one Pin shown so far costs
    window: int = 10  # slots looked back at
    decay: float = 0.9  # a slot counts this much less with each one that follows it
    # What a direction has been shown: in the window, as much as its share there, or in all slots so far.
    exposure: Literal["window", "cumulative"] = "window"
    ridge: float = 1.0  # ε: small, all that was shown costs alike; large, what was shown often costs more
    # Share of each signal in likeness, in any unit. Equal ones repeat least for the same utility, and IDs on top of
    # them repeat more (benchmarks/rerank_weights.py).
    visual: float = 1.0
    text: float = 1.0
    graph: float = 1.0
    prefix_cost: float = 0.0  # of a Pin in the last slot with the same whole semantic ID; 0: IDs are not looked at
    utility: Literal["standardized", "raw"] = "standardized"  # f(r): in standard deviations of the candidates, or as is

    def __post_init__(self) -> None:
        _require("beta", self.beta, self.beta >= 0, "at least 0")
        _require("window", self.window, self.window >= 1, "at least 1")
        _require("decay", self.decay, 0 < self.decay <= 1, "in (0, 1]")
        _require("ridge", self.ridge, self.ridge >= 1e-3, "at least 0.001")
        _require("prefix_cost", self.prefix_cost, self.prefix_cost >= 0, "at least 0")
        _require("exposure", self.exposure, self.exposure in ("window", "cumulative"), "window or cumulative")
        _require("utility", self.utility, self.utility in ("standardized", "raw"), "standardized or raw")
        for name in ("visual", "text", "graph"):
            _require(name, getattr(self, name), getattr(self, name) >= 0, "at least 0")
        _require("visual", self.visual, self.visual + self.text + self.graph > 0, "above 0 where text and graph are 0")


def _require(name: str, value: float | str, fits: bool, wanted: str) -> None:
    if not fits or value == math.inf:
        raise ConfigError(f"DiversificationConfig.{name} is {value!r}; choose a value {wanted}.")
