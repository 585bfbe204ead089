"""When a RayJob is over: by hand, without a server or a clock; and by what a real cluster recorded."""

import json
from pathlib import Path

import pytest

from components.ray.rayjob import lifecycle
from components.ray.rayjob.job_end import GONE, GRACE, End, EndDetector
from components.ray.rayjob.lifecycle import complete
from components.ray.rayjob.pod_startup import StartupWatch
from components.ray.rayjob.progress_log import MARK, ProgressReader
from model.errors import TrainingError

RECORDED = Path(__file__).parents[5] / "shared/cluster/events-training-hangs.jsonl"
RUNNING = {"running": {}}


def job(status: str = "Initializing", suspend: bool = False, **more: str) -> dict:
    told = {"jobDeploymentStatus": status, "rayClusterName": "ray-a"} | more
    return {"metadata": {"name": "j"}, "spec": {"suspend": suspend}, "status": told}


def pod(state: dict, node: str = "head", box: str = "ray-job-submitter", **more: object) -> dict:
    labels = {"ray.io/cluster": "ray-a", "ray.io/node-type": node}
    status = {"phase": "Running", "containerStatuses": [{"name": box, "state": state}]}
    return {"metadata": {"name": f"ray-a-{node}", "labels": labels} | more, "status": status}


def ended(code: int, reason: str = "Error") -> dict:
    return {"terminated": {"exitCode": code, "reason": reason}}


def looks(*seen: tuple[float, dict, list], outcome: str = "") -> list[End | None]:
    detector = EndDetector(lambda: outcome, ProgressReader(print))
    return [detector.check(told, pods, now) for now, told, pods in seen]


def test_an_outcome_is_enough_once_the_submitter_has_ended():
    assert looks((0, job(), [pod(RUNNING)]), (5, job(), [pod(ended(1))]), outcome="figures") == [None, End()]
    assert looks((0, job("Failed", reason="AppFailed"), []), outcome="figures") == [End()]


def test_an_outcome_does_not_wait_for_a_submitter_that_hangs():
    assert looks((0, job("Running"), [pod(RUNNING)]), (GRACE, job("Running"), [pod(RUNNING)]), outcome="figures") == [
        None,
        End(),
    ]


@pytest.mark.parametrize("status", ["Initializing", "Running"])
@pytest.mark.parametrize("code", [0, 1, 137])
def test_an_end_without_outcome_is_a_failure_when_kuberay_had_its_time(status, code):
    """It may begin anew on another Ray cluster meanwhile, or the outcome may reach this node."""
    one, two = (5, job(status), [pod(ended(code))]), (5 + GRACE, job(status), [pod(ended(code))])
    first, second = looks(one, two)
    assert first is None and f"exit code {code}, Error, and left no outcome" in second.failure


def test_kuberay_that_tries_again_is_left_to_it():
    retried = job("Initializing", rayClusterName="ray-b")
    assert (
        looks(
            (5, job("Running"), [pod(ended(1))]),
            (5 + GRACE, job("Retrying"), [pod(ended(1))]),
            (6 + GRACE, job("", rayClusterName=""), []),
            (7 + 2 * GRACE, retried, [pod(RUNNING)]),
        )
        == [None] * 4
    )


def test_a_rayjob_that_kueue_suspends_has_not_failed():
    pods = [pod(ended(137), deletionTimestamp="2026-11-28T09:40:59Z")]
    one, two = job("Running", suspend=True), job("Suspending")
    assert looks(*[(now, told, pods) for now, told in ((0, one), (GRACE, one), (99, two), (999, two))]) == [None] * 4


def test_a_refusal_does_not_count_while_the_ray_cluster_is_taken_away():
    """Kueue suspends the RayJob, or its head is drained: to the training, its workers have died."""
    leaving = [pod(ended(0), deletionTimestamp="2026-11-28T09:40:59Z")]
    suspended, drained = job("Running", suspend=True), job("Running")
    for told in (suspended, drained, job("Suspending"), job("Suspended", suspend=True), job("Retrying")):
        assert looks((0, told, leaving), (GRACE, told, leaving), outcome="refusal") == [None, None]
    assert looks((0, suspended, leaving), (GRACE, suspended, leaving), outcome="figures") == [None, End()]
    assert looks((0, drained, [pod(ended(0))]), outcome="refusal") == [End()]


def test_a_pod_that_is_being_deleted_does_not_speak_for_the_training():
    pods = [pod(ended(137), deletionTimestamp="2026-11-28T09:40:59Z")]
    assert (
        looks((0, job("Running"), [pod(RUNNING)]), (9, job("Running"), pods), (9 + GRACE, job("Running"), pods))
        == [None] * 3
    )


def test_a_head_that_kuberay_does_not_replace_is_told():
    *before, last = looks((0, job("Running"), [pod(RUNNING)]), (5, job("Running"), []), (5 + GONE, job("Running"), []))
    assert before == [None, None] and "its head is lost" in last.failure


def test_pods_that_have_not_been_made_are_no_lost_head():
    assert looks((0, job(), []), (GONE, job(), []), (2 * GONE, job(), [])) == [None] * 3


def test_out_of_memory_counts_before_and_after_the_restart_of_its_container():
    killed = pod(ended(137, "OOMKilled"), "worker", "ray-worker")
    (now,) = looks((0, job("Running"), [pod(RUNNING), killed]))
    restarted = pod(RUNNING, "worker", "ray-worker")
    restarted["status"]["containerStatuses"][0]["lastState"] = ended(137, "OOMKilled")
    (later,) = looks((0, job("Running"), [pod(RUNNING), restarted]))
    assert now == later and "ray-a-worker ran out of memory: OOMKilled, container ray-worker" in now.failure
    assert now.advice.startswith("raise the memory of ray.workers")
    (killed_hard,) = looks((0, job("Running"), [pod(RUNNING), pod(ended(137), "worker", "ray-worker")]))
    assert killed_hard is None  # a killed worker that Ray begins again


def test_out_of_memory_says_more_than_a_training_whose_workers_died():
    killed = pod(ended(137, "OOMKilled"), "worker", "ray-worker")
    (end,) = looks((0, job("Running"), [pod(ended(0)), killed]), outcome="refusal")
    assert "ran out of memory" in end.failure
    assert looks((0, job("Running"), [pod(ended(0)), killed]), outcome="figures") == [End()]


def test_somebody_who_stopped_the_job_did_not_finish_it():
    assert looks((0, job("Complete", jobStatus="STOPPED"), [])) == [End("STOPPED")]


def test_what_was_refused_in_the_log_needs_no_outcome():
    progress = ProgressReader(print)
    detector = EndDetector(lambda: "", progress)
    assert detector.check(job(), [pod(ended(0))], 0) is None
    progress.read_line(f'{MARK}{{"refusal": "RunError", "message": "m"}}')
    assert detector.check(job(), [pod(ended(0))], 1) == End()


@pytest.mark.parametrize(
    ("waiting", "fails"),
    [
        ({"reason": "ImagePullBackOff", "message": 'Back-off pulling image "i"'}, True),
        ({"reason": "ContainerCreating"}, False),
    ],
)
def test_a_pod_that_does_not_start_for_five_minutes_is_told(waiting, fails):
    startup, told = StartupWatch(), [pod({"waiting": waiting}, "worker", "ray-worker")]
    early = startup.new_lines(job(), told, 0) + startup.new_lines(job(), told, 299)
    assert early == ([f"The pod ray-a-worker waits: {waiting['reason']}: {waiting['message']}"] if fails else [])
    if fails:
        with pytest.raises(
            TrainingError, match=r"^The pod ray-a-worker has not started for 5 min \(ImagePullBackOff: "
        ):
            startup.new_lines(job(), told, 300)
        return
    (line,) = startup.new_lines(job(), told, 300)
    assert line.startswith("The pod ray-a-worker has not started for 5 min (ContainerCreating); `kubectl describe")
    assert startup.new_lines(job(), told, 400) == []


def test_a_node_that_comes_late_is_told_and_waited_for():
    """An autoscaler may take longer than five minutes."""
    startup, told = StartupWatch(), [pod({}, "worker", "ray-worker")]
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes have a GPU"}
    told[0]["status"] = {"phase": "Pending", "conditions": [said]}
    lines = [line for now in (0, 300, 600) for line in startup.new_lines(job(), told, now)]
    assert len(lines) == 2 and all("Unschedulable: 0/3 nodes have a GPU" in line for line in lines)


class Recording:
    """What a real cluster showed, event by event, to a step whose clock it moves: it plays Kubernetes and time."""

    def __init__(self, ray_job: str) -> None:
        lines = RECORDED.read_text(encoding="utf-8").splitlines()
        self.left = [json.loads(line)["object"] for line in lines]
        self.ray_job, self.now, self.ended = ray_job, 0.0, 0.0
        self.job, self.all_pods, self.deleted = None, {}, 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """An event a look; from the end of the submitter on, nothing but what was seen until the RayJob was deleted."""
        self.now += seconds
        assert not self.ended or self.now < self.ended + 600, "nobody ends it, as on the cluster"
        what = self.left[0]
        if what["kind"] == "RayJob" and what["metadata"].get("deletionTimestamp"):
            return
        self.left.pop(0)
        if what["metadata"]["name"] == self.ray_job:
            self.job = what | {"spec": what.get("spec", {})}
        if what["kind"] == "Pod" and what["metadata"]["name"].startswith(self.ray_job):
            self.all_pods[what["metadata"]["name"]] = what
            boxes = what["status"].get("containerStatuses", [])
            if any(box["name"] == "ray-job-submitter" and "terminated" in box["state"] for box in boxes):
                self.ended = self.ended or self.now

    def get(self, name: str) -> dict | None:
        while self.job is None:
            self.sleep(0.0)
        return self.job

    def pods(self, ray_cluster: str) -> list[dict]:
        return [one for name, one in self.all_pods.items() if name.startswith(ray_cluster)]

    def log(self, pod: str, follow: bool) -> list[tuple[str, str]]:
        return []

    def delete(self, name: str, hasty: bool = False) -> None:
        self.deleted = self.now


@pytest.mark.skipif(not RECORDED.is_file(), reason=f"{RECORDED} is absent: nothing to replay")
@pytest.mark.parametrize("ray_job", ["pinclip-train-0abf718559dc", "pinclip-train-baseline-990a24d8cf47"])
@pytest.mark.parametrize("outcome", ["figures", "refusal", ""])
def test_the_recorded_hang_is_over_within_a_minute(monkeypatch, ray_job, outcome):
    """Both trainings of it; with an outcome on the volume, and as if they had failed."""
    recording = Recording(ray_job)
    monkeypatch.setattr(lifecycle, "time", recording)
    told = (
        recording,
        {"metadata": {"name": ray_job}},
        ProgressReader(print),
        lambda: outcome if recording.ended else "",
    )
    if outcome:
        complete(*told)
    else:
        with pytest.raises(
            TrainingError, match=r"its submitter ended with exit code 0, Completed, and left no outcome"
        ):
            complete(*told)
    assert recording.job["status"]["jobDeploymentStatus"] == "Initializing"
    assert 0 < recording.ended <= recording.deleted < recording.ended + 60
