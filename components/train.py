"""Step 4, train: image tower, text tower and fusion, learned by Ray Train workers, here or in a RayJob."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    prepared: dsl.Input[dsl.Dataset],
    neighbours: dsl.Input[dsl.Dataset],
    config: str,
    run: str,
    model: dsl.Output[dsl.Model],
    baseline: bool = False,
) -> None:
    """`baseline`: the same network and budget with the CLIP objective, to compare with.

    A training of the same `run` that was killed goes on from its last snapshot.
    """
    from components.progress import advance_training, step

    name = "train-baseline" if baseline else "train"
    with step(name):
        from pathlib import Path

        from components import ray_training
        from components.rayjob import training as rayjob_training
        from components.rayjob.settings import is_asked
        from components.settings import Settings
        from components.snapshots import snapshot_file
        from model.config import Config, clip_baseline

        settings = Config.from_json(config)
        settings = clip_baseline(settings) if baseline else settings
        folders = Path(prepared.path), Path(neighbours.path), Path(model.path)
        snapshot = snapshot_file(run, name, Settings())
        where = rayjob_training if is_asked() else ray_training
        model.metadata.update(where.train(*folders, settings, advance_training, snapshot))
