"""A Kubernetes API server for tests, as far as RayJobs, pods and logs go: real HTTP, spoken to by the real client.

It asks for the token, grants only what the Role of deploy/kustomize/base/accounts.yaml grants, and holds each RayJob
against KubeRay's CRD where ../shared has it. `operator` is called in a thread of its own for every RayJob that is made:
tests/kuberay.py is one that behaves as KubeRay's; where a test needs a state of its own, it writes it down.
"""

import copy
import json
import re
import socket
import sys
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
    r"/apis/(?P<group>kueue\.x-k8s\.io)/v1beta2/namespaces/(?P<namespace>[^/]+)/(?P<resource>localqueues)/(?P<name>[^/]+)",
    r"/api/v1/namespaces/(?P<namespace>[^/]+)/(?P<resource>pods)(/(?P<name>[^/]+)/(?P<sub>log))?",
}


def granted() -> set[tuple[str, str, str]]:
    """(group, resource, verb) of the Role pinclip-pipeline."""
    text = (ROOT / "deploy/kustomize/base/accounts.yaml").read_text(encoding="utf-8")
    roles = (node for node in yaml.safe_load_all(text) if node["kind"] == "Role")
    (role,) = (node for node in roles if node["metadata"]["name"] == "pinclip-pipeline")
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
        self.slow: dict[str, float] = {}  # seconds that the answer to a call takes
        self.unknown: set[str] = set()  # fields of a RayJob's spec that the CRD of an older KubeRay drops
        self.queues: set[str] = set()
        self.made: list[Object] = []
        self.jobs: dict[str, Object] = {}
        self.pods: dict[str, Object] = {}
        self.logs: dict[str, Log] = {}
        self.changed = threading.Condition(threading.RLock())

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
                self.changed.notify_all()

    def start(self, name: str, ray_cluster: str) -> str:
        """The RayJob runs: its Ray cluster has a head, whose submitter writes a log. Returns the pod's name."""
        pod = f"{ray_cluster}-head"
        running = {"running": {"startedAt": now()}}
        self.put_pod(pod, ray_cluster, "head", {"ray-head": running, "ray-job-submitter": running})
        self.update(name, jobDeploymentStatus="Running", jobStatus="RUNNING", rayClusterName=ray_cluster)
        return pod

    def put_pod(
        self, name: str, ray_cluster: str, node: str, states: dict[str, Object], phase: str = "Running"
    ) -> None:
        """A pod as the API shows it, less what nobody here reads; it is ready when all its containers run."""
        boxes = [
            {"name": box, "image": "i", "imageID": "", "ready": "running" in state, "restartCount": 0}
            | {"state": state, "lastState": {}}
            for box, state in states.items()
        ]
        ready = str(all(box["ready"] for box in boxes))
        conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]
        labels = {"ray.io/cluster": ray_cluster, "ray.io/node-type": node}
        limits = {"containers": [{"name": box, "resources": {"limits": {"memory": "4Gi"}}} for box in states]}
        status = {"phase": phase, "conditions": conditions, "containerStatuses": boxes}
        with self.changed:
            self.pods[name] = {"metadata": {"name": name, "labels": labels}, "spec": limits, "status": status}
            self.logs.setdefault(name, Log())

    def state(self, pod: str, box: str) -> Object:
        """The status of a container, to be changed in place."""
        (found,) = (one for one in self.pods[pod]["status"]["containerStatuses"] if one["name"] == box)
        return found

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
            for box in ("ray-head", "ray-job-submitter"):
                self.state(pod, box)["state"] = {"waiting": {"reason": reason, "message": message}}
        self.update(name, jobDeploymentStatus="Initializing", jobStatus="")

    def end(self, pod: str, code: int = 0, reason: str = "") -> None:
        """The submitter's container ends; its pod is not ready any more, and stays (restartPolicy Never)."""
        with self.changed:
            said = {"exitCode": code, "reason": reason or ("Error" if code else "Completed"), "finishedAt": now()}
            self.state(pod, "ray-job-submitter").update(state={"terminated": said}, ready=False)
            self.pods[pod]["status"]["conditions"][1]["status"] = "False"
            self.logs[pod].ended = True
            self.changed.notify_all()

    def kill_for_memory(self, pod: str, box: str) -> None:
        """As the kernel does: the container is started again, and its last state says why it ended."""
        with self.changed:
            killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": now()}}
            self.state(pod, box).update(lastState=killed, restartCount=1)

    def evict(self, pod: str) -> None:
        with self.changed:
            del self.pods[pod]
            self.logs.pop(pod).ended = True
            self.changed.notify_all()

    # What the API does

    def create_rayjobs(self, body: Object, query: dict | None = None, **_: object) -> Object:
        name = body["metadata"]["name"]
        if name in self.jobs:
            raise Refused(409, f'rayjobs.ray.io "{name}" already exists')
        if CRDS.is_dir():
            for error in jsonschema.Draft202012Validator(crd_schema("ray.io", "v1", "RayJob")).iter_errors(body):
                raise Refused(422, f"{error.json_path}: {error.message}")
        meta = {"uid": str(uuid.uuid4()), "namespace": NAMESPACE, "creationTimestamp": now()}
        job = copy.deepcopy(body) | {"metadata": body["metadata"] | meta}
        job["spec"] = {key: value for key, value in job["spec"].items() if key not in self.unknown}
        if (query or {}).get("dryRun") == "All":
            return job
        self.jobs[name] = job
        self.made.append(job)
        if self.operator:
            threading.Thread(target=self.operator, args=(self, name), daemon=True).start()
        return self.jobs[name]

    def get_rayjobs(self, name: str, **_: object) -> Object:
        return self._job(name)

    def get_localqueues(self, name: str, **_: object) -> Object:
        if name not in self.queues:
            raise Refused(404, f'localqueues.kueue.x-k8s.io "{name}" not found')
        return {"kind": "LocalQueue", "metadata": {"name": name}}

    def list_pods(self, query: dict, **_: object) -> Object:
        if field := query.get("fieldSelector"):
            items = [pod for name, pod in self.pods.items() if field == f"metadata.name={name}"]
        else:
            wanted = dict(part.split("=") for part in query["labelSelector"].split(","))
            items = [pod for pod in self.pods.values() if wanted.items() <= pod["metadata"]["labels"].items()]
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}

    def delete_rayjobs(self, name: str, **_: object) -> Object:
        job = self._job(name)
        job["metadata"]["deletionTimestamp"] = now()
        if not job["metadata"].get("finalizers"):  # else it stays until KubeRay has taken its own off
            self.remove(name)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def remove(self, name: str) -> None:
        with self.changed:
            job = self.jobs.pop(name)
            for pod in [pod for pod in self.pods if pod.startswith(job.get("status", {}).get("rayClusterName") or "?")]:
                self.evict(pod)
            self.changed.notify_all()

    def _job(self, name: str) -> Object:
        if name not in self.jobs:
            raise Refused(404, f'rayjobs.ray.io "{name}" not found')
        return self.jobs[name]


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
            verb = self.verb(at)
            call = " ".join(filter(None, [verb, at.get("resource"), at["sub"]]))
            state.calls.append(call)
            time.sleep(state.slow.get(call, 0.0))
            self.check(state, at, call, verb)
            body = json.loads(content) if content else {}
            if at["sub"] == "log":
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

    def verb(self, at: dict) -> str:
        if self.command == "GET":
            return "get" if at.get("name") else "list"
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

    def log(self, state: KubernetesServer, pod: str, query: dict) -> None:
        log = state.logs.get(pod)
        if log is None:
            raise Refused(404, f'pods "{pod}" not found')
        if "waiting" in state.state(pod, "ray-job-submitter")["state"]:
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

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that did not wait
            super().handle_error(request, client_address)


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
