"""The section `monitoring` of the settings: how much is looked at, what drift is (model/drift), what follows."""

from typing import Annotated

from pydantic import Field

from model.config.overrides import section
from model.drift.config import DriftLimits, Hours

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]


@section
class MonitoringConfig(DriftLimits):
    pins: Count = 2_000  # of the catalogue; as many again of those that came after the space was published
    canaries: Count = 500  # published Pins whose neighbours are compared
    pairs: Count = 500  # of a Pin and a user, whose features are compared online and offline
    cooldown_hours: Hours = 24.0  # in which at most one notice and one training go out
    retrain: bool = True  # start a training where a cluster is named
