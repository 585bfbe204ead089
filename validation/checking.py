"""The two validations of a run: the prepared catalogue before training, the vectors before they are quantized.

require(check(prepared, config.prepare, docs))    # pages are in docs/index.html, whatever the verdict
"""

from pathlib import Path

from model.config import PrepareConfig
from model.data.catalogue import SCHEMAS
from model.files import replaced
from validation.expectations import check_rules
from validation.pages import finish
from validation.report import ValidationReport
from validation.suites import catalogue_rules, embedding_rules
from validation.tables import prepared_tables, summary_of
from validation.vectors import dimension_of, vector_tables


def check(prepared: Path, config: PrepareConfig, docs: Path) -> ValidationReport:
    """Holds the facts of a prepared catalogue against the suites; writes the pages into the folder `docs`.

    Raises:
        CatalogueError: the folder is not a finished prepare step.
    """
    summary = summary_of(prepared)
    with replaced(docs) as site:
        report = check_rules(prepared_tables(prepared), catalogue_rules(config, summary), site)
        finish(site, report, {table: summary[table] for table in SCHEMAS if table in summary})
    return report


def check_embeddings(vectors: Path, docs: Path, pins: int | None = None) -> ValidationReport:
    """Holds the facts of a vectors folder against the suites; `pins` is how many Pins it should hold.

    Raises:
        ModelError: the folder is not a finished embed step.
    """
    with replaced(docs) as site:
        report = check_rules(vector_tables(vectors), embedding_rules(dimension_of(vectors), pins), site)
        finish(site, report, counts={})
    return report
