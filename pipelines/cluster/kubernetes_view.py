"""Reads objects and listings from the Kubernetes API, and tells what is hidden from us.

It is used in a pod, or where KUBECONFIG is set: a kubeconfig in the default place may belong to another cluster than
KFP's.
"""

import os
from typing import Any

from model.errors import ClusterError
from pipelines.cluster.access import POD

Object = dict[str, Any]
TIMEOUT = 10  # seconds


class Hidden(Exception):
    """Kubernetes does not let us look (403), or nobody answers; what was asked for stays unknown."""


class View:
    """`namespace` is that of the pod, or of the kubeconfig's context."""

    def __init__(self) -> None:
        from kubernetes import client, config

        settings, file = client.Configuration(), os.environ.get("KUBECONFIG")
        settings.retries = 0
        try:
            if file:
                config.load_kube_config(config_file=file, client_configuration=settings)
                context = config.list_kube_config_contexts(config_file=file)[1]["context"]
                self.namespace = str(context.get("namespace", "default"))
            else:
                config.load_incluster_config(client_configuration=settings)
                self.namespace = (POD / "namespace").read_text(encoding="utf-8").strip()
        except (config.ConfigException, OSError) as error:
            raise ClusterError(
                f"There is no way to the Kubernetes API ({' '.join(str(error).split())[:200]}); check KUBECONFIG."
            ) from None
        self._client = client.ApiClient(settings)

    def get(self, path: str, **query: str) -> Object | None:
        """None where there is no such object. Raises Hidden."""
        return self._ask("GET", path, query=list(query.items()))

    def items(self, path: str, **query: str) -> list[Object]:
        """Of a listing; a kind that the cluster does not know has none. Raises Hidden."""
        return list((self.get(path, **query) or {}).get("items") or [])

    def may(self, account: str, namespace: str, verb: str, group: str, resource: str, name: str = "") -> bool:
        """Whether a service account has a right, by a LocalSubjectAccessReview. Raises Hidden."""
        resource, _, sub = resource.partition("/")
        wanted = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "name": name}
        spec = {
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "resourceAttributes": wanted | {"subresource": sub},
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "LocalSubjectAccessReview",
            "metadata": {"namespace": namespace},
            "spec": spec,
        }
        path = f"/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews"
        answer = self._ask("POST", path, body=review)
        return bool((answer or {}).get("status", {}).get("allowed"))

    def _ask(
        self, method: str, path: str, query: list[tuple[str, str]] | None = None, body: Any = None
    ) -> Object | None:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer: Object = self._client.call_api(
                path,
                method,
                query_params=query or [],
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                response_type="object",
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=TIMEOUT,
            )
        except ApiException as error:
            if error.status == 404:
                return None
            if error.status == 401:
                raise ClusterError("Kubernetes does not know the token (401); get a new one for KUBECONFIG.") from None
            raise Hidden(f"{error.status}") from None
        except HTTPError as error:
            raise Hidden(type(error).__name__) from None
        return answer


def view() -> View | None:
    """None where this process has no way to a Kubernetes API. Raises ClusterError for a KUBECONFIG of no use."""
    return View() if os.environ.get("KUBECONFIG") or (POD / "token").is_file() else None
