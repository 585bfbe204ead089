"""A Kubernetes API for tests that looks things up in it: objects by their paths, rights, what it hides, own tokens.

tests/kubernetes_server.py is the one that a training talks to.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from kubernetes_server import TOKEN, write_kubeconfig
from label_selectors import selects

Object = dict


class ClusterApi:
    """`objects` by path; a listing finds all beneath its path that carry the labels."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.hidden: tuple[str, ...] = ()  # beginnings of paths
        self.rights: set[tuple[str, str, str]] | None = None  # (account, verb, resource); None: all of them
        self.tokens: list[tuple[str, list[str]]] = []  # (path, audiences) of the tokens that were asked for

    def put(self, path: str, **content: object) -> None:
        name = path.rpartition("/")[2]
        self.objects[path] = {"metadata": {"name": name}} | content

    def answer(self, method: str, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
        if any(path.startswith(one) for one in self.hidden):
            return 403, {"kind": "Status", "message": f"{path} is forbidden"}
        if path.endswith("/localsubjectaccessreviews"):
            return 201, body | {"status": {"allowed": self._may(body["spec"])}}
        if path.endswith("/token"):
            self.tokens.append((path, body["spec"]["audiences"]))
            return 201, body | {"status": {"token": "a-token-for-kfp", "expirationTimestamp": "2026-11-28T12:00:00Z"}}
        if path in self.objects:
            return 200, self.objects[path]
        below = [one for at, one in self.objects.items() if at.startswith(f"{path}/") or self._everywhere(path, at)]
        if "labelSelector" in query:
            items = [one for one in below if selects(query["labelSelector"], one["metadata"].get("labels") or {})]
            return 200, {"kind": "List", "items": items}
        return 404, {"kind": "Status", "message": f"{path} not found"}

    @staticmethod
    def _everywhere(listing: str, path: str) -> bool:
        """/apis/apps/v1/deployments lists those of all namespaces."""
        root, _, kind = listing.rpartition("/")
        return path.startswith(f"{root}/namespaces/") and path.split("/")[-2] == kind

    def _may(self, spec: Object) -> bool:
        asked = spec["resourceAttributes"]
        resource = "/".join(filter(None, [asked["resource"], asked["subresource"]]))
        return self.rights is None or (spec["user"].rpartition(":")[2], asked["verb"], resource) in self.rights


class Handler(BaseHTTPRequestHandler):
    server: "Listening"

    def handle_one(self) -> None:
        url, content = urlsplit(self.path), self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            status, answer = 401, {"kind": "Status", "message": "Unauthorized"}
        else:
            told = json.loads(content) if content else {}
            status, answer = self.server.state.answer(self.command, url.path, dict(parse_qsl(url.query)), told)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = handle_one

    def log_message(self, *_: object) -> None:
        pass


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    state: ClusterApi


@contextmanager
def listening(state: ClusterApi, kubeconfig: Path) -> Iterator[str]:
    """Serves on a free port of the loopback and writes a kubeconfig for it; yields the address."""
    server = Listening(("127.0.0.1", 0), Handler)
    server.state = state
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    write_kubeconfig(kubeconfig, address)
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
