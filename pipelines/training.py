"""The training pipeline, from a catalogue to a registered model and published features. The one definition of the DAG:
pipelines/local.py runs it on one machine, `pinclip compile` writes the same for a cluster.

prepare → validate → neighbours ┬→ train          → embed ┬→ quantize ┬→ evaluate → compare → …
                                └→ train-baseline → embed-baseline ───┘
… → register → report → publish
"""

from kfp import dsl

from components.compare import compare
from components.embed import embed
from components.evaluate import evaluate
from components.neighbours import neighbours
from components.prepare import prepare
from components.publish import publish
from components.quantize import quantize
from components.register import register
from components.render import report
from components.train import train
from components.validate import validate


@dsl.pipeline(name="pinclip-training", description="From a catalogue to a registered model and published features.")
def training(catalogue: str, config: str, run: str, lineage: dict) -> None:
    """One run.

    Args:
        catalogue: a folder that every step can read.
        config: model.config.Config as JSON.
        run: names the run in MLflow and its snapshots; the same again joins the one and goes on from the others.
        lineage: git_rev, catalogue, catalogue_digest, dvc_md5 (pipelines/lineage.py).
    """
    source = prepare(catalogue=catalogue, config=config, lineage=lineage).outputs["prepared"]
    checked = validate(prepared=source, config=config)
    # Nothing learns from data that validation has not let through.
    near = neighbours(prepared=source, config=config).after(checked).outputs["neighbours"]
    data = {"prepared": source, "neighbours": near}

    ours = train(**data, config=config, run=run).outputs["model"]
    clip = train(**data, config=config, run=run, baseline=True).set_display_name("train-baseline").outputs["model"]
    vectors = embed(prepared=source, model=ours).outputs["vectors"]
    others = embed(prepared=source, model=clip, baseline=True).set_display_name("embed-baseline").outputs["vectors"]
    quantized = quantize(vectors=vectors, neighbours=near, config=config).outputs["quantized"]

    judged = evaluate(**data, model=ours, vectors=vectors, baseline=others, quantized=quantized, config=config)
    # Who the champion is, is no input: an answer from the cluster's cache could be about the last one.
    beside = compare(**data, model=ours, vectors=vectors, config=config).after(judged).set_caching_options(False)
    evidence = {
        "evaluation": judged.outputs["evaluation"],
        "comparison": beside.outputs["comparison"],
        "validation": checked.outputs["validation"],
    }
    registered = register(prepared=source, model=ours, **evidence, config=config, run=run, lineage=lineage)
    version = registered.outputs["version"]
    page = report(**data, **evidence, model=ours, baseline=clip, version=version, config=config)
    # The last step moves the alias: a run that dies before has changed nothing that others read.
    publish(quantized=quantized, prepared=source, version=version, lineage=lineage).after(page)
