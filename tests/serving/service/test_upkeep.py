"""Background tasks: a failure is counted and told, the task goes on, and readiness says what has not succeeded."""

import asyncio
import logging

import pytest
from starlette.testclient import TestClient

from serving.service.api import api
from serving.service.config import ServiceConfig
from serving.service.metrics import ServiceMetrics
from serving.service.served_spaces import ServedSpaces
from serving.service.upkeep import PATIENCE_S, BackgroundTask, each


def test_a_task_outlives_its_failures_and_they_are_counted(caplog):
    worked, metrics = [], ServiceMetrics()

    def work() -> None:
        worked.append(len(worked))
        if len(worked) < 4:
            raise OSError(28, "No space left on device")

    async def story() -> None:
        running = asyncio.create_task(task.run())
        while len(worked) < 6:
            await asyncio.sleep(0.01)
        running.cancel()

    task = BackgroundTask("save", 0.01, work, metrics)
    with caplog.at_level(logging.WARNING, "ray.serve"):
        asyncio.run(story())
    assert b'pinclip_task_failures_total{task="save"} 3.0' in metrics.text()
    says = [record.getMessage() for record in caplog.records]
    assert says == ["The task save fails: [Errno 28] No space left on device", "The task save succeeds again."]


def test_readiness_tells_what_has_not_succeeded_for_a_minute():
    task = BackgroundTask("follow", 1.0, lambda: 1 / 0, ServiceMetrics())
    served = ServedSpaces(ServiceConfig())
    served.waits_for = ""
    client = TestClient(api(served, lambda: True, lambda: [task.overdue]))
    asyncio.run(task.once())
    assert client.get("/health/ready").json() == {"ready": True}
    task.succeeded -= PATIENCE_S + 2
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert "The task follow has not succeeded for" in answer.json()["waits_for"]
    assert "division by zero" in answer.json()["waits_for"]


def test_all_steps_are_done_also_after_one_that_fails():
    done = []
    with pytest.raises(ExceptionGroup, match="division by zero"):
        each([lambda: 1 / 0, lambda: done.append("second")])
    assert done == ["second"]
