"""Neighbours: fresh Pins and held-out edges are set apart, then random walks find each Pin's neighbours."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"neighbours": "neighbours"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def neighbours(
    prepared: dsl.Input[dsl.Dataset],
    seed: int,
    split_config: dict,
    graph_config: dict,
    neighbours: dsl.Output[dsl.Dataset],
) -> None:
    from components.progress import advance, step

    with step("neighbours"):
        from pathlib import Path

        from components.configuration import given
        from components.prepared_catalogue import prepared_folder
        from components.ray.parallel import spread
        from model.config import Config
        from model.graph import neighbourhood
        from model.parallel import in_threads

        folders = prepared_folder(Path(prepared.path)), Path(neighbours.path)
        config = given(Config, locals())
        stats = neighbourhood.build(*folders, config, advance, spread(in_threads))
        neighbours.metadata.update(stats)
