"""Prepare: the user's catalogue becomes a clean one, with a table of what was refused and why."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"prepared.json": "prepared/summary.json", "quarantine.parquet": "prepared/quarantine.parquet"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def prepare(
    catalogue: str, lineage: dict, prepare_config: dict, vision_config: dict, prepared: dsl.Output[dsl.Dataset]
) -> None:
    """`lineage` (code and data fingerprints) makes a changed package or catalogue a new key of the cluster's cache."""
    from components.progress import advance, step

    with step("prepare"):
        from pathlib import Path

        from components.configuration import given
        from components.prepared_catalogue import prepared_into
        from components.settings import Settings
        from components.tombstones import source_catalogue
        from model.config import Config
        from model.data import preparation

        settings = given(Config, locals())
        source = source_catalogue(Path(catalogue), Settings())
        size = settings.vision.image_size
        with prepared_into(Path(prepared.path), Settings()) as out:
            summary = preparation.prepare(source, out, settings.prepare, advance, size)
        prepared.metadata.update(lineage | summary)
