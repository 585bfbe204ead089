"""Step 4, train: image tower, text tower and fusion, learned by Ray Train workers or in this process."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    prepared: dsl.Input[dsl.Dataset],
    neighbours: dsl.Input[dsl.Dataset],
    config: str,
    model: dsl.Output[dsl.Model],
    baseline: bool = False,
) -> None:
    """`baseline`: the same network and budget with the CLIP objective, to compare with."""
    from components.progress import advance_training, step

    with step("train-baseline" if baseline else "train"):
        from pathlib import Path

        from components import ray_training
        from model.config import Config, clip_baseline

        settings = Config.from_json(config)
        settings = clip_baseline(settings) if baseline else settings
        folders = Path(prepared.path), Path(neighbours.path), Path(model.path)
        model.metadata.update(ray_training.train(*folders, settings, advance_training))
