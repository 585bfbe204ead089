"""Runs rules in Great Expectations: an ephemeral context, one suite a table, Data Docs of the results."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validation.report import Finding, ValidationReport
from validation.suites import Rule

if TYPE_CHECKING:
    import pandas as pd

_SITE = "pages"


def check_rules(tables: dict[str, "pd.DataFrame"], rules: list[Rule], site: Path) -> ValidationReport:
    """Holds every rule against its table; writes the Data Docs site into the folder `site`."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read when the package is imported
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    _add_site(context, site)
    source = context.data_sources.add_pandas("facts")
    findings: list[Finding] = []
    for name, table in tables.items():
        own = [rule for rule in rules if rule.table == name]
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=[_expectation(rule) for rule in own]))
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
        result = definition.run(batch_parameters={"dataframe": table}, result_format="SUMMARY")
        findings += [_finding(rule, one) for rule, one in zip(own, _in_order(suite, result), strict=True)]
    context.build_data_docs(site_names=[_SITE])
    return ValidationReport(findings)


def _add_site(context: Any, folder: Path) -> None:
    for other in list(context.get_site_names()):
        context.delete_data_docs_site(other)  # the built-in one, in a temporary folder
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(
        _SITE, {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    )


def _expectation(rule: Rule) -> Any:
    from great_expectations import expectations

    severity = "critical" if rule.hard else "warning"
    kind = getattr(expectations, rule.expectation)
    return kind(**rule.arguments, severity=severity, notes=f"{rule.says}. Otherwise: {rule.fix}.")


def _in_order(suite: Any, result: Any) -> list[Any]:
    """The results in the suite's order: Great Expectations groups them by column."""
    by_id = {one.expectation_config.id: one for one in result.results}
    return [by_id[expectation.id] for expectation in suite.expectations]


def _finding(rule: Rule, result: Any) -> Finding:
    return Finding(
        table=rule.table,
        name=result.expectation_config.type,
        column=rule.arguments.get("column"),
        kind="hard" if rule.hard else "soft",
        success=bool(result.success),
        expected=_expected(rule),
        observed=_observed(rule, result),
        says=rule.says,
        fix=rule.fix,
    )


def _expected(rule: Rule) -> str:
    arguments = rule.arguments
    low, high = arguments.get("min_value"), arguments.get("max_value")
    parts = [f"{'>' if arguments.get('strict_min') else '≥'} {low:,}"] if low is not None else []
    parts += [f"≤ {high:,}"] if high is not None else []
    if "value_set" in arguments:
        parts.append(f"in {', '.join(map(str, arguments['value_set']))}")
    if "mostly" in arguments:
        parts.append(f"in {arguments['mostly']:.0%} of rows")
    return ", ".join(parts) or "every row"


def _observed(rule: Rule, result: Any) -> str:
    details = result.result
    value = details.get("observed_value")
    if value is not None:
        return rule.told.format(f"{value:.1%}" if rule.percent else f"{value:,.4f}".rstrip("0").rstrip("."))
    if "unexpected_count" not in details:
        return "there is nothing to measure"
    rows, bad = details["element_count"], details["unexpected_count"]
    examples = list(dict.fromkeys(_shown(value) for value in details["partial_unexpected_list"]))[:3]
    return f"{bad:,} of {rows:,} rows break this ({', '.join(examples)})" if examples else f"all {rows:,} rows"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
