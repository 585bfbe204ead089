"""A Kubernetes API server for tests, as far as RayJobs, pods and logs go: real HTTP, spoken to by the real client.

It asks for the token, grants only what the Role of deploy/kustomize/base/accounts.yaml grants, and holds each RayJob
against KubeRay's CRD where ../shared has it. What KubeRay's operator would do is for the test to say: `operator` is
called in a thread of its own for every RayJob that is made.
"""

import copy
import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import yaml
from manifests import CRDS, ROOT, crd_schema

Object = dict
TOKEN, NAMESPACE = "a-valid-token", "pinclip"
PATHS = {
    r"/apis/(?P<group>ray\.io)/v1/namespaces/(?P<namespace>[^/]+)/(?P<resource>rayjobs)(/(?P<name>[^/]+))?",
    r"/api/v1/namespaces/(?P<namespace>[^/]+)/(?P<resource>pods)(/(?P<name>[^/]+)/(?P<sub>log))?",
}


def granted() -> set[tuple[str, str, str]]:
    """(group, resource, verb) of the Role pinclip-pipeline."""
    text = (ROOT / "deploy/kustomize/base/accounts.yaml").read_text(encoding="utf-8")
    (role,) = (node for node in yaml.safe_load_all(text) if node["kind"] == "Role")
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@dataclass
class Log:
    lines: list[str] = field(default_factory=list)
    ended: bool = False
    cut_after: list[int] = field(default_factory=list)  # lines, of the next streams


class KubernetesServer:
    """`calls` are the requests in order ("watch rayjobs"); `faults` holds the status of the next ones of a kind."""

    def __init__(self, operator: Callable[["KubernetesServer", str], None] | None = None) -> None:
        self.operator, self.role = operator, granted()
        self.calls: list[str] = []
        self.wrong: list[str] = []
        self.faults: dict[str, list[int]] = {}
        self.cut_watches: list[int] = []  # events, after which the next watches break
        self.expired = 0  # the next watches are told that their version is too old
        self.stays = 0.0  # seconds that a deleted RayJob stays, as it does for its finalizer
        self.jobs: dict[str, Object] = {}
        self.pods: dict[str, Object] = {}
        self.logs: dict[str, Log] = {}
        self.events: list[tuple[int, Object]] = []
        self.version, self.changed = 0, threading.Condition(threading.RLock())

    def count(self, call: str) -> int:
        return self.calls.count(call)

    def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s; calls: {self.calls}"
            time.sleep(0.01)

    # What KubeRay's operator does

    def update(self, name: str, **status: object) -> None:
        with self.changed:
            if name in self.jobs:  # deleted under its hands
                self.jobs[name].setdefault("status", {}).update(status)
                self._note("MODIFIED", self.jobs[name])

    def start(self, name: str, ray_cluster: str) -> str:
        """The RayJob runs: its Ray cluster has a head, whose submitter writes a log. Returns the pod's name."""
        pod = f"{ray_cluster}-head"
        with self.changed:
            labels = {"ray.io/cluster": ray_cluster, "ray.io/node-type": "head"}
            box = {"name": "ray-job-submitter", "image": "i", "imageID": "", "ready": True, "restartCount": 0}
            box["state"] = {"running": {"startedAt": now()}}
            self.pods[pod] = {"metadata": {"name": pod, "labels": labels}, "status": {"containerStatuses": [box]}}
            self.logs[pod] = Log()
        self.update(name, jobDeploymentStatus="Running", jobStatus="RUNNING", rayClusterName=ray_cluster)
        return pod

    def write(self, pod: str, *lines: str) -> None:
        with self.changed:
            for line in lines:  # nanoseconds, no two alike, as the kubelet writes them
                stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{len(self.logs[pod].lines):03d}Z"
                self.logs[pod].lines.append(f"{stamp} {line}")
            self.changed.notify_all()

    def wait(self, name: str, ray_cluster: str, reason: str, message: str) -> None:
        """The head's container cannot start."""
        pod = self.start(name, ray_cluster)
        with self.changed:
            waiting = {"waiting": {"reason": reason, "message": message}}
            self.pods[pod]["status"]["containerStatuses"][0]["state"] = waiting
        self.update(name, jobDeploymentStatus="Initializing", jobStatus="")

    def end(self, pod: str) -> None:
        """The submitter's container ends."""
        with self.changed:
            state = {"terminated": {"exitCode": 0, "finishedAt": now()}}
            self.pods[pod]["status"]["containerStatuses"][0]["state"] = state
            self.logs[pod].ended = True
            self.changed.notify_all()

    def evict(self, pod: str) -> None:
        with self.changed:
            del self.pods[pod]
            self.logs.pop(pod).ended = True
            self.changed.notify_all()

    # What the API does

    def create_rayjobs(self, body: Object, **_: object) -> Object:
        name = body["metadata"]["name"]
        if name in self.jobs:
            raise Refused(409, f'rayjobs.ray.io "{name}" already exists')
        if CRDS.is_dir():
            for error in jsonschema.Draft202012Validator(crd_schema("ray.io", "v1", "RayJob")).iter_errors(body):
                raise Refused(422, f"{error.json_path}: {error.message}")
        meta = {"uid": str(uuid.uuid4()), "namespace": NAMESPACE, "creationTimestamp": now()}
        self.jobs[name] = copy.deepcopy(body) | {"metadata": body["metadata"] | meta}
        self._note("ADDED", self.jobs[name])
        if self.operator:
            threading.Thread(target=self.operator, args=(self, name), daemon=True).start()
        return self.jobs[name]

    def get_rayjobs(self, name: str, **_: object) -> Object:
        return self._job(name)

    def list_pods(self, query: dict, **_: object) -> Object:
        wanted = dict(part.split("=") for part in query["labelSelector"].split(","))
        items = [pod for pod in self.pods.values() if wanted.items() <= pod["metadata"]["labels"].items()]
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}

    def delete_rayjobs(self, name: str, **_: object) -> Object:
        job = self._job(name)
        job["metadata"]["deletionTimestamp"] = now()
        self._note("MODIFIED", job)
        if self.stays:
            threading.Timer(self.stays, self._remove, [name]).start()
        else:
            self._remove(name)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _remove(self, name: str) -> None:
        with self.changed:
            job = self.jobs.pop(name)
            for pod in [pod for pod in self.pods if pod.startswith(job.get("status", {}).get("rayClusterName") or "?")]:
                self.evict(pod)
            self._note("DELETED", job)

    def _job(self, name: str) -> Object:
        if name not in self.jobs:
            raise Refused(404, f'rayjobs.ray.io "{name}" not found')
        return self.jobs[name]

    def _note(self, kind: str, job: Object) -> None:
        with self.changed:
            self.version += 1
            job["metadata"]["resourceVersion"] = str(self.version)
            self.events.append((self.version, {"type": kind, "object": copy.deepcopy(job)}))
            self.changed.notify_all()


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
        state, url = self.server.state, urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(url.query))
        try:
            found = next(filter(None, (re.fullmatch(pattern, url.path) for pattern in PATHS)), None)
            at = {"group": "", "sub": None} | (found.groupdict() if found else {})
            verb = self.verb(at, query)
            call = " ".join(filter(None, [verb, at.get("resource"), at["sub"]]))
            state.calls.append(call)
            self.check(state, at, call, verb)
            body = json.loads(content) if content else {}
            if verb == "watch":
                self.watch(state, query)
            elif at["sub"] == "log":
                self.log(state, at["name"], query)
            else:
                with state.changed:
                    reply = getattr(state, call.replace(" ", "_"))(name=at["name"], query=query, body=body)
                    text = json.dumps(reply)
                self.reply(200, text)
        except Refused as refused:
            said = {"kind": "Status", "status": "Failure", "message": str(refused), "code": refused.status}
            self.reply(refused.status, json.dumps(said))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception as error:
            state.wrong.append(f"{self.command} {self.path}: {type(error).__name__} {error}")
            self.reply(400, json.dumps({"message": str(error)}))

    do_GET = do_POST = do_DELETE = answer

    def verb(self, at: dict, query: dict) -> str:
        if self.command == "GET":
            return "watch" if query.get("watch") in ("True", "true") else "get" if at.get("name") else "list"
        return {"POST": "create", "DELETE": "delete"}[self.command]

    def check(self, state: KubernetesServer, at: dict, call: str, verb: str) -> None:
        """The gate of every request: fault, token, namespace, rights."""
        if faults := state.faults.get(call):
            raise Refused(faults.pop(0), "a fault that the test\nhas planted")
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "Unauthorized")
        if at.get("namespace") != NAMESPACE:
            raise Refused(404, f"no such path {self.path}")
        resource = "/".join(filter(None, [at["resource"], at["sub"]]))
        if (at["group"], resource, verb) not in state.role:
            raise Refused(403, f'the account cannot {verb} resource "{resource}"')

    def watch(self, state: KubernetesServer, query: dict) -> None:
        """Events after the version; ends after its time, or breaks in the middle of one where the test says so."""
        seen, name = int(query["resourceVersion"]), query["fieldSelector"].removeprefix("metadata.name=")
        left = state.cut_watches.pop(0) if state.cut_watches else None
        end = time.monotonic() + float(query["timeoutSeconds"])
        self.begin("application/json")
        if state.expired:
            state.expired -= 1
            said = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            self.chunk(json.dumps({"type": "ERROR", "object": said}) + "\n")
            self.finish_stream()
            return
        while time.monotonic() < end and not self.server.stopping:
            with state.changed:
                state.changed.wait(0.05)
                news = [event for version, event in state.events if version > seen]
                seen = state.version
            for event in news:
                if event["object"]["metadata"]["name"] != name:
                    continue
                if left == 0:
                    self.cut('{"type": "MODI')
                    return
                self.chunk(json.dumps(event) + "\n")
                left = None if left is None else left - 1
        self.finish_stream()

    def log(self, state: KubernetesServer, pod: str, query: dict) -> None:
        log = state.logs.get(pod)
        if log is None:
            raise Refused(404, f'pods "{pod}" not found')
        if "waiting" in state.pods[pod]["status"]["containerStatuses"][0]["state"]:
            raise Refused(400, f'container "ray-job-submitter" in pod "{pod}" is waiting to start')
        assert query["container"] == "ray-job-submitter" and query["timestamps"] == "True", query
        left = log.cut_after.pop(0) if log.cut_after else None
        sent = 0
        self.begin("text/plain")
        while not self.server.stopping:
            with state.changed:
                ended, news = log.ended, log.lines[sent:]
                if not news and not ended and query["follow"] == "True":
                    state.changed.wait(0.05)
            for line in news:
                if left == sent:
                    self.cut(line[: len(line) // 2])
                    return
                self.chunk(line + "\n")
                sent += 1
            if not news and (ended or query["follow"] != "True"):
                break
        self.finish_stream()

    def begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def cut(self, text: str) -> None:
        """The connection breaks while a line is sent."""
        self.chunk(text)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def finish_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def reply(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    state: KubernetesServer
    stopping = False


@contextmanager
def listening(state: KubernetesServer, kubeconfig: Path, token: str = TOKEN) -> Iterator[str]:
    """Serves on a free port of the loopback and writes a kubeconfig for it; yields the address."""
    server = Listening(("127.0.0.1", 0), Handler)
    server.state = state
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    write_kubeconfig(kubeconfig, address, token)
    try:
        yield address
    finally:
        server.stopping = True
        server.shutdown()
        server.server_close()
        thread.join()


def write_kubeconfig(path: Path, address: str, token: str = TOKEN) -> None:
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": address}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": NAMESPACE}}],
    }
    path.write_text(yaml.safe_dump(whole))
