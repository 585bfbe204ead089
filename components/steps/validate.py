"""Validate: runs Great Expectations over the prepared catalogue; bad data stops the run here, and the pages are
kept."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"validation": "docs", "validation.json": "validation"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def validate(
    prepared: dsl.Input[dsl.Dataset],
    prepare_config: dict,
    validation: dsl.Output[dsl.Artifact],
    docs: dsl.Output[dsl.HTML],
) -> None:
    """`docs` is a folder of pages that begins at index.html."""
    from components.progress import step

    with step("validate"):
        from pathlib import Path

        from components.configuration import given
        from components.prepared_catalogue import prepared_folder
        from model.config import Config
        from model.files import write_json
        from validation.checking import check
        from validation.report import require

        settings = given(Config, locals()).prepare
        report = check(prepared_folder(Path(prepared.path)), settings, Path(docs.path))
        write_json(Path(validation.path), report.to_dict())
        require(report)
