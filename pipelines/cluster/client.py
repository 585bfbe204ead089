"""A Kubeflow Pipelines server: how to reach it, pipelines uploaded to it, and `pinclip submit`.

Everything goes through kfp.Client. What the server refuses, and a server that is not there, is a ClusterError.
"""

import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from components.configuration import Configuration
from model.data.catalogue import Catalogue
from model.errors import ClusterError, ConfigError, PinclipError
from pipelines.cluster.access import Access, health, http_refusal, reason
from pipelines.cluster.checks import check_profile
from pipelines.cluster.compilation import Package, package
from pipelines.cluster.profiles import DeployProfile
from pipelines.lineage import lineage, run_identity, unread_lineage

EQUALS = 1  # the number of this operation in KFP's filters
PAGE = 100  # the server may answer fewer at a time


class Cluster:
    """A server that has answered. Its methods raise ClusterError for whatever the server refuses."""

    def __init__(self, host: str | None) -> None:
        access = Access()
        self.host = (host or access.host).rstrip("/")
        if not self.host.startswith(("http://", "https://")):
            given = f"The host {self.host!r} is no address" if self.host else "There is no host"
            raise ConfigError(
                f"{given}; name KFP's with --host or PINCLIP_KFP_HOST, e.g. https://kubeflow.example.com."
            )
        token = access.bearer()
        said = self.call(health, self.host, token)
        self.version = str(said.get("tag_name") or "unknown")
        self.namespace = access.place() if said.get("multi_user") else ""
        if said.get("multi_user") and not self.namespace:
            raise ConfigError(
                f"{self.host} is shared by several namespaces and none is named; set PINCLIP_KFP_NAMESPACE, e.g. to "
                "pinclip."
            )
        self.client = self.call(_client, self.host, token, self.namespace)

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Calls a method of the client; kfp's prints and warnings are hidden, its errors become one sentence."""
        import kfp_server_api
        import urllib3

        try:
            with warnings.catch_warnings(), redirect_stdout(StringIO()):
                warnings.simplefilter("ignore")
                return function(*arguments, **named)
        except kfp_server_api.ApiException as error:
            raise ClusterError(http_refusal(self.host, error)) from None
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            raise ClusterError(
                f"{self.host} does not answer ({reason(error)}); check --host and the network."
            ) from None

    def check_token(self) -> None:
        """Makes the first call that needs a token; GetHealthz needs none."""
        self.call(self.client.list_experiments, page_size=1, namespace=self.namespace or None)

    def experiment(self, name: str) -> str:
        """Its id; created where there is none."""
        return str(self.call(self.client.create_experiment, name, namespace=self.namespace or None).experiment_id)

    def upload(self, package: Package) -> tuple[str, str]:
        """The ids of the pipeline and of its version; what the server already has is not uploaded again."""
        client, space = self.client, {"namespace": self.namespace or None}
        pipeline = self.named(client.list_pipelines, "pipelines", package.name, **space)
        pipeline_id = pipeline.pipeline_id if pipeline else self._create(package.name)
        versions = client.list_pipeline_versions
        version = self.named(versions, "pipeline_versions", package.version, pipeline_id=pipeline_id)
        return pipeline_id, version.pipeline_version_id if version else self._upload(package, pipeline_id)

    def start(
        self, experiment_id: str, name: str, package: Package, arguments: Mapping[str, Any], account: str | None
    ) -> Any:
        """A run of its own; returns KFP's record of it."""
        pipeline_id, version_id = self.upload(package)
        return self.call(
            self.client.run_pipeline,
            experiment_id,
            name,
            params=dict(arguments),
            pipeline_id=pipeline_id,
            version_id=version_id,
            service_account=account,
        )

    def address(self, run_id: str) -> str:
        """Where a person looks at a run."""
        return f"{self.host}/#/runs/details/{run_id}"

    def every(self, listing: Callable[..., Any], what: str, **where: Any) -> Iterator[Any]:
        """All pages of a listing; `what` is the answer's attribute that holds the rows."""
        token = ""
        while True:
            answer = self.call(listing, page_token=token, page_size=PAGE, **where)
            yield from getattr(answer, what) or []
            token = answer.next_page_token
            if not token:
                return

    def named(self, listing: Callable[..., Any], what: str, name: str, **where: Any) -> Any:
        """The one of that name, None where there is none."""
        equals = {"operation": EQUALS, "key": "display_name", "stringValue": name}
        return next(self.every(listing, what, filter=json.dumps({"predicates": [equals]}), **where), None)

    def _create(self, name: str) -> str:
        from kfp_server_api import V2beta1Pipeline

        wanted = V2beta1Pipeline(name=name, display_name=name, namespace=self.namespace or None)
        return str(self.call(self.client.pipelines.pipeline_service_create_pipeline, wanted).pipeline_id)

    def _upload(self, package: Package, pipeline_id: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pipeline.yaml"
            path.write_text(package.text, encoding="utf-8")
            upload = self.client.upload_pipeline_version
            return str(self.call(upload, str(path), package.version, pipeline_id=pipeline_id).pipeline_version_id)


def _client(host: str, token: str | None, namespace: str) -> Any:
    from kfp import Client

    return Client(host=host, existing_token=token, **({"namespace": namespace} if namespace else {}))


def submit(
    host: str | None,
    experiment: str,
    catalogue: str,
    config: Configuration,
    profile: DeployProfile,
    warn: Callable[[str], None] = lambda sentence: None,
    *,
    anew: bool = False,
) -> tuple[Cluster, str]:
    """Starts one training run; returns the server and the run's id.

    Args:
        catalogue: the folder as the steps see it; its digest goes into the lineage where this machine sees it too.
        warn: called with what will fail later (pipelines/cluster/checks.py).
        anew: prepare is not answered from KFP's cache, and so no step behind it.

    Raises:
        ConfigError: the profile does not fit the pipeline, or there is no host.
        ClusterError: the server refuses or does not answer, or the cluster lacks what the profile names.
    """
    built = package("training", config, profile, again=anew)
    cluster = Cluster(host)
    for sentence in check_profile(profile, ["training"], cluster.namespace, cluster.version):
        warn(sentence)
    now = f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    try:
        origin = lineage(Catalogue(Path(catalogue)))
        run = run_identity(config, origin)
    except PinclipError:
        origin, run = unread_lineage(catalogue, f"submit-{now}"), f"{config.profile}-{now}"
    arguments = {"catalogue": catalogue, "run": run, "lineage": origin}
    started = cluster.start(
        cluster.experiment(experiment), f"{built.name} {run}", built, arguments, profile.service_account
    )
    return cluster, str(started.run_id)
