"""What the tests of one space share: Pins as they come, the space opened without web or Ray, and what the online store
says."""

import sqlite3
from datetime import UTC, datetime, timedelta

from served_pins import drawn

from model.config import PrepareConfig
from model.data.images.decoding import to_pixels
from model.errors import StoreError
from serving.features import Features
from serving.service.metrics import ServiceMetrics
from serving.service.space import NewPin, PinSpace

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def opened(files) -> PinSpace:
    return PinSpace.open(files, ServiceMetrics(), threads=1)


def pin(name: str, seconds: int = 0, title: str = "a coral circle", picture: int | None = 0) -> NewPin:
    pixels = None if picture is None else to_pixels(drawn(picture), 32, PrepareConfig())
    return NewPin(name, pixels, {"title": title} if title else {}, NOW + timedelta(seconds=seconds))


def online(files, ids):
    return Features.of(files.feast_home / "feature_store.yaml").pin_vectors(ids, files.name)


def refusing(store):
    """A write that ends as the store's own client ends where nobody answers."""
    from redis.exceptions import ConnectionError

    error = {"redis": ConnectionError, "sqlite": sqlite3.OperationalError}[store.config.online_store.type]

    def refuse(*_, **__):
        raise error("gone")

    return refuse


def raised(refuse):
    try:
        refuse()
    except Exception as error:
        raise StoreError("gone after it was written") from error
