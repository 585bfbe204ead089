"""On-demand features: computed at request time, in the same way for training sets and online.

Feast stores the source text of such a function in its registry and runs that text alone, so everything a function needs
must stand inside it, or in the line of constants that is put before it here.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from feast import FeatureView, Field, OnDemandFeatureView, RequestSource
from feast.transformation.udf_rehydrate import rehydrate_udf_from_source
from feast.types import Float32, UnixTimestamp

from feature_repo.feature_files import OWNER
from serving.space import SpaceManifest

BITS, DIM, ZERO_POINT = 8, 256, 0  # of the space; each view's text begins with its own

request = RequestSource(
    name="request",
    schema=[Field(name="asked_at", dtype=UnixTimestamp)],
    description="When the features are asked for; in a training set, the row's event_timestamp.",
    owner=OWNER,
    tags={"entity": "request"},
)


def user_pin_similarity(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Cosine of the Pin and its nearest medoid of the user, and the mean over all medoids by weight; NaN for none.

    Sums of products of integers are exact in float64, so the values don't depend on the order of rows.
    """
    import numpy as np

    size = -(-DIM * BITS // 8)

    def codes(stored: bytes) -> "np.ndarray":
        packed = np.frombuffer(stored, np.uint8).reshape(-1, size)
        if BITS == 4:
            halves = np.stack([packed << 4, packed & 0xF0], axis=2).view(np.int8) >> 4
            return halves.reshape(len(packed), -1)[:, :DIM].astype(np.float64) - ZERO_POINT
        return packed.view(np.int8).astype(np.float64) - ZERO_POINT

    pins, users, weights = inputs["vector"], inputs["medoids"], inputs["weights"]
    nearest, mean = np.full(len(pins), np.nan, np.float32), np.full(len(pins), np.nan, np.float32)
    known = [i for i in range(len(pins)) if pins[i] and users[i] and len(pins[i]) == size and len(users[i]) % size == 0]
    if known:
        tastes = {taste: codes(taste) for taste in {users[i] for i in known}}
        x = codes(b"".join(pins[i] for i in known))
        lengths = np.sqrt((x * x).sum(axis=1))
        for i, vector, length in zip(known, x, lengths, strict=True):
            medoids = tastes[users[i]]
            norms = length * np.sqrt((medoids * medoids).sum(axis=1))
            cosines = (medoids * vector).sum(axis=1) / np.where(norms > 0, norms, 1)
            nearest[i] = cosines.max()
            mean[i] = sum(float(w) * c for w, c in zip(weights[i], cosines, strict=True))
    return {"nearest_taste": list(nearest), "mean_taste": list(mean)}


def pin_age(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Days since the Pin was made, from whole seconds, as the online store keeps no more; NaN where it is unknown."""
    import math
    from datetime import UTC

    import numpy as np

    def seconds(time: Any) -> float:
        if time is None or time != time:  # NaT is unlike itself
            return math.nan
        return float(math.floor(time.replace(tzinfo=time.tzinfo or UTC).timestamp()))

    pairs = zip(inputs["asked_at"], inputs["created_at"], strict=True)
    return {"age_days": [np.float32((seconds(asked) - seconds(made)) / 86400) for asked, made in pairs]}


def similarity_view(space: SpaceManifest, embedding: FeatureView, taste: FeatureView) -> OnDemandFeatureView:
    affine = space.affine
    constants = f"BITS, DIM, ZERO_POINT = {affine.bits}, {affine.dim}, {affine.zero_point}\n\n\n"
    return _view(
        f"user_pin_similarity_{space.name}",
        user_pin_similarity,
        [embedding, taste],
        ["nearest_taste", "mean_taste"],
        f"Cosine of user and Pin in the space {space.name}: with the nearest taste, and the mean of all by weight.",
        {"space": space.name, "model": space.model},
        constants,
    )


def age_view(stats: FeatureView) -> OnDemandFeatureView:
    description = "Days from the making of the Pin to `asked_at`."
    return _view("pin_age", pin_age, [stats, request], ["age_days"], description, {"entity": "pin"})


def _view(
    name: str,
    function: Callable[[dict[str, list[Any]]], dict[str, list[Any]]],
    sources: list[Any],
    features: list[str],
    description: str,
    tags: Mapping[str, str],
    constants: str = "",
) -> OnDemandFeatureView:
    text = constants + inspect.getsource(function)
    return OnDemandFeatureView(
        name=name,
        sources=sources,
        schema=[Field(name=feature, dtype=Float32) for feature in features],  # with a description, Feast refuses it
        udf=rehydrate_udf_from_source(text, preferred_name=function.__name__),  # what every reader will run
        udf_string=text,
        mode="python",
        description=description,
        owner=OWNER,
        tags=dict(tags),
    )
