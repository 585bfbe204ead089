"""What KFP does with a run that it was given: the driver's inputs of every task, and its cache. No step is run.

    driver = Driver(server)
    night = driver.fire(recurring_run_id)    # as the controller of recurring runs does
    night.ran, night.inputs["train"]["run"]

Each rule has its place in kubeflow/pipelines at the tag 2.16.1 beside it.
"""

import hashlib
import itertools
import json
import uuid
from dataclasses import dataclass, field

from kfp_server import KfpServer


@dataclass
class Done:
    """A run that has ended."""

    workflow: str
    uid: str
    ran: list[str] = field(default_factory=list)  # the tasks whose pods were started, the others came from the cache
    inputs: dict[str, dict] = field(default_factory=dict)  # task -> its parameters


class Driver:
    def __init__(self, server: KfpServer) -> None:
        self.server, self.cache, self.artifacts = server, dict[str, dict[str, int]](), itertools.count(1)
        self.fired: dict[str, int] = {}

    def fire(self, recurring_run_id: str) -> Done:
        """A recurring run's next run. Its time goes into Argo's parameters and labels; those of the pipeline are JSON
        in the root DAG's arguments and stay as they were written: template/v2_template.go:128 (not formatted here),
        crd/controller/scheduledworkflow/util/scheduled_workflow.go:NewWorkflow (formats spec.arguments.parameters)."""
        row = self.server.rows["recurring_runs"][recurring_run_id]
        index = self.fired[recurring_run_id] = self.fired.get(recurring_run_id, 0) + 1
        # template/template.go:324, toSWFCRDResourceGeneratedName, and five letters of the Kubernetes API.
        name = next_name(f"{row['display_name'].lower()[:25]}{recurring_run_id[:5]}", index)
        return self.drive(row, name)

    def run(self, run_id: str, workflow: str = "") -> Done:
        """A run of its own; with the name of its Workflow again, KFP's retry of it."""
        return self.drive(self.server.rows["runs"][run_id], workflow or f"pinclip-training-{run_id[:5]}")

    def drive(self, row: dict, workflow: str) -> Done:
        spec = self.server.uploads[row["pipeline_version_reference"]["pipeline_version_id"]][0]
        known = {
            name: one["defaultValue"]
            for name, one in spec["root"].get("inputDefinitions", {}).get("parameters", {}).items()
            if "defaultValue" in one
        } | row["runtime_config"]["parameters"]
        done, made = Done(workflow, str(uuid.uuid4())), dict[str, dict[str, int]]()
        for task, node in _in_order(spec["root"]["dag"]["tasks"]):
            parameters = {
                name: _parameter(one, known, done) for name, one in node.get("inputs", {}).get("parameters", {}).items()
            }
            artifacts = {
                name: made[one["taskOutputArtifact"]["producerTask"]][one["taskOutputArtifact"]["outputArtifactKey"]]
                for name, one in node.get("inputs", {}).get("artifacts", {}).items()
            }
            made[task] = self._outputs(spec, task, node, parameters, artifacts, done)
            done.inputs[node["taskInfo"]["name"]] = parameters
        return done

    def _outputs(self, spec: dict, task: str, node: dict, parameters: dict, artifacts: dict, done: Done) -> dict:
        component = spec["components"][node["componentRef"]["name"]]
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        names = list(component.get("outputDefinitions", {}).get("artifacts", {}))
        # v2/cacheutils/cache.go:GenerateCacheKey: an artifact's name in the key is its number in ML Metadata
        # (v2/metadata/converter.go:182), not its URI and not its content.
        told = [artifacts, parameters, names, container["image"], container["command"], container["args"]]
        key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        if node.get("cachingOptions", {}).get("enableCache") and key in self.cache:  # v2/driver/cache.go
            return self.cache[key]
        done.ran.append(node["taskInfo"]["name"])
        self.cache[key] = {name: next(self.artifacts) for name in names}
        return self.cache[key]


def next_name(scheduled_workflow: str, index: int) -> str:
    """crd/controller/scheduledworkflow/util/scheduled_workflow.go:NextResourceName, with Go's fnv.New32a."""
    number = 0x811C9DC5
    for byte in f"{scheduled_workflow}-{index}".encode():
        number = ((number ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{scheduled_workflow}-{index}-{number}"


def _parameter(one: dict, known: dict, done: Done) -> object:
    """v2/driver/resolve.go:428: a placeholder counts where it is the whole constant, and in constants alone."""
    if "componentInputParameter" in one:
        return known[one["componentInputParameter"]]
    constant = one["runtimeValue"]["constant"]
    if not isinstance(constant, str):
        return constant
    # --run_name is {{workflow.name}}, --run_id its uid; --run_display_name is empty in a recurring run
    # (argocompiler/container.go), and nobody hands over the scheduled time.
    placeholders = {
        "{{$.pipeline_job_resource_name}}": done.workflow,
        "{{$.pipeline_job_uuid}}": done.uid,
        "{{$.pipeline_job_name}}": "",
        "{{$.pipeline_job_schedule_time_utc}}": "",
    }
    return placeholders.get(constant, constant)


def _in_order(tasks: dict[str, dict]) -> list[tuple[str, dict]]:
    """Each after those it waits for."""
    order: list[str] = []
    while len(order) < len(tasks):
        order += [
            name
            for name, node in tasks.items()
            if name not in order and set(node.get("dependentTasks", [])) <= set(order)
        ]
    return [(name, tasks[name]) for name in order]
