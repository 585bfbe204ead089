"""On-demand features: computed at request time, in the same way for training sets and online.

Feast stores the source text of such a function in its registry and runs that text alone, so everything a function needs
must stand inside it, or in the line of constants that is put before it here.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from feast import FeatureView, Field, OnDemandFeatureView, RequestSource
from feast.transformation.udf_rehydrate import rehydrate_udf_from_source
from feast.types import Float32, UnixTimestamp

from feature_repo.feature_files import OWNER
from serving.space import SpaceManifest

if TYPE_CHECKING:
    import pandas as pd

BITS, DIM, ZERO_POINT = 8, 256, 0  # of the space; each view's text begins with its own

request = RequestSource(
    name="request",
    schema=[Field(name="asked_at", dtype=UnixTimestamp)],
    description="When the features are asked for; in a training set, the row's event_timestamp.",
    owner=OWNER,
    tags={"entity": "request"},
)


def user_pin_similarity(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Cosine of the Pin and its nearest medoid of the user, and the mean over all medoids by weight; NaN for none.

    Sums of products of integers are exact in float64, so the values don't depend on the order of rows.

    Shape legend: N rows · K rows that have both · U different ones · B bytes of a vector · E dimension · M medoids
    """
    import numpy as np
    import pandas as pd

    size, at_once = -(-DIM * BITS // 8), 8_192

    def codes(stored: bytes) -> "np.ndarray":
        packed_UB = np.frombuffer(stored, np.uint8).reshape(-1, size)
        if BITS == 4:
            halves = np.stack([packed_UB << 4, packed_UB & 0xF0], axis=2).view(np.int8) >> 4
            return halves.reshape(len(packed_UB), -1)[:, :DIM].astype(np.float64) - ZERO_POINT
        return packed_UB.view(np.int8).astype(np.float64) - ZERO_POINT

    def sizes(column: str) -> "np.ndarray":
        return np.array([len(value) if isinstance(value, bytes) else 0 for value in rows[column]], np.int64)

    nearest_N, mean_N = np.full(len(rows), np.nan, np.float32), np.full(len(rows), np.nan, np.float32)
    pin_bytes_N, user_bytes_N = sizes("vector"), sizes("medoids")
    known_K = np.flatnonzero((pin_bytes_N == size) & (user_bytes_N > 0) & (user_bytes_N % size == 0))
    for start in range(0, len(known_K), at_once):
        part_K = known_K[start : start + at_once]
        pin_K, pins = pd.factorize(rows["vector"].to_numpy()[part_K])
        user_K, users = pd.factorize(rows["medoids"].to_numpy()[part_K])
        pins_UE, medoids_VE = codes(b"".join(pins)), codes(b"".join(users))
        first_U = np.cumsum([0, *(len(user) // size for user in users)])
        count_K, weights = np.diff(first_U)[user_K], rows["weights"].to_numpy()[part_K]
        pin_norm_U, medoid_norm_V = np.sqrt((pins_UE**2).sum(1)), np.sqrt((medoids_VE**2).sum(1))
        best_K, sum_K = np.full(len(part_K), -np.inf), np.zeros(len(part_K))
        for m in range(count_K.max()):
            has_K = np.flatnonzero(count_K > m)
            pin, medoid = pin_K[has_K], first_U[user_K[has_K]] + m
            norms = pin_norm_U[pin] * medoid_norm_V[medoid]
            cosines = np.einsum("ke,ke->k", pins_UE[pin], medoids_VE[medoid]) / np.where(norms > 0, norms, 1)
            best_K[has_K] = np.maximum(best_K[has_K], cosines)
            sum_K[has_K] += np.array([weights[i][m] for i in has_K], np.float64) * cosines
        nearest_N[part_K], mean_N[part_K] = best_K, sum_K
    return pd.DataFrame({"nearest_taste": nearest_N, "mean_taste": mean_N})


def pin_age(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Days since the Pin was made, from whole seconds, as the online store keeps no more; NaN where it is unknown.

    `asked_at` is a time, or what JSON has for one: ISO 8601 text, or a number of seconds since 1970.
    """
    import numpy as np
    import pandas as pd

    def seconds(column: str) -> "np.ndarray":
        if pd.api.types.is_numeric_dtype(rows[column]):
            return np.floor(rows[column].to_numpy(np.float64))
        times = pd.to_datetime(rows[column], utc=True, format="ISO8601").to_numpy("datetime64[us]")
        return np.where(np.isnat(times), np.nan, times.astype(np.int64) // 1_000_000)

    return pd.DataFrame({"age_days": ((seconds("asked_at") - seconds("created_at")) / 86400).astype(np.float32)})


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
    function: Callable[["pd.DataFrame"], "pd.DataFrame"],
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
        mode="pandas",
        description=description,
        owner=OWNER,
        tags=dict(tags),
    )
