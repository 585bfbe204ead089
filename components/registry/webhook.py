"""Verifies the signature of MLflow's registry webhook and reads its message.

MLflow 3 signs `<delivery id>.<time>.<body>` with HMAC-SHA256 (mlflow/webhooks/delivery.py):

    X-MLflow-Delivery-Id  a UUID
    X-MLflow-Timestamp    seconds since 1970
    X-MLflow-Signature    v1,<base64>
    {"entity": "model_version_alias", "action": "created", "data": {"name": …, "alias": …, "version": …}, …}
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from components.registry.versions import CHAMPION

FRESH = 300.0  # seconds; an older message may be one that somebody has recorded
ID, TIME, SIGNATURE = "x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"


class WebhookRefused(Exception):
    """`status` is that of the HTTP answer."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


def verified(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> Mapping[str, Any]:
    """The message, if it was signed with the secret within FRESH of `now` (seconds since 1970).

    Args:
        headers: names in small letters.

    Raises:
        WebhookRefused: 401 without a signature or too old, 403 with a wrong one, 400 for what is no message.
    """
    delivery, time, signature = (headers.get(name, "") for name in (ID, TIME, SIGNATURE))
    if not (delivery and time and signature):
        raise WebhookRefused(401, "The message is not signed; give MLflow's webhook the secret.")
    expected = hmac.digest(secret.encode(), f"{delivery}.{time}.".encode() + body, hashlib.sha256)
    if not hmac.compare_digest(f"v1,{base64.b64encode(expected).decode()}".encode(), signature.encode()):
        raise WebhookRefused(403, "The signature is wrong; MLflow's webhook and this process must have one secret.")
    if not time.isdigit() or abs(now - int(time)) > FRESH:
        raise WebhookRefused(401, "The message is too old; look at the clocks of the two machines.")
    try:
        message = json.loads(body)
    except ValueError:
        raise WebhookRefused(400, "The message is no JSON.") from None
    if not isinstance(message, dict):
        raise WebhookRefused(400, "The message is no JSON object.")
    return message


def is_of_champion(message: Mapping[str, Any], model_name: str) -> bool:
    """Whether the alias `champion` of the model was set or deleted."""
    data = message.get("data")
    about = (data.get("name"), data.get("alias")) if isinstance(data, dict) else None
    return message.get("entity") == "model_version_alias" and about == (model_name, CHAMPION)
