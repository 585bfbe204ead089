"""The webhook that notices go to: its address is a secret, and stands in no file, no log and no error.

PINCLIP_ALERT_WEBHOOK=https://hooks.slack.com/services/…    in the environment, in no other way
"""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import Any

from model.errors import StoreError

WEBHOOK = "PINCLIP_ALERT_WEBHOOK"
TIMEOUT = 10  # seconds
WAITS = (1.0, 4.0)  # seconds before the second and the third try


def send(message: Mapping[str, Any], waits: Sequence[float] = WAITS) -> bool:
    """Posts the message as JSON; False where no webhook is named.

    Raises:
        StoreError: it does not answer or refuses, after all tries.
    """
    address = os.environ.get(WEBHOOK, "")
    if not address:
        return False
    if not address.startswith(("http://", "https://")):
        raise StoreError(f"{WEBHOOK} is no address; give one that begins with https://.")
    reason = ""
    for wait in (0.0, *waits):
        time.sleep(wait)
        reason, final = _post(address, json.dumps(message).encode())
        if not reason:
            return True
        if final:
            break
    raise StoreError(f"The webhook {reason}; check {WEBHOOK} and the network.")


def _post(address: str, body: bytes) -> tuple[str, bool]:
    """(what went wrong, whether another try is of no use); an error's own words may hold the address."""
    try:
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            answer.read()
        return "", True
    except urllib.error.HTTPError as error:
        return f"answers with {error.code}", error.code < 500 and error.code != 429
    except TimeoutError:
        return "does not answer in time", False
    except OSError as error:
        inner = getattr(error, "reason", error)
        return f"does not answer ({getattr(inner, 'strerror', None) or type(inner).__name__})", False
    except (HTTPException, ValueError) as error:
        return f"gives no answer that can be read ({type(error).__name__})", False
