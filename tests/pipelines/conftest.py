"""A Kubeflow Pipelines server that these tests may talk to, and the token it knows."""

import inspect
import sys
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
    What Python finds out besides takes a twentieth of a second each among the frames and modules of these tests.
    """

    def names(context: int = 1) -> list[inspect.FrameInfo]:
        frame, found = sys._getframe(1), []
        while frame:
            code = frame.f_code
            found.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
            frame = frame.f_back
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspect, "stack", names)
        yield
