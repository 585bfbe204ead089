"""The settings of a model: frozen sections, composed in one tree, three profiles, `section.key=value` overrides.

    load("demo", ["train.epochs=2"])    ->  Config
    Config.from_json(config.to_json())  ==  config

data.py      prepare split graph          network.py   vision text fusion
training.py  objective train              evaluation.py quantization evaluation
tree.py      the tree                     presets.py   the profiles

Settings are kept apart from the modules that use them: those import torch, and compiling or submitting a pipeline must
not need torch.
"""

from model.config.data import GraphConfig, PrepareConfig, SplitConfig
from model.config.evaluation import EvaluationConfig, QuantizationConfig
from model.config.network import FusionConfig, TextConfig, TowerConfig, VisionConfig
from model.config.presets import PROFILES, clip_baseline, load
from model.config.training import ObjectiveConfig, TrainConfig
from model.config.tree import TRAINED, Config

__all__ = [
    "PROFILES",
    "TRAINED",
    "Config",
    "EvaluationConfig",
    "FusionConfig",
    "GraphConfig",
    "ObjectiveConfig",
    "PrepareConfig",
    "QuantizationConfig",
    "SplitConfig",
    "TextConfig",
    "TowerConfig",
    "TrainConfig",
    "VisionConfig",
    "clip_baseline",
    "load",
]
