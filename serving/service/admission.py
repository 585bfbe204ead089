"""Who may ask: who has the token; or, where there is none, a program of this machine and the service's own page, but no
other web page that a browser of this machine shows."""

import hmac
from urllib.parse import urlsplit

from serving.service.config import LOOPBACK

BODIES = ("application/json", "multipart/form-data")


def has_token(headers: dict[bytes, bytes], token: str) -> bool:
    return hmac.compare_digest(headers.get(b"authorization", b""), f"Bearer {token}".encode())


def foreign(method: str, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
    """(status, sentence) of what a web page of another origin could have sent; else None.

    A page can send texts and forms to any address, and by a name of its own that leads to 127.0.0.1 it can even read
    the answers; but it chooses neither Host nor Origin, and JSON needs a permission that this service never gives.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    if host and _name(f"//{host}") not in LOOPBACK:
        return 403, "Without a token only 127.0.0.1, localhost and [::1] are answered; ask by one of these names."
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin and origin != f"http://{host}":
        return 403, "Without a token no other web page is answered; set PINCLIP_SERVE_TOKEN for that."
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return 403, "Without a token no other web page is answered; set PINCLIP_SERVE_TOKEN for that."
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if method not in ("GET", "HEAD") and kind not in BODIES:
        return 415, f"Send Content-Type: {BODIES[0]}, or {BODIES[1]} for a form; without a token no other is taken."
    return None


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
