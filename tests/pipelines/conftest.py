"""A Kubeflow Pipelines server that these tests may talk to, and the token it knows."""

import inspect
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


@pytest.fixture(scope="session", autouse=True)
def quick_stacks():
    """KFP calls inspect.stack() for every setting of a task, a hundred times a pipeline, and needs one name of it.
    With source lines, which context=0 leaves out, each takes a tenth of a second among pytest's frames and modules.
    """
    whole = inspect.stack
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspect, "stack", lambda context=0: whole(0))
        yield
