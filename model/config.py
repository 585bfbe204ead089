"""The one configuration tree: frozen dataclasses, three profiles, `section.key=value` overrides.

load("demo", ["train.epochs=2"])    ->  Config
Config.from_json(config.to_json())  ==  config
"""

import dataclasses
import json
import math
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from model.errors import ConfigError
from model.overrides import override


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class PrepareConfig:
    """What enters a run: consent first, then images that decode, then boards that are not personal."""

    max_image_bytes: int = 20_000_000
    max_image_pixels: int = 40_000_000
    min_image_side: int = 8
    min_board_pins: int = 2  # k-anonymity: a board with fewer Pins than this says something about a person
    max_quarantined: float = 0.05  # share of Pins; above it the validation step fails


@dataclass(frozen=True)
class SplitConfig:
    """Fresh Pins (never in a training batch, no edges in any walk) and held-out edges of training Pins."""

    by: Literal["auto", "hash", "time"] = "auto"  # auto: the newest groups where every Pin has created_at
    fresh_share: float = 0.2
    heldout_edges: float = 0.1
    train_share: float = 1.0  # of the other groups; the rest is left out of everything, as if nobody had saved it
    judge: Literal["fresh", "validation"] = "fresh"  # validation: see model/splits.py

    def __post_init__(self) -> None:
        _require(0 < self.fresh_share < 0.9, f"split.fresh_share is {self.fresh_share}; choose a share in (0, 0.9).")
        _require(0 <= self.heldout_edges < 0.9, f"split.heldout_edges is {self.heldout_edges}; choose in [0, 0.9).")
        _require(0 < self.train_share <= 1, f"split.train_share is {self.train_share}; choose a share in (0, 1].")


@dataclass(frozen=True)
class GraphConfig:
    """Random walks with restart over the bipartite Pin–Board graph."""

    walks: int = 64  # walkers started at every Pin
    steps: int = 4  # Pin -> board -> Pin hops of one walker
    restart: float = 0.3  # probability of jumping back to the start before a hop
    top: int = 32  # neighbours kept for a Pin
    damping: float = 0.5  # a board of n Pins is chosen with weight n ** -damping

    def __post_init__(self) -> None:
        _require(0 <= self.restart < 1, f"graph.restart is {self.restart}; choose a probability in [0, 1).")
        _require(0 <= self.damping <= 10, f"graph.damping is {self.damping}; choose a number in [0, 10].")
        _require(min(self.walks, self.steps, self.top) > 0, "graph.walks, graph.steps and graph.top must be positive.")


@dataclass(frozen=True)
class TowerConfig:
    """Where a tower's weights come from. `pretrained` empty: from scratch, and the other three say nothing."""

    pretrained: str = ""  # SigLIP 2, SigLIP or CLIP: a local folder or a name on the hub
    trainable: Literal["frozen", "last", "full"] = "full"  # last: the last `trainable_layers` layers
    trainable_layers: int = 4
    layer_decay: float = 0.8  # a pretrained layer's learning rate, as a share of that of the layer above

    def __post_init__(self) -> None:
        _require(
            self.trainable_layers >= 1, f"trainable_layers is {self.trainable_layers}; choose at least 1, or frozen."
        )
        _require(0 < self.layer_decay <= 1, f"layer_decay is {self.layer_decay}; choose a share in (0, 1].")


@dataclass(frozen=True)
class VisionConfig(TowerConfig):
    """Hybrid funnel ViT: convolutional stem, transformer stages, tokens pooled 2x2 between stages.

    Pretrained, the tower stands for stem and first stage, `patch` is its own, and each of `depths` is a stage on top.
    """

    image_size: int = 32  # pixels a side
    patch: int = 8  # stem stride, pixels
    width: int = 128
    depths: tuple[int, ...] = (2, 2)  # layers a stage; the token grid is halved between stages
    heads: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            (len(self.depths) > 0 or bool(self.pretrained))
            and min(self.image_size, self.width, self.heads, *self.depths) > 0,
            "vision.image_size, vision.width, vision.heads and each of vision.depths must be positive.",
        )
        _require(self.width % self.heads == 0, f"vision.width {self.width} does not divide by {self.heads} heads.")
        if self.pretrained:
            return  # the tower is asked when it is there
        stride = self.patch * 2 ** (len(self.depths) - 1)
        _require(
            self.image_size % stride == 0,
            f"vision.image_size {self.image_size} does not divide by {stride} "
            f"(patch {self.patch}, {len(self.depths)} stages); choose a multiple of {stride}.",
        )
        _require(self.patch in (4, 8, 16, 32), f"vision.patch is {self.patch}; choose 4, 8, 16 or 32.")


@dataclass(frozen=True)
class TextConfig(TowerConfig):
    """A small transformer over BPE tokens trained on the catalogue; pretrained, its own layers and vocabulary count."""

    vocabulary: int = 4096
    context: int = 32  # tokens; longer texts are cut
    width: int = 128
    layers: int = 2
    heads: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            self.vocabulary >= 257, f"text.vocabulary is {self.vocabulary}; choose at least 257: the bytes and an end."
        )
        _require(self.context >= 2, f"text.context is {self.context}; choose at least 2 tokens.")
        _require(
            min(self.width, self.layers, self.heads) > 0, "text.width, text.layers and text.heads must be positive."
        )
        _require(self.width % self.heads == 0, f"text.width {self.width} does not divide by {self.heads} heads.")


@dataclass(frozen=True)
class FusionConfig:
    """Token-level transformer over [PIN], image and text tokens, and a gated global path beside it."""

    dim: int = 256  # of the Pin vector
    prefixes: tuple[int, ...] = (32, 64, 128, 256)  # nested Matryoshka prefixes, each usable alone
    layers: int = 1
    heads: int = 2
    token_level: bool = True
    global_level: bool = True

    def __post_init__(self) -> None:
        _require(self.token_level or self.global_level, "fusion needs token_level or global_level; both are off.")
        _require(min(self.layers, self.heads) > 0, "fusion.layers and fusion.heads must be positive.")
        rising = (0, *self.prefixes) == tuple(sorted({0, *self.prefixes}))
        _require(
            rising and self.prefixes[-1:] == (self.dim,),
            f"fusion.prefixes {list(self.prefixes)} must rise and end at fusion.dim {self.dim}.",
        )


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the alignment losses; a weight of 0 removes the loss and its cost."""

    image_text: float = 10.0
    neighbour: float = 1.0
    text_fused: float = 1.0
    image_texts: tuple[str, ...] = ("long", "short")  # the kinds of text that images are aligned with
    mask_neighbours: bool = True  # true neighbours in the batch are no negatives
    image_text_loss: Literal["sigmoid", "softmax"] = "softmax"
    fused_loss: Literal["sigmoid", "softmax"] = "sigmoid"  # of the neighbour and the text–fused alignment

    def __post_init__(self) -> None:
        weights = (self.image_text, self.neighbour, self.text_fused)
        _require(
            min(weights) >= 0 and 0 < sum(weights) < math.inf,
            f"objective.image_text, neighbour and text_fused are {weights}; choose weights of 0 or more, not all 0.",
        )
        kinds = ("long", "short", "query")
        _require(
            len(self.image_texts) > 0 and set(self.image_texts) <= set(kinds),
            f"objective.image_texts is {list(self.image_texts)}; choose one or more of {', '.join(kinds)}.",
        )


@dataclass(frozen=True)
class TrainConfig:
    epochs: int = 30
    batch_size: int = 128  # Pins a step over all workers
    micro_batch: int = 0  # Pins of a worker that pass the network at once (model/gradient_cache.py); 0: its whole batch
    optimizer: Literal["muon", "adamw"] = "muon"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.1  # share of all steps
    hide_image: float = 0.1  # share of Pins whose image fusion does not see in a step, so that texts alone suffice
    hide_text: float = 0.2  # the same for texts
    workers: int = 1  # Ray Train workers
    cpus_per_worker: int = 1  # that Ray reserves; the threads of one machine are shared by its workers
    max_failures: int = 1  # times that dead workers are started again, from the last snapshot
    precision: Literal["auto", "bf16", "fp32"] = "auto"  # auto: bf16 where the processor computes in it
    compile: bool = False  # the transformer blocks, by torch.compile
    activation_checkpointing: bool = False  # blocks run again in the backward pass: less memory, a third more work
    checkpoint_steps: int = 200

    def __post_init__(self) -> None:
        _require(self.epochs > 0, f"train.epochs is {self.epochs}; choose at least 1.")
        _require(self.batch_size >= 2, f"train.batch_size is {self.batch_size}; choose at least 2.")
        _require(self.micro_batch >= 0, f"train.micro_batch is {self.micro_batch}; choose 0 (off) or more.")
        _require(self.workers >= 1, f"train.workers is {self.workers}; choose at least 1.")
        _require(self.max_failures >= 0, f"train.max_failures is {self.max_failures}; choose 0 or more.")
        _require(
            min(self.cpus_per_worker, self.checkpoint_steps) >= 1,
            "train.cpus_per_worker and train.checkpoint_steps must be at least 1.",
        )
        rate = self.learning_rate
        _require(0 < rate < math.inf, f"train.learning_rate is {rate}; choose a positive number.")
        _require(0 <= self.warmup <= 1, f"train.warmup is {self.warmup}; choose a share in [0, 1].")
        _require(
            min(self.hide_image, self.hide_text) >= 0 and self.hide_image + self.hide_text <= 1,
            "train.hide_image and train.hide_text are shares that add up to at most 1: fusion must see something.",
        )


@dataclass(frozen=True)
class QuantizationConfig:
    """Global affine: one scale and one zero point for the whole table."""

    bits: Literal[8, 4] = 8
    calibration_pins: int = 20_000
    study_pins: int = 10_000  # of a scope, on which the codes are compared (model/quantization_study.py)

    def __post_init__(self) -> None:
        _require(
            self.calibration_pins >= 2,
            f"quantization.calibration_pins is {self.calibration_pins}; choose at least 2.",
        )
        _require(self.study_pins >= 2, f"quantization.study_pins is {self.study_pins}; choose at least 2.")


@dataclass(frozen=True)
class EvaluationConfig:
    max_queries: int = 2_000  # queries drawn a task; the candidates are always all Pins of the split
    min_slice_queries: int = 30  # a slice with fewer queries than this is merged with others like it


@dataclass(frozen=True)
class GateConfig:
    """What a model version must reach to become the challenger."""

    min_fresh_related: float = 0.0  # related_pins recall@10 on fresh Pins
    min_fresh_search: float = 0.0
    min_gain_over_clip: float = 0.0  # relative, fresh related_pins recall@10
    min_retention: float = 0.95  # quantized over float recall, the worst task
    max_slice_gap: float = 0.9  # how far a slice's recall@10 may surely lie below that of all (model/slices.py)
    max_regression: float = 0.02  # share of the champion's recall@10 on fresh Pins that may surely be lost, any task
    max_latency_ms: float = 2000.0  # of one Pin alone, on the machine that compares
    max_latency_growth: float = 3.0  # times the champion's
    max_weights_growth: float = 3.0
    max_vector_growth: float = 3.0  # bytes of a stored vector

    def __post_init__(self) -> None:
        _require(
            0 <= self.max_regression <= 1, f"gate.max_regression is {self.max_regression}; choose a share in [0, 1]."
        )
        ceilings = (self.max_latency_ms, self.max_latency_growth, self.max_weights_growth, self.max_vector_growth)
        _require(min(ceilings) > 0, "gate.max_latency_ms and gate.max_…_growth must be positive.")


@dataclass(frozen=True)
class MonitoringConfig:
    """How much is looked at, and from where on drift is told (model/drift). What may be passed is the sure part."""

    pins: int = 2_000  # of the catalogue; as many again of those that came after the space was published
    canaries: int = 500  # published Pins whose neighbours are compared
    pairs: int = 500  # of a Pin and a user, whose features are compared online and offline
    max_shift: float = 0.1  # share of Pins that have moved across some value of a fact, or to another label
    max_centroid: float = 0.02  # cosine distance of the mean vectors
    max_lost_neighbours: float = 0.2  # share of a canary's ten nearest
    max_without_vector: float = 0.05  # share of Pins
    max_skew: float = 0.01  # share of the pairs, each feature
    max_age_hours: float = 0.0  # of the newest vector; 0: told, not judged
    cooldown_hours: float = 24.0  # in which at most one notice and one training go out
    retrain: bool = True  # start a training where a cluster is named

    def __post_init__(self) -> None:
        _require(
            min(self.pins, self.canaries, self.pairs) >= 1,
            "monitoring.pins, monitoring.canaries and monitoring.pairs must be at least 1.",
        )
        limits = {name: getattr(self, name) for name in ("max_shift", "max_lost_neighbours", "max_without_vector")}
        limits |= {"max_skew": self.max_skew, "max_centroid": self.max_centroid / 2}  # a cosine distance goes to 2
        for name, limit in limits.items():
            _require(0 <= limit < 1, f"monitoring.{name} is {getattr(self, name)}; beyond it nothing could be told.")
        _require(
            min(self.max_age_hours, self.cooldown_hours) >= 0,
            "monitoring.max_age_hours and monitoring.cooldown_hours are hours, 0 or more.",
        )


@dataclass(frozen=True)
class PromotionConfig:
    """What an embedding space must show before `pinclip sync` lets it serve."""

    min_index_recall: float = 0.95  # of the index: share of the exact 10 nearest Pins that it finds
    recall_queries: int = 500  # Pins of the sample

    def __post_init__(self) -> None:
        recall = self.min_index_recall
        _require(0 <= recall <= 1, f"promotion.min_index_recall is {recall}; choose a share in [0, 1].")
        _require(self.recall_queries >= 1, f"promotion.recall_queries is {self.recall_queries}; choose at least 1 Pin.")


@dataclass(frozen=True)
class Config:
    profile: str = "demo"
    seed: int = 0
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    graph: GraphConfig = field(default_factory=GraphConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    text: TextConfig = field(default_factory=TextConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    promotion: PromotionConfig = field(default_factory=PromotionConfig)
    monitoring: MonitoringConfig = field(default_factory=MonitoringConfig)

    def __post_init__(self) -> None:
        _require(self.seed >= 0, f"seed is {self.seed}; choose 0 or more.")
        _require(
            self.text.width % self.fusion.heads == 0,
            f"fusion works at text.width {self.text.width}, which does not divide by fusion.heads {self.fusion.heads}.",
        )

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    @staticmethod
    def from_json(text: str) -> "Config":
        return override(Config(), json.loads(text))


def clip_baseline(config: Config) -> Config:
    """The same network and budget with CLIP's objective: softmax over the batch, a Pin's own texts alone.

    Softmax because it is CLIP's own and at small batches the stronger baseline.
    """
    clip = {
        "image_text": 1.0,
        "neighbour": 0.0,
        "text_fused": 0.0,
        "image_texts": ("long", "short"),
        "image_text_loss": "softmax",
    }
    return override(config, {"objective": clip})


SIGLIP_2 = "google/siglip2-base-patch16-224"
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "profile": "smoke",
        "graph": {"walks": 16, "top": 8},
        "vision": {"image_size": 32, "width": 64, "depths": (1, 1), "heads": 2},
        "text": {"vocabulary": 512, "context": 16, "width": 64, "layers": 1, "heads": 2},
        "fusion": {"dim": 64, "prefixes": (32, 64), "layers": 1, "heads": 2},
        "train": {"epochs": 2, "batch_size": 64},
        "evaluation": {"max_queries": 200},
        "gate": {
            "min_gain_over_clip": -1.0,
            "max_slice_gap": 1.0,
        },  # seconds of training prove the chain, not the model
    },
    # Fusion on the level of tokens found no more with small towers and took a quarter of the time (docs/results.md).
    "demo": {"fusion": {"token_level": False}},
    "full": {
        "profile": "full",
        # 14 x 14 patches, then one funnel stage: 49 tokens of an image reach fusion.
        "vision": {"pretrained": SIGLIP_2, "image_size": 224, "width": 768, "depths": (2,), "heads": 12},
        # The lower layers and the 256,000 rows of its token table stay: they are 239 M of its 282 M parameters.
        "text": {
            "pretrained": SIGLIP_2,
            "trainable": "last",
            "trainable_layers": 6,
            "context": 64,
            "width": 768,
            "heads": 12,
        },
        "fusion": {"layers": 4, "heads": 12},
        # At thousands of Pins a batch the sigmoid never holds a row of logits whole; Muon is for towers from scratch.
        "objective": {"image_text_loss": "sigmoid"},
        "train": {
            "optimizer": "adamw",
            "epochs": 20,
            "batch_size": 4096,
            "learning_rate": 5e-4,
            "workers": 8,
            "precision": "bf16",
            "compile": True,
            "activation_checkpointing": True,
        },
    },
}


def load(profile: str = "demo", overrides: typing.Iterable[str] = ()) -> Config:
    """The profile's configuration with `section.key=value` overrides applied in order.

    Raises:
        ConfigError: an unknown profile, an unknown key, or a value that does not fit its type.
    """
    if profile not in PROFILES:
        raise ConfigError(f"There is no profile {profile!r}; choose one of {', '.join(PROFILES)}.")
    changes: dict[str, Any] = {}
    for item in overrides:
        key, separator, value = item.partition("=")
        if not separator:
            raise ConfigError(f"--set {item!r} has no '='; write it as section.key=value, e.g. train.epochs=2.")
        *sections, name = key.strip().split(".")
        section = changes
        for part in sections:
            section = section.setdefault(part, {})
            _require(
                isinstance(section, dict), f"--set {item!r}: {part!r} was given a value before; set its keys alone."
            )
        section[name] = value.strip()
    # All at once: values that only fit together may come in any order.
    return _located(override(override(Config(), PROFILES[profile]), changes))


def _located(config: Config) -> Config:
    """Checkpoints that are folders here by their whole path: steps and workers run elsewhere."""
    towers = {"vision": config.vision.pretrained, "text": config.text.pretrained}
    folders = {name: {"pretrained": str(Path(p).absolute())} for name, p in towers.items() if p and Path(p).is_dir()}
    return override(config, folders)
