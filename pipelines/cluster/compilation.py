"""Compiles a pipeline to the YAML of a cluster: for `pinclip compile`, and for what submit and the schedules upload."""

import hashlib
import importlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.configuration import Configuration, pipeline_arguments
from model.errors import ConfigError, RunError
from model.files import write_text
from pipelines.cluster.profiles import DeployProfile

# What can be compiled, submitted and scheduled, by the name that schedules and profiles use.
PIPELINES = {
    "training": "pipelines.training:training",
    "sync": "pipelines.sync:sync",
    "monitoring": "pipelines.monitoring:monitoring",
}


@dataclass(frozen=True)
class Package:
    """A compiled pipeline; `version` follows from its text, so the same pipeline is uploaded once."""

    name: str  # as KFP shows it: pinclip-training
    text: str  # one YAML document, a second one where the profile asks for anything of Kubernetes
    inputs: Sequence[str]
    required: Sequence[str]

    @property
    def version(self) -> str:
        return f"{self.name}-{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"


def package(
    pipeline: str, config: Configuration, profile: DeployProfile, *, again: bool = False, own_name: bool = False
) -> Package:
    """Compiles a pipeline; the settings become the defaults of their parameters.

    Args:
        again: for runs that repeat: whatever reads the world outside is never cached (pipelines/cluster/recurring.py).
        own_name: with `again`, the name that KFP gives a run takes the place of the parameter `run`.

    Raises:
        ConfigError: no such pipeline, or the profile does not fit it.
    """
    component = _component(pipeline, profile, again, own_name)
    inputs = component.component_spec.inputs
    settings = pipeline_arguments(config, inputs)
    required = [name for name, one in inputs.items() if not one.optional and name not in settings]
    return Package(component.name, _compile(component, config), list(inputs), required)


def write_package(out: Path, config: Configuration, profile: DeployProfile, manifests: bool, namespace: str) -> None:
    """`pinclip compile`: the pipeline, or with `manifests` the Pipeline and PipelineVersion resources that hold it.

    Raises:
        RunError: `out` is a folder.
        ConfigError: the profile does not fit the pipeline.
    """
    if out.is_dir():
        raise RunError(f"{out} is a folder; name the YAML file to write, e.g. --out {out}/pipeline.yaml.")
    component = _component("training", profile)
    text = _compile(component, config)
    if manifests:
        from kfp.compiler.compiler_utils import KubernetesManifestOptions

        # A version never changes, so its name says what is in it; `pinclip submit` finds it by that name.
        version = Package(component.name, text, (), ()).version
        options = KubernetesManifestOptions(
            pipeline_name=component.name,
            pipeline_version_name=version,
            namespace=namespace or None,
            include_pipeline_manifest=True,
        )
        text = _compile(component, config, kubernetes_manifest_format=True, kubernetes_manifest_options=options)
    write_text(out, text)


def _component(pipeline: str, profile: DeployProfile, again: bool = False, own_name: bool = False) -> Any:
    for name in (pipeline, *profile.pipelines):
        if name not in PIPELINES:
            raise ConfigError(f"There is no pipeline {name}; choose one of {', '.join(PIPELINES)}.")
    from pipelines.cluster.placement import placed
    from pipelines.cluster.recurring import fresh

    module, function = PIPELINES[pipeline].split(":")
    defined = getattr(importlib.import_module(module), function)
    return placed(fresh(defined, own_name) if again else defined, pipeline, profile)


def _compile(component: Any, config: Configuration, **options: Any) -> str:
    from kfp import compiler

    defaults = pipeline_arguments(config, component.component_spec.inputs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(component, str(path), pipeline_parameters=defaults, **options)
        return path.read_text(encoding="utf-8")
