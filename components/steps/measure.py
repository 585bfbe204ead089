"""Measure (monitoring): measures the drift and writes it as figures, as a page, and to MLflow."""

from kfp import dsl

from components.container_image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def measure(
    collected: dsl.Input[dsl.Dataset],
    monitoring_config: dict,
    drift: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
) -> None:
    from components.progress import advance, step

    with step("measure"):
        from pathlib import Path

        from components.configuration import Configuration
        from components.monitoring import measures
        from components.monitoring.page import drift_headline, write_page
        from components.settings import Settings
        from model.files import write_json

        limits = Configuration.of(monitoring=monitoring_config).monitoring
        found = measures.measure(Path(collected.path), limits)
        write_page(found, Path(page.path))
        found["mlflow_run"] = measures.track(found, Path(page.path), Settings())
        write_json(Path(drift.path), found)
        advance(1.0, drift_headline(found))
