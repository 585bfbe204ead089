"""The notice of an alarm, in the format of Slack's incoming webhooks, which others read as well.

notify(drift, config, settings)                    ->  {"over": True, "sent": True, "says": "The notice went out."}
notify_unmeasurable(catalogue, error, config, settings)   ->  "The notice went out."
"""

from datetime import UTC, datetime
from typing import Any

from components.monitoring.config import MonitoringConfig
from components.monitoring.cooldown import Cooldown
from components.monitoring.page import measure_name
from components.monitoring.webhook import WEBHOOK, send
from components.settings import Settings
from model.errors import PinclipError, StoreError

SHOWN = 8  # measures that a notice names


def notify(drift: dict[str, Any], config: MonitoringConfig, settings: Settings) -> dict[str, Any]:
    """Sends a notice if any measure is over its limit and no notice was sent within the cool-down."""
    sent, says = False, "There is nothing to tell."
    if drift["over"]:
        sent, says = _send(message(drift), "notice", config, settings)
    return {"over": bool(drift["over"]), "sent": sent, "says": says}


def notify_unmeasurable(catalogue: str, error: PinclipError, config: MonitoringConfig, settings: Settings) -> str:
    """Sends why the catalogue could not be read; returns in a sentence whether it was sent."""
    title = "Pin vectors: the catalogue cannot be looked at"
    where = f"Catalogue {catalogue} · {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return _send(_slack(title, str(error), [_escaped(str(error))], where), "blind", config, settings)[1]


def message(drift: dict[str, Any]) -> dict[str, Any]:
    over = [one for one in drift["measures"] if one["over"]]
    more = [f"… and {len(over) - SHOWN} more"] if len(over) > SHOWN else []
    lines = [f"• *{_escaped(measure_name(one))}*: {_escaped(one['says'])}" for one in over[:SHOWN]] + more
    title = f"Pin vectors of the space {drift['space']}: drift in {len(over)} of {len(drift['measures'])} measures"
    where = f"Catalogue {drift['catalogue']} · {drift['time']} · the page is in MLflow's run {drift['mlflow_run']}"
    return _slack(title, ", ".join(measure_name(one) for one in over[:SHOWN]), lines, where)


def _slack(title: str, brief: str, lines: list[str], where: str) -> dict[str, Any]:
    """`text` is for where blocks are not shown."""
    return {
        "text": _escaped(f"{title}: {brief}"),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:3000]}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(where)[:2000]}]},
        ],
    }


def _send(notice: dict[str, Any], kind: str, config: MonitoringConfig, settings: Settings) -> tuple[bool, str]:
    """(whether it was sent, a sentence on it), at most one of each kind within the cool-down. A webhook's refusal is
    returned, not raised."""
    try:
        with Cooldown(settings, config.cooldown_hours).once(kind, datetime.now(UTC)) as due:
            if not due:
                return False, f"A notice went out in the last {config.cooldown_hours:g} hours; this one is kept back."
            if not send(notice):
                raise StoreError(f"No notice: {WEBHOOK} names no webhook.")
    except StoreError as error:
        return False, str(error)
    return True, "The notice went out."


def _escaped(text: str) -> str:
    """As Slack asks: nothing from a catalogue becomes a link or calls a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
