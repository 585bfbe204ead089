"""A Kubernetes API server for tests that keeps whatever object it is told, for real kubectl and the real client.

It knows no rules of its own: no schema, no admission. `react` is called for every object that is made, as the
controllers of a cluster would notice it; tests say there what becomes of it.
"""

import copy
import json
import re
import threading
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import yaml
from kubernetes_kinds import CUSTOM, KINDS, discovered
from label_selectors import selects

Object = dict
Key = tuple[str, str, str, str]  # group, plural, namespace ("" of what has none), name
PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/[a-z]))?"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?$"
)


class ApiServer:
    """`objects` by key; `logs` by (namespace, pod, container); `refused` are (verb, plural) that a review denies."""

    def __init__(self, react: Callable[["ApiServer", Object], None] = lambda server, made: None) -> None:
        self.react = react
        self.objects: dict[Key, Object] = {}
        self.logs: dict[tuple[str, str, str], str] = {}
        self.refused: set[tuple[str, str]] = set()
        self.refused_accounts: set[tuple[str, str]] = set()  # (account, plural)
        self.kinds = copy.deepcopy(KINDS)
        self.calls: list[str] = []
        self.wrong: list[str] = []
        self.broken: list[int] = []  # statuses of the next answers
        self.lock, self.version = threading.RLock(), 0

    def without(self, *groups: str) -> "ApiServer":
        """A cluster on which the parts of these API groups are not installed."""
        self.kinds = {key: kinds for key, kinds in self.kinds.items() if key[0] not in groups}
        return self

    def put(self, whole: Object, plural: str = "") -> Object:
        """Makes or replaces an object, as anybody on the cluster might."""
        group, _, version = whole["apiVersion"].rpartition("/")
        plural = plural or next(p for p, (kind, _) in self.kinds[group, version].items() if kind == whole["kind"])
        meta = whole["metadata"]
        given = whole.pop("stringData", {})
        with self.lock:
            if given:
                whole.setdefault("data", {}).update({k: b64encode(v.encode()).decode() for k, v in given.items()})
            self.version += 1
            key = (group, plural, meta.get("namespace", ""), meta["name"])
            meta.setdefault("uid", str(uuid.uuid4()))
            meta.setdefault("creationTimestamp", now())
            meta |= {"resourceVersion": str(self.version), "generation": 1}
            self.objects[key] = whole
        return whole

    def made(self, whole: Object) -> Object:
        self.put(whole)
        self.react(self, whole)
        return whole

    def all(self, plural: str, namespace: str = "") -> list[Object]:
        with self.lock:
            return [one for key, one in self.objects.items() if key[1] == plural and namespace in ("", key[2])]

    def one(self, plural: str, name: str, namespace: str = "") -> Object | None:
        return next((one for one in self.all(plural, namespace) if one["metadata"]["name"] == name), None)

    def delete(self, plural: str, whole: Object) -> None:
        """At once, but for a volume: its finalizer goes a moment later (kubernetes 1.34, pkg/controller/volume/
        pvprotection/pv_protection_controller.go)."""
        meta = whole["metadata"]
        where = (plural, meta["name"], meta.get("namespace", ""))
        if plural != "persistentvolumes":
            self.remove(*where)
        elif "deletionTimestamp" not in meta:
            meta["deletionTimestamp"] = now()
            threading.Timer(0.3, self.remove, where).start()

    def remove(self, plural: str, name: str, namespace: str = "") -> None:
        """With all that lies in it, where it is a namespace, and all that it owns."""
        with self.lock:
            found = [key for key in self.objects if key[1] == plural and key[3] == name and namespace in ("", key[2])]
            for key in found:
                uid = self.objects.pop(key)["metadata"]["uid"]
                inside = [k for k in self.objects if plural == "namespaces" and k[2] == name]
                owned = [k for k, o in self.objects.items() if any(r["uid"] == uid for r in owners(o))]
                for group, kind, where, below in {*inside, *owned}:
                    if (group, kind, where, below) in self.objects:
                        self.remove(kind, below, where)


def owners(whole: Object) -> list[Object]:
    return whole["metadata"].get("ownerReferences", [])


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    server: "Listening"
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        state, url = self.server.state, urlsplit(self.path.replace("/?", "?").rstrip("/"))
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(url.query))
        try:
            if state.broken:
                raise Refused(state.broken.pop(0), "a fault that the test has planted")
            reply = discovered(state.kinds, url.path)
            if reply is None:
                reply = self.asked(state, url.path, query, yaml.safe_load(content) if content else {})
            self.reply(200, reply)
        except Refused as refused:
            self.reply(refused.status, status(refused.status, str(refused)))
        except Exception as error:
            state.wrong.append(f"{self.command} {self.path}: {type(error).__name__} {error}")
            self.reply(400, status(400, str(error)))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def asked(self, state: ApiServer, path: str, query: dict, body: Object) -> Object:
        match = PATH.fullmatch(path)
        group, version = (match["group"] or "", match["version"]) if match else ("?", "?")
        if not match or match["plural"] not in state.kinds.get((group, version), {}):
            raise Refused(404, "the server could not find the requested resource")
        plural, space, name, sub = match["plural"], match["namespace"] or "", match["name"], match["sub"]
        state.calls.append(" ".join(filter(None, (self.command, plural, name, sub))))
        if sub == "token":
            made = {"token": f"token-of-{name}-for-{body['spec']['audiences'][0]}", "expirationTimestamp": now()}
            return {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", **body, "status": made}
        if sub == "log":
            return self.log(state, space, name, query)
        if plural.endswith("reviews"):
            return self.review(state, body)
        if self.command == "POST":
            named = {"apiVersion": f"{group}/{version}".lstrip("/"), "kind": state.kinds[group, version][plural][0]}
            return self.create(state, plural, space, named | body)
        if not name:
            found = selected(state.all(plural, space), query)
            kind = state.kinds[group, version][plural][0]
            named = f"{group}/{version}".lstrip("/")
            return {"kind": f"{kind}List", "apiVersion": named, "metadata": {"resourceVersion": "1"}, "items": found}
        there = state.one(plural, name, space)
        if there is None:
            raise Refused(404, f'{plural} "{name}" not found')
        if self.command == "DELETE":
            state.delete(plural, there)
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if self.command == "PATCH":
            self.check_patch(group)
            with state.lock:
                merge(there, body)
                state.put(there)
            state.react(state, there)
        return there

    def create(self, state: ApiServer, plural: str, space: str, body: Object) -> Object:
        meta = body.setdefault("metadata", {})
        meta |= {"namespace": space} if space else {}
        if state.one(plural, meta["name"], space):
            raise Refused(409, f'{plural} "{meta["name"]}" already exists')
        if space and state.one("namespaces", space) is None:
            raise Refused(404, f'namespaces "{space}" not found')
        return state.made(body)

    def check_patch(self, group: str) -> None:
        """A custom resource has no strategic merge: kubernetes 1.34, apiextensions-apiserver/pkg/apiserver/
        customresource_handler.go, supportedTypes of serveResource; the words are those of negotiation/errors.go."""
        if group in CUSTOM and self.headers["Content-Type"] == "application/strategic-merge-patch+json":
            kinds = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
            said = "the body of the request was in an unknown format - accepted media types include"
            raise Refused(415, f"{said}: {kinds}")

    def review(self, state: ApiServer, body: Object) -> Object:
        asked = body["spec"]["resourceAttributes"]
        account = body["spec"].get("user", "").rpartition(":")[2]
        plural = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        allowed = (
            (account, plural) not in state.refused_accounts if account else (asked["verb"], plural) not in state.refused
        )
        return body | {"status": {"allowed": allowed}}

    def log(self, state: ApiServer, space: str, pod: str, query: dict) -> str:
        if (space, pod, query["container"]) not in state.logs:
            raise Refused(404, f'pods "{pod}" not found')
        lines = state.logs[space, pod, query["container"]].splitlines(keepends=True)
        return "".join(lines[-int(query.get("tailLines", 10**6)) :])

    def reply(self, code: int, body: Object | str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def selected(objects: list[Object], query: dict) -> list[Object]:
    """By labels and by fields, of these by equality."""
    selector = query.get("labelSelector", "")
    fields = dict(part.split("=", 1) for part in filter(None, query.get("fieldSelector", "").split(",")))
    found = [one for one in objects if selects(selector, one["metadata"].get("labels", {}))]
    for path, value in fields.items():
        found = [one for one in found if at(one, path) == value]
    return found


def at(whole: Object, path: str) -> object:
    for part in path.split("."):
        whole = whole.get(part, {})
    return whole


def merge(whole: Object, change: Object) -> None:
    """A merge patch: what is None goes, mappings are merged, all else is replaced."""
    for key, value in change.items():
        if value is None:
            whole.pop(key, None)
        elif isinstance(value, dict) and isinstance(whole.get(key), dict):
            merge(whole[key], value)
        else:
            whole[key] = value


def status(code: int, message: str) -> Object:
    reason = {404: "NotFound", 409: "AlreadyExists", 403: "Forbidden"}.get(code, "InternalError")
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    state: ApiServer


@contextmanager
def listening(state: ApiServer, kubeconfig: Path) -> Iterator[str]:
    """Serves on a free port of the loopback and writes a kubeconfig for it; yields the address."""
    server = Listening(("127.0.0.1", 0), Handler)
    server.state = state
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": address}}],
        "users": [{"name": "test", "user": {"token": "t"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    kubeconfig.write_text(yaml.safe_dump(whole))
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
