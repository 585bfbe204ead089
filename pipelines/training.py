"""The training pipeline, from a catalogue to a registered model and published features. The one definition of the DAG:
pipelines/local/runner.py runs it on one machine, `pinclip compile` writes the same for a cluster.

prepare → validate ┬→ neighbours ┬→ train          → embed ┬→ quantize ┬→ evaluate → compare → …
                   └→ extract ───┴→ train-baseline → embed-baseline ───┘
… → register → report → publish
"""

import sys

from kfp import dsl

from components.steps.compare import compare
from components.steps.embed import embed
from components.steps.evaluate import evaluate
from components.steps.extract import extract
from components.steps.neighbours import neighbours
from components.steps.prepare import prepare
from components.steps.publish import publish
from components.steps.quantize import quantize
from components.steps.register import register
from components.steps.report import report
from components.steps.train import train
from components.steps.validate import validate

STEPS = (prepare, validate, neighbours, extract, train, embed, quantize, evaluate, compare, register, report, publish)
# Place in the run folder -> task/output/path, as the module of each step says in its own KEPT.
KEPT = {
    place: f"{step.name}/{output}"
    for step in STEPS
    for place, output in sys.modules[step.python_func.__module__].KEPT.items()
}


@dsl.pipeline(name="pinclip-training", description="From a catalogue to a registered model and published features.")
def training(
    catalogue: str,
    run: str,
    lineage: dict,
    profile: str,
    seed: int,
    prepare_config: dict,
    split_config: dict,
    graph_config: dict,
    vision_config: dict,
    text_config: dict,
    fusion_config: dict,
    objective_config: dict,
    train_config: dict,
    quantization_config: dict,
    evaluation_config: dict,
    gate_config: dict,
) -> None:
    """One run. Each section of the settings is a parameter of its own, and a step is given those that it reads: another
    value runs these steps anew and leaves the others in the cluster's cache.

    Args:
        catalogue: a folder that every step can read.
        run: names the run in MLflow; the same again joins it.
        lineage: git_rev, catalogue, catalogue_digest, dvc_md5 (pipelines/lineage.py).
        profile, seed, …_config: values and sections of the settings (components/configuration.py).
    """
    split = {"seed": seed, "split_config": split_config, "graph_config": graph_config}
    network = {"vision_config": vision_config, "text_config": text_config, "fusion_config": fusion_config}
    learning = {"objective_config": objective_config, "train_config": train_config}
    trained = {**split, **network, **learning, "prepare_config": prepare_config}
    codes = {"seed": seed, "quantization_config": quantization_config}
    recall = {**codes, "evaluation_config": evaluation_config}
    everything = {**trained, **recall, "profile": profile, "gate_config": gate_config}

    source = prepare(
        catalogue=catalogue, lineage=lineage, prepare_config=prepare_config, vision_config=vision_config
    ).outputs["prepared"]
    checked = validate(prepared=source, prepare_config=prepare_config)
    # No step learns from data before validation has passed.
    near = neighbours(prepared=source, **split).after(checked).outputs["neighbours"]
    towers = {"prepare_config": prepare_config, "vision_config": vision_config, "text_config": text_config}
    kept = extract(prepared=source, **towers).after(checked).outputs["extracted"]
    data = {"prepared": source, "neighbours": near}

    learnt = {**data, "extracted": kept, **trained}
    ours = train(**learnt).outputs["model"]
    clip = train(**learnt, baseline=True).set_display_name("train-baseline").outputs["model"]
    encoded = {"prepared": source, "extracted": kept}
    vectors = embed(**encoded, model=ours).outputs["vectors"]
    others = embed(**encoded, model=clip, baseline=True).set_display_name("embed-baseline").outputs["vectors"]
    quantized = quantize(vectors=vectors, neighbours=near, **codes).outputs["quantized"]

    judged = evaluate(**data, model=ours, vectors=vectors, baseline=others, quantized=quantized, **recall)
    # The champion is no input of the step: a cached result could be about the former champion.
    beside = compare(**data, model=ours, vectors=vectors, prepare_config=prepare_config, **recall)
    beside.after(judged).set_caching_options(False)
    evidence = {
        "evaluation": judged.outputs["evaluation"],
        "comparison": beside.outputs["comparison"],
        "validation": checked.outputs["validation"],
    }
    registered = register(prepared=source, model=ours, **evidence, run=run, lineage=lineage, **everything)
    version = registered.outputs["version"]
    page = report(**data, **evidence, model=ours, baseline=clip, version=version, **everything)
    # The last step moves the alias: a run that fails before has changed nothing that others read.
    told = {"version": version, "lineage": lineage, "prepare_config": prepare_config}
    publish(quantized=quantized, prepared=source, **told).after(page)
