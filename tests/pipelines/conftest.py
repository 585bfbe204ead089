"""A Kubeflow Pipelines server that these tests may talk to, and the token it knows."""

from collections.abc import Iterator

import pytest
from kfp_server import TOKEN, KfpServer, listening


@pytest.fixture
def server() -> KfpServer:
    return KfpServer()


@pytest.fixture
def host(server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address; at the end no request may have been one that KFP's OpenAPI file does not allow."""
    monkeypatch.setenv("PINCLIP_KFP_TOKEN", TOKEN)
    # The code of a schedule is in its digest: nobody's edit between two calls may make it another.
    monkeypatch.setattr("pipelines.lineage.git_revision", lambda folder: "a-commit")
    with listening(server) as address:
        yield address
    assert server.wrong == []
