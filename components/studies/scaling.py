"""The data-scaling study: the same training on 1/8, 1/4, 1/2 and all of the training Pins (the paper's Figure 5).

Every share gets the same number of steps, those of the whole: a smaller share is seen more often. The shares are
nested, of whole groups, and judged on the same fresh Pins.
"""

import json
from collections.abc import Sequence

from components.studies.data import StudyData
from components.studies.tables import Groups, trials_by_name
from components.studies.trials import Record, Trial
from model.config import Config
from model.config.arms import CLIP, FULL, arms
from model.config.overrides import override

SHARES = (0.125, 0.25, 0.5, 1.0)


def scaling_trials(config: Config, data: StudyData, seeds: int) -> list[Trial]:
    """Every share, both arms, every seed; walks the graph of each share."""
    by_share = [_on_share(config, data, share) for share in SHARES]
    named = [pair for changed in by_share for pair in arms([FULL, CLIP], changed).items()]
    return [Trial(name, config.seed + i, changed) for i in range(seeds) for name, changed in named]


def by_pins(records: Sequence[Record]) -> dict[int, Groups]:
    """The finished trials by rising number of training Pins, then by arm."""
    counts = sorted({record["training_pins"] for record in records if "error" not in record})
    return {n: trials_by_name([record for record in records if record.get("training_pins") == n]) for n in counts}


def _on_share(config: Config, data: StudyData, share: float) -> Config:
    part = override(config, {"split": {"train_share": share}})
    steps = config.train.epochs * _steps(config, _training_pins(config, data))
    epochs = max(round(steps / _steps(config, _training_pins(part, data))), 1)
    return override(part, {"train": {"epochs": epochs}})


def _steps(config: Config, pins: int) -> int:
    """Of an epoch."""
    return max(pins // config.train.batch_size, 1)


def _training_pins(config: Config, data: StudyData) -> int:
    stats = json.loads((data.neighbours(config) / "stats.json").read_text(encoding="utf-8"))
    return int(stats["training_pins"])
