"""Sends notices to a webhook. Its address is a secret and is written to no file, log or error.

PINCLIP_ALERT_WEBHOOK=https://hooks.slack.com/services/…    in the environment, in no other way
"""

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import requests
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from model.errors import StoreError

WEBHOOK = "PINCLIP_ALERT_WEBHOOK"
TIMEOUT = 10  # seconds
TRIES = 3  # with pauses of 1 and 4 seconds


class Unsent(Exception):
    """Why a try failed, without the address; `passing`: a retry may succeed."""

    def __init__(self, reason: str, passing: bool) -> None:
        super().__init__(reason)
        self.passing = passing


def send(message: Mapping[str, Any]) -> bool:
    """Posts the message as JSON; False where no webhook is named.

    Raises:
        StoreError: it does not answer or refuses, after all tries.
    """
    address = os.environ.get(WEBHOOK, "")
    if not address:
        return False
    if not address.startswith(("http://", "https://")):
        raise StoreError(f"{WEBHOOK} is no address; give one that begins with https://.")
    # Not urllib3's Retry: it writes the path of the address, which is the secret, into the log.
    again = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(exp_base=4),
        retry=retry_if_exception(lambda error: isinstance(error, Unsent) and error.passing),
        reraise=True,
    )
    try:
        again(_post, address, message)
    except Unsent as error:
        raise StoreError(f"The webhook {error}; check {WEBHOOK} and the network.") from None
    return True


def _post(address: str, message: Mapping[str, Any]) -> None:
    """One try; an error's text may hold the address, so only its type is reported."""
    try:
        answer = requests.post(address, json=message, timeout=TIMEOUT)
    except requests.Timeout:
        raise Unsent("does not answer in time", passing=True) from None
    except (requests.RequestException, ValueError) as error:
        raise Unsent(f"does not answer ({type(error).__name__})", isinstance(error, requests.ConnectionError)) from None
    if not answer.ok:
        passing = answer.status_code >= 500 or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
        raise Unsent(f"answers with {answer.status_code}", passing)
