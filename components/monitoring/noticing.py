"""The notice of an alarm, in the format of Slack's incoming webhooks, which others read as well.

notify(drift, config, settings)    ->  {"over": True, "sent": True, "says": "The notice went out."}
"""

from datetime import UTC, datetime
from typing import Any

from components.monitoring.cooldown import Cooldown
from components.monitoring.page import named
from components.monitoring.webhook import WEBHOOK, send
from components.settings import Settings
from model.config import MonitoringConfig
from model.errors import StoreError

SHOWN = 8  # measures that a notice names


def notify(drift: dict[str, Any], config: MonitoringConfig, settings: Settings) -> dict[str, Any]:
    """Sends the notice if anything is over its limit and none went out lately; a refusal is told, not raised."""
    if not drift["over"]:
        return _done(drift, False, "There is nothing to tell.")
    try:
        with Cooldown(settings, config.cooldown_hours).once("notice", datetime.now(UTC)) as due:
            if not due:
                hours = f"{config.cooldown_hours:g} hours"
                return _done(drift, False, f"A notice went out in the last {hours}; this one is kept back.")
            if not send(message(drift)):
                raise StoreError(f"No notice: {WEBHOOK} names no webhook.")
    except StoreError as error:
        return _done(drift, False, str(error))
    return _done(drift, True, "The notice went out.")


def message(drift: dict[str, Any]) -> dict[str, Any]:
    """`text` is for where blocks are not shown."""
    over = [one for one in drift["measures"] if one["over"]]
    more = [f"… and {len(over) - SHOWN} more"] if len(over) > SHOWN else []
    lines = [f"• *{_escaped(named(one))}*: {_escaped(one['says'])}" for one in over[:SHOWN]] + more
    title = f"Pin vectors of the space {drift['space']}: drift in {len(over)} of {len(drift['measures'])} measures"
    where = f"Catalogue {drift['catalogue']} · {drift['time']} · the page is in MLflow's run {drift['mlflow_run']}"
    return {
        "text": _escaped(f"{title}: {', '.join(named(one) for one in over[:SHOWN])}"),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:3000]}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(where)[:2000]}]},
        ],
    }


def _escaped(text: str) -> str:
    """As Slack asks: nothing from a catalogue becomes a link or calls a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _done(drift: dict[str, Any], sent: bool, says: str) -> dict[str, Any]:
    return {"over": bool(drift["over"]), "sent": sent, "says": says}
