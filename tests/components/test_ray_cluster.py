"""A Ray of our own on a machine that is too busy to start it at once. What it does once it runs: distributed/."""

import pytest
import ray

from components.ray_cluster import STARTS, ray_cluster
from model.errors import RunError


@pytest.fixture
def busy(monkeypatch):
    """Call with a number: so many starts come to nothing, as Ray says it; the list tells which settings were tried."""
    tried = []

    def starts(in_vain: int) -> list[dict]:
        def init(**settings):
            tried.append(settings)
            if len(tried) <= in_vain:
                raise Exception("The current node timed out during startup. This could happen because")

        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        monkeypatch.setattr(ray, "init", init)
        return tried

    return starts


def test_it_is_tried_again(busy):
    tried = busy(STARTS - 1)
    with ray_cluster(places=2) as places:
        assert (places, len(tried)) == (2, STARTS)


def test_at_last_it_is_one_sentence(busy):
    tried = busy(STARTS)
    with pytest.raises(RunError, match=r"^Ray did not start \(The current .* startup\); close what else keeps"):
        ray_cluster(places=2).__enter__()
    assert len(tried) == STARTS
