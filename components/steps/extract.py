"""Extract: what the frozen towers give for every image and text, computed once for all trainings and kept."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT: dict[str, str] = {}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def extract(
    prepared: dsl.Input[dsl.Dataset],
    prepare_config: dict,
    vision_config: dict,
    text_config: dict,
    extracted: dsl.Output[dsl.Dataset],
) -> None:
    """`extracted` names the records in PINCLIP_HOME; settings without a frozen tower leave nothing to do."""
    from components.progress import advance, step

    with step("extract"):
        from pathlib import Path

        from components.configuration import given
        from components.prepared_catalogue import prepared_folder
        from components.ray.parallel import spread
        from components.settings import EXTRACTED, Settings
        from model.config import Config
        from model.extraction import extract
        from model.parallel import in_turn

        source, config = prepared_folder(Path(prepared.path)), given(Config, locals())
        store, each = Settings().home / EXTRACTED, spread(in_turn, gpu=True)
        extracted.metadata.update(extract.extract(source, store, Path(extracted.path), config, advance, each))
