"""A Kubernetes API server that listens, and clients of little patience."""

import pytest
from kubernetes_server import KubernetesServer, listening

from components.ray.rayjob import api, job_end, lifecycle, log


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The server, with the client's environment set; afterwards, no request was one that it does not know."""
    for module in (lifecycle, log):
        monkeypatch.setattr(module, "PAUSE", 0.02)
    monkeypatch.setattr(lifecycle, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(log, "REST", 5.0)  # a busy machine may take a second to read a line
    monkeypatch.setattr(job_end, "GRACE", 0.5)
    monkeypatch.setattr(api, "PATIENT", api.PATIENT.new(total=6, backoff_factor=0.01))
    monkeypatch.setattr(api, "HASTY", api.HASTY.new(total=3, backoff_factor=0.01))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    state = KubernetesServer()
    with listening(state, tmp_path / "kubeconfig"):
        yield state
    assert state.wrong == []
