"""Settings of what follows the training: quantization and evaluation."""

from typing import Literal

from pydantic import Field

from model.config.overrides import section


@section
class QuantizationConfig:
    """Global affine: one scale and one zero point for the whole table."""

    bits: Literal[8, 4] = 8
    calibration_pins: int = Field(default=20_000, ge=2, le=1_000_000_000)
    # Pins of a scope on which the codes are compared (model/evaluation/quantization_study.py).
    study_pins: int = Field(default=10_000, ge=2, le=1_000_000_000)


@section
class EvaluationConfig:
    # Queries drawn for each task; the candidates are always all Pins of the split.
    max_queries: int = Field(default=2_000, ge=1, le=1_000_000_000)
    # A slice with fewer queries than this is merged with others like it.
    min_slice_queries: int = Field(default=30, ge=1, le=1_000_000_000)
