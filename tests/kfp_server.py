"""A Kubeflow Pipelines server for tests: it keeps its state in memory and holds both sides to KFP's OpenAPI file.

A request that the file does not know, with a parameter too many or a body that does not fit, is noted in `wrong` and
refused with 400; so is an answer that does not fit. What a KFP 2.16.1 in multi-user mode did (recorded on 28 November
2026) it does as well; its files and lines at the tag 2.16.1 stand beside it. tests/kfp_driver.py runs what it is given.
"""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import yaml
from kfp_openapi import check_request, openapi, operation, problems

PAGE = 2  # rows in an answer, whatever was asked for: whoever reads one page only shall notice
TOKEN, NAMESPACE = "a-valid-token", "pinclip"
OWNER = "system:serviceaccount:pinclip:ci"  # of every token here
AUDIENCE = "pipelines.kubeflow.org"  # backend/src/apiserver/common/const.go:54
# manifests/kustomize/base/installs/multi-user/api-service/params.env:2
DEFAULT_ACCOUNT = "default-editor"


class KfpServer:
    """`calls` are the operations in order; `refuse` maps an operation to the status it is answered with."""

    def __init__(self) -> None:
        self.version, self.multi_user = "2.16.1", True
        self.audiences = {TOKEN: AUDIENCE}  # token -> whom it is for
        self.failing: set[str] = set()  # the names of runs that end in FAILED
        self.calls: list[str] = []
        self.wrong: list[str] = []
        self.refuse: dict[str, int] = {}
        self.page: str | None = None  # HTML in the place of every answer: a login page
        self.rows: dict[str, dict[str, dict]] = {
            kind: {} for kind in ("experiments", "pipelines", "pipeline_versions", "runs", "recurring_runs")
        }
        self.uploads: dict[str, list[dict]] = {}  # version id -> the YAML documents sent
        self.deleted: dict[str, str] = {}  # recurring run id -> propagation policy

    def changes(self) -> list[str]:
        """The operations that alter something."""
        return [call for call in self.calls if not re.search(r"_(List|Get)", call)]

    def named(self, kind: str) -> dict[str, dict]:
        return {row["display_name"]: row for row in self.rows[kind].values()}

    def answer(self, name: str, at: dict[str, str], query: dict[str, str], body: dict) -> dict:
        act: Callable[..., dict] = getattr(self, name.split("_")[-1], None) or self._unknown
        return act(at=at, query=query, body=body)

    def GetHealthz(self, **_: dict) -> dict:
        """apiserver/main.go:381 writes more than the OpenAPI file says; a build of one's own has "unknown" there."""
        return {"multi_user": self.multi_user, "pipeline_store": "database"} | {
            "tag_name": self.version,
            "commit_sha": "unknown",
        }

    def ListExperiments(self, query: dict, **_: dict) -> dict:
        return self._list("experiments", query)

    def CreateExperiment(self, body: dict, **_: dict) -> dict:
        return self._add("experiments", "experiment_id", body | {"storage_state": "AVAILABLE"})

    def ListPipelines(self, query: dict, **_: dict) -> dict:
        return self._list("pipelines", query)

    def CreatePipeline(self, body: dict, **_: dict) -> dict:
        return self._add("pipelines", "pipeline_id", body)

    def ListPipelineVersions(self, at: dict, query: dict, **_: dict) -> dict:
        return self._list("pipeline_versions", query, pipeline_id=at["pipeline_id"])

    def UploadPipelineVersion(self, query: dict, body: dict, **_: dict) -> dict:
        documents = list(yaml.safe_load_all(body["uploadfile"]))
        said = {"pipeline_id": query["pipelineid"], "name": query["name"], "display_name": query["name"]}
        row = self._add("pipeline_versions", "pipeline_version_id", said)
        self.uploads[row["pipeline_version_id"]] = documents
        return row

    def CreateRun(self, body: dict, **_: dict) -> dict:
        self._check_arguments(body)
        account = body.get("service_account") or DEFAULT_ACCOUNT  # template/template.go:309, setDefaultServiceAccount
        return self._add("runs", "run_id", body | {"state": "PENDING", "service_account": account})

    def ListRuns(self, query: dict, **_: dict) -> dict:
        return self._list("runs", query, experiment_id=query["experiment_id"])

    def GetRun(self, at: dict, **_: dict) -> dict:
        """A run is one state further at every look."""
        run = self.rows["runs"][at["run_id"]]
        end = "FAILED" if run["display_name"] in self.failing else "SUCCEEDED"
        run["state"] = {"PENDING": "RUNNING", "RUNNING": end}.get(run["state"], run["state"])
        return run

    def ListRecurringRuns(self, query: dict, **_: dict) -> dict:
        return self._list("recurring_runs", query, experiment_id=query["experiment_id"])

    def CreateRecurringRun(self, body: dict, **_: dict) -> dict:
        self._check_arguments(body)
        assert body["experiment_id"] in self.rows["experiments"]
        more = {
            "service_account": self._account(body),
            "status": "ENABLED",
            "updated_at": datetime.now(UTC).isoformat(),
        }
        # gRPC's gateway writes an int64 as its digits.
        row = self._add("recurring_runs", "recurring_run_id", body | more)
        return row | {"max_concurrency": str(row["max_concurrency"])}

    def DisableRecurringRun(self, at: dict, **_: dict) -> dict:
        self.rows["recurring_runs"][at["recurring_run_id"]]["mode"] = "DISABLE"
        return {}

    def EnableRecurringRun(self, at: dict, **_: dict) -> dict:
        self.rows["recurring_runs"][at["recurring_run_id"]]["mode"] = "ENABLE"
        return {}

    def DeleteRecurringRun(self, at: dict, query: dict, **_: dict) -> dict:
        del self.rows["recurring_runs"][at["recurring_run_id"]]
        self.deleted[at["recurring_run_id"]] = query.get("propagation_policy", "")
        return {}

    def _account(self, body: dict) -> str:
        """Of a recurring run. The compiler has set the default before anybody looks at what was asked for, and only an
        empty one is replaced: argocompiler/argo.go:156, template/v2_template.go:149; 2.17.0 asks first (:168)."""
        asked = body.get("service_account") or DEFAULT_ACCOUNT
        return asked if tuple(map(int, self.version.split(".")[:2])) >= (2, 17) else DEFAULT_ACCOUNT

    def _unknown(self, **_: dict) -> dict:
        raise AssertionError("this stand-in does not do that")

    def _add(self, kind: str, key: str, row: dict) -> dict:
        number = str(uuid.uuid4())
        more = {key: number, "created_at": datetime.now(UTC).isoformat()}
        if kind in ("experiments", "pipelines", "recurring_runs"):  # the others belong to one of these
            more["namespace"] = NAMESPACE
        self.rows[kind][number] = row | more
        return self.rows[kind][number]

    def _list(self, kind: str, query: dict, **where: str) -> dict:
        wanted = dict(where)
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            assert predicate["operation"] in (1, "EQUALS"), predicate
            wanted[predicate["key"]] = predicate["stringValue"]
        rows = [row for row in self.rows[kind].values() if wanted.items() <= row.items()]
        rows.sort(key=lambda row: row["created_at"], reverse=query.get("sort_by", "").endswith(" desc"))
        start = int(query.get("page_token") or 0)
        more = {"next_page_token": str(start + PAGE)} if len(rows) > start + PAGE else {}
        named = {"recurring_runs": "recurringRuns"}.get(kind, kind)  # the one list of KFP's in camel case
        return {named: rows[start : start + PAGE], "total_size": len(rows)} | more

    def _check_arguments(self, body: dict) -> None:
        """As KFP does: the version is there, and its pipeline gets every argument it has no default for."""
        reference = body["pipeline_version_reference"]
        assert (
            self.rows["pipeline_versions"][reference["pipeline_version_id"]]["pipeline_id"] == reference["pipeline_id"]
        )
        inputs = self.uploads[reference["pipeline_version_id"]][0]["root"]["inputDefinitions"]["parameters"]
        given = set(body["runtime_config"]["parameters"])
        assert given <= set(inputs), f"unknown arguments {given - set(inputs)}"
        missing = {name for name, one in inputs.items() if "defaultValue" not in one} - given
        assert not missing, f"missing arguments {missing}"


class Handler(BaseHTTPRequestHandler):
    server: "Listening"

    def handle_one(self) -> None:
        state, url = self.server.state, urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if state.page:
            return self.reply(200, state.page, "text/html")
        found, at = operation(self.command, url.path)
        name = found.get("operationId", f"{self.command} {url.path}")
        query = dict(parse_qsl(url.query))
        if gate := refusal(state, name, self.headers.get("authorization", ""), query):
            return self.reply(gate[0], json.dumps({"code": gate[1], "message": gate[2], "details": []}))
        state.calls.append(name)
        if name in state.refuse:
            said = {"code": 13, "message": f"{name} refused\nby the test", "details": []}
            return self.reply(state.refuse[name], json.dumps(said))
        try:
            body = self.body(content)
            check_request(found, query, body)
            answer = state.answer(name, at, query, body)
            fields = {key: value for key, value in answer.items() if key not in ("tag_name", "commit_sha")}
            misfit = problems(found["responses"]["200"]["schema"], fields)
            assert not misfit, f"the answer does not fit: {misfit}"
        except Exception as error:
            state.wrong.append(f"{name}: {type(error).__name__} {error}")
            return self.reply(400, json.dumps({"code": 3, "message": str(error), "details": []}))
        return self.reply(200, json.dumps(answer))

    do_GET = do_POST = do_DELETE = handle_one

    def body(self, content: bytes) -> dict:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
            return {
                part.get_param("name", header="content-disposition"): part.get_payload()
                for part in message.walk()
                if not part.is_multipart()
            }
        return json.loads(content) if content else {}

    def reply(self, status: int, text: str, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def refusal(state: KfpServer, name: str, authorization: str, query: dict[str, str]) -> tuple[int, int, str] | None:
    """Status, gRPC's code and message of a request that is let in nowhere; the words are those of the recorded ones.

    healthz asks for no token. In single-user mode nobody is asked for anything.
    """
    if name.endswith("_GetHealthz") or not state.multi_user:
        return None
    audience = state.audiences.get(authorization.removeprefix("Bearer "))
    if audience != AUDIENCE:
        why = f'token audiences ["{audience}"] is invalid for the target audiences ["{AUDIENCE}"]'
        why = f"[invalid bearer token, {why}]" if audience else "[invalid bearer token]"
        return (
            401,
            16,
            f"Failed to authorize with API: Unauthenticated: Review.Status.Authenticated is false. Error {why}",
        )
    namespace = query.get("namespace")
    if name == "ExperimentService_ListExperiments" and not namespace:  # server/experiment_server.go:357
        return 400, 3, "List experiments failed: An experiment cannot have an empty namespace in multi-user mode"
    if namespace not in (None, "", NAMESPACE):
        asked = f"Namespace:{namespace},Verb:list,Group:{AUDIENCE},Version:v1beta1,Resource:experiments,Subresource:,"
        return 403, 7, f"User '{OWNER}' is not authorized with reason: (request: &ResourceAttributes{{{asked}}})"
    return None


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    state: KfpServer


@contextmanager
def listening(state: KfpServer) -> Iterator[str]:
    """Serves on a free port of the loopback; yields the address."""
    openapi()
    server = Listening(("127.0.0.1", 0), Handler)
    server.state = state
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
