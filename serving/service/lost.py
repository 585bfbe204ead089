"""What of a space's files cannot be read: refused while the space is opened, unless that was allowed; later told in the
log, once, and counted."""

import logging

from model.errors import VectorIndexError
from serving.service.metrics import ServiceMetrics


class LostParts:
    def __init__(self, space: str, metrics: ServiceMetrics, strict: bool) -> None:
        self.space, self.metrics, self.strict = space, metrics, strict
        self._told: set[str] = set()

    def __call__(self, damage: str) -> None:
        """
        Raises:
            VectorIndexError: while `strict`.
        """
        if self.strict:
            raise VectorIndexError(damage)
        if damage not in self._told:
            self._told.add(damage)
            self.metrics.damaged.labels(self.space).inc()
            logging.getLogger("ray.serve").warning("Lost to the space %s: %s", self.space, damage)
