"""The sections of the training: what is minimised, and how."""

import re
from typing import Annotated, Literal

from pydantic import Field

from model.config.overrides import refuse_unless, section

Weight = Annotated[float, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]


# The losses by the key of their weight: title, and what each pulls together.
LOSSES = {
    "image_text": ("Image – text", "pulls a Pin's image and its text together"),
    "neighbour": ("Neighbour", "pulls Pins together that share boards"),
    "text_fused": ("Text – Pin vector", "pulls a text and the fused vector together"),
    "compatible": ("Compatible", "keeps vectors comparable with those of train.compatible_with"),
}


@section
class ObjectiveConfig:
    """Weights of the alignment losses; a weight of 0 removes the loss and its cost."""

    image_text: Weight = 10.0
    neighbour: Weight = 1.0
    text_fused: Weight = 1.0
    compatible: Weight = 1.0  # counts where train.compatible_with names a version
    # The kinds of text that images are aligned with.
    image_texts: Annotated[tuple[Literal["long", "short", "query"], ...], Field(min_length=1)] = ("long", "short")
    mask_neighbours: bool = True  # true neighbours in the batch are no negatives
    image_text_loss: Literal["sigmoid", "softmax"] = "softmax"
    fused_loss: Literal["sigmoid", "softmax"] = "sigmoid"  # of the neighbour and the text–fused alignment

    def __post_init__(self) -> None:
        names = ", ".join(LOSSES)
        refuse_unless(sum(self.weights.values()) > 0, f"The objective's {names} are all 0; choose one above 0.")

    @property
    def weights(self) -> dict[str, float]:
        """By loss."""
        return {name: getattr(self, name) for name in LOSSES}

    @property
    def trains_fusion(self) -> bool:
        """Whether a loss of the fused vector is there; image–text compares the towers."""
        return bool(self.neighbour or self.text_fused)


@section
class TrainConfig:
    epochs: int = Field(default=30, ge=1, le=1_000_000)
    batch_size: int = Field(default=128, ge=2, le=10_000_000)  # Pins a step over all workers
    # Pairs of a batch that are near each other in the graph: hard negatives (model/training/matching.py); 1: none
    near_pairs: int = Field(default=1, ge=1, le=10_000_000)
    # Pins of a worker that pass the network at once (model/training/gradient_cache.py); 0: its whole batch
    micro_batch: int = Field(default=0, ge=0, le=10_000_000)
    # A version of the registered model, "champion" or its number, that the new vectors stay comparable with
    # (model/training/anchors.py); empty: the space is free
    compatible_with: str = ""
    optimizer: Literal["muon", "adamw"] = "muon"
    learning_rate: float = Field(default=1e-3, gt=0, le=100)
    weight_decay: float = Field(default=0.05, ge=0, le=100)
    warmup: Share = 0.1  # share of all steps
    hide_image: Share = 0.1  # share of Pins whose image fusion does not see in a step, so that texts alone suffice
    hide_text: Share = 0.2  # the same for texts
    workers: int = Field(default=1, ge=1, le=10_000)  # Ray Train workers
    # CPUs that Ray reserves; the threads of one machine are shared by its workers.
    cpus_per_worker: int = Field(default=1, ge=1, le=1_024)
    # Times that dead workers are started again, from the last snapshot. One worker on one machine has nobody who would:
    # there the same command, given again, goes on from the snapshot.
    max_failures: int = Field(default=1, ge=0, le=1_000)
    precision: Literal["auto", "bf16", "fp32"] = "auto"  # auto: bf16 where the processor computes in it
    compile: bool = False  # the transformer blocks, by torch.compile
    activation_checkpointing: bool = False  # blocks run again in the backward pass: less memory, a third more work
    checkpoint_steps: int = Field(default=200, ge=1, le=1_000_000_000)

    def __post_init__(self) -> None:
        refuse_unless(
            self.hide_image + self.hide_text <= 1,
            "train.hide_image and train.hide_text are shares that add up to at most 1: fusion must see something.",
        )
        refuse_unless(
            re.fullmatch(r"(champion|[1-9][0-9]{0,8})?", self.compatible_with) is not None,
            f"train.compatible_with is {self.compatible_with!r}; write champion, or the number of a version.",
        )
