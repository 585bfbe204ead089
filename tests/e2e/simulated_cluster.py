"""A cluster for the tests of tests/e2e/on_cluster: KFP's API and Kubernetes' API, and what the controllers would do.

Runs are played in a second: a Workflow whose nodes are named as Argo names them (shared/cluster/workflow-*.json), a
RayJob with its pods and Kueue's Workload for each training. What a run is told decides what becomes of it, as with the
real ones: a batch that is too large fails, a model that is too large is killed, endless epochs train until they are
terminated. `hangs` are seconds between a training's end and its step's.
"""

import json
import threading
import time
from typing import Any

from api_server import ApiServer, Object, now
from kfp_server import AUDIENCE, KfpServer

BEFORE, TRAININGS = ("prepare", "validate", "neighbours"), {"train": "train", "train-2": "train-baseline"}
AFTER = ("embed", "embed-2", "quantize", "evaluate", "compare", "register", "report", "publish")
NAMESPACE = "pinclip-lab"
IMAGES = {
    "ml-pipeline": ("kubeflow", "ghcr.io/kubeflow/kfp-api-server:2.16.1@sha256:0"),
    "workflow-controller": ("kubeflow", "quay.io/argoproj/workflow-controller:v3.7.8"),
    "kuberay-operator": ("kuberay-operator", "quay.io/kuberay/operator:v1.6.2"),
    "kueue-controller-manager": ("kueue-system", "registry.k8s.io/kueue/kueue:v0.17.8"),
}


class Played(KfpServer):
    """Both servers' state; `k8s` is the one of Kubernetes."""

    def __init__(self, hangs: float = 0.0, lets_all_in: bool = False) -> None:
        super().__init__()
        self.audiences[f"token-of-pinclip-e2e-for-{AUDIENCE}"] = AUDIENCE
        self.k8s = ApiServer(self.react)
        self.hangs, self.lets_all_in, self.cached = hangs, lets_all_in, False
        self.retries_deleted_pods = True
        self.versions: list[dict[str, Any]] = []
        self.aliases: dict[str, int] = {}
        self.serving = ""
        for name, (where, image) in IMAGES.items():
            self.k8s.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": where}})
            self.k8s.put(deployment(name, where, image))
        self.k8s.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "only"}})
        notes = {"storageclass.kubernetes.io/is-default-class": "true"}
        meta = {"name": "standard", "annotations": notes}
        self.k8s.put({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "p", "metadata": meta})

    # Kubernetes' controllers

    def react(self, k8s: ApiServer, made: Object) -> None:
        name, space = made["metadata"]["name"], made["metadata"].get("namespace", "")
        if made["kind"] in ("Deployment", "StatefulSet"):
            made["status"] = {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1}
        elif made["kind"] == "Namespace":
            self.settle_in(name, made)
        elif made["kind"] == "PersistentVolumeClaim":
            made["status"] = {"phase": "Bound"}
        elif made["kind"] == "PersistentVolume":
            made["status"] = {"phase": "Available"}
        elif made["kind"] == "LocalQueue":
            made["status"] = {"conditions": [{"type": "Active", "status": "True"}]}
        elif made["kind"] == "Job":
            self.run_job(name, space, made)
        elif made["kind"] == "Workload":
            self.admit(made)

    def settle_in(self, name: str, namespace: Object) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        self.k8s.put(account)
        if namespace["metadata"].get("labels", {}).get("pipelines.kubeflow.org/enabled") == "true":
            meta = {"name": "mlpipeline-minio-artifact", "namespace": name}
            self.k8s.put({"apiVersion": "v1", "kind": "Secret", "metadata": meta})

    def run_job(self, name: str, space: str, job: Object) -> None:
        command = job["spec"]["template"]["spec"]["containers"][0]["command"]
        code, said = self.program(command, space)
        pod = f"{name}-abcde"
        labels = job["spec"]["template"]["metadata"].get("labels", {}) | {"job-name": name}
        self.pod(pod, space, labels, "Failed" if code else "Succeeded", owner=job)
        self.k8s.logs[space, pod, "program"] = said
        job["status"] = ended(not code)
        if code:
            self.event(space, pod, "BackOff", "Back-off restarting failed container")

    def program(self, command: list[str], space: str) -> tuple[int, str]:
        """Exit code and output of what a Job of the image runs."""
        text = " ".join(command)
        if "generate" in command:
            return 0, "400 pins, 60 boards, 1,200 saves, 300 queries\nWrote it"
        if "search_model_versions" in text:
            versions = [f"VERSION {json.dumps(one)}" for one in self.versions]
            named = [f"ALIAS {json.dumps({'alias': a, 'version': v})}" for a, v in self.aliases.items()]
            return 0, "\n".join([*versions, *named])
        if "set_registered_model_alias" in text:
            self.aliases["champion"] = int(command[-1])
            return 0, ""
        if "sync" in command:
            self.serving = f"v{self.aliases['champion']}"
            return 0, f"{self.serving} serves"
        if "/v1/search" in text:
            return 0, self.answer_search(space)
        return 0, ""

    def answer_search(self, space: str) -> str:
        labels = self.k8s.one("namespaces", space)["metadata"].get("labels", {})
        if not self.lets_all_in and labels.get("pinclip.dev/reads-features") != "true":
            return "NOTHING <urlopen error timed out>"
        secret = self.k8s.one("secrets", "pinclip-encoder", space)
        if secret is None:
            return "STATUS 401 b'who are you?'"
        return "FOUND " + json.dumps({"space": self.serving, "results": [{"pin_id": "p1", "score": 0.5}]})

    def pod(self, name: str, space: str, labels: dict, phase: str, owner: Object | None = None, **more: Any) -> Object:
        meta = {"name": name, "namespace": space, "labels": labels, "annotations": more.get("annotations", {})}
        if owner:
            meta["ownerReferences"] = [reference(owner)]
        boxes = [
            {"name": box, "image": "i", "imageID": "", "ready": True, "restartCount": 0, "state": state}
            for box, state in more.get("boxes", {}).items()
        ]
        status = {"phase": phase, "containerStatuses": boxes}
        return self.k8s.put(
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": []}, "status": status}
        )

    def event(self, space: str, about: str, reason: str, message: str) -> None:
        meta = {"name": f"{about}.{len(self.k8s.all('events'))}", "namespace": space}
        involved = {"kind": "Pod", "name": about, "namespace": space}
        self.k8s.put(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": meta,
                "involvedObject": involved,
                "type": "Warning",
                "reason": reason,
                "message": message,
                "count": 3,
                "lastTimestamp": now(),
            }
        )

    # KubeRay and Kueue

    def admit(self, workload: Object) -> None:
        """A Workload that is deactivated suspends its RayJob, one that is active lets it run."""
        name = workload["metadata"]["ownerReferences"][0]["name"]
        job = self.k8s.one("rayjobs", name)
        if job is not None and job["status"]["jobDeploymentStatus"] != "Complete":
            active = workload["spec"]["active"]
            job["status"]["jobDeploymentStatus"] = "Running" if active else "Suspended"

    # KFP

    def GetHealthz(self, **_: dict) -> dict:
        return super().GetHealthz() | {"multi_user": True}

    def CreateRun(self, body: dict, **_: dict) -> dict:
        row = super().CreateRun(body)
        self.play(row)
        return row

    def GetRun(self, at: dict, **_: dict) -> dict:
        return self.rows["runs"][at["run_id"]]

    def ListRuns(self, query: dict, **_: dict) -> dict:
        return self._list("runs", query, experiment_id=query["experiment_id"])

    def TerminateRun(self, at: dict, **_: dict) -> dict:
        self.rows["runs"][at["run_id"]]["state"] = "CANCELING"
        return {}

    def CreateRecurringRun(self, body: dict, **_: dict) -> dict:
        row = super().CreateRecurringRun(body)
        row |= {"status": "ENABLED", "service_account": "default-editor"}
        threading.Thread(target=self.fire_twice, args=(body,), daemon=True).start()
        return row

    def fire_twice(self, body: dict) -> None:
        for number in (1, 2):
            time.sleep(0.3)
            run = {key: body[key] for key in ("experiment_id", "pipeline_version_reference", "runtime_config")}
            row = self._add(
                "runs", "run_id", run | {"display_name": f"{body['display_name']}-{number}", "state": "PENDING"}
            )
            self.play(row)

    def play(self, row: dict) -> None:
        version = row["pipeline_version_reference"]["pipeline_version_id"]
        inputs = self.uploads[version][0]["root"]["inputDefinitions"]["parameters"]
        settings = {name: one["defaultValue"] for name, one in inputs.items() if name.endswith("config")}
        whole = json.loads(settings.pop("config", "{}"))
        whole |= {name.removesuffix("_config"): section for name, section in settings.items()}
        threading.Thread(target=self._play, args=(row, whole), daemon=True).start()

    def _play(self, row: dict, config: dict) -> None:
        run = row["run_id"]
        flow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "status": {"nodes": {}}}
        flow["metadata"] = {"name": f"flow-{run[:5]}", "namespace": NAMESPACE, "labels": {"pipeline/runid": run}}
        self.k8s.put(flow)
        row["state"] = "RUNNING"
        looks = self.k8s.calls.count("GET workflows")
        while self.k8s.calls.count("GET workflows") == looks:  # nothing is over before somebody looks
            time.sleep(0.02)
        for step in BEFORE:
            self.node(flow, step, "Succeeded")
        trained = self.cached or all(self.train(row, flow, step, config) for step in TRAININGS)
        if row["state"] == "CANCELING":
            row["state"] = "CANCELED"
        elif not trained:
            row["state"] = "FAILED"
        else:
            for step in AFTER:
                self.node(flow, step, "Succeeded")
            tags = {"version": len(self.versions) + 1, "pinclip.gate": "passed", "pinclip.run_id": row["display_name"]}
            if not self.cached or not self.versions:
                self.versions.append(tags)
            row["state"] = "SUCCEEDED"

    def train(self, row: dict, flow: Object, step: str, config: dict) -> bool:
        """Whether the training succeeded; its RayJob is gone afterwards."""
        name = f"pinclip-{TRAININGS[step]}-{row['run_id'].replace('-', '')[:12]}"
        meta = {"name": name, "namespace": NAMESPACE}
        job = self.k8s.put(
            {
                "apiVersion": "ray.io/v1",
                "kind": "RayJob",
                "metadata": meta,
                "status": {"jobDeploymentStatus": "Running"},
            }
        )
        self.k8s.put(
            {
                "apiVersion": "kueue.x-k8s.io/v1beta2",
                "kind": "Workload",
                "spec": {"active": True},
                "metadata": {"name": f"rayjob-{name}", "namespace": NAMESPACE, "ownerReferences": [reference(job)]},
            }
        )
        head = {"ray-job-submitter": {"running": {"startedAt": now()}}}
        self.pod(f"{name}-abcde-head-x", NAMESPACE, {"ray.io/cluster": f"{name}-abcde"}, "Running", job, boxes=head)
        attempt = 0
        pod = self.node(flow, step, "Running", attempt)
        failed = self.fate(config, name, job)
        while config["train"]["epochs"] >= 1000 and row["state"] == "RUNNING":
            time.sleep(0.02)
            if self.k8s.one("pods", pod) is None:
                self.node(flow, step, "Error", attempt, "pod deleted")
                if not self.retries_deleted_pods:
                    failed = "pod deleted"
                    break
                attempt += 1
                pod = self.node(flow, step, "Running", attempt)
        time.sleep(0.2)
        ended = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": now()}}
        if not failed or "pod deleted" not in failed:
            self.pod(f"{name}-abcde-head-x", NAMESPACE, {}, "Running", job, boxes={"ray-job-submitter": ended})
        time.sleep(0.2 + self.hangs)
        done = "Failed" if failed or row["state"] != "RUNNING" else "Succeeded"
        if failed != "pod deleted":
            self.node(flow, step, done, attempt, failed)
        self.k8s.remove("rayjobs", name)
        return done == "Succeeded"

    def fate(self, config: dict, name: str, job: Object) -> str:
        """The sentence with which a training fails; empty for one that does not."""
        if config["train"]["batch_size"] > 400:
            return (
                f"model.errors.TrainingError: train.batch_size is {config['train']['batch_size']}, but there are 300."
            )
        if config["vision"]["width"] >= 8192:
            killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": now()}}
            self.pod(f"{name}-abcde-workers-y", NAMESPACE, {}, "Failed", job, boxes={"ray-worker": killed})
            return "model.errors.TrainingError: The training workers died: out of memory."
        return ""

    def node(self, flow: Object, step: str, phase: str, attempt: int = 0, message: str = "") -> str:
        """The executor's node and its pod, as Argo names them; returns the pod's name."""
        name = f"{flow['metadata']['name']}.root.{step}.executor({attempt})"
        node = {"name": name, "type": "Pod", "phase": phase, "message": message, "startedAt": now()}
        if phase != "Running":
            node["finishedAt"] = now()
        flow["status"]["nodes"][name] = node
        pod = f"{flow['metadata']['name']}-{step}-{attempt}"
        if message != "pod deleted":
            labels = {"workflows.argoproj.io/workflow": flow["metadata"]["name"]}
            notes = {"workflows.argoproj.io/node-name": name}
            box = {"main": {"running": {"startedAt": now()}}}
            self.pod(pod, NAMESPACE, labels, phase, annotations=notes, boxes=box)
            self.k8s.logs[NAMESPACE, pod, "main"] = f"{step} at work\n{message}"
        return pod


def deployment(name: str, space: str, image: str) -> Object:
    template = {"metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"selector": {"matchLabels": {"a": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": space}, "spec": spec}


def ended(well: bool) -> Object:
    """The status of a Job: kubernetes 1.34, pkg/controller/job/job_controller.go, newFailedConditionForFailureTarget
    and newCondition; a Job that is tried again has failed pods too, but no condition."""
    kind = "Complete" if well else "Failed"
    return {"succeeded" if well else "failed": 1, "conditions": [{"type": kind, "status": "True"}]}


def reference(owner: Object) -> Object:
    meta = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
