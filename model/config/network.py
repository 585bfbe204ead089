"""The sections of the network: image tower, text tower, fusion."""

from typing import Annotated, Literal

from pydantic import Field

from model.config.overrides import refuse_unless, section

Width = Annotated[int, Field(ge=1, le=65_536)]
Layers = Annotated[int, Field(ge=1, le=1_000)]
Heads = Annotated[int, Field(ge=1, le=1_024)]


@section
class TowerConfig:
    """Where a tower's weights come from. With `pretrained` empty it trains from scratch, and the others are
    ignored."""

    pretrained: str = ""  # a local folder, a packaged name or one on the hub (model/network/towers)
    trainable: Literal["frozen", "last", "full"] = "full"  # last: the last `trainable_layers` layers
    trainable_layers: Layers = 4
    # A pretrained layer's learning rate, as a share of that of the layer above.
    layer_decay: float = Field(default=0.8, gt=0, le=1)
    # below: its tokens enter our layers, and it may learn. beside: it is frozen, what it gives is computed once, and a
    # small tower of our own learns beside it. alone: the same without a tower of our own. vector: alone, and of an
    # image–text model; its vector in the space that both its towers share stands for tokens.
    join: Literal["below", "beside", "alone", "vector"] = "below"

    @property
    def kept(self) -> bool:
        """Whether what the tower gives is computed once and kept (model/extraction)."""
        return bool(self.pretrained) and self.join != "below"

    def check_join(self, name: str) -> None:
        """Raises ConfigError for a tower that should learn although what it gives is kept."""
        refuse_unless(
            not self.kept or self.trainable == "frozen",
            f"{name}.join={self.join} keeps what the tower gives, so it cannot learn; set {name}.trainable=frozen.",
        )


@section
class VisionConfig(TowerConfig):
    """Hybrid funnel ViT: convolutional stem, transformer stages, tokens pooled 2x2 between stages.

    A pretrained tower replaces the stem and the first stage and has its own patch size; each of `depths` is then a
    stage on top of it. A kept one (`join`) gives grid x grid tokens, which are added to those of the stem.
    """

    image_size: int = Field(default=32, ge=1, le=4_096)  # pixels a side
    patch: int = Field(default=8, ge=1, le=1_024)  # stem stride, pixels
    width: Width = 128
    depths: tuple[Layers, ...] = (2, 2)  # layers a stage; the token grid is halved between stages
    heads: Heads = 2
    grid: int = Field(default=4, ge=1, le=1_024)  # of a kept tower's map: tokens a side that are kept

    @property
    def own_size(self) -> int:
        """Pixels a side that our own stem reads."""
        return self.grid * self.patch if self.kept else self.image_size

    def __post_init__(self) -> None:
        self.check_join("vision")
        refuse_unless(bool(self.depths or self.pretrained), "vision.depths is empty; give layers, e.g. 2,2.")
        refuse_unless(self.width % self.heads == 0, f"vision.width {self.width} does not divide by {self.heads} heads.")
        if self.kept:
            halvings = max(len(self.depths) - 1, 0)
            refuse_unless(
                self.grid % 2**halvings == 0,
                f"vision.grid {self.grid} cannot be halved {halvings} times; choose a multiple of {2**halvings}.",
            )
            refuse_unless(
                self.join != "beside" or self.image_size % self.own_size == 0,
                f"vision.image_size {self.image_size} does not divide by {self.own_size} (grid {self.grid}, patch "
                f"{self.patch}), the size that our own stem reads; choose a multiple.",
            )
        elif self.pretrained:
            return  # checked against the tower when it is loaded
        stride = self.patch * 2 ** (len(self.depths) - 1)
        refuse_unless(
            self.kept or self.image_size % stride == 0,
            f"vision.image_size {self.image_size} does not divide by {stride} "
            f"(patch {self.patch}, {len(self.depths)} stages); choose a multiple of {stride}.",
        )
        refuse_unless(self.patch in (4, 8, 16, 32), f"vision.patch is {self.patch}; choose 4, 8, 16 or 32.")


@section
class TextConfig(TowerConfig):
    """A small transformer over BPE tokens trained on the catalogue; a pretrained tower has its own layers and
    vocabulary. A kept one (`join`) gives a vector for a text, which is added to each of its tokens."""

    vocabulary: int = Field(default=4_096, ge=257, le=10_000_000)  # at least the 256 bytes and the end token
    context: int = Field(default=32, ge=2, le=65_536)  # tokens; longer texts are cut
    width: Width = 128
    layers: int = Field(default=2, ge=0, le=1_000)
    heads: Heads = 2

    def __post_init__(self) -> None:
        self.check_join("text")
        refuse_unless(bool(self.layers or self.pretrained), "text.layers is 0; give at least 1.")
        refuse_unless(self.width % self.heads == 0, f"text.width {self.width} does not divide by {self.heads} heads.")


@section
class FusionConfig:
    """Token-level transformer over [PIN], image and text tokens, and a gated global path beside it."""

    dim: Width = 256  # of the Pin vector
    prefixes: tuple[Width, ...] = (32, 64, 128, 256)  # nested Matryoshka prefixes, each usable alone
    layers: Layers = 1
    heads: Heads = 2
    token_level: bool = True
    global_level: bool = True
    skip: bool = False  # what is kept of frozen towers also leads to the Pin vector directly

    def __post_init__(self) -> None:
        refuse_unless(self.token_level or self.global_level, "fusion needs token_level or global_level; both are off.")
        rising = (0, *self.prefixes) == tuple(sorted({0, *self.prefixes}))
        refuse_unless(
            rising and self.prefixes[-1:] == (self.dim,),
            f"fusion.prefixes {list(self.prefixes)} must rise and end at fusion.dim {self.dim}.",
        )
