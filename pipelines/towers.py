"""Pretrained towers are looked at before a run starts, not after its data was prepared."""

from model.config import Config


def check_towers(config: Config) -> None:
    """Raises ModelError where the settings name a tower that cannot be used, or not with these settings."""
    if config.vision.pretrained or config.text.pretrained:
        from model.network.towers import checks  # imports torch and transformers, which takes seconds

        checks.check_towers(config)
