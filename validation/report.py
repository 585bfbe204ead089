"""The result of a validation: one Finding for each expectation; a broken hard one stops the run, a soft one is
reported.

require(check(prepared, config, docs))    # raises ValidationFailed with the sentences of the hard findings
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from model.errors import ValidationFailed


@dataclass(frozen=True)
class Finding:
    """One expectation, held against one table."""

    table: str
    name: str  # the expectation's type in Great Expectations
    column: str | None  # null: the whole table
    kind: Literal["hard", "soft"]
    success: bool
    expected: str
    observed: str
    says: str  # the rule as a sentence
    fix: str  # what to do where it does not hold

    @property
    def sentence(self) -> str:
        return f"{self.says}, but {self.observed}; {self.fix}."


@dataclass(frozen=True)
class ValidationReport:
    expectations: list[Finding]

    @property
    def success(self) -> bool:
        """No hard expectation failed."""
        return not self.failures

    @property
    def failures(self) -> list[str]:
        return self._sentences("hard")

    @property
    def warnings(self) -> list[str]:
        return self._sentences("soft")

    def _sentences(self, kind: str) -> list[str]:
        return [finding.sentence for finding in self.expectations if finding.kind == kind and not finding.success]

    def to_dict(self) -> dict[str, Any]:
        return {
            "success": self.success,
            "failures": self.failures,
            "warnings": self.warnings,
            "expectations": [asdict(finding) for finding in self.expectations],
        }


def require(report: ValidationReport) -> None:
    """Raises unless every hard expectation holds.

    Raises:
        ValidationFailed: with the first hard failure in full and the number of others.
    """
    if report.success:
        return
    first, *others = report.failures
    rest = f" ({len(others)} more in the validation pages)" if others else ""
    raise ValidationFailed(f"{first}{rest}")
