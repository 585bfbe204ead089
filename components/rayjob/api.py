"""The Kubernetes API as far as a training needs it: RayJobs, and the log of a pod. Patient, and frank when it gives up.

In a pod it speaks with the pod's own account; elsewhere with the KUBECONFIG that is set, in its namespace.
"""

import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from components.rayjob.manifest import CLUSTER, NODE_TYPE, SUBMITTER, Object
from model.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

T = TypeVar("T")
RAYJOBS = {"group": "ray.io", "version": "v1", "plural": "rayjobs"}
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
WATCH = 300  # seconds, then it is asked for anew; a connection that died unnoticed costs no more
ANSWER = (10, 60)  # seconds to connect and between two bytes
AT_ONCE = (5, 10)


@dataclass(frozen=True)
class Patience:
    """How long an API that fails is asked again, in seconds: pauses that double, up to `longest`, `total` in all."""

    first: float = 1.0
    longest: float = 30.0
    total: float = 1800.0

    def pauses(self) -> Iterator[float]:
        end, pause = time.monotonic() + self.total, self.first
        while time.monotonic() < end:
            yield pause
            pause = min(2 * pause, self.longest)


HASTE = Patience(total=15.0)  # of a process that is asked to stop: it has half a minute


class Kubernetes:
    """Every call is repeated after failures that pass.

    Raises:
        ClusterError: the API refuses, or has not answered for as long as `patience` says.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        from kubernetes.client import CoreV1Api, CustomObjectsApi

        self.patience = patience or Patience()
        client, self.namespace = _connected()
        self.jobs, self.pods = CustomObjectsApi(client), CoreV1Api(client)
        self.where = RAYJOBS | {"namespace": self.namespace}

    def get(self, name: str) -> Object | None:
        found: Object | None = self._call(
            lambda: self.jobs.get_namespaced_custom_object(**self.where, name=name, _request_timeout=ANSWER), {404}
        )
        return found

    def create(self, job: Object) -> bool:
        """False where there is one of this name."""
        made = self._call(
            lambda: self.jobs.create_namespaced_custom_object(**self.where, body=job, _request_timeout=ANSWER), {409}
        )
        return made is not None

    def delete(self, name: str, patience: Patience | None = None) -> None:
        """With all that belongs to it; nothing where there is none."""
        self._call(
            lambda: self.jobs.delete_namespaced_custom_object(
                **self.where, name=name, body={"propagationPolicy": "Background"}, _request_timeout=AT_ONCE
            ),
            {404},
            patience,
        )

    def states(self, name: str) -> Iterator[Object | None]:
        """The RayJob as it is and at every change; None once it is gone. A watch that ends or breaks is taken up."""
        while (job := self.get(name)) is not None:
            yield job
            yield from self._watched(name, job["metadata"]["resourceVersion"])
            time.sleep(self.patience.first)
        yield None

    def head(self, ray_cluster: str) -> Any | None:
        """The pod of Ray's head, where there is one."""
        labels = f"{CLUSTER}={ray_cluster},{NODE_TYPE}=head"
        found: Any = self._call(
            lambda: self.pods.list_namespaced_pod(self.namespace, label_selector=labels, _request_timeout=ANSWER)
        )
        return found.items[0] if found.items else None

    def log(self, pod: str, follow: bool) -> Iterator[tuple[str, str]]:
        """(time, line) of the submitter's log from its beginning; with `follow`, until the container ends.

        It is not repeated: the caller knows what it has read.

        Raises:
            ApiException, HTTPError: as the client raises them.
        """
        options = {"container": SUBMITTER, "timestamps": True, "follow": follow}
        lines = self.pods.read_namespaced_pod_log(
            pod, self.namespace, **options, _preload_content=False, _request_timeout=(ANSWER[0], WATCH)
        )
        try:
            for line in lines:
                stamp, _, text = line.decode("utf-8", "replace").rstrip("\n").partition(" ")
                yield stamp, text
        finally:
            lines.close()

    def _watched(self, name: str, version: str) -> Iterator[Object]:
        from kubernetes.client import ApiException
        from kubernetes.watch import Watch
        from urllib3.exceptions import HTTPError

        try:
            for event in Watch().stream(
                self.jobs.list_namespaced_custom_object,
                **self.where,
                field_selector=f"metadata.name={name}",
                resource_version=version,
                timeout_seconds=WATCH,
                _request_timeout=(ANSWER[0], WATCH + 30),
            ):
                if event["type"] == "DELETED":
                    return
                yield event["object"]
        except ApiException as error:
            if error.status != 410 and not passes(error):  # 410: that version is too old to go on from
                raise _refused(error) from None
        except (HTTPError, ValueError):
            return  # cut off, perhaps in the middle of a line

    def _call(
        self, call: Callable[[], T], none_for: Collection[int] = (), patience: Patience | None = None
    ) -> T | None:
        """call(), or None where the API answers with one of these."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        patience = patience or self.patience
        pauses = patience.pauses()
        while True:
            try:
                return call()
            except (ApiException, HTTPError) as error:
                if getattr(error, "status", None) in none_for:
                    return None
                if not passes(error):
                    raise _refused(error) from None
                if (pause := next(pauses, None)) is None:
                    raise ClusterError(
                        f"The Kubernetes API has not answered for {patience.total:.0f} s ({_said(error)}); start the "
                        "step again when it does: a training that runs is taken up."
                    ) from None
                time.sleep(pause)


def passes(error: Exception) -> bool:
    """Whether the same call may succeed later: no answer, too many requests, the server's own failure."""
    status = getattr(error, "status", 0)
    return not status or status == 429 or status >= 500


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
    """What the API gave as its reason, on one line."""
    try:
        text = json.loads(getattr(error, "body", None) or "")["message"]
    except (ValueError, KeyError, TypeError):
        text = getattr(error, "reason", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")[:300]


def _connected() -> tuple["ApiClient", str]:
    from kubernetes import client, config

    settings = client.Configuration()
    settings.retries = 0  # it is for us to be patient
    file = os.environ.get("KUBECONFIG")
    try:
        if file:
            config.load_kube_config(config_file=file, client_configuration=settings)
            context = config.list_kube_config_contexts(config_file=file)[1]["context"]
            return client.ApiClient(settings), context.get("namespace", "default")
        config.load_incluster_config(client_configuration=settings)
        return client.ApiClient(settings), NAMESPACE.read_text(encoding="utf-8").strip()
    except (config.ConfigException, OSError) as error:
        raise ClusterError(
            f"This process has no way to the Kubernetes API ({_said(error)}); run it in a pod, or set KUBECONFIG."
        ) from None
