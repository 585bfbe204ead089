"""Train: image tower, text tower and fusion, learned here, by one worker or several, or in a RayJob."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"model": "model"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    prepared: dsl.Input[dsl.Dataset],
    neighbours: dsl.Input[dsl.Dataset],
    extracted: dsl.Input[dsl.Dataset],
    seed: int,
    prepare_config: dict,
    split_config: dict,
    graph_config: dict,
    vision_config: dict,
    text_config: dict,
    fusion_config: dict,
    objective_config: dict,
    train_config: dict,
    model: dsl.Output[dsl.Model],
    baseline: bool = False,
) -> None:
    """`baseline`: the same network and budget with the CLIP objective, to compare with.

    The settings are those that the weights follow from; they go into the model's folder. A training of the same data
    and settings that was killed goes on from its last snapshot.
    """
    from components.progress import advance_training, step

    name = "train-baseline" if baseline else "train"
    with step(name):
        from pathlib import Path

        from components.configuration import given
        from components.prepared_catalogue import prepared_folder
        from components.ray import training
        from components.ray.rayjob import training as rayjob_training
        from components.ray.rayjob.settings import is_asked
        from components.ray.snapshots import snapshot_file
        from components.settings import Settings
        from components.spaces.compatible import anchors, named
        from model.config import Config, clip_baseline

        config = given(Config, locals())
        config = clip_baseline(config) if baseline else named(config, Settings())
        folders = prepared_folder(Path(prepared.path)), Path(neighbours.path), Path(model.path)
        snapshot = snapshot_file(name, config, prepared.metadata, Settings())
        where = rayjob_training if is_asked() else training
        kept = Path(extracted.path)
        with anchors(config, Settings(), Path(model.path)) as former:
            model.metadata.update(where.train(*folders, config, advance_training, snapshot, kept, former))
