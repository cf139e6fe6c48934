"""The judge: read the state of a sprite back from any clip, real or generated, without a trained network.

Each frame is compared with a sprite of every shape and colour at every position, and the best one is kept: template
matching by least squares. What is left over, as a share of the sprite's energy, says whether the frame shows a sprite
at all; how the positions follow one another says whether the clip obeys a law of motion. The two bounds are calibrated
on real and on spoilt clips: ``course.evaluation.calibration`` derives them, and a test holds them to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from course.clips import expect
from course.datasets import sprites
from course.datasets.captions import COLOURS, MOTIONS, SHAPES, Combination, parse
from course.datasets.sprites import CLOCKWISE, ORBIT, PALETTE, SIZES, SPEEDS, WALLS, SpriteConfig

VALID_BOUND = 0.07
"""Largest residual of a frame of a VALID clip, as a share of the sprite's energy."""
MOTION_BOUND = 0.03
"""Farthest that a sprite may be from its law's path, in frame sides, or its velocity from the path's, in sides per step
of time (a frame, at a frame rate of 1)."""

_SUBPIXELS = 8
_MARGIN = 2  # pixels around the frame, so that the box around a sprite at the wall fits
_MIN_VISIBLE = 0.25
_CHUNK = 256


@dataclass(frozen=True)
class Reading:
    """What stands in each frame.

    Attributes:
        residual: (B, T), squared error of the best sprite, relative to that sprite's own energy. 0 is perfect, and an
            empty frame has 1.
        shape: (B, T), index into ``SHAPES``.
        colour: (B, T), index into ``COLOURS``.
        position: (B, T, 2), centre in pixels, (row, column).
        visible: (B, T), False where the best sprite is hidden behind the occluder.
    """

    residual: Tensor
    shape: Tensor
    colour: Tensor
    position: Tensor
    visible: Tensor


@dataclass(frozen=True)
class Verdict:
    """What the judge says of each of B clips; all but ``reading`` are (B,).

    Attributes:
        valid: every frame shows one sprite: VALID.
        identity: shape and colour are the same in every frame: IDENTITY.
        motion: the positions follow a law of motion, and stand still only if the caption says so: MOTION.
        caption_colour: the colour is the caption's.
        caption_shape: the shape is the caption's.
        caption_motion: the motion is the caption's, and the law is obeyed.
        caption: all three, in a clip that is valid and keeps its identity: CAPTION.
        residual: the worst frame's.
        motion_error: farthest from the best law's path, in frame sides, or from its velocity between two frames, in
            sides per step of time.
        combinations: colour, shape and motion as read, whether or not the clip is valid.
        reading: frame by frame.
    """

    valid: Tensor
    identity: Tensor
    motion: Tensor
    caption_colour: Tensor | None
    caption_shape: Tensor | None
    caption_motion: Tensor | None
    caption: Tensor | None
    residual: Tensor
    motion_error: Tensor
    combinations: list[Combination]
    reading: Reading

    def rates(self) -> dict[str, float]:
        """Return the share of clips that pass each test, by the test's name."""
        names = ("valid", "identity", "motion", "caption_colour", "caption_shape", "caption_motion", "caption")
        verdicts = {name: getattr(self, name) for name in names}
        return {name: passed.float().mean().item() for name, passed in verdicts.items() if passed is not None}


@torch.no_grad()
def judge(clips: Tensor, captions: Sequence[str] | None = None, *, config: SpriteConfig | None = None) -> Verdict:
    """Judge clips of one sprite.

    In fewer than 8 frames a motion is hardly determined: other paths then pass for a slow law, too.

    Args:
        clips: (B, T, 3, size, size), float32 in [0, 1]; size is 16, 32 or 64, B at least 1, T at least 3.
        captions: what each clip was asked to show; None judges without words.
        config: the frame rate, and whether the world has an occluder and a turn (its size and length are the clips'
            own).

    Returns:
        The verdict on each clip.

    Raises:
        ValueError: for clips of another shape, or captions that are not one for each clip or not in the grammar.
    """
    config = _checked(clips, captions, config)
    asked = [_sprites_of(text, 1)[0] for text in captions] if captions is not None else None
    return _verdict(read(clips, config=config), asked, config)


def _verdict(reading: Reading, asked: Sequence[Combination] | None, config: SpriteConfig) -> Verdict:
    """Say of each clip what follows from what was read, and from what was asked for."""
    colour, shape = (_most_common(index, reading.visible) for index in (reading.colour, reading.shape))
    same = (reading.colour == colour[:, None]) & (reading.shape == shape[:, None])
    valid = (reading.residual <= VALID_BOUND).all(dim=1) & reading.visible.any(dim=1)
    identity = (same | ~reading.visible).all(dim=1)
    motion, error = _law_of_motion(reading, config)
    obeyed = error <= MOTION_BOUND
    triples = torch.stack([colour, shape, motion], dim=1).tolist()
    found = [Combination(COLOURS[c], SHAPES[s], MOTIONS[m]) for c, s, m in triples]
    right_colour = right_shape = right_motion = right = None
    may_stand = torch.zeros_like(obeyed)
    if asked is not None:
        right_colour = torch.tensor([a.colour == f.colour for a, f in zip(asked, found, strict=True)])
        right_shape = torch.tensor([a.shape == f.shape for a, f in zip(asked, found, strict=True)])
        right_motion = torch.tensor([a.motion == f.motion for a, f in zip(asked, found, strict=True)]) & obeyed
        right = right_colour & right_shape & right_motion & valid & identity
        may_stand = torch.tensor([a.motion == "still" for a in asked])
    stands = motion == MOTIONS.index("still")
    return Verdict(
        valid=valid,
        identity=identity,
        motion=obeyed & (may_stand | ~stands),
        caption_colour=right_colour,
        caption_shape=right_shape,
        caption_motion=right_motion,
        caption=right,
        residual=reading.residual.amax(dim=1),
        motion_error=error,
        combinations=found,
        reading=reading,
    )


@dataclass(frozen=True)
class PairVerdict:
    """What the judge says of each of B clips of two sprites.

    Attributes:
        first: of the sprite that the first clause speaks of.
        second: of the other.
    """

    first: Verdict
    second: Verdict

    @property
    def valid(self) -> Tensor:
        """(B,): every frame shows these two sprites and nothing else: VALID."""
        return self.first.valid & self.second.valid

    @property
    def identity(self) -> Tensor:
        """(B,): both keep shape and colour: IDENTITY."""
        return self.first.identity & self.second.identity

    @property
    def motion(self) -> Tensor:
        """(B,): both follow a law of motion, and stand still only if their clause says so: MOTION."""
        return self.first.motion & self.second.motion

    @property
    def caption(self) -> Tensor:
        """(B,): both do what their clause says: CAPTION."""
        return self.first.caption & self.second.caption

    @property
    def residual(self) -> Tensor:
        """(B,): the worse sprite's, in its worst frame."""
        return torch.maximum(self.first.residual, self.second.residual)

    def rates(self) -> dict[str, float]:
        """Return the share of clips in which *both* sprites pass each test, by the names of ``Verdict.rates``."""
        names = self.first.rates()
        both = {name: getattr(self.first, name) & getattr(self.second, name) for name in names}
        return {name: passed.float().mean().item() for name, passed in both.items()}


@torch.no_grad()
def judge_pairs(clips: Tensor, captions: Sequence[str], *, config: SpriteConfig | None = None) -> PairVerdict:
    """Judge clips of two sprites of different colours that keep apart.

    The two colours that most of a clip is made of are taken to be the sprites'. What a clip shows is then divided in
    two by colour (``separated``), and each part is judged as a clip of one sprite. Clause and sprite find each other
    by colour; if only one of the colours is right, the other clause is left with the other sprite.

    That they keep apart is not asked. Where light has been added, sprites that overlap can still be divided, and pass;
    the positions in the verdict tell how near they come.

    Args:
        clips: (B, T, 3, size, size), as of ``judge``.
        captions: what each clip was asked to show, in two clauses.
        config: as of ``judge``, without an occluder.

    Returns:
        The verdict on each clip.

    Raises:
        ValueError: for clips of another shape, captions that are not one for each clip or not of two sprites of
            different colours, or a world with an occluder.
    """
    config = _checked(clips, captions, config)
    if config.occluder:
        raise ValueError("config: wanted a world without an occluder, got one with")
    asked = [_sprites_of(text, 2) for text in captions]
    found = _two_colours(clips)  # (B, 2)
    wanted = torch.tensor([[COLOURS.index(one.colour) for one in pair] for pair in asked])
    crossed = (found.flip(1) == wanted).any(dim=1, keepdim=True)
    found = torch.where(crossed, found.flip(1), found)
    clauses = zip(*asked, strict=True)
    return PairVerdict(
        *(
            _verdict(read(part, config=config), clause, config)
            for part, clause in zip(separated(clips, found), clauses, strict=True)
        )
    )


def separated(clips: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
    """Divide clips of two colours in two: each part is the clip without what is of the other colour.

    Of each pixel it is found by least squares how much of either colour is in it. What neither colour explains stays
    in both parts, so that it is held against both.

    Args:
        clips: (B, T, 3, H, W).
        colours: (B, 2), two different indices into ``COLOURS`` for each clip.

    Returns:
        The part of each of the two colours: (B, T, 3, H, W) each, values in no bounds.
    """
    two = PALETTE[colours]  # (B, 2, 3)
    share = torch.einsum("bck,btchw->bkthw", torch.linalg.pinv(two), clips)  # (B, 2, T, H, W)
    painted = two[:, :, None, :, None, None] * share[:, :, :, None]  # (B, 2, T, 3, H, W)
    return clips - painted[:, 1], clips - painted[:, 0]


def _two_colours(clips: Tensor) -> Tensor:
    """Return the two colours that most of each clip is of, (B, 2): a pixel is of the one that it points along most."""
    along = torch.einsum("btchw,kc->btkhw", clips, F.normalize(PALETTE, dim=1))
    strength, nearest = along.max(dim=2)  # (B, T, H, W)
    total = F.one_hot(nearest, len(COLOURS)).mul(strength.square()[..., None]).sum(dim=(1, 2, 3))  # (B, colours)
    return total.topk(2, dim=1).indices


def _checked(clips: Tensor, captions: Sequence[str] | None, config: SpriteConfig | None) -> SpriteConfig:
    """Raise unless these can be judged; return the config with the clips' own size and length."""
    sizes = expect(clips, "B T 3 H W", name="clips", H=SIZES, W=SIZES)
    if sizes["H"] != sizes["W"] or sizes["T"] < 3 or not sizes["B"]:
        raise ValueError(f"clips: wanted at least 1, of at least 3 square frames, got {tuple(clips.shape)}")
    if captions is not None and not (isinstance(captions, list | tuple) and len(captions) == sizes["B"]):
        raise ValueError(f"captions: wanted one for each of {sizes['B']} clips, got {captions!r:.80}")
    return replace(config or SpriteConfig(), size=sizes["H"], num_frames=sizes["T"])


def _sprites_of(text: str, num_sprites: int) -> tuple[Combination, ...]:
    told = parse(text)
    if len(told) != num_sprites:
        raise ValueError(f"captions: wanted {('one sprite', 'two sprites')[num_sprites - 1]} each, got {text!r}")
    if len({one.colour for one in told}) != num_sprites:
        raise ValueError(f"captions: wanted two sprites of different colours, got {text!r}")
    return told


def coverage(verdict: Verdict, combinations: Iterable[Combination]) -> float:
    """Return COVERAGE: the share of ``combinations`` that at least one clip shows, valid and obeying its law."""
    good = verdict.valid & verdict.identity & (verdict.motion_error <= MOTION_BOUND)
    shown = {found for found, counts in zip(verdict.combinations, good.tolist(), strict=True) if counts}
    wanted = set(combinations)
    if not wanted:
        raise ValueError("combinations: wanted at least one, got none")
    return len(shown & wanted) / len(wanted)


def novelty(clips: Tensor, training_clips: Tensor) -> Tensor:
    """Return NOVELTY: the root mean squared difference of each clip to its nearest training clip; 0 is a copy.

    Args:
        clips: (B, T, C, H, W), float32 in [0, 1].
        training_clips: (N, T, C, H, W), float32 in [0, 1].

    Returns:
        (B,), in units of brightness.
    """
    expect(clips, "B T C H W", name="clips")
    expect(training_clips, "N T C H W", name="training_clips")
    if clips.shape[1:] != training_clips.shape[1:]:
        raise ValueError(f"wanted clips of one shape, got {tuple(clips.shape)} and {tuple(training_clips.shape)}")
    distance = torch.cdist(clips.flatten(1), training_clips.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    return distance.amin(dim=1) / clips[0].numel() ** 0.5


def read(clips: Tensor, *, config: SpriteConfig) -> Reading:
    """Find the best sprite in each frame: the nearest pixel by correlation, then parts of a pixel.

    With f the frame, t the template and c a colour of the palette, the residual |f - c t|^2 is smallest where
    2 <f, c t> - |c t|^2 is largest. With an occluder, hidden pixels of the template do not count.

    Args:
        clips: (B, T, 3, size, size), float32 in [0, 1].
        config: its size, and whether there is an occluder.
    """
    B, T = clips.shape[:2]
    parts = [_read_frames(frames, config) for frames in clips.reshape(B * T, *clips.shape[2:]).split(_CHUNK)]
    residual, shape, colour, position, visible = (torch.cat(values) for values in zip(*parts, strict=True))
    return Reading(residual.view(B, T), shape.view(B, T), colour.view(B, T), position.view(B, T, 2), visible.view(B, T))


def _read_frames(frames: Tensor, config: SpriteConfig) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    N, size, box, num_shapes = len(frames), config.size, sprites.box_size(config.size), len(SHAPES)
    shapes = torch.arange(num_shapes)
    open_pixels = torch.ones(size, size)  # 0 where the occluder stands
    if config.occluder:
        wall = torch.zeros_like(frames)
        wall[..., int(sprites.OCCLUDER * size) :] = sprites.OCCLUDER_GREY
        frames = frames - wall
        open_pixels[:, int(sprites.OCCLUDER * size) :] = 0
    colour_energy = PALETTE.square().sum(dim=1)  # (colours,)
    in_colour = torch.einsum("nchw,kc->nkhw", frames * open_pixels, PALETTE)  # (N, colours, size, size)
    padded = F.pad(in_colour, [_MARGIN] * 4)
    open_padded = F.pad(open_pixels, [_MARGIN] * 4)

    # Whole pixels: a sprite in the middle of its box, tried at every place of the box in the frame.
    middle = sprites.coverage(shapes, torch.full((num_shapes, 2), box / 2), size)[:, None]  # (shapes, 1, box, box)
    match = F.conv2d(padded.flatten(0, 1)[:, None], middle)  # (N * colours, shapes, places, places)
    energy = F.conv2d(open_padded[None, None], middle.square())  # (1, shapes, places, places)
    gain = 2 * match.view(N, len(PALETTE), *match.shape[1:]) - colour_energy[:, None, None, None] * energy
    places = gain.shape[-1]
    best = gain.amax(dim=1).flatten(2).argmax(dim=2)  # (N, shapes): the place, whatever the colour
    corner = torch.stack([best // places, best % places], dim=2)  # (N, shapes, 2)

    # Parts of a pixel: the same box, the sprite moved within it.
    shift = torch.arange(-_SUBPIXELS // 2 - 1, _SUBPIXELS // 2 + 2) / _SUBPIXELS  # a little beyond half a pixel
    offsets = box / 2 + torch.cartesian_prod(shift, shift)  # (O, 2)
    bank = sprites.coverage(shapes.repeat_interleave(len(offsets)), offsets.repeat(num_shapes, 1), size)
    bank = bank.view(num_shapes, len(offsets), box * box)
    cut, seen = _cut_out(padded, open_padded, corner, box)
    match = torch.einsum("nskp,sop->nsko", cut, bank)  # (N, shapes, colours, O)
    energy = torch.einsum("nsp,sop->nso", seen, bank.square())[:, :, None]  # (N, shapes, 1, O)
    gain = 2 * match - colour_energy[:, None] * energy
    offset = gain.amax(dim=2).argmax(dim=2)  # (N, shapes)
    position = corner - _MARGIN + offsets[offset] + _vertex(gain.amax(dim=2), offset, len(shift)) / _SUBPIXELS
    position = position.clamp(WALLS[0] * size, WALLS[1] * size)

    # The residual itself, from a sprite drawn where it was found.
    corner = (position - box / 2).round().long().clamp(0, size - box)
    drawn = sprites.coverage(shapes.repeat(N), (position - corner).flatten(0, 1), size).view(N, num_shapes, box * box)
    cut, seen = _cut_out(in_colour, open_pixels, corner, box)
    whole = drawn.square().sum(dim=2)  # (N, shapes)
    shown = (drawn.square() * seen).sum(dim=2)
    gain = 2 * torch.einsum("nskp,nsp->nsk", cut, drawn) - colour_energy * shown[..., None]  # (N, shapes, colours)
    residual = (frames.square().sum(dim=(1, 2, 3))[:, None, None] - gain) / (colour_energy * whole[..., None])
    # Among sprites that explain the frame, the one that explains most of it.
    choice = gain.flatten(1).argmax(dim=1)
    shape, colour, every = choice // len(PALETTE), choice % len(PALETTE), torch.arange(N)
    visible = (shown / whole)[every, shape] >= _MIN_VISIBLE
    return residual[every, shape, colour].clamp(min=0), shape, colour, position[every, shape], visible


def _cut_out(in_colour: Tensor, open_pixels: Tensor, corner: Tensor, box: int) -> tuple[Tensor, Tensor]:
    """Cut the box at ``corner`` (N, shapes, 2) out of (N, colours, H, W) and (H, W).

    Returns (N, shapes, colours, box * box) and (N, shapes, box * box).
    """
    y, x = corner.unbind(dim=2)
    every = torch.arange(len(in_colour))[:, None]
    cut = in_colour.unfold(2, box, 1).unfold(3, box, 1)[every, :, y, x]
    seen = open_pixels.unfold(0, box, 1).unfold(1, box, 1)[y, x]
    return cut.flatten(3), seen.flatten(2)


def _vertex(values: Tensor, best: Tensor, side: int) -> Tensor:
    """Place the top of a parabola through the best value on a grid and its neighbours, along each axis.

    values: (N, S, side * side), best: (N, S). Returns (N, S, 2), in grid steps, 0 at the grid's edge.
    """
    row, column = best // side, best % side
    steps = []
    for place, stride in ((row, side), (column, 1)):
        inside = (place > 0) & (place < side - 1)
        index = best.where(inside, torch.tensor(side * (side // 2) + side // 2))
        before, here, after = (values.gather(2, (index + k * stride)[..., None])[..., 0] for k in (-1, 0, 1))
        bend = (2 * here - before - after).clamp(min=1e-6)
        steps.append((0.5 * (after - before) / bend).clamp(-1, 1) * inside)
    return torch.stack(steps, dim=-1)


def _most_common(index: Tensor, weight: Tensor) -> Tensor:
    """index: (B, T) of small whole numbers, weight: (B, T). Returns (B,)."""
    return (F.one_hot(index, int(index.max()) + 1) * weight[..., None]).sum(dim=1).argmax(dim=1)


def _law_of_motion(reading: Reading, config: SpriteConfig) -> tuple[Tensor, Tensor]:
    """Fit every law to the positions that were read; return the best law and its error.

    Returns the index of the motion (B,) and its error (B,): see ``Verdict.motion_error``. A frame in which the sprite
    is not seen counts if the path says that it should be.
    """
    seen = reading.position / config.size  # (B, T, 2)
    weight = reading.visible.float()  # (B, T)
    T = config.num_frames
    motions, errors = [], []
    for motion in range(len(MOTIONS)):
        straight = bool(sprites.DIRECTIONS[motion].any())
        for turn in (-1, 1) if config.turn_frame is not None and straight else (0,):
            if motion == CLOCKWISE:
                path = _fit_circle(seen, weight, config.frame_rate)
            else:
                path = _fit_straight(
                    seen,
                    weight,
                    sprites.straight_steps(torch.tensor([motion]), torch.tensor([turn]), T, config.turn_frame)[0],
                    config.frame_rate,
                )
            far = torch.linalg.vector_norm(seen - path, dim=2) * weight
            if config.occluder:  # not seen, although the path says that half of it is in view
                far += (path[..., 1] <= sprites.OCCLUDER).float() * (1 - weight)
            if straight:  # "right" from the wall is not "left" that bounces at once: the first step goes the named way
                astray = ((path[:, 1] - path[:, 0]) * sprites.DIRECTIONS[motion]).sum(dim=1) <= 0
                far += astray[:, None]
            stumble = torch.linalg.vector_norm((seen - path).diff(dim=1), dim=2) * weight[:, 1:] * weight[:, :-1]
            motions.append(motion)
            errors.append(torch.maximum(far.amax(dim=1), config.frame_rate * stumble.amax(dim=1)))
    error, best = torch.stack(errors, dim=1).min(dim=1)
    return torch.tensor(motions)[best], error


def _speeds(num_frames: int, frame_rate: int) -> Tensor:
    """Return speeds to try, in sides per frame: a little beyond the world's own, finer for longer clips."""
    return torch.linspace(0.9 * SPEEDS[0], 1.1 * SPEEDS[1], 8 * num_frames) / frame_rate


def _fit_straight(seen: Tensor, weight: Tensor, steps: Tensor, frame_rate: int) -> Tensor:
    """Fit start and speed of a bouncing path: the best speed of a list, then least squares with its bounces undone.

    seen: (B, T, 2), weight: (B, T), steps: (T, 2) as from ``straight_steps``. Returns the path, (B, T, 2).
    """
    first = weight.argmax(dim=1)  # the first frame in which the sprite is seen
    anchor = seen[torch.arange(len(seen)), first]  # (B, 2)
    speeds = _speeds(len(steps), frame_rate)
    start = anchor[:, None] - speeds[:, None] * steps[first][:, None]  # (B, speeds, 2)
    paths = sprites.straight_path(start, speeds.expand(len(seen), -1), steps)  # (B, speeds, T, 2)
    cost = ((paths - seen[:, None]).square().sum(dim=3) * weight[:, None]).sum(dim=2)
    best = cost.argmin(dim=1)
    start, speed = start[torch.arange(len(seen)), best], speeds[best]

    low, span = WALLS[0], WALLS[1] - WALLS[0]
    rough = start[:, None] + speed[:, None, None] * steps - low  # (B, T, 2), bounces not applied
    lap, back = 2 * span * (rough / (2 * span)).floor(), rough.remainder(2 * span) > span
    flat = low + lap + torch.where(back, 2 * span - (seen - low), seen - low)  # what was seen, bounces undone
    share = (weight / weight.sum(dim=1, keepdim=True).clamp(min=1))[..., None]  # (B, T, 1)
    centred = steps - (share * steps).sum(dim=1, keepdim=True)
    middle = (share * flat).sum(dim=1, keepdim=True)
    slope = (share * centred * (flat - middle)).sum(dim=(1, 2)) / (share * centred.square()).sum(dim=(1, 2)).clamp(
        min=1e-9
    )
    slope = slope.clamp(speeds[0], speeds[-1])
    start = middle[:, 0] - slope[:, None] * (share * steps).sum(dim=1)
    return sprites.straight_path(start, slope, steps)


def _fit_circle(seen: Tensor, weight: Tensor, frame_rate: int) -> Tensor:
    """Fit centre, angle and angular speed of the clockwise path; for each speed the best centre and angle are known.

    With positions as complex numbers z and e = exp(i w t), both with their weighted means removed, the best angle is
    the argument of the sum of z conj(e).
    """
    T = seen.shape[1]
    share = weight / weight.sum(dim=1, keepdim=True).clamp(min=1)  # (B, T)
    z = torch.complex(seen[..., 1], seen[..., 0])  # (B, T)
    z_mean = (share * z).sum(dim=1)  # (B,)
    turn = torch.polar(torch.tensor(1.0), _speeds(T, frame_rate)[:, None] / ORBIT * torch.arange(T))  # (speeds, T)
    turn_mean = torch.einsum("bt,gt->bg", share.to(turn.dtype), turn)  # (B, speeds)
    product = torch.einsum("bt,gt->bg", share * (z - z_mean[:, None]), turn.conj())
    angle = product.angle()
    # cost = var(z) + ORBIT^2 var(e) - 2 ORBIT |sum share z conj(e)|
    cost = ORBIT**2 * (1 - turn_mean.abs().square()) - 2 * ORBIT * product.abs()
    best = cost.argmin(dim=1)
    every = torch.arange(len(seen))
    heading = torch.polar(torch.tensor(ORBIT), angle[every, best])  # (B,)
    centre = z_mean - heading * turn_mean[every, best]
    path = centre[:, None] + heading[:, None] * turn[best]  # (B, T)
    return torch.stack([path.imag, path.real], dim=2)
