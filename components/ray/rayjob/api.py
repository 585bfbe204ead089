"""A client of the Kubernetes API for RayJobs, their pods and their log.

In a pod it uses the pod's service account, elsewhere KUBECONFIG and its namespace. urllib3 repeats calls without an
answer and answers of 429 or 5xx, with doubling pauses.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from urllib3.util import Retry

from components.ray.rayjob.manifest import CLUSTER, SUBMITTER, Object
from model.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

T = TypeVar("T")
RAYJOBS = {"group": "ray.io", "version": "v1", "plural": "rayjobs"}
QUEUES = {"group": "kueue.x-k8s.io", "version": "v1beta2", "plural": "localqueues"}
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
PASSING = frozenset({429, *range(500, 600)})  # the same call may succeed later

PATIENT = Retry(  # pauses of 0, 1, 2, 4, 8, 16, 30, 30 ... s: half an hour
    65, backoff_factor=0.5, backoff_max=30, status_forcelist=PASSING, allowed_methods=None, raise_on_status=False
)
HASTY = PATIENT.new(total=5)  # a quarter of a minute, for a step that ends
ANSWER = (10, 60)  # seconds to connect and between two bytes
AT_ONCE = (0.5, 0.5)  # of a step that is killed: it may have one second
QUIET = 300  # seconds without a line, after which the log is requested again: the connection may be dead


class Kubernetes:
    """
    Raises:
        ClusterError: the API refuses, or has not answered for half an hour.
    """

    def __init__(self) -> None:
        from kubernetes.client import CoreV1Api, CustomObjectsApi

        settings, self.namespace = _settings()
        patient = _client(settings, PATIENT)
        self.jobs, self.pods_api = CustomObjectsApi(patient), CoreV1Api(patient)
        self.hasty = CustomObjectsApi(_client(settings, HASTY))
        self.at_once = CustomObjectsApi(_client(settings, False))  # with connections of its own: see delete_at_once
        self.where = RAYJOBS | {"namespace": self.namespace}

    def get(self, name: str) -> Object | None:
        found: Object | None = _called(
            lambda: self.jobs.get_namespaced_custom_object(**self.where, name=name, _request_timeout=ANSWER), {404}
        )
        return found

    def create(self, job: Object, dry_run: bool = False) -> Object | None:
        """The RayJob as the API accepted it; None if one of this name exists.

        A dry run on the server makes nothing; it gives None also if a webhook does not support dry runs (400).
        """
        options = {"dry_run": "All"} if dry_run else {}
        made: Object | None = _called(
            lambda: self.jobs.create_namespaced_custom_object(
                **self.where, body=job, **options, _request_timeout=ANSWER
            ),
            {409, 400} if dry_run else {409},
        )
        return made

    def delete(self, name: str, hasty: bool = False) -> None:
        """Deletes it with its pods; does nothing if it does not exist."""
        _called(lambda: self._delete(self.hasty if hasty else self.jobs, name, ANSWER), {404})

    def delete_at_once(self, name: str) -> bool:
        """One try of less than a second, for a signal handler; True if the API accepted it.

        The main thread may have been interrupted while it held a lock of its own client.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            self._delete(self.at_once, name, AT_ONCE)
        except (ApiException, HTTPError, OSError) as error:
            return getattr(error, "status", None) == 404
        return True

    def _delete(self, api: Any, name: str, timeout: tuple[float, float]) -> None:
        body = {"propagationPolicy": "Background"}
        api.delete_namespaced_custom_object(**self.where, name=name, body=body, _request_timeout=timeout)

    def pods(self, ray_cluster: str) -> list[Object]:
        return self._pods(label_selector=f"{CLUSTER}={ray_cluster}")

    def workflow(self, pod: str) -> Object | None:
        """The ownerReference to the Workflow of a step's pod, if it has one."""
        owners = [one for found in self._pods(field_selector=f"metadata.name={pod}") for one in _owners(found)]
        return next((one for one in owners if one["kind"] == "Workflow"), None)

    def has_queue(self, name: str) -> bool | None:
        """Whether this LocalQueue exists in the namespace; None if the account may not read it."""
        return _called(lambda: self._has_queue(name), {403})

    def _has_queue(self, name: str) -> bool:
        from kubernetes.client import ApiException

        try:
            self.jobs.get_namespaced_custom_object(
                **QUEUES, namespace=self.namespace, name=name, _request_timeout=ANSWER
            )
        except ApiException as error:
            if error.status != 404:
                raise
            return False
        return True

    def log(self, pod: str, follow: bool) -> Iterator[tuple[str, str]]:
        """(time, line) of the submitter's log from its beginning; with `follow`, until the container ends.

        A broken stream is not resumed here: the caller knows which lines it has.

        Raises:
            ApiException, HTTPError: as the client raises them.
        """
        options = {"container": SUBMITTER, "timestamps": True, "follow": follow}
        lines = self.pods_api.read_namespaced_pod_log(
            pod, self.namespace, **options, _preload_content=False, _request_timeout=(ANSWER[0], QUIET)
        )
        try:
            for line in lines:
                stamp, _, text = line.decode("utf-8", "replace").rstrip("\n").partition(" ")
                yield stamp, text
        finally:
            lines.close()

    def _pods(self, **selector: str) -> list[Object]:
        found = _called(lambda: self.pods_api.list_namespaced_pod(self.namespace, **selector, _request_timeout=ANSWER))
        plain: list[Object] = self.pods_api.api_client.sanitize_for_serialization(found)["items"]
        return plain


def _owners(item: Object) -> list[Object]:
    owners: list[Object] = item["metadata"].get("ownerReferences") or []
    return owners


def _called(call: Callable[[], T], none_for: Collection[int] = ()) -> T | None:
    """call(), or None where the API answers with one of these."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        return call()
    except (ApiException, HTTPError) as error:
        status = getattr(error, "status", None)
        if status in none_for:
            return None
        if status is None or status in PASSING:
            raise ClusterError(
                f"The Kubernetes API does not answer ({_said(error)}); start the step again when it does: a training "
                "that runs is found again."
            ) from None
        raise _refused(error) from None


def _refused(error: Any) -> ClusterError:
    if error.status == 401:
        return ClusterError(
            "Kubernetes does not know the token of this step (401); check the service_account of the deploy profile."
        )
    if error.status == 403:
        return ClusterError(
            f"Kubernetes does not let this step do that (403: {_said(error)}); give its account the Role of "
            "deploy/kustomize/base/accounts.yaml."
        )
    return ClusterError(
        f"Kubernetes refused ({error.status}: {_said(error)}); correct `ray` in the deploy profile, or install KubeRay."
    )


def _said(error: Exception) -> str:
    """The API's reason, on one line."""
    try:
        text = json.loads(getattr(error, "body", None) or "")["message"]
    except (ValueError, KeyError, TypeError):
        text = getattr(error, "reason", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")[:300]


def _client(settings: "Configuration", retries: Retry | bool) -> "ApiClient":
    from kubernetes.client import ApiClient

    settings.retries = retries  # read when the client is made
    return ApiClient(settings)


def _settings() -> tuple["Configuration", str]:
    """How the API is reached, and the namespace."""
    from kubernetes import client, config

    settings = client.Configuration()
    file = os.environ.get("KUBECONFIG")
    try:
        if file:
            config.load_kube_config(config_file=file, client_configuration=settings)
            context = config.list_kube_config_contexts(config_file=file)[1]["context"]
            return settings, context.get("namespace", "default")
        config.load_incluster_config(client_configuration=settings)
        return settings, NAMESPACE.read_text(encoding="utf-8").strip()
    except (config.ConfigException, OSError) as error:
        raise ClusterError(
            f"This process has no way to the Kubernetes API ({_said(error)}); run it in a pod, or set KUBECONFIG."
        ) from None
