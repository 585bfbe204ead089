"""Reads many Pin vectors, or semantic IDs, at once.

Publishing tells Redis which spaces there are and which one `pin_ranking` serves:

    pinclip:spaces    hash: name of a space -> JSON with scale, zero_point, bits, dim, model, created, …
    pinclip:serving   the name of the space that serves

Shape legend: N Pins asked for · E vector dimension
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from redis import Redis
from redis.exceptions import RedisError

from pinclip_features.codes import Codes
from pinclip_features.keys import entity_key, field, header, whole_numbers

SPACES, SERVING = "pinclip:spaces", "pinclip:serving"
AT_ONCE = 10_000  # Pins of one pipeline
OPTIONS = ("db", "password", "ssl", "username")


class VectorsError(Exception):
    """A sentence that says what is wrong and what to do."""


class PinVectors:
    """A client of one Redis. `malformed`: stored values met so far that are no vector of their space."""

    def __init__(self, redis: "Redis", project: str = "pinclip") -> None:
        self.redis, self.project, self.malformed = redis, project, 0

    @staticmethod
    def of(address: str, **options: Any) -> "PinVectors":
        """Of a URL as redis://user:password@host:6379/0, or of host:6379,password=…,ssl=true as PINCLIP_REDIS has it.

        Options are those of redis.Redis.

        Raises:
            VectorsError: it is neither.
        """
        host, *given = [address] if "://" in address else (part.strip() for part in address.split(","))
        named = dict(part.partition("=")[::2] for part in given)
        if unknown := sorted(set(named) - set(OPTIONS)):
            raise VectorsError(f"An address of Redis knows no option {unknown[0]}; it knows {', '.join(OPTIONS)}.")
        scheme = "rediss" if named.pop("ssl", "").lower() == "true" else "redis"
        try:
            redis = Redis.from_url(host if "://" in host else f"{scheme}://{host}", **named, **options)
        except ValueError as error:
            raise VectorsError(f"This is no address of a Redis ({error}); write host:6379 or redis://….") from None
        return PinVectors(redis)

    def spaces(self) -> dict[str, dict[str, Any]]:
        """What is known of each published space, by its name."""
        told: dict[bytes, bytes] = self._ask(lambda: self.redis.hgetall(SPACES))
        return {name.decode(): json.loads(fields) for name, fields in told.items()}

    def serving(self) -> str:
        """The space that serves now; it changes when another model version is promoted."""
        name = self._ask(lambda: self.redis.get(SERVING))
        if name is None:
            raise VectorsError("No space serves from this Redis; with PINCLIP_REDIS set to it, call `pinclip sync`.")
        return str(name.decode())

    def comparable(self, space: str, other: str) -> bool:
        """Whether vectors of the two may be compared: they are one space, or one was made to be compatible with the
        other, which may be retired since."""
        spaces = self.spaces()
        made_for = {name: fields.get("compatible_with") for name, fields in spaces.items()}
        return space == other or made_for.get(space) == other or made_for.get(other) == space

    def read(
        self, pin_ids: Sequence[str], space: str | None = None, beside: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vectors float32 (N, E) of length 1 in the order asked, and where there is none, bool (N,): zeros there.

        `space`: without it the one that serves. Vectors of two spaces cannot be compared, so keep it with what you
        compute from them, and name it as `beside` when you compare that with what you read here. A Pin that is unknown
        is missing, and so is one whose value is no vector of the space (`malformed` counts those).

        Raises:
            VectorsError: the space is not published, or not comparable with `beside`, or an id is no text, or Redis
                does not answer.
        """
        _check_ids(pin_ids)
        name = self.serving() if space is None else space
        if beside is not None and not self.comparable(name, beside):
            raise VectorsError(
                f"Vectors of {name} cannot be compared with those of {beside}; read both from one space, or from "
                "one that was made to be compatible."
            )
        codes, stored = self._codes(name), field(f"pin_embedding_{name}", "vector")
        vectors, missing = np.zeros((len(pin_ids), codes.dim), np.float32), np.ones(len(pin_ids), bool)
        start = header(codes.size)
        for first in range(0, len(pin_ids), AT_ONCE):
            values = self._values(pin_ids[first : first + AT_ONCE], stored)
            whole = {i: value for i, value in enumerate(values, first) if value and _is_whole(value, start, codes.size)}
            self.malformed += len(values) - values.count(None) - len(whole)
            packed = np.frombuffer(b"".join(whole.values()), np.uint8).reshape(len(whole), len(start) + codes.size)
            rows = np.array(list(whole), int)
            vectors[rows] = codes.vectors(packed[:, len(start) :])
            missing[rows] = False
        return vectors, missing

    def semantic_ids(self, pin_ids: Sequence[str], space: str | None = None) -> list[tuple[int, ...] | None]:
        """The semantic ID of each Pin, coarse to fine; None where there is none, or no such value (`malformed`).

        A space of few Pins, or one published before there were any, has none at all.

        Raises:
            VectorsError: the space is not published, an id is no text, or Redis does not answer.
        """
        _check_ids(pin_ids)
        name = self.serving() if space is None else space
        self._codes(name)  # the space is there
        found, stored = list[tuple[int, ...] | None](), field(f"pin_semantic_id_{name}", "codes")
        for first in range(0, len(pin_ids), AT_ONCE):
            values = self._values(pin_ids[first : first + AT_ONCE], stored)
            found += [whole_numbers(value) if value else None for value in values]
            self.malformed += len(values) - values.count(None) - sum(one is not None for one in found[first:])
        return found

    def _codes(self, space: str) -> Codes:
        fields = self._ask(lambda: self.redis.hget(SPACES, space))
        if fields is None:
            names = ", ".join(sorted(self.spaces())) or "none"
            raise VectorsError(f"The space {space} is retired or was never published; published are: {names}.")
        return Codes.of(json.loads(fields))

    def _values(self, pin_ids: Sequence[str], stored: bytes) -> list[bytes | None]:
        pipeline = self.redis.pipeline(transaction=False)
        for pin_id in pin_ids:
            pipeline.execute_command("HGET", entity_key(self.project, pin_id), stored)
        values: list[bytes | None] = self._ask(pipeline.execute)
        return values

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except RedisError as error:
            raise VectorsError(f"Redis does not answer ({error}); see that it runs, then ask again.") from error


def _check_ids(pin_ids: Sequence[str]) -> None:
    if isinstance(pin_ids, str):
        raise VectorsError("Give the ids of Pins in a list; a text alone would be read letter by letter.")
    for one in pin_ids:
        if not isinstance(one, str):
            raise VectorsError(f"The ids of Pins are texts, and one is of the type {type(one).__name__}.")


def _is_whole(value: bytes, start: bytes, size: int) -> bool:
    return len(value) == len(start) + size and value.startswith(start)
