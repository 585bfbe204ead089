"""Step 3, neighbours: fresh Pins and held-out edges are set apart, then random walks find each Pin's neighbours."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def neighbours(prepared: dsl.Input[dsl.Dataset], config: str, neighbours: dsl.Output[dsl.Dataset]) -> None:
    from components.progress import advance, step

    with step("neighbours"):
        from pathlib import Path

        from components.ray_parts import spread
        from model import neighbourhood
        from model.config import Config
        from model.parts import in_threads

        folders = Path(prepared.path), Path(neighbours.path)
        stats = neighbourhood.build(*folders, Config.from_json(config), advance, spread(in_threads))
        neighbours.metadata.update(stats)
