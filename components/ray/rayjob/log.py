"""The log of a RayJob's submitter, read along by a thread: every line once, through streams that break."""

import sys
from contextvars import copy_context
from threading import Event, Thread

from components.ray.rayjob.api import PASSING, Kubernetes
from components.ray.rayjob.job_end import head, submitter_end
from components.ray.rayjob.progress_log import ProgressReader
from model.errors import ClusterError

PAUSE = 1.0  # seconds between two looks
REST = 10.0  # seconds that the rest of the log has to come after the end


class Log:
    """Reads the log of one Ray cluster at a time; a RayJob that is tried again has a new one."""

    def __init__(self, kubernetes: Kubernetes, progress: ProgressReader) -> None:
        self.kubernetes, self.progress = kubernetes, progress
        self._reader: _Reader | None = None

    def read(self, ray_cluster: str) -> None:
        """Lets the log of another cluster be; without a name, there is none to read yet."""
        if ray_cluster and (self._reader is None or self._reader.ray_cluster != ray_cluster):
            self.close()
            self._reader = _Reader(self.kubernetes, ray_cluster, self.progress)

    def finish(self) -> None:
        """Waits for the rest of it; the training has ended."""
        if self._reader:
            self._reader.ended.set()
            self._reader.thread.join(REST)

    def close(self) -> None:
        """Nobody waits for it any more."""
        if self._reader:
            self._reader.ended.set()


class _Reader:
    def __init__(self, kubernetes: Kubernetes, ray_cluster: str, progress: ProgressReader) -> None:
        self.kubernetes, self.ray_cluster, self.progress = kubernetes, ray_cluster, progress
        self._last = ""  # time stamp of the last line heard: a stream begins at the beginning
        self.ended = Event()
        # With this context, the thread speaks for the step that started it.
        self.thread = Thread(target=copy_context().run, args=(self._read_along,), daemon=True)
        self.thread.start()

    def _read_along(self) -> None:
        try:
            while True:
                last_look = self.ended.is_set()
                pods = self.kubernetes.pods(self.ray_cluster)
                pod = head(pods)
                whole = pod is None or self._read(pod["metadata"]["name"], follow=not last_look)
                if whole and (last_look or submitter_end(pods)):  # all of it was there to be read
                    return
                self.ended.wait(PAUSE)
        except ClusterError as error:  # the training goes on without being heard
            sys.stdout.write(f"Its log cannot be read: {error}\n")

    def _read(self, pod: str, follow: bool) -> bool:
        """Whether the stream went to its end."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            for stamp, line in self.kubernetes.log(pod, follow):
                if stamp > self._last:
                    self.progress.read_line(line)
                    self._last = stamp
        except ApiException as error:
            if error.status in (400, 404):  # the container has not started, or its pod has gone
                return True
            if error.status not in PASSING:
                raise ClusterError(f"the Kubernetes API answered with {error.status}.") from None
            return False
        except HTTPError:
            return False
        return True
