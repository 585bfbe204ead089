"""Checks the address of a Redis, which must have Feast's form:  host:6379,db=0,username=…,password=…,ssl=true

Feast accepts other forms silently and fails later, or connects to another database. They are refused here with the
right form; no message repeats a password or a part of one.
"""

import json
import re
from urllib.parse import SplitResult, urlsplit

from model.errors import ConfigError

FORM = "host:6379,db=0,password=…,ssl=true"
SCHEMES = {"redis": False, "rediss": True}  # whether the connection is encrypted
KINDS: dict[str, type | tuple[type, ...]] = {
    "db": int,
    "username": str,
    "password": str,
    "ssl": bool,
    "ssl_ca_certs": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_cert_reqs": str,
    "ssl_check_hostname": bool,
    "client_name": str,
    "protocol": int,
    "max_connections": int,
    "health_check_interval": int,
    "socket_keepalive": bool,
    "socket_timeout": (int, float),
    "socket_connect_timeout": (int, float),
    "retry_on_timeout": bool,
}
# Other clients' options, by their names in small letters: they may be named in a sentence, for they are no password.
FOREIGN = ("abortconnect", "allowadmin", "connectretry", "connecttimeout", "defaultdatabase", "name", "sslhost", "user")


def check_redis_address(address: str) -> None:
    """Raises ConfigError where the address is not of Feast's form, or Feast would read it differently from how it
    looks."""
    scheme, separator, _ = address.partition("://")
    if separator and scheme.isalpha():
        raise _wrong("is a URL", f"write it as {_of_url(address)}")
    if re.search(r"\s", address):
        raise _wrong("holds a space", "take it out")
    server, *options = address.split(",")
    if server.startswith("[") and "@" not in server:
        raise _wrong("begins with an IPv6 address, which Feast cannot read", f"name the host, as in {FORM}")
    if "@" in server or not _is_server(server):
        raise _wrong("does not begin with host:port", f"write it as {FORM}")
    for option in options:
        _check_name(*option.partition("=")[:2])
    for option in options:
        _check_value(*option.partition("=")[::2])


def _is_server(text: str) -> bool:
    host, _, port = text.partition(":")
    return bool(host) and "=" not in text and port.isascii() and port.isdecimal() and 0 < int(port) < 2**16


def _check_name(name: str, separator: str) -> None:
    if not separator:
        raise _wrong("has a part that is no option=value", f"name one server, no comma in the password, as in {FORM}")
    if name not in KINDS:
        told = f"option {name}" if name.lower() in FOREIGN else "such option"
        raise _wrong(f"is no address of Feast's form: it knows no {told}", f"leave that out, as in {FORM}")


def _check_value(name: str, text: str) -> None:
    kind = KINDS[name]
    try:
        value = json.loads(text)  # as Feast does
    except ValueError:
        value = text
    if kind is str and not isinstance(value, str) and str(value) != text:
        raise _wrong(f"has a {name} that reads as a number or as nothing", f'put it in quotes: {name}="…"')
    if kind is bool and not isinstance(value, bool):
        raise _wrong(f"has an {name} that is neither true nor false", f"write {name}=true or {name}=false")
    if kind not in (str, bool) and (isinstance(value, bool) or not isinstance(value, kind)):
        raise _wrong(f"has a {name} that is no number", f"write {name}=0 or another number")


def _of_url(address: str) -> str:
    """The URL in Feast's form, its user and password left to be filled in; FORM where it cannot be told."""
    try:
        url: SplitResult = urlsplit(address)
        host, port = url.hostname or "", url.port or 6379
    except ValueError:
        return FORM
    if url.scheme not in SCHEMES or not host or ":" in host:
        return FORM
    parts = [f"{host}:{port}"]
    if url.path.strip("/").isdecimal():
        parts.append(f"db={url.path.strip('/')}")
    if url.username and url.password:
        parts.append("username=…")
    if url.username or url.password:
        parts.append("password=…")
    if SCHEMES[url.scheme]:
        parts.append("ssl=true")
    return ",".join(parts)


def _wrong(what: str, fix: str) -> ConfigError:
    return ConfigError(f"PINCLIP_REDIS {what}; {fix}.")
