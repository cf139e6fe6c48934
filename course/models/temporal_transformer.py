"""A Transformer that reads a clip and gives an answer for each frame."""

from dataclasses import dataclass

from torch import Tensor, nn

from course.clips import expect_tensor
from course.layers.attention import FactorisedBlock, TransformerBlock
from course.layers.position import LearnedPosition, sinusoidal

POSITIONS: tuple[str, ...] = ("none", "learned", "sinusoidal", "rotary")


@dataclass(frozen=True, kw_only=True)
class TemporalTransformerConfig:
    """The form of a ``TemporalTransformer``.

    Attributes:
        num_channels: C of the frames.
        size: side of the square frames, in pixels.
        patch_size: side of a patch, in pixels; None for one token per frame.
        hidden_size: numbers for each token.
        num_layers: blocks, at least 1.
        num_heads: attentions side by side in each block.
        position: how time is told: one of ``POSITIONS``. Where a patch stands in its frame is always learned.
        num_frames: the longest clip that learned positions can tell.
        causal: no frame sees a later one.
        factorised: patches look around in their frame, then along time; otherwise all look at all.
        output_size: numbers in the answer for each frame.
    """

    num_channels: int = 3
    size: int = 16
    patch_size: int | None = None
    hidden_size: int = 64
    num_layers: int = 2
    num_heads: int = 4
    position: str = "sinusoidal"
    num_frames: int = 64
    causal: bool = True
    factorised: bool = True
    output_size: int

    def __post_init__(self) -> None:
        """Check the values."""
        if self.position not in POSITIONS:
            raise ValueError(f"position: wanted one of {POSITIONS}, got {self.position!r}")
        if self.num_layers < 1:
            raise ValueError(f"num_layers: wanted at least 1, got {self.num_layers}")
        if self.patch_size is not None and (self.patch_size < 1 or self.size % self.patch_size):
            raise ValueError(f"patch_size: wanted a divisor of the frame's side {self.size}, got {self.patch_size}")
        if self.num_patches > 1 and not self.factorised and (self.causal or self.position == "rotary"):
            raise ValueError("full attention counts patches, not frames: wanted causal=False and a position to add")

    @property
    def num_patches(self) -> int:
        """Tokens in each frame."""
        return 1 if self.patch_size is None else (self.size // self.patch_size) ** 2


class TemporalTransformer(nn.Module):
    """Cut frames into tokens, tell them when they are, let them look at one another, answer for each frame."""

    def __init__(self, config: TemporalTransformerConfig) -> None:
        super().__init__()
        self.config = config
        size, num_patches = config.hidden_size, config.num_patches
        patch = config.patch_size or config.size
        self.embed_patch = nn.Linear(config.num_channels * patch**2, size)
        self.place = LearnedPosition(num_patches, size) if num_patches > 1 else None
        self.time = LearnedPosition(config.num_frames, size) if config.position == "learned" else None
        block = FactorisedBlock if num_patches > 1 and config.factorised else TransformerBlock
        self.blocks = nn.Sequential(
            *(
                block(size, config.num_heads, causal=config.causal, rotary=config.position == "rotary")
                for _ in range(config.num_layers)
            )
        )
        self.norm = nn.LayerNorm(size)
        self.answer = nn.Linear(size, config.output_size)

    def forward(self, clips: Tensor) -> Tensor:
        """Answer for each frame.

        Args:
            clips: (B, T, C, size, size).

        Returns:
            (B, T, output_size).
        """
        x = self.embed(clips)  # (B, T, N, hidden)
        _, T, N, _ = x.shape
        if N == 1 or not self.config.factorised:
            x = self.blocks(x.flatten(1, 2)).unflatten(1, (T, N))  # all tokens look at all
        else:
            x = self.blocks(x)
        return self.answer(self.norm(x).mean(dim=2))  # (B, T, output_size)

    def embed(self, clips: Tensor) -> Tensor:
        """Cut frames into patches and tell each where and when it is; (B, T, num_patches, hidden_size)."""
        expect_tensor(clips, "B T C H W", name="clips")
        config = self.config
        wanted = (config.num_channels, config.size, config.size)
        if clips.shape[2:] != wanted:
            raise ValueError(f"clips: wanted (B, T, {', '.join(map(str, wanted))}), got {tuple(clips.shape)}")
        T, patch = clips.shape[1], config.patch_size or config.size
        patches = clips.unfold(3, patch, patch).unfold(4, patch, patch)  # (B, T, C, rows, columns, patch, patch)
        patches = patches.permute(0, 1, 3, 4, 2, 5, 6).flatten(4).flatten(2, 3)  # (B, T, N, C * patch * patch)
        x = self.embed_patch(patches)  # (B, T, N, hidden)
        if self.place is not None:
            x = x + self.place(config.num_patches)
        if self.time is not None:
            x = x + self.time(T)[:, None]
        elif config.position == "sinusoidal":
            x = x + sinusoidal(T, config.hidden_size).to(x)[:, None]
        return x
