"""Request and response bodies, as OpenAPI shows them; reading.py beside this checks the service's limits."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from model.data.images.formats import FORMATS

PinId = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PinIn(Message):
    """An image, texts, or both."""

    pin_id: PinId
    image: str | None = Field(None, description=f"{', '.join(FORMATS)}; base64, or data:image/png;base64,…")
    title: str | None = None
    description: str | None = None
    caption: str | None = None
    annotations: list[str | None] | str | None = None
    time: datetime | None = Field(
        None, description="When the Pin became what it is; an older push never overwrites. [now]"
    )


class PinsIn(Message):
    pins: Annotated[list[PinIn], Field(min_length=1)]


class PinOut(Message):
    pin_id: str
    stored: bool = Field(description="False: what is stored is newer, and stays.")
    vector: list[float] = Field(description="Of length 1, as the online store gives it.")


class PinsOut(Message):
    space: str
    pins: list[PinOut]


class SearchIn(Message):
    """Words, an image, or both."""

    text: str | None = None
    image: str | None = Field(None, description="Base64.")
    image_weight: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.5
    k: Annotated[int, Field(ge=1)] = 30


class Found(Message):
    pin_id: str
    score: float = Field(description="Cosine, -1 … 1.")
    title: str | None = Field(None, description="From the catalogue.")
    has_image: bool = Field(False, description="The catalogue has one: GET /v1/pins/{pin_id}/image.")


class Results(Message):
    space: str
    results: list[Found]


class Candidate(Message):
    pin_id: PinId
    utility: Finite


class RerankIn(Message):
    """Sliding Spectrum Decomposition over the Pins' vectors; model/diversification/config.py explains the settings."""

    candidates: Annotated[list[Candidate], Field(min_length=1)]
    slots: Annotated[int | None, Field(ge=1, description="[all candidates]")] = None
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    window: Annotated[int, Field(ge=1, le=100)] = 10


class RerankOut(Message):
    space: str
    results: list[Candidate]
    missing: list[str] = Field(description="Candidates without a vector: put in order by utility alone.")


class SpaceOut(Message):
    name: str
    pins: int
    dim: int
    encoder: str


class SpacesOut(Message):
    newest: str
    spaces: list[SpaceOut]


class Problem(Message):
    error: str
