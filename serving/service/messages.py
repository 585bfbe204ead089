"""Request and response bodies, as OpenAPI shows them; reading.py beside this checks the service's limits."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from model.data.ids import CONTROL, LONGEST_ID, pin_id_refusal
from model.data.images.formats import FORMATS

READABLE = f"^[^{CONTROL}]+$"
ANNOTATIONS = 1_000  # of a Pin, at most
UTILITY = 1e12  # beyond it and below its negative, sums lose the digits that matter


def _reachable(pin_id: str) -> str:
    if refused := pin_id_refusal(pin_id):
        raise PydanticCustomError("pin_id", "The id {refused}", {"refused": refused})
    return pin_id


PinId = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=READABLE), AfterValidator(_reachable)
]


def _is_text(value: object) -> object:
    """As OpenAPI says it: without this a number is taken for seconds since 1970."""
    if not isinstance(value, str | datetime):
        raise PydanticCustomError("time", "A time is text, as 2026-11-21T12:00:00Z")
    return value


def _is_whole(value: object) -> object:
    """JSON knows one kind of number: 10.0 is the integer 10; false and "10" are none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(_is_whole)


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PinIn(Message):
    """An image, texts, or both."""

    pin_id: PinId
    image: str | None = Field(None, description=f"{', '.join(FORMATS)}; base64, or data:image/png;base64,…")
    title: str | None = None
    description: str | None = None
    caption: str | None = None
    annotations: Annotated[list[str | None], Field(max_length=ANNOTATIONS)] | str | None = None
    time: Annotated[datetime, BeforeValidator(_is_text)] | None = Field(
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
    image_weight: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] = 0.5
    k: Annotated[int, Field(ge=1, strict=True), Whole] = 30


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
    utility: Annotated[float, Field(ge=-UTILITY, le=UTILITY, allow_inf_nan=False, strict=True)]


class RerankIn(Message):
    """Sliding Spectrum Decomposition over the Pins' vectors; model/diversification/config.py explains the settings."""

    candidates: Annotated[list[Candidate], Field(min_length=1)]
    slots: Annotated[int, Field(ge=1, strict=True), Whole] | None = Field(None, description="[all candidates]")
    beta: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, strict=True)] = 1.0
    window: Annotated[int, Field(ge=1, le=100, strict=True), Whole] = 10


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


class Health(Message):
    live: bool


class Readiness(Message):
    ready: bool
    waits_for: str = Field("", description="Why it is not; may be left out.")


class Problem(Message):
    error: str
