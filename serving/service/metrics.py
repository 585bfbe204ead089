"""The metrics that Prometheus reads at /metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
PINS = (1, 2, 4, 8, 16, 32, 64)


class ServiceMetrics:
    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "pinclip_requests", "Answered, by status.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "pinclip_request_seconds", "From the request to its answer.", ["route"], buckets=SECONDS, registry=registry
        )
        self.ongoing = Gauge("pinclip_requests_ongoing", "Worked on now.", registry=registry)
        self.batch = Histogram("pinclip_batch_pins", "Pins of a batch.", ["space"], buckets=PINS, registry=registry)
        self.stages = Histogram(
            "pinclip_stage_seconds", "Of a batch.", ["space", "stage"], buckets=SECONDS, registry=registry
        )
        self.pins = Gauge("pinclip_index_pins", "Pins that can be found.", ["space"], registry=registry)
        self.unsaved = Gauge("pinclip_index_unsaved", "Changes since the last snapshot.", ["space"], registry=registry)
        self.damaged = Counter("pinclip_damaged_parts", "Unreadable parts of files.", ["space"], registry=registry)
        self.failures = Counter("pinclip_task_failures", "Of background tasks.", ["task"], registry=registry)
        self.late = Gauge("pinclip_task_seconds_since_success", "Of background tasks.", ["task"], registry=registry)

    @contextmanager
    def stage(self, space: str, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.stages.labels(space, name).observe(time.perf_counter() - started)

    def text(self) -> bytes:
        return generate_latest(self.registry)
