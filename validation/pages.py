"""The validation pages as a folder that needs no network: a front page of ours, Data Docs behind it.

Data Docs fetch a dozen scripts, styles and fonts when they are opened, and without them the list of results stays
empty. So every page is made independent of the network and styled here, and docs/index.html lists all findings.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.files import remove
from validation.report import ValidationReport

if TYPE_CHECKING:
    from jinja2 import Environment

# Scripts, styles and images: all from the network, or for what comes from there.
_FETCHED = re.compile(
    r"<script\b.*?</script>|<style\b.*?</style>|<link\b[^>]*>|<img\b[^>]*>|<footer\b.*?</footer>",
    re.DOTALL | re.IGNORECASE,
)
_POLICY = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"


def finish(site: Path, report: ValidationReport, counts: dict[str, Any]) -> None:
    """Makes the Data Docs in `site` self-contained and writes the front page; `counts` are rows by table."""
    style = (Path(__file__).parent / "pages.css").read_text(encoding="utf-8")
    for page in site.rglob("*.html"):
        html = _FETCHED.sub("", page.read_text(encoding="utf-8"))
        page.write_text(html.replace("</head>", f"{_POLICY}<style>{style}</style></head>", 1), encoding="utf-8")
    remove(site / "static")
    links = {table: _links(site, table) for table in dict.fromkeys(one.table for one in report.expectations)}
    front = _environment().get_template("index.html.j2").render(report=report, counts=counts, links=links)
    (site / "index.html").write_text(front, encoding="utf-8")


def _links(site: Path, table: str) -> dict[str, str]:
    """Data Docs name the page of a result by the time of the run."""
    results = sorted((site / "validations" / table).rglob("*.html"))
    pages = {"results in Data Docs": results[-1], "the suite and why": site / "expectations" / f"{table}.html"}
    return {title: page.relative_to(site).as_posix() for title, page in pages.items()}


def _environment() -> "Environment":
    """Escapes everything: examples of failing values come from users."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
