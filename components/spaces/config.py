"""The section `promotion` of the settings."""

from pydantic import Field

from model.config.overrides import section


@section
class PromotionConfig:
    """What an embedding space must show before `pinclip sync` lets it serve."""

    # Of the index: share of the exact 10 nearest Pins that it finds.
    min_index_recall: float = Field(default=0.95, ge=0, le=1)
    recall_queries: int = Field(default=500, ge=1, le=1_000_000)  # Pins of the sample
