"""Request and response bodies, as OpenAPI shows them; reading.py beside this checks the service's limits."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from model.data.ids import CONTROL, LONGEST_ID, pin_id_refusal
from model.data.images.formats import FORMATS
from model.diversification.config import DiversificationConfig

READABLE = f"^[^{CONTROL}]+$"
ANNOTATIONS = 1_000  # of a Pin, at most
BASKET = 200  # Pins
MOST_TAGS = 50
VALUE = 512  # characters of a filter's text
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
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Weight = Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False, strict=True)]
DEFAULTS = DiversificationConfig()  # of a rerank


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
    stored: bool = Field(description="False: what is stored is newer and stays, or the Pin was forgotten.")
    vector: list[float] = Field(description="Of length 1, as the online store gives it.")


class PinsOut(Message):
    space: str
    pins: list[PinOut]


class Limits(Message):
    """Both ends are meant; of a time as 2026-11-21T12:00:00Z."""

    min: Number | str | None = None
    max: Number | str | None = None


Value = Annotated[str, Field(max_length=VALUE)] | Number
Values = Annotated[list[Value], Field(min_length=1, max_length=100)]
# By the name of a column (GET /v1/columns): a text or a number, several of which one must fit, or limits.
Filter = Annotated[dict[str, Value | Values | Limits], Field(max_length=20)]


class FilterIn(Message):
    filter: Filter | None = None


class SearchIn(Message):
    """Words, an image, or both."""

    text: str | None = None
    image: str | None = Field(None, description="Base64.")
    image_weight: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] = 0.5
    k: Annotated[int, Field(ge=1, strict=True), Whole] = 30
    filter: Filter | None = Field(None, description="Pins are found that fit all of it.")


class CompleteIn(Message):
    """The Pins of a basket or a board."""

    pins: Annotated[list[PinId], Field(min_length=1, max_length=BASKET)]
    k: Annotated[int, Field(ge=1, strict=True), Whole] = 30
    filter: Filter | None = Field(None, description="As of a search.")


class TagsIn(Message):
    """A picture, texts, or both."""

    image: str | None = Field(None, description="Base64.")
    title: str | None = None
    description: str | None = None
    caption: str | None = None
    k: Annotated[int, Field(ge=1, le=MOST_TAGS, strict=True), Whole] = 10


class TagOut(Message):
    """A word of the catalogue: an annotation, a query, or a value of a slice, whose column a filter names."""

    tag: str
    kind: Literal["annotation", "query", "slice"]
    column: str | None = Field(None, description="Of a slice.")
    score: float = Field(description="The probability that it fits, measured on Pins that no training saw.")


class TagsOut(Message):
    space: str
    tags: list[TagOut] = Field(description="The best first; none whose score is below 0.3.")
    why: str | None = Field(None, description="Where there is none: a sentence.")


class Shown(Message):
    pin_id: str
    title: str | None = Field(None, description="From the catalogue.")
    has_image: bool = Field(False, description="The catalogue has one: GET /v1/pins/{pin_id}/image.")


class Found(Shown):
    score: float = Field(description="Cosine, -1 … 1.")


class Results(Message):
    space: str
    results: list[Found]


class Related(Results):
    pin: Shown = Field(description="The one that was asked about.")


class Completed(Results):
    missing: list[str] = Field(description="Pins of the basket without a vector: they were left out.")


class StartOut(Message):
    space: str
    pins: list[Shown] = Field(description="Spread over the catalogue, the same for everybody.")
    queries: list[str] = Field(description="Of the catalogue, the most clicked first.")


class ColumnOut(Message):
    """A text column has values, any other has ends."""

    name: str
    kind: Literal["text", "number", "time"]
    values: list[str] = Field(default=[], description="The most frequent first; at most 100.")
    low: Number | str | None = None
    high: Number | str | None = None


class ColumnsOut(Message):
    columns: list[ColumnOut]


class Candidate(Message):
    pin_id: PinId
    utility: Annotated[float, Field(ge=-UTILITY, le=UTILITY, allow_inf_nan=False, strict=True)]


class Spaced(Message):
    """Pins that should not stand close together: those of the catalogue that the filter lets through."""

    filter: Filter
    cost: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, strict=True)] = Field(
        1.0, description="Of such a Pin right after another, in standard deviations of utility; d slots later cost / d."
    )


class Weights(Message):
    """What likeness is made of, in any unit: vectors, words and boards of the catalogue; and what it costs, in standard
    deviations of utility, to have the semantic ID of the Pin before."""

    visual: Weight = DEFAULTS.visual
    text: Weight = DEFAULTS.text
    graph: Weight = DEFAULTS.graph
    semantic_id: Weight = DEFAULTS.prefix_cost

    @model_validator(mode="after")
    def _has_likeness(self) -> "Weights":
        if not self.visual + self.text + self.graph:
            raise PydanticCustomError("weights", "One of visual, text and graph must be above 0")
        return self


class RerankIn(Message):
    """Sliding Spectrum Decomposition over the Pins' likeness; model/diversification/config.py explains the settings."""

    candidates: Annotated[list[Candidate], Field(min_length=1)]
    slots: Annotated[int, Field(ge=1, strict=True), Whole] | None = Field(None, description="[all candidates]")
    beta: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, strict=True)] = DEFAULTS.beta
    window: Annotated[int, Field(ge=1, le=100, strict=True), Whole] = DEFAULTS.window
    exposure: Literal["window", "cumulative"] = DEFAULTS.exposure
    weights: Weights = Weights()
    spaced: Annotated[list[Spaced], Field(max_length=10)] = Field(default=[], description="Sets of Pins.")


class RerankOut(Message):
    space: str
    results: list[Candidate]
    missing: list[str] = Field(description="Candidates without a vector: put in order by what else is known of them.")


class SpaceOut(Message):
    name: str
    pins: int
    dim: int
    encoder: str


class SpacesOut(Message):
    serving: str
    spaces: list[SpaceOut]


class Health(Message):
    live: bool


class Readiness(Message):
    ready: bool
    waits_for: str = Field("", description="Why it is not; may be left out.")


class Problem(Message):
    error: str
