"""KubeRay's operator and the kubelet for tests, on top of tests/kubernetes_server.py, in SidecarMode alone.

What it does is what KubeRay 1.6.2 does, with the lines of ray-operator/controllers/ray beside it (J: of
rayjob_controller.go, C: of raycluster_controller.go, U: of utils/util.go). While `away` is set it does nothing at all,
as one that has lost its lease; pods and trainings go on.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kubernetes_server import KubernetesServer, Object, now

TICK = 0.01  # seconds between two looks; KubeRay takes 3 s
FINALIZER = "ray.io/rayjob-finalizer"
Training = Callable[[KubernetesServer, str, str], int]  # server, RayJob, head's pod -> exit code of the submitter


@dataclass
class Ray:
    """A Ray cluster: KubeRay's word on it, and what its dashboard says of the job."""

    state: str = ""
    job_status: str = "PENDING"
    provisioned: bool = False


@dataclass
class KubeRay:
    """An `operator` of KubernetesServer. A pod is ready `starting` seconds after its containers run."""

    training: Training
    starting: float = 0.0
    away: threading.Event = field(default_factory=threading.Event)
    rays: dict[str, Ray] = field(default_factory=dict)

    def __call__(self, server: KubernetesServer, name: str) -> None:
        uid = server.jobs[name]["metadata"]["uid"]
        while (job := server.jobs.get(name)) and job["metadata"]["uid"] == uid:
            if not self.away.is_set():
                with server.changed:
                    self.reconcile(server, name, job)
            time.sleep(TICK)

    def reconcile(self, server: KubernetesServer, name: str, job: Object) -> None:
        meta, spec, status = job["metadata"], job["spec"], job.setdefault("status", {})
        if meta.get("deletionTimestamp"):  # J113: the finalizer goes, whether the job could be stopped or not
            meta["finalizers"] = []
            server.remove(name)
            return
        was = status.get("jobDeploymentStatus", "")
        if was in ("Initializing", "Running") and spec.get("suspend"):  # J1015
            status["jobDeploymentStatus"] = "Suspending"
        elif was == "":  # J174
            meta["finalizers"] = [FINALIZER]
            ray_cluster = f"{name}-{len(self.rays):05d}"
            status |= {"jobDeploymentStatus": "Initializing", "rayClusterName": ray_cluster, "startTime": now()}
        elif was == "Initializing":
            self._initialize(server, name, status)
        elif was == "Running":
            self._run(server, status)
        elif was in ("Suspending", "Retrying"):  # J369: all goes, then it stands as before its first look
            self._delete_cluster(server, status)
            status |= {"jobDeploymentStatus": "Suspended" if was == "Suspending" else "", "jobStatus": ""}
            status |= {"rayClusterName": "", "reason": "", "message": ""}
        elif was == "Suspended" and not spec.get("suspend"):  # J409
            status["jobDeploymentStatus"] = ""
        self._retry(spec, status, was)
        server.changed.notify_all()

    def _initialize(self, server: KubernetesServer, name: str, status: Object) -> None:
        ray_cluster = status["rayClusterName"]
        if ray_cluster not in self.rays:  # J919
            self.rays[ray_cluster] = Ray()
            threading.Thread(target=self._kubelet, args=(server, name, ray_cluster), daemon=True).start()
        if self._state(server, ray_cluster) == "ready":  # J217: else it waits, and looks at no submitter
            status["jobDeploymentStatus"] = "Running"  # J256

    def _state(self, server: KubernetesServer, ray_cluster: str) -> str:
        """C1616, U585: ready once all pods run and are ready at one time, and so for ever."""
        ray, pods = self.rays[ray_cluster], pods_of(server, ray_cluster)
        if len(pods) == 2 and all(is_ready(pod) for pod in pods.values()):
            ray.state = "ready"
        return ray.state

    def _run(self, server: KubernetesServer, status: Object) -> None:
        head = server.pods.get(f"{status['rayClusterName']}-head")
        ray = self.rays[status["rayClusterName"]]
        if head is None:  # J1058
            status |= {"jobDeploymentStatus": "Failed", "reason": "AppFailed", "message": "Ray head pod not found."}
            return
        ended = server.state(head["metadata"]["name"], "ray-job-submitter")["state"].get("terminated")
        if ended and ended["exitCode"] != 0:  # J1067
            said = f"Ray head pod container ray-job-submitter terminated with exit code {ended['exitCode']}: Error"
            failed = status.get("jobStatus") == "FAILED"
            status["jobDeploymentStatus"] = "Failed"
            status |= {"reason": "AppFailed"} if failed else {"reason": "SubmissionFailed", "message": said}
            return
        status["jobStatus"] = ray.job_status
        if ended and ray.job_status in ("SUCCEEDED", "FAILED", "STOPPED"):  # J343: both have ended
            failed = ray.job_status == "FAILED"
            status |= {"jobDeploymentStatus": "Failed", "reason": "AppFailed"} if failed else {}
            status |= {} if failed else {"jobDeploymentStatus": "Complete"}

    def _retry(self, spec: Object, status: Object, was: str) -> None:
        """J512: no more often than backoffLimit, and not after a deadline."""
        if status.get("jobDeploymentStatus") == "Failed" and was != "Failed":
            status["failed"] = status.get("failed", 0) + 1
            if status["failed"] < spec.get("backoffLimit", 0) + 1 and status["reason"] != "DeadlineExceeded":
                status["jobDeploymentStatus"] = "Retrying"

    def _delete_cluster(self, server: KubernetesServer, status: Object) -> None:
        for pod in pods_of(server, status.get("rayClusterName") or "?"):
            server.evict(pod)

    def _kubelet(self, server: KubernetesServer, name: str, ray_cluster: str) -> None:
        """Starts the pods and runs the submitter, which waits for Ray on its own pod alone, not for the workers."""
        head, worker = f"{ray_cluster}-head", f"{ray_cluster}-worker"
        running = {"running": {"startedAt": now()}}
        with server.changed:
            server.put_pod(head, ray_cluster, "head", {"ray-head": running, "ray-job-submitter": running})
            server.put_pod(worker, ray_cluster, "worker", {"ray-worker": running})
            for pod in (head, worker):
                set_ready(server.pods[pod], False)
        threading.Timer(self.starting, self._make_ready, (server, head, worker)).start()
        code = self.training(server, name, head)
        with server.changed:
            if head in server.pods:
                self.rays[ray_cluster].job_status = "FAILED" if code else "SUCCEEDED"
                server.end(head, code)

    def _make_ready(self, server: KubernetesServer, *pods: str) -> None:
        with server.changed:
            for pod in pods:
                boxes = server.pods[pod]["status"]["containerStatuses"] if pod in server.pods else []
                if boxes and all("running" in box["state"] for box in boxes):  # never with an ended submitter
                    set_ready(server.pods[pod], True)


def pods_of(server: KubernetesServer, ray_cluster: str) -> dict[str, Object]:
    return {
        name: pod for name, pod in server.pods.items() if pod["metadata"]["labels"]["ray.io/cluster"] == ray_cluster
    }


def is_ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])


def set_ready(pod: Object, ready: bool) -> None:
    (found,) = (one for one in pod["status"]["conditions"] if one["type"] == "Ready")
    found["status"] = str(ready)
