"""A rendered world in which everything is known: coloured shapes that move by simple laws.

Every clip comes with its state (shape, colour, position and velocity in each frame) and its caption, so that a
generated clip can be judged exactly (``course.evaluation.judge``). Lengths are fractions of the frame's side: the same
world at 16, 32 or 64 pixels. Positions in the state are pixels, (row, column); the frame's upper left corner is (0, 0).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from course.datasets.captions import ALL, ALL_PAIRS, COLOURS, MOTIONS, SHAPES, Combination, caption

SIZES: tuple[int, ...] = (16, 32, 64)
RADIUS = 0.2
"""Half the side of the box around a sprite, as a fraction of the frame."""
WALLS: tuple[float, float] = (RADIUS, 1 - RADIUS)
"""The centre of a sprite bounces here, so that it never leaves the frame."""
SPEEDS: tuple[float, float] = (0.04, 0.08)
"""Slowest and fastest motion, in frame sides per frame."""
ORBIT = 0.22
"""Radius of the clockwise path."""
APART = 0.42
"""Least distance between the centres of two sprites that are to be judged, in frame sides: corners may touch."""
_TRIES, _ROUNDS = 32, 200
OCCLUDER = 0.5
"""With an occluder, a grey wall hides everything to the right of this column."""
OCCLUDER_GREY = 0.5

PALETTE = torch.tensor([[1.0, 0.2, 0.2], [0.2, 0.85, 0.3], [0.3, 0.45, 1.0], [1.0, 0.9, 0.2]])
"""Red, green and blue of each of ``COLOURS``."""
DIRECTIONS = torch.tensor([[0.0, -1.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
"""(row, column) direction of each of ``MOTIONS``; zero where the path is not a straight line."""
CLOCKWISE = MOTIONS.index("clockwise")


@dataclass(frozen=True, kw_only=True)
class SpriteConfig:
    """How clips are rendered.

    Attributes:
        size: side of the square frame in pixels: 16, 32 or 64.
        num_frames: frames per clip, at least 1. In a clip long enough to reach a wall the sprite bounces.
        occluder: hide the right half of the frame behind a grey wall. The sprite starts in full view.
        second_sprite: add a second sprite, of another colour and shape, behind the first.
        turn_frame: the frame at which a sprite on a straight path turns by 90 degrees, to its left or its right
            at random; None for no turn.
        frame_rate: frames in the time in which a sprite goes as far as ``SPEEDS`` say: with 2, the same motions are
            filmed in twice as many frames.
    """

    size: int = 16
    num_frames: int = 8
    occluder: bool = False
    second_sprite: bool = False
    turn_frame: int | None = None
    frame_rate: int = 1

    def __post_init__(self) -> None:
        """Check the values."""
        if self.size not in SIZES:
            raise ValueError(f"size: wanted one of {SIZES}, got {self.size!r}")
        if not isinstance(self.num_frames, int) or self.num_frames < 1:
            raise ValueError(f"num_frames: wanted a whole number of at least 1, got {self.num_frames!r}")
        if self.turn_frame is not None and not 0 < self.turn_frame < self.num_frames:
            raise ValueError(f"turn_frame: wanted a frame in 1..{self.num_frames - 1}, got {self.turn_frame!r}")
        if not isinstance(self.frame_rate, int) or self.frame_rate < 1:
            raise ValueError(f"frame_rate: wanted a whole number of at least 1, got {self.frame_rate!r}")


@dataclass(frozen=True)
class SpriteState:
    """What one sprite of each clip is and does.

    Attributes:
        colour: (B, T), index into ``COLOURS``.
        shape: (B, T), index into ``SHAPES``.
        motion: (B,), index into ``MOTIONS``; a bouncing sprite keeps the name of the direction it set out in.
        turn: (B,), +1 where a turn is clockwise, -1 where it is counter-clockwise, 0 where there is none.
        position: (B, T, 2), centre in pixels, (row, column).
        velocity: (B, T, 2), pixels to the next frame.
    """

    colour: Tensor
    shape: Tensor
    motion: Tensor
    turn: Tensor
    position: Tensor
    velocity: Tensor

    def combinations(self) -> list[Combination]:
        """Return the colour, shape and motion of each clip, as they are in its first frame."""
        triples = torch.stack([self.colour[:, 0], self.shape[:, 0], self.motion], dim=1).tolist()
        return [Combination(COLOURS[c], SHAPES[s], MOTIONS[m]) for c, s, m in triples]


@dataclass(frozen=True)
class SpriteClips:
    """A batch of rendered clips and everything that is known about them.

    Attributes:
        clips: (B, T, 3, H, W), float32 in [0, 1], black background.
        captions: B sentences.
        state: of the sprite.
        second: state of the second sprite, or None.
    """

    clips: Tensor
    captions: list[str]
    state: SpriteState
    second: SpriteState | None = None


def sample(
    num_clips: int,
    *,
    generator: torch.Generator,
    config: SpriteConfig | None = None,
    combinations: Sequence[Combination] = ALL,
) -> SpriteClips:
    """Draw and render clips; the same generator state and settings give the same bytes.

    Args:
        num_clips: clips to make, at least 1.
        generator: the only source of chance.
        config: how to render; 8 frames of 16 x 16 by default.
        combinations: what the (first) sprite may be, drawn uniformly: ``captions.TRAINED`` leaves the held-out ones
            out. To render given combinations in a given order, see ``sample_state``.

    Returns:
        The clips with captions and states.
    """
    config = config or SpriteConfig()
    if not isinstance(num_clips, int) or num_clips < 1:
        raise ValueError(f"num_clips: wanted a whole number of at least 1, got {num_clips!r}")
    if not combinations:
        raise ValueError("combinations: wanted at least one, got none")
    chosen = torch.randint(len(combinations), (num_clips,), generator=generator).tolist()
    state = sample_state([combinations[i] for i in chosen], generator=generator, config=config)
    second = _another_sprite(state, generator, config) if config.second_sprite else None
    clips = render(*([state] if second is None else [second, state]), config=config)
    told = zip(state.combinations(), *([] if second is None else [second.combinations()]), strict=True)
    return SpriteClips(clips, [caption(*sprites) for sprites in told], state, second)


def sample_state(
    combinations: Sequence[Combination], *, generator: torch.Generator, config: SpriteConfig
) -> SpriteState:
    """Draw where and how fast one sprite for each combination moves.

    A sprite starts where it will meet no wall, if its path is short enough for that; otherwise anywhere that leaves it
    one full step before it bounces. At a higher frame rate it starts as it would at 1: only the frames at which it
    would have been filmed there count.
    """
    B, T = len(combinations), config.num_frames
    indices = [(COLOURS.index(c), SHAPES.index(s), MOTIONS.index(m)) for c, s, m in combinations]
    colour, shape, motion = torch.tensor(indices).reshape(B, 3).T
    uniform = torch.rand(B, 5, generator=generator)
    speed = (SPEEDS[0] + (SPEEDS[1] - SPEEDS[0]) * uniform[:, 0]) / config.frame_rate
    turning = DIRECTIONS[motion].any(dim=1) if config.turn_frame is not None else torch.zeros(B, dtype=torch.bool)
    turn = torch.where(uniform[:, 1] < 0.5, -1, 1) * turning

    steps = straight_steps(motion, turn, T + 1, config.turn_frame)  # (B, T + 1, 2), in steps of `speed`
    walked = speed[:, None, None] * steps[:, : T : config.frame_rate]
    travel = torch.stack([walked.amin(1), walked.amax(1)], dim=1)  # (B, 2, 2): farthest back, farthest ahead
    if config.turn_frame is not None:  # leave room on both sides, so that the start does not tell the turn
        room = travel.abs().amax(1)
        across = (DIRECTIONS[motion] == 0) & turning[:, None]
        travel = torch.where(across[:, None], torch.stack([-room, room], dim=1), travel)
    low, high = WALLS[0] - travel[:, 0], WALLS[1] - travel[:, 1]  # (B, 2) each
    if config.occluder:  # in full view
        high[:, 1] = high[:, 1].clamp(max=OCCLUDER - RADIUS)
    first = speed[:, None] * DIRECTIONS[motion]  # what cannot be free still shows its direction before it bounces
    wall = torch.tensor([WALLS[1], OCCLUDER - RADIUS if config.occluder else WALLS[1]])
    tight = low > high
    low = torch.where(tight, WALLS[0] - first.clamp(max=0), low)
    high = torch.where(tight, torch.minimum(wall, WALLS[1] - first.clamp(min=0)), high)
    path = straight_path(low + (high - low) * uniform[:, 2:4], speed, steps)

    low, high = WALLS[0] + ORBIT, WALLS[1] - ORBIT
    centre = low + (high - low) * uniform[:, 2:4]
    angle = 2 * torch.pi * uniform[:, 4]
    if config.occluder:  # set out from the left side of the circle, in full view
        centre[:, 1] = low + 0.5 * (OCCLUDER - low) * uniform[:, 3]
        angle = torch.pi + (uniform[:, 4] - 0.5)
    orbit = circular_path(centre, angle, speed / ORBIT, T + 1)
    path = torch.where((motion == CLOCKWISE)[:, None, None], orbit, path) * config.size  # (B, T + 1, 2) in pixels
    return SpriteState(
        colour=colour[:, None].expand(B, T).clone(),
        shape=shape[:, None].expand(B, T).clone(),
        motion=motion,
        turn=turn,
        position=path[:, :T].contiguous(),
        velocity=path[:, 1:] - path[:, :T],
    )


def sample_pairs(
    num_clips: int,
    *,
    generator: torch.Generator,
    config: SpriteConfig | None = None,
    pairs: Sequence[tuple[Combination, Combination]] = ALL_PAIRS,
) -> SpriteClips:
    """Draw and render clips of two sprites that keep apart, with captions of two clauses.

    Unlike the second sprite of a ``SpriteConfig``, which may be hidden behind the first, both can be seen in every
    frame, so that a clip can be judged exactly (``course.evaluation.judge.judge_pairs``).

    Args:
        num_clips: clips to make, at least 1.
        generator: the only source of chance.
        config: how to render; 8 frames of 16 x 16 by default.
        pairs: what the two sprites may be, drawn uniformly: ``captions.TRAINED_PAIRS`` leaves the held-out ones out.

    Returns:
        The clips with captions and the states of both.
    """
    config = config or SpriteConfig()
    if not isinstance(num_clips, int) or num_clips < 1:
        raise ValueError(f"num_clips: wanted a whole number of at least 1, got {num_clips!r}")
    if not pairs:
        raise ValueError("pairs: wanted at least one, got none")
    chosen = torch.randint(len(pairs), (num_clips,), generator=generator).tolist()
    state, second = sample_pair_states([pairs[i] for i in chosen], generator=generator, config=config)
    told = zip(state.combinations(), second.combinations(), strict=True)
    return SpriteClips(render(second, state, config=config), [caption(*pair) for pair in told], state, second)


def sample_pair_states(
    pairs: Sequence[tuple[Combination, Combination]], *, generator: torch.Generator, config: SpriteConfig
) -> tuple[SpriteState, SpriteState]:
    """Draw where and how fast two sprites move, for each pair, so that they keep ``APART`` in every frame.

    Two that were drawn too close are drawn again. That changes how often a start and a speed occur: slow ones meet
    less.

    Raises:
        ValueError: if no such paths are found, as in clips that are long enough for both to be everywhere.
    """
    found: tuple[SpriteState, SpriteState] | None = None
    open_pairs = torch.arange(len(pairs))
    for _ in range(_ROUNDS):
        tried = [pairs[i] for i in open_pairs.tolist() for _ in range(_TRIES)]
        drawn = tuple(sample_state(some, generator=generator, config=config) for some in zip(*tried, strict=True))
        near = (drawn[0].position - drawn[1].position).norm(dim=2).amin(dim=1)  # (open pairs * tries,), in pixels
        fits = (near >= APART * config.size).view(-1, _TRIES)
        index = _TRIES * torch.arange(len(fits)) + fits.long().argmax(dim=1)  # of the first that fits
        found = found or tuple(_chosen(state, index) for state in drawn)
        placed = fits.any(dim=1)
        for kept, state in zip(found, drawn, strict=True):
            for one in fields(SpriteState):
                getattr(kept, one.name)[open_pairs[placed]] = getattr(state, one.name)[index[placed]]
        open_pairs = open_pairs[~placed]
        if not len(open_pairs):
            return found
    raise ValueError(
        f"config: wanted clips in which two sprites can keep {APART:g} sides apart, found none for "
        f"{caption(*pairs[open_pairs[0]])!r} in {config}"
    )


def _chosen(state: SpriteState, index: Tensor) -> SpriteState:
    return SpriteState(**{one.name: getattr(state, one.name)[index] for one in fields(SpriteState)})


def resized(state: SpriteState, factor: float) -> SpriteState:
    """Return the state of the same sprites in a frame whose side is so many times as large."""
    return replace(state, position=state.position * factor, velocity=state.velocity * factor)


def straight_steps(motion: Tensor, turn: Tensor, num_frames: int, turn_frame: int | None) -> Tensor:
    """Count the steps taken along each axis on a straight path, with a turn if there is one.

    Args:
        motion: (B,), index into ``MOTIONS``.
        turn: (B,), -1, 0 or +1.
        num_frames: frames to count for.
        turn_frame: where turns happen, or None.

    Returns:
        (B, num_frames, 2): steps down and to the right since frame 0; zero for motions that are not straight.
    """
    t = torch.arange(num_frames, dtype=torch.float32)
    before, after = (
        (t, torch.zeros_like(t)) if turn_frame is None else (t.clamp(max=turn_frame), (t - turn_frame).clamp(min=0))
    )
    ahead = DIRECTIONS[motion]  # (B, 2), (row, column)
    aside = torch.stack([ahead[:, 1], -ahead[:, 0]], dim=1) * turn[:, None]  # clockwise: right -> down -> left -> up
    onward = torch.where((turn == 0)[:, None], ahead, aside)
    return before[:, None] * ahead[:, None] + after[:, None] * onward[:, None]


def straight_path(start: Tensor, speed: Tensor, steps: Tensor) -> Tensor:
    """Walk ``steps`` of length ``speed`` from ``start`` and bounce at the walls.

    Args:
        start: (..., 2), fractions of the frame.
        speed: (...), frame sides per frame.
        steps: (..., T, 2), from ``straight_steps``.

    Returns:
        (..., T, 2), fractions of the frame.
    """
    low, high = WALLS
    unfolded = start[..., None, :] + speed[..., None, None] * steps
    return high - ((unfolded - low).remainder(2 * (high - low)) - (high - low)).abs()  # a triangle wave


def circular_path(centre: Tensor, angle: Tensor, angular_speed: Tensor, num_frames: int) -> Tensor:
    """Go round ``centre`` clockwise, as seen on a screen, where rows count downwards.

    Args:
        centre: (B, 2), (row, column) as fractions of the frame.
        angle: (B,), radians at frame 0; 0 points right, pi / 2 down.
        angular_speed: (B,), radians per frame.
        num_frames: frames to make.

    Returns:
        (B, num_frames, 2), fractions of the frame.
    """
    angles = angle[:, None] + angular_speed[:, None] * torch.arange(num_frames)  # (B, T)
    return centre[:, None] + ORBIT * torch.stack([angles.sin(), angles.cos()], dim=-1)


def render(*states: SpriteState, config: SpriteConfig) -> Tensor:
    """Draw sprites on black, anti-aliased, later ones in front, the occluder in front of all.

    Only the small box around a sprite is drawn, which is what makes it quick.

    Args:
        *states: one for each sprite; ``dataclasses.replace`` edits one. Positions must keep the sprite in the frame.
        config: the size, the number of frames and whether there is an occluder.

    Returns:
        (B, T, 3, size, size), float32 in [0, 1].
    """
    size, box = config.size, box_size(config.size)
    B, T = states[0].colour.shape
    clips = torch.zeros(B, T, 3, size, size)
    boxes = clips.view(B * T, 3, size, size).unfold(2, box, 1).unfold(3, box, 1)  # (B*T, 3, rows, columns, box, box)
    every = torch.arange(B * T)
    for index, state in enumerate(states):
        position = state.position.reshape(-1, 2)  # (B*T, 2)
        low, high = position.aminmax()
        if low < RADIUS * size - 1e-3 or high > (1 - RADIUS) * size + 1e-3:
            raise ValueError(
                f"position: wanted {RADIUS * size:g} to {(1 - RADIUS) * size:g} pixels, so that the sprite stays in "
                f"the frame of {size}, got {low:.2f} to {high:.2f}"
            )
        corner = (position - box / 2).round().long().clamp(0, size - box)
        alpha = coverage(state.shape.reshape(-1), position - corner, size)[:, None]  # (B*T, 1, box, box)
        painted = alpha * PALETTE[state.colour.reshape(-1)][:, :, None, None]  # (B*T, 3, box, box)
        if index:
            painted += (1 - alpha) * boxes[every, :, corner[:, 0], corner[:, 1]]
        boxes[every, :, corner[:, 0], corner[:, 1]] = painted
    if config.occluder:
        clips[..., int(OCCLUDER * size) :] = OCCLUDER_GREY
    return clips


def box_size(size: int) -> int:
    """Return the side in pixels of the box that holds a sprite wherever it stands between pixels."""
    return int(2 * RADIUS * size) + 3


def coverage(shape: Tensor, centre: Tensor, size: int) -> Tensor:
    """Compute how much of each pixel of a small box a sprite covers: its edge one pixel wide, from the signed distance.

    Args:
        shape: (N,), index into ``SHAPES``.
        centre: (N, 2), of the sprite within the box, in pixels, (row, column).
        size: side of the whole frame, in pixels, which sets the sprite's size.

    Returns:
        (N, box, box), 0 outside to 1 inside; ``box`` is ``box_size(size)``.
    """
    box = box_size(size)
    pixel = torch.arange(box) + 0.5
    result = torch.empty(len(shape), box, box)
    for index in shape.unique().tolist():
        chosen = shape == index
        y = (pixel - centre[chosen, :1])[:, :, None]  # (n, box, 1), down from the sprite's centre
        x = (pixel - centre[chosen, 1:])[:, None, :]  # (n, 1, box), to the right of it
        result[chosen] = (0.5 - _distance(SHAPES[index], y, x, RADIUS * size)).clamp_(0, 1)
    return result


def _distance(shape: str, y: Tensor, x: Tensor, radius: float) -> Tensor:
    """Return the signed distance in pixels to a shape's outline, negative inside. All shapes fit a box of 2 radius."""
    if shape == "circle":
        return (x.square() + y.square()).sqrt_() - 0.96 * radius
    if shape == "square":
        return torch.maximum(y.abs(), x.abs()) - 0.86 * radius
    if shape == "triangle":  # upright: a floor and two slopes that meet at the top
        slope = 2 / 5**0.5 * x.abs() - 1 / 5**0.5 * (y + radius)
        return torch.maximum(slope, y - 0.9 * radius)
    bars = torch.minimum(
        torch.maximum(y.abs() - radius, x.abs() - 0.34 * radius),
        torch.maximum(x.abs() - radius, y.abs() - 0.34 * radius),
    )
    return bars  # a cross


def _another_sprite(state: SpriteState, generator: torch.Generator, config: SpriteConfig) -> SpriteState:
    """Draw a second sprite of another colour and another shape than the first, with a motion of its own."""
    B = len(state.motion)
    shift = torch.randint(1, len(COLOURS), (B, 2), generator=generator)
    colour = (state.colour[:, 0] + shift[:, 0]) % len(COLOURS)
    shape = (state.shape[:, 0] + shift[:, 1]) % len(SHAPES)
    motion = torch.randint(len(MOTIONS), (B,), generator=generator)
    triples = torch.stack([colour, shape, motion], dim=1).tolist()
    combinations = [Combination(COLOURS[c], SHAPES[s], MOTIONS[m]) for c, s, m in triples]
    return sample_state(combinations, generator=generator, config=config)
