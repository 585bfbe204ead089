"""Thresholds of drift, which the sure part of each measure is compared with (model/drift/measures.py)."""

from typing import Annotated

from pydantic import Field

from model.config.overrides import section

# Beyond it nothing could be told.
Share = Annotated[float, Field(ge=0, lt=1)]
Hours = Annotated[float, Field(ge=0, le=1_000_000)]


@section
class DriftLimits:
    max_shift: Share = 0.1  # share of Pins that have moved across some value of a fact, or to another label
    max_centroid: float = Field(default=0.02, ge=0, lt=2)  # cosine distance of the mean vectors
    max_lost_neighbours: Share = 0.2  # share of a canary's ten nearest
    max_without_vector: Share = 0.05  # share of Pins
    max_skew: Share = 0.01  # share of the pairs, each feature
    max_age_hours: Hours = 0.0  # hours since the newest vector; 0: reported, not judged
