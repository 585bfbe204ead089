"""A Kubeflow Pipelines server: how to reach it, pipelines uploaded to it, and `pinclip submit`.

Everything goes through kfp.Client. What the server refuses, and a server that is not there, is a ClusterError.
"""

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from components.configuration import Configuration
from model.catalogue import Catalogue
from model.errors import ClusterError, ConfigError, PinclipError
from pipelines.lineage import lineage, run_identity, unread_lineage
from pipelines.packages import Package, package
from pipelines.profiles import Profile

TIMEOUT = 15  # seconds a server has for its first answer
EQUALS = 1  # the number of this operation in KFP's filters
PAGE = 100  # the server may answer fewer at a time


class Access(BaseSettings):
    """PINCLIP_KFP_HOST, PINCLIP_KFP_TOKEN and PINCLIP_KFP_NAMESPACE; the token is told in no other way."""

    model_config = SettingsConfigDict(env_prefix="PINCLIP_KFP_", env_ignore_empty=True, frozen=True)

    host: str = ""  # https://kubeflow.example.com/pipeline
    token: SecretStr | None = None
    namespace: str = ""  # where several users share the server


class Cluster:
    """A server that has answered. Its methods raise ClusterError for whatever the server refuses."""

    def __init__(self, host: str | None) -> None:
        access = Access()
        self.host = (host or access.host).rstrip("/")
        self.namespace = access.namespace
        if not self.host.startswith(("http://", "https://")):
            given = f"The host {self.host!r} is no address" if self.host else "There is no host"
            raise ConfigError(
                f"{given}; name KFP's with --host or PINCLIP_KFP_HOST, e.g. https://kubeflow.example.com."
            )
        token = access.token.get_secret_value() if access.token else None
        self.client = self.call(_connected, self.host, token, self.namespace)

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Calls a method of the client; what kfp prints and warns of stays unsaid, its errors become one sentence."""
        import kfp_server_api
        import urllib3

        try:
            with warnings.catch_warnings(), redirect_stdout(StringIO()):
                warnings.simplefilter("ignore")
                return function(*arguments, **named)
        except kfp_server_api.ApiException as error:
            raise ClusterError(_refusal(self.host, error)) from None
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            raise ClusterError(
                f"{self.host} does not answer ({_reason(error)}); check --host and the network."
            ) from None

    def experiment(self, name: str) -> str:
        """Its id; created where there is none."""
        return str(self.call(self.client.create_experiment, name, namespace=self.namespace or None).experiment_id)

    def upload(self, package: Package) -> tuple[str, str]:
        """The ids of the pipeline and of its version; what the server has already is not sent again."""
        client, space = self.client, {"namespace": self.namespace or None}
        pipeline = self._named(client.list_pipelines, "pipelines", package.name, **space)
        pipeline_id = pipeline.pipeline_id if pipeline else self._create(package.name)
        versions = client.list_pipeline_versions
        version = self._named(versions, "pipeline_versions", package.version, pipeline_id=pipeline_id)
        return pipeline_id, version.pipeline_version_id if version else self._upload(package, pipeline_id)

    def every(self, listing: Callable[..., Any], what: str, **where: Any) -> Iterator[Any]:
        """All pages of a listing; `what` is the answer's attribute that holds the rows."""
        token = ""
        while True:
            answer = self.call(listing, page_token=token, page_size=PAGE, **where)
            yield from getattr(answer, what) or []
            token = answer.next_page_token
            if not token:
                return

    def _named(self, listing: Callable[..., Any], what: str, name: str, **where: Any) -> Any:
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


def _connected(host: str, token: str | None, namespace: str) -> Any:
    """A client of a server that answers and takes the token.

    Asked first, and once: kfp.Client would try a dead or refusing server for half a minute, and log every try.
    """
    import kfp_server_api
    from kfp import Client

    logging.getLogger("urllib3").setLevel(logging.ERROR)
    configuration = kfp_server_api.Configuration(host=host)
    configuration.retries = False
    if token:
        configuration.api_key, configuration.api_key_prefix = {"authorization": token}, {"authorization": "Bearer"}
    health = kfp_server_api.HealthzServiceApi(kfp_server_api.ApiClient(configuration))
    answer = health.healthz_service_get_healthz(_preload_content=False, _request_timeout=TIMEOUT)
    try:
        json.loads(answer.data)
    except ValueError:
        raise ClusterError(
            f"{host} answers with a page, not as a KFP server; check --host, and PINCLIP_KFP_TOKEN if it is a login."
        ) from None
    return Client(host=host, existing_token=token, **({"namespace": namespace} if namespace else {}))


def _refusal(host: str, error: Any) -> str:
    if error.status == 401:
        return f"{host} does not know the token (401); put a valid one into PINCLIP_KFP_TOKEN."
    if error.status == 403:
        return f"{host} does not let the owner of the token do this (403); ask for the right, or use another token."
    said = error.body or error.reason
    with suppress(ValueError, TypeError, KeyError):
        said = json.loads(error.body)["message"]
    return f"{host} refused with {error.status}: {' '.join(str(said).split())[:300]}"


def _reason(error: BaseException) -> str:
    """The innermost words: "Connection refused" of a connection error of a retry error."""
    text = str(getattr(error, "reason", None) or error)
    return text.rpartition("] ")[2].rpartition(": ")[2].rstrip(")'\" ")


def submit(host: str | None, experiment: str, catalogue: str, config: Configuration, profile: Profile) -> str:
    """Starts one training run and returns where to look at it.

    Args:
        catalogue: the folder as the steps see it; its digest goes into the lineage where this machine sees it too.

    Raises:
        ConfigError: the profile does not fit the pipeline, or there is no host.
        ClusterError: the server refuses or does not answer.
    """
    built = package("training", config, profile)
    cluster = Cluster(host)
    now = f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    try:
        origin = lineage(Catalogue(Path(catalogue)))
        run = run_identity(config, origin)
    except PinclipError:
        origin, run = unread_lineage(catalogue, f"submit-{now}"), f"{config.profile}-{now}"
    experiment_id = cluster.experiment(experiment)
    pipeline_id, version_id = cluster.upload(built)
    started = cluster.call(
        cluster.client.run_pipeline,
        experiment_id,
        f"{built.name} {run}",
        params={"catalogue": catalogue, "run": run, "lineage": origin},
        pipeline_id=pipeline_id,
        version_id=version_id,
        service_account=profile.service_account,
    )
    return f"{cluster.host}/#/runs/details/{started.run_id}"
