"""Where this machine gets packages: pip's settings, so that a company's mirror is named once. Standard library alone.

    python setup/indexes.py        # as lines for a shell: what the build of an image needs to reach the same mirror

pip reads them from its files and from PIP_*, uv from names of its own; both get them in the environment.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

# pip's option -> what pip and uv read instead of it.
NAMES = {
    "index-url": ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
    "extra-index-url": ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
    "find-links": ("PIP_FIND_LINKS",),  # for torch alone: setup/torch_source.py
    "trusted-host": ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"),
    "cert": ("PIP_CERT", "SSL_CERT_FILE"),
    "client-cert": ("PIP_CLIENT_CERT", "SSL_CLIENT_CERT"),
    "proxy": ("PIP_PROXY", "HTTP_PROXY", "HTTPS_PROXY"),
    "timeout": ("PIP_TIMEOUT", "UV_HTTP_TIMEOUT"),
}
BEST = ("UV_INDEX_STRATEGY", "unsafe-best-match")  # pip takes the best of all its indexes, uv the first that knows it
FILES = ("PIP_CERT", "SSL_CERT_FILE", "PIP_CLIENT_CERT", "SSL_CLIENT_CERT")  # of this machine, not of a container
# What else a container must know: mirrors that are named for uv and PyTorch alone.
OTHERS = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY", "PYTORCH_INDEX")


def indexes(python: str, environment: Mapping[str, str]) -> dict[str, str]:
    """pip's settings, by the names of NAMES; what the environment already says by such a name stays.

    `python` has the pip whose files are read; without a pip only PIP_* count.
    """
    command = [python, "-m", "pip", "config", "list"]
    asked = {**environment, "PIP_USER": "no"}  # `user = true` in a file of pip's would make it list one file alone
    listed = subprocess.run(command, env=asked, capture_output=True, text=True, check=False).stdout
    said: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        said[key.rpartition(".")[2]] = " ".join(value.strip().strip("'\"").replace("\\n", " ").split())
    said.setdefault("index-url", environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL") or "")
    found: dict[str, str] = {}
    for option, names in NAMES.items():
        value = environment.get(names[0]) or said.get(option) or said.get(f"default-{option}")
        found.update({name: environment.get(name) or value for name in names} if value else {})
    if "UV_INDEX" in found and "UV_INDEX_STRATEGY" not in environment:
        found.update([BEST])
    return found


def for_a_container(found: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Without what is a file or a folder here."""
    named = {name: environment[name] for name in OTHERS if environment.get(name)} | dict(found)
    reachable: dict[str, str] = {}
    for name, value in named.items():
        places = [place for place in value.split() if not place.startswith(("/", ".", "~", "file:"))]
        if places and name not in FILES:
            reachable[name] = " ".join(places)
    return reachable


if __name__ == "__main__":
    here = dict(os.environ)
    for name, value in for_a_container(indexes(sys.executable, here), here).items():
        print(f"export {name}={shlex.quote(value)}")
