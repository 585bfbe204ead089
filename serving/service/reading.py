"""Turns requests into Pins and pictures. Every mistake raises RequestRefused: a status and one sentence."""

import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from model.data.catalogue import LONG_SIGNALS, TEXT_SIGNALS
from model.data.cleaning import clean_query, clean_texts
from model.data.images.base64_images import decoded
from model.data.images.decoding import UnreadableImage, to_pixels
from serving.encoder import Encoder
from serving.encoder.inputs import PinTexts
from serving.service.config import ServiceConfig
from serving.service.forms import BadForm, parts
from serving.service.json_size import has_more
from serving.service.messages import Message, PinIn, PinsIn, TagsIn
from serving.service.sentences import sentence
from serving.service.space import NewPin

M = TypeVar("M", bound=Message)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # what programs write for "no time" lies before it
CLOCKS = timedelta(minutes=5)  # that two machines may differ by


class RequestRefused(Exception):
    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status, self.says = status, says


def parsed(kind: type[M], body: bytes | dict[str, Any]) -> M:
    """
    Raises:
        RequestRefused: 422, which field is wrong and why; the value itself is not repeated.
    """
    try:
        return kind.model_validate(body) if isinstance(body, dict) else kind.model_validate_json(body)
    except ValidationError as error:
        raise RequestRefused(422, sentence(kind, body, error)) from None


def pins_of(body: bytes, content_type: str, config: ServiceConfig) -> list[PinIn]:
    """One Pin as multipart/form-data, one or many as JSON: work for a thread.

    Raises:
        RequestRefused: 422; or 413, too many Pins.
    """
    if content_type.lower().startswith("multipart/form-data"):
        return [parsed(PinIn, _form(body, content_type, config))]
    pins = message_of(PinsIn, body, config).pins
    if len(pins) > config.max_pins:
        raise RequestRefused(413, f"{len(pins)} Pins are too many for one request; send at most {config.max_pins}.")
    return pins


def message_of(kind: type[M], body: bytes, config: ServiceConfig) -> M:
    """A JSON body, counted before it is parsed: work for a thread.

    Raises:
        RequestRefused: 422, as parsed(); or 413, too many values.
    """
    if has_more(body, config.max_values):
        raise RequestRefused(413, f"The body has more than {config.max_values:,} values; send fewer at once.")
    return parsed(kind, body)


def new_pin(pin: PinIn, encoder: Encoder, config: ServiceConfig) -> NewPin:
    """Decodes the picture: work for a thread.

    Raises:
        RequestRefused: 422, the picture cannot be read; or 413, a picture or a text is too large.
    """
    given = {name: getattr(pin, name) for name in TEXT_SIGNALS}
    for name, value in given.items():
        _check_length(f"{name} of Pin {pin.pin_id!r}", value or "", config)
    texts = clean_texts(given)
    if not pin.image and not texts:
        raise RequestRefused(422, f"Pin {pin.pin_id!r} has neither image nor text; send one of them.")
    pixels_SS3 = request_pixels(pin.image, f"Pin {pin.pin_id!r}", encoder, config) if pin.image else None
    return NewPin(pin.pin_id, pixels_SS3, texts, _time(pin))


@dataclass(frozen=True)
class Given:
    """A picture, texts, or both, of no Pin."""

    pixels_SS3: np.ndarray | None
    texts: PinTexts

    @property
    def what(self) -> str:
        """One of model.embedding.held_out.MODES."""
        if self.pixels_SS3 is None:
            return "texts"
        return "both" if self.texts else "picture"


def given_of(asked: TagsIn, encoder: Encoder, config: ServiceConfig) -> Given:
    """Decodes the picture: work for a thread.

    Raises:
        RequestRefused: 422, there is nothing, or a picture that cannot be read; or 413, one or a text is too large.
    """
    texts = {name: getattr(asked, name) for name in LONG_SIGNALS}
    for name, value in texts.items():
        _check_length(name, value or "", config)
    clean = clean_texts(texts)
    if not asked.image and not clean:
        raise RequestRefused(422, "Give a picture, texts, or both.")
    return Given(request_pixels(asked.image, "the request", encoder, config) if asked.image else None, clean)


def request_pixels(image: str, whose: str, encoder: Encoder, config: ServiceConfig) -> np.ndarray:
    """uint8 (S, S, 3), within the limits of the service and those that the model's catalogue was prepared with."""
    try:
        data = decoded(image)
    except ValueError:
        raise RequestRefused(422, f"The image of {whose} is not base64.") from None
    limits = replace(
        encoder.limits,
        max_image_bytes=min(encoder.limits.max_image_bytes, config.max_image_bytes),
        max_image_pixels=min(encoder.limits.max_image_pixels, config.max_pixels),
    )
    try:
        return to_pixels(data, encoder.image_size, limits)
    except UnreadableImage as error:
        status = 413 if error.reason.startswith("too many") else 422
        raise RequestRefused(status, f"The image of {whose} cannot be used: {error}.") from None


def words(text: str | None, config: ServiceConfig) -> str:
    """The search text, cleaned as the queries of a catalogue; "" where nothing is left."""
    _check_length("text", text or "", config)
    return clean_query(text)


def _check_length(whose: str, text: str | list[str | None], config: ServiceConfig) -> None:
    if sum(len(part or "") for part in ([text] if isinstance(text, str) else text)) > config.max_text:
        raise RequestRefused(413, f"The {whose} is longer than {config.max_text:,} characters; send less.")


def _time(pin: PinIn) -> datetime:
    """The Pin's time; refused if it lies in the future, because it would block all later pushes of the Pin, or where
    the stores cannot hold it."""
    now = datetime.now(UTC)
    time = pin.time or now
    if time.tzinfo is None:
        raise RequestRefused(422, f"time of Pin {pin.pin_id!r} has no zone; write it as 2026-11-21T12:00:00Z.")
    if time < EARLIEST:
        raise RequestRefused(
            422, f"time of Pin {pin.pin_id!r} is before 1970; say when the Pin became what it is, or leave it out."
        )
    if time > now + CLOCKS:
        raise RequestRefused(422, f"time of Pin {pin.pin_id!r} is in the future; say when the Pin became what it is.")
    return time


def _form(body: bytes, content_type: str, config: ServiceConfig) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    try:
        for name, content in parts(body, content_type, config.max_parts):
            if name in fields and name != "annotations":
                raise BadForm(f"The form names {name[:40]} twice; send it once.")
            try:
                value = base64.b64encode(content).decode() if name == "image" else content.decode()
            except UnicodeDecodeError:
                raise BadForm(f"{name[:40]} is not UTF-8.") from None
            if value or name == "pin_id":  # a browser sends the fields that were left empty, too
                fields[name] = [*_as_list(fields[name]), value] if name in fields else value
    except BadForm as error:
        raise RequestRefused(422, str(error)) from None
    return fields


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
