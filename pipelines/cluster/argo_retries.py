"""Which failures of a step Argo retries: KFP leaves it open, the workflow controller's ConfigMap decides.

A profile's `retries` give the number and the waits. Which ends count is Argo's `retryPolicy`, which KFP never sets
(backend/src/v2/compiler/argocompiler/container.go, getTaskRetryStrategyFromInput), so it is that of the controller's
`workflowDefaults`, else OnFailure (Argo's RetryPolicyActual). Seen on a cluster, 28 November 2026:

    OnFailure   KFP 2.16   a step that exits with 1 is tried again, one whose pod is deleted, drained or evicted is not
    OnError     KFP 2.17   the other way round

`Always` is both. With it the default `limit` has to be 0: Argo gives these defaults to every template, and a DAG that
is tried again runs all its steps again, each with its own retries; a step's own count takes the place of the 0. What no
second try fixes is told to Argo by components/termination_message.py.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from pipelines.cluster.kubernetes_view import View

NAMESPACE = "kubeflow"  # of KFP and its Argo
CONFIG_MAP = "workflow-controller-configmap"
LINES = 'limit: "0"` and `retryPolicy: Always'
ADVICE = (
    f"under workflowDefaults.spec.templateDefaults.retryStrategy of the ConfigMap {CONFIG_MAP} in {NAMESPACE} write "
    f"`{LINES}`"
)
MISSING = {
    "OnFailure": "a step whose pod is deleted, drained or evicted is not tried again",
    "OnError": "a step that fails is not tried again, only one whose pod is lost",
    "OnTransientError": "a step that fails is tried again only where Argo takes the error for a passing one",
}


@dataclass(frozen=True)
class Policy:
    name: str
    limit: int | None  # of everything that has no count of its own

    @property
    def wrong(self) -> str:
        """What is not retried, or retried too often; "" if all is right."""
        if self.name != "Always":
            return MISSING.get(self.name, f"Argo knows no retryPolicy {self.name}")
        if self.limit != 0:
            return "a step that fails for good has its whole pipeline run again, for every template has a limit"
        return ""


def policy(view: View) -> Policy:
    """Raises Hidden where the ConfigMap cannot be seen."""
    found = view.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{CONFIG_MAP}") or {}
    data = found.get("data") or {}
    return read_policy(data.get("workflowDefaults") or _inside(data.get("config"), "workflowDefaults"))


def read_policy(defaults: Any) -> Policy:
    tree = yaml.safe_load(defaults) if isinstance(defaults, str) else defaults
    for key in ("spec", "templateDefaults", "retryStrategy"):
        tree = _inside(tree, key)
    limit = str(_inside(tree, "limit") if _inside(tree, "limit") is not None else "")
    return Policy(str(_inside(tree, "retryPolicy") or "OnFailure"), int(limit) if limit.isdecimal() else None)


def _inside(tree: Any, key: str) -> Any:
    """The controller reads its settings as keys of the ConfigMap, or all from one key `config`."""
    tree = yaml.safe_load(tree) if isinstance(tree, str) else tree
    return tree.get(key) if isinstance(tree, dict) else None
