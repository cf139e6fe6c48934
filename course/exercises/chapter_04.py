"""The exercises of chapter 04: masks, rotations, a published model repaired, and time kept apart from space."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import budget
from course.exercises.checking import Exercise, holds, same
from course.layers.attention import attention
from course.layers.position import rotate, sinusoidal


def _masked(answer: object) -> None:
    generator = budget.generator(0)
    triangle = torch.ones(5, 5, dtype=torch.bool).tril()
    ragged = torch.rand(4, 7, generator=generator) < 0.5
    ragged[:, 3] = True
    for before, size, visible in (((2, 3), 16, triangle), ((2, 3), 9, ragged), ((), 16, ragged), ((2,), 9, triangle)):
        num_queries, num_keys = visible.shape
        q = torch.randn(*before, num_queries, size, generator=generator)
        k = torch.randn(*before, num_keys, size, generator=generator)
        v = torch.randn(*before, num_keys, 6, generator=generator)
        hidden, products = ~visible, q @ k.mT
        scores = products / size**0.5
        minus = float("-inf")
        usual = {
            "the scores are divided by D, and not by its square root: a wide network could not choose": (
                (products / size).masked_fill(hidden, minus).softmax(-1) @ v
            ),
            "the scores are not divided: the square root of D is missing": (
                products.masked_fill(hidden, minus).softmax(-1) @ v
            ),
            "the scores are multiplied by the square root of D, where they must be divided by it": (
                (products * size**0.5).masked_fill(hidden, minus).softmax(-1) @ v
            ),
            "the softmax runs over the queries: the weights of each query, along the keys, must sum to 1": (
                scores.masked_fill(hidden, minus).softmax(-2) @ v
            ),
            "the mask came after the softmax: the weights that are left no longer sum to 1": (
                scores.softmax(-1).masked_fill(hidden, 0) @ v
            ),
            "the mask is on the wrong side: visible is True where a query MAY look": (
                scores.masked_fill(visible, minus).softmax(-1) @ v
            ),
            "the mask is not used": attention(q, k, v),
            "a hidden score was set to 0: it still gets a weight, exp(0) = 1. Set it to minus infinity": (
                scores.masked_fill(hidden, 0).softmax(-1) @ v
            ),
        }
        if num_queries == num_keys:
            words = "the mask is on the wrong side: its rows are queries, its columns keys, and yours is transposed"
            usual[words] = scores.masked_fill(hidden.T, minus).softmax(-1) @ v
        same(
            answer(q, k, v, visible),
            F.scaled_dot_product_attention(q, k, v, attn_mask=visible),
            what=f"for q {tuple(q.shape)} and k {tuple(k.shape)} the result",
            usual=usual,
            look="first the scores, then the mask on the scores, then the softmax along the keys, then the values",
        )


def _frame_mask(answer: object) -> None:
    for num_frames, num_patches in ((3, 2), (2, 3), (6, 1), (1, 3)):
        total = num_frames * num_patches
        frame = torch.arange(total) // num_patches
        wanted = frame[:, None] >= frame[None, :]
        other = torch.arange(total) % num_frames
        same(
            answer(num_frames, num_patches),
            wanted,
            what=f"for {num_frames} frames of {num_patches} patches the mask",
            usual={
                "this is a mask for single tokens: the patches of one frame must see one another, too": torch.ones(
                    total, total, dtype=torch.bool
                ).tril(),
                "the mask is on the wrong side: a row looks, and it may look at earlier frames": wanted.T,
                "True and False are exchanged: True is where a token may look": ~wanted,
                "a frame does not see itself: its own patches belong to what it may look at": frame[:, None]
                > frame[None, :],
                "each frame sees itself alone: earlier frames belong to what it may look at": frame[:, None]
                == frame[None, :],
                "the tokens are in another order: all patches of frame 0 come first, then those of frame 1": (
                    other[:, None] >= other[None, :]
                ),
                "this is the mask of frames, one row for each: each frame has several tokens": torch.ones(
                    num_frames, num_frames, dtype=torch.bool
                ).tril(),
                "nothing is hidden: a token may not look at later frames": torch.ones(total, total, dtype=torch.bool),
            },
            look="give each token the number of its frame, and compare the numbers",
        )


def _turned(x: Tensor, angle: Tensor, sign: int = 1) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angle.cos() - sign * b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)


def _rotary(answer: object) -> None:
    generator = budget.generator(1)
    for num_frames, size in ((7, 8), (12, 4), (1, 6)):
        x = torch.randn(num_frames, size, generator=generator)
        time, pair = torch.arange(num_frames)[:, None], torch.arange(size // 2)
        angle = time * 10000.0 ** (-2 * pair / size)
        neighbours = torch.cat([x[:, ::2], x[:, 1::2]], dim=1)
        neighbours = torch.stack(_turned(neighbours, angle).chunk(2, dim=1), dim=-1).flatten(1)
        same(
            answer(x),
            rotate(x),
            usual={
                "neighbours were paired: here a pair is x[t, i] and x[t, i + D / 2]": neighbours,
                "it turns the other way round: look where the minus stands": _turned(x, -angle),
                "this is not a rotation: the minus before b sin is missing, and lengths change": _turned(
                    x, angle, sign=-1
                ),
                "all pairs turn alike: the angle must shrink from pair to pair": _turned(x, time.expand(-1, len(pair))),
                "time starts at 1: the first frame is frame 0, and is not turned": rotate(x, start=1),
                "the 2 in the exponent is missing: the angle is t times 10000 ** (-2 * i / D)": _turned(
                    x, time * 10000.0 ** (-pair / size)
                ),
                "the exponent lost its minus: later pairs turn slower, not faster": _turned(
                    x, time * 10000.0 ** (2 * pair / size)
                ),
                "a table was added: here nothing is added, each pair is turned": x + sinusoidal(num_frames, size),
                "each vector was turned by one frame's angle: the angle grows with time": _turned(x, angle[-1:]),
            },
            look="frame 0 must stay as it is, and no pair may change its length",
            tolerance=1e-4,
        )


def _taking_part(model: nn.Module, x: Tensor) -> int:
    """Count the parameters that the answers depend on."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(model(x).sum(), parameters, allow_unused=True)
    return sum(gradient.numel() for gradient in gradients if gradient is not None)


def _stirred(model: nn.Module) -> nn.Module:
    """Move every weight a little, so that a table or a last layer that starts with zeros is none any more."""
    torch.manual_seed(0)  # inside the check's own fork of the random state
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def _looks_back(model: nn.Module, x: Tensor, blocks: str) -> None:
    """Raise WrongAnswerError unless each answer depends on its clip's frames up to it, and on nothing else."""
    result = model(x)
    holds(result.requires_grad, "no gradient comes through: was something detached?")
    holds(
        torch.allclose(model(x), result, atol=1e-4),
        "the same clip gets another answer at each call: what is random in it, even after .eval()?",
    )
    weight = torch.randn(6, generator=budget.generator(4))
    for t in range(7):
        (gradient,) = torch.autograd.grad((result[1, t] * weight).sum(), x, retain_graph=True, allow_unused=True)
        holds(gradient is not None, "no gradient comes through: was something detached?")
        size = gradient.abs().amax(dim=-1)  # (3, 7)
        holds(
            size[0].max() == size[2].max() == 0,
            "clip 1 depends on clip 0: the batch is taken for time (see batch_first)",
        )
        holds(
            t == 6 or size[1, t + 1 :].max() == 0,
            f"with {blocks} the answer at frame {t} depends on later frames: a causal mask is missing, or on the wrong "
            "side",
        )
        holds(
            bool((size[1, : t + 1] > 0).all()),
            f"with {blocks} the answer at frame {t} does not depend on all of frames 0 to {t}: can it look back at "
            "each of them?",
        )
    with torch.no_grad():
        alone, beginning = model(x[1:2]), model(x[:, :4])
        holds(
            bool(alone.isfinite().all() and beginning.isfinite().all()),
            "the answer is not a finite number: is a row of the mask all hidden?",
        )
        holds(
            torch.allclose(alone, result[1:2], atol=1e-3),
            "a clip gets another answer when it is alone in the batch: is the position that of the clip?",
        )
        holds(
            torch.allclose(beginning, result[:, :4], atol=1e-3),
            "the first 4 answers are others when 3 more frames follow: does a position, or a scale, depend on T?",
        )


def _article(answer: object) -> None:
    model = answer(6, 16, 1, 2)
    holds(isinstance(model, nn.Module), f"wanted a module (an nn.Module), got a {type(model).__name__}")
    model.eval()
    recurrent = any(isinstance(part, nn.RNNBase | nn.RNNCellBase) for part in model.modules())
    holds(not recurrent, "this is a recurrent network: wanted one that looks back by attention")
    generator = budget.generator(2)
    for num_frames in (7, 1, 64):
        result = model(torch.randn(3, num_frames, 6, generator=generator))
        wanted = (3, num_frames, 6)
        got = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        holds(got == wanted, f"for clips {wanted} the answer is {got}, wanted {wanted}")
        holds(bool(result.isfinite().all()), "the answer is not a finite number: is a row of the mask all hidden?")

    x = torch.randn(3, 7, 6, generator=generator).requires_grad_()
    _looks_back(_stirred(model), x, "one block")
    order = torch.tensor([3, 0, 5, 1, 4, 2, 6])
    with torch.no_grad():
        holds(
            (model(x[:, order])[:, -1] - model(x)[:, -1]).abs().max() > 1e-4,
            "the frames before the last were shuffled, and the last answer is the same: no time position",
        )
    wide, deep = answer(6, 32, 1, 2).eval(), answer(6, 16, 3, 2).eval()
    holds(
        _taking_part(wide, x) != _taking_part(model, x),
        "hidden_dim is not used: with 32 instead of 16 as many parameters take part in the answer",
    )
    holds(
        _taking_part(deep, x) > _taking_part(model, x),
        "num_layers is not used: with 3 instead of 1 no more parameters take part in the answer. Has each block "
        "weights of its own, and does it read what the block before it gave?",
    )
    _looks_back(_stirred(deep), x, "three blocks")
    answers = []
    for num_heads in (1, 4):
        torch.manual_seed(0)
        answers.append(_stirred(answer(6, 16, 1, num_heads))(x))
    holds(not torch.allclose(*answers, atol=1e-4), "num_heads is not used: with the same weights, 1 and 4 answer alike")


class _RunningSum(nn.Module):
    """A layer that shows along which dimension it was applied."""

    def forward(self, x: Tensor) -> Tensor:
        holds(x.ndim == 3, f"the layer takes (batch, length, D), and was given {tuple(x.shape)}")
        self.given = tuple(x.shape)
        return x.cumsum(dim=1)


def _along_time(answer: object) -> None:
    generator = budget.generator(3)
    for num_frames, num_patches in ((4, 2), (3, 3)):
        x = torch.randn(2, num_frames, num_patches, 5, generator=generator)
        B, T, N, D = x.shape
        places = x.transpose(1, 2).reshape(B * N, T, D)
        layer = _RunningSum()
        same(
            answer(layer, x),
            x.cumsum(dim=1),
            what=f"for {T} frames of {N} patches the result",
            usual={
                "the layer looked across each frame, from patch to patch: it must look along time": x.cumsum(dim=2),
                "reshape alone mixes time and space: numbers keep their order in memory. Transpose first": x.reshape(
                    B * N, T, D
                )
                .cumsum(1)
                .reshape(x.shape),
                "the way back is missing its transpose: after the reshape the result is still (B, N, T, D)": (
                    places.cumsum(1).reshape(B, T, N, D)
                ),
                "the result is (B, N, T, D): turn it back to (B, T, N, D)": places.cumsum(1).reshape(B, N, T, D),
                "all patches of all frames stand in one row: each place must look along its own time": (
                    x.flatten(1, 2).cumsum(1).reshape(x.shape)
                ),
                "time stands where the batch belongs: the layer looked from clip to clip": x.cumsum(dim=0),
                "patches were averaged: each place looks along its own time": x.mean(2)
                .cumsum(1)[:, :, None]
                .expand_as(x),
                "the layer was not applied": x,
            },
            look="bring T next to D with a transpose, put B and N together, apply the layer, and undo both",
        )
        holds(
            getattr(layer, "given", ())[1:] == (T, D),
            f"the layer takes (batch, length, D), here (..., {T}, {D}), and was given {getattr(layer, 'given', None)}: "
            "each place is a row of its own, patches are no further channels",
        )


EXERCISES = (
    Exercise(
        "04-attention",
        _masked,
        "scaled, masked before the softmax, and right for more keys than queries",
        (
            "Start from `attend` above: only the mask differs.",
            "A score of minus infinity becomes a weight of exactly 0, and the others still sum to 1.",
            '`scores.masked_fill(~visible, float("-inf"))`, then the softmax over the last dimension, the keys.',
        ),
    ),
    Exercise(
        "04-mask",
        _frame_mask,
        "patches of one frame see one another, and no later frame",
        (
            "Draw it for 2 frames of 3 patches: a table of 6 x 6, of four blocks of 3 x 3, each all True or all False.",
            "Which frame does token number i belong to? Whole-number division tells.",
            "`frame = torch.arange(num_frames * num_patches) // num_patches`; compare `frame[:, None]` with `frame`.",
        ),
    ),
    Exercise(
        "04-rotary",
        _rotary,
        "each pair turns at its own speed, and keeps its length",
        (
            "Make the angles first: a table (T, D / 2), time down, pairs across.",
            "Split x into its first and its second half along D: a and b of all pairs at once.",
            "`torch.cat([a * cos - b * sin, a * sin + b * cos], dim=1)` puts the halves together again.",
        ),
    ),
    Exercise(
        "04-article",
        _article,
        "causal by gradient, clips apart, order known, every argument used",
        (
            "Three parts in a row: a linear layer from input_dim to hidden_dim, the blocks, a linear layer back.",
            "The blocks must be causal and know the time: `attention.TransformerBlock` has a switch for each.",
            "An `nn.Sequential` of `nn.Linear`, num_layers times `attention.TransformerBlock(hidden_dim, num_heads, "
            "causal=True, rotary=True)`, and `nn.Linear`.",
        ),
    ),
    Exercise(
        "04-time",
        _along_time,
        "each place along its own time, also where T equals N",
        (
            "`reshape` never moves a number; `transpose` decides which dimensions stand next to one another.",
            "(B, T, N, D) becomes (B, N, T, D), and then (B * N, T, D): a batch of places.",
            "`x.transpose(1, 2).reshape(B * N, T, D)`, and on the way back `.reshape(B, N, T, D).transpose(1, 2)`.",
        ),
    ),
)
