"""KFP's API: at the host that is named or through kubectl's port-forward, with the token that is named or our own."""

import contextlib
import os
import socket
import subprocess
import threading
from typing import Any

import yaml

from model.errors import ClusterError
from pipelines.cluster.client import Cluster
from tests.e2e.on_cluster.cluster_clients import MINE, Site, kubectl
from tests.e2e.on_cluster.steps import Failed
from tests.e2e.servers import free_port

HOST, TOKEN, NAMESPACE = "PINCLIP_KFP_HOST", "PINCLIP_KFP_TOKEN", "PINCLIP_KFP_NAMESPACE"
AUDIENCE = "pipelines.kubeflow.org"  # KFP's API server takes tokens that were made for it
ACCOUNT = "pinclip-e2e"
EXPERIMENT = "pinclip-e2e"
HOURS = 3  # that our token lasts


def reach(site: Site) -> str:
    """Asks KFP what it is, and for the experiment; a token that was named and is refused gives way to our own."""
    ways = _ways(site)

    def answers() -> Cluster | None:
        try:
            return Cluster(None)
        except ClusterError as error:
            reason[:] = [str(error)]
            return None

    reason: list[str] = []
    server = site.clock.until(answers, 60, "KFP did not answer", lambda: reason)
    health: Any = server.call(server.client.get_kfp_healthz)
    if not health.multi_user:
        raise Failed(
            f"KFP at {server.host} is not in multi-user mode: its steps would run in its own namespace, not in "
            f"{site.namespace}; install it with the manifests of platform-agnostic-multi-user."
        )
    if refusal := _refusal(server):
        os.environ[TOKEN] = token(site)
        ways.append(f"as {ACCOUNT}, by a token of ours; that of {TOKEN} is refused: {refusal}")
        server = Cluster(None)
    experiment = server.experiment(EXPERIMENT)
    return f"KFP answers at {server.host}{''.join(f' {way}' for way in ways)}; experiment {EXPERIMENT} is {experiment}."


def server(site: Site) -> Cluster:
    """KFP, through the project's own client; with --only and --delete the step above was left out."""
    _ways(site)
    return Cluster(None)


def _ways(site: Site) -> list[str]:
    """Leaves host, token and namespace in the environment, where `pinclip` reads them; what was missing there."""
    ways = []
    os.environ[NAMESPACE] = site.namespace
    if not os.environ.get(HOST):
        os.environ[HOST] = forwarded(site, "kubeflow", "svc/ml-pipeline", 8888)
        ways.append("through kubectl port-forward")
    if not os.environ.get(TOKEN):
        os.environ[TOKEN] = token(site)
        ways.append(f"as {ACCOUNT}, by a token of ours")
    return ways


def _refusal(server: Cluster) -> str:
    """Why KFP takes the token not, in this namespace; "" where it does."""
    try:
        server.check_token()
    except ClusterError as error:
        return str(error)
    return ""


def token(site: Site) -> str:
    """Of an account that may start runs in the namespace, made for KFP."""
    named = {"namespace": site.namespace, "labels": {MINE: "true"}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubeflow-pipelines-edit"}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": site.namespace}
    objects = (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, **named}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": ACCOUNT, **named},
            "roleRef": role,
            "subjects": [subject],
        },
    )
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
    review = {"spec": {"audiences": [AUDIENCE], "expirationSeconds": HOURS * 3600}}
    made: Any = site.ask(site.core.create_namespaced_service_account_token, ACCOUNT, site.namespace, review)
    return str(made.status.token)


def forwarded(site: Site, namespace: str, target: str, port: int) -> str:
    """The address of a Service on this machine, until the site is closed; kubectl is started again where it ends."""
    local, over = free_port(), threading.Event()
    command = ["kubectl", "-n", namespace, "port-forward", target, f"{local}:{port}"]
    process: list[subprocess.Popen[str]] = []
    words: list[str] = []

    def keep() -> None:
        while not over.is_set():
            one = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            process[:] = [one]
            words[:] = [(one.communicate()[1] or "").strip()[-300:]]
            over.wait(1)

    def end() -> None:
        over.set()
        for one in process:
            one.terminate()
        thread.join(10)

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", local), 1):
            return True
        return False

    thread = threading.Thread(target=keep, daemon=True)
    try:
        thread.start()
        site.closing.append(end)
        site.clock.until(answers, 30, f"`{' '.join(command)}` opened no way", lambda: words)
    except FileNotFoundError:
        raise Failed("kubectl is not installed, or not on PATH.") from None
    return f"http://127.0.0.1:{local}"
