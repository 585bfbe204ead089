"""A Kubernetes API server that listens, and clients of little patience."""

import pytest
from kubernetes_server import KubernetesServer, listening

from components.rayjob import api, life, log


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The server, with the client's environment set; afterwards, no request was one that it does not know."""
    monkeypatch.setattr(life, "PAUSE", 0.02)
    monkeypatch.setattr(log, "PAUSE", 0.02)
    monkeypatch.setattr(life, "HASTE", api.Patience(first=0.02, longest=0.1, total=1.0))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    state = KubernetesServer()
    with listening(state, tmp_path / "kubeconfig"):
        yield state
    assert state.wrong == []
