"""The exercises of chapter 03: a walk through time, a cell with two gates, a clipped gradient, a bias for a time."""

import math

import torch
from torch import Tensor, nn

from course import budget
from course.exercises.checking import Exercise, WrongAnswerError, close, holds, same


def _walk(x: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    hidden, states = x.new_zeros(len(x), len(b)), []
    for frame in x.unbind(dim=1):
        hidden = torch.tanh(frame @ W.T + hidden @ U.T + b)
        states.append(hidden)
    return torch.stack(states, dim=1)


def _walked(answer: object) -> None:
    generator = budget.generator(0)
    B, T, D, H = 3, 5, 4, 4  # D = H, so that a matrix taken for the other still fits
    x = torch.randn(B, T, D, generator=generator)
    W, U = (torch.randn(H, H, generator=generator) / 2 for _ in range(2))
    b = torch.randn(H, generator=generator)
    wanted = _walk(x, W, U, b)
    by_pytorch = nn.RNN(D, H, batch_first=True)
    with torch.no_grad():
        for parameter, value in zip(by_pytorch.parameters(), (W, U, b, torch.zeros(H)), strict=True):
            parameter.copy_(value)
        holds(torch.allclose(by_pytorch(x)[0], wanted, atol=1e-5), "the course's own walk differs from PyTorch's")

    one_step = torch.tanh(x @ W.T + b)
    leaking, states = torch.zeros(H), []
    for frame in x.flatten(0, 1):
        leaking = torch.tanh(frame @ W.T + leaking @ U.T + b)
        states.append(leaking)
    linear, no_tanh = torch.zeros(B, H), []
    for frame in x.unbind(dim=1):
        linear = frame @ W.T + linear @ U.T + b
        no_tanh.append(linear)
    usual = {
        "the memory is not carried over: each frame begins with zeros": one_step,
        "the state of one clip leaks into the next: each clip of the batch must begin with zeros": torch.stack(
            states
        ).reshape(B, T, H),
        "the tanh is missing": torch.stack(no_tanh, dim=1),
        "W and U were not transposed: `x @ W.T` gives each row of W times x": _walk(x, W.T, U.T, b),
        "W and U are exchanged: W reads the frame, U the state": _walk(x, U, W, b),
        "the bias is missing": _walk(x, W, U, torch.zeros(H)),
        "time runs backwards": _walk(x.flip(1), W, U, b).flip(1),
        "each state stands one frame too late: the first must have seen the first frame": torch.cat(
            [torch.zeros(B, 1, H), wanted[:, :-1]], dim=1
        ),
        "the batch was walked along, and not time: x is (B, T, D)": _walk(x.transpose(0, 1), W, U, b).transpose(0, 1),
        "only the last state came: all T are wanted": wanted[:, -1],
        "time stands first: wanted (B, T, H)": wanted.transpose(0, 1),
    }
    same(answer(x, W, U, b), wanted, usual=usual, look="compute the first two states by hand, for one clip")
    narrow = torch.randn(2, 3, 2, generator=generator), torch.randn(5, 2, generator=generator)
    U, b = torch.randn(5, 5, generator=generator), torch.randn(5, generator=generator)
    same(answer(*narrow, U, b), _walk(*narrow, U, b), what="with D = 2 and H = 5 the result", look="W is (H, D)")
    x, W = narrow
    for clips, what in (
        (x, "called again, the result"),
        (x[:1], "for one clip the result"),
        (x[:, :1], "for one frame the result"),
    ):
        look = "each call begins with zeros" if clips is x else "keep all three dimensions, also where one of them is 1"
        same(answer(clips, W, U, b), _walk(clips, W, U, b), what=what, look=look)
    x = x.clone().requires_grad_()
    last = answer(x, W, U, b)[:, -1].sum()
    gradient = torch.autograd.grad(last, x, allow_unused=True)[0] if last.requires_grad else None
    holds(
        gradient is not None and bool(gradient[:, 0].any()),
        "no gradient comes from the last state to the first frame: do not detach the state, or nothing can be learned",
    )


def gru_step(from_input: Tensor, from_hidden: Tensor, hidden: Tensor) -> Tensor:
    """Take a step of a GRU, as PyTorch does."""
    x_r, x_z, x_n = from_input.chunk(3, dim=-1)
    h_r, h_z, h_n = from_hidden.chunk(3, dim=-1)
    keep = (x_z + h_z).sigmoid()
    return keep * hidden + (1 - keep) * (x_n + (x_r + h_r).sigmoid() * h_n).tanh()


def _stepped(answer: object) -> None:
    generator = budget.generator(1)
    for B, H in ((3, 4), (2, 3), (1, 1)):
        x, h = (2 * torch.randn(B, 3 * H, generator=generator) for _ in range(2))
        hidden = torch.randn(B, H, generator=generator)
        x_r, x_z, x_n = x.chunk(3, dim=-1)
        h_r, h_z, h_n = h.chunk(3, dim=-1)
        r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
        n = (x_n + r * h_n).tanh()

        def block(*order: int, x: Tensor = x, h: Tensor = h, hidden: Tensor = hidden) -> Tensor:
            """Take the step with the blocks in another order."""
            x, h = (torch.cat([part.chunk(3, dim=-1)[i] for i in order], dim=-1) for part in (x, h))
            return gru_step(x, h, hidden)

        def every_third(part: Tensor, B: int = B) -> Tensor:
            """Take every third column for a block."""
            return part.reshape(B, -1, 3).transpose(1, 2).flatten(1)

        usual = {
            "reset and update are exchanged: the reset gate comes first": block(1, 0, 2),
            "the candidate stands last, after the two gates": block(1, 2, 0),
            "the update gate keeps the state where it is open, and here it throws it away": (1 - z) * hidden + z * n,
            "the reset gate is missing: it multiplies what comes from the state into the candidate": z * hidden
            + (1 - z) * (x_n + h_n).tanh(),
            "the reset gate was put on the whole candidate: it belongs on the part from the state alone": z * hidden
            + (1 - z) * (r * (x_n + h_n)).tanh(),
            "the reset gate was put on the part from the frame: it belongs on that from the state": z * hidden
            + (1 - z) * (r * x_n + h_n).tanh(),
            "the candidate goes through a tanh, not a sigmoid": z * hidden + (1 - z) * (x_n + r * h_n).sigmoid(),
            "the candidate's tanh is missing": z * hidden + (1 - z) * (x_n + r * h_n),
            "the state itself was reset: the candidate takes h_n, its third block": z * hidden
            + (1 - z) * (x_n + r * hidden).tanh(),
            "the old state is gone: a share z of it is kept": (1 - z) * n,
            "the candidate is added whole: its share is 1 - z": z * hidden + n,
            "the gates read the frame alone: what comes from the state is missing": x_z.sigmoid() * hidden
            + (1 - x_z.sigmoid()) * (x_n + x_r.sigmoid() * h_n).tanh(),
            "the gates' sigmoid is missing: a gate is a number between 0 and 1": (x_z + h_z) * hidden
            + (1 - (x_z + h_z)) * (x_n + (x_r + h_r) * h_n).tanh(),
            "each block is H columns side by side, not every third column": gru_step(
                every_third(x), every_third(h), hidden
            ),
        }
        same(
            answer(x, h, hidden),
            gru_step(x, h, hidden),
            what=f"for B = {B} and H = {H} the new state",
            usual=usual if H > 1 else None,
            look="with all numbers 0 but the state, half of the state must be left",
        )


def clip_gradients(gradients: list[Tensor], max_norm: float) -> list[Tensor]:
    """Scale gradients down together so that their common norm is at most max_norm."""
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    scale = min(1.0, max_norm / norm) if norm else 1.0
    return [scale * gradient for gradient in gradients]


def _clipped(answer: object) -> None:
    generator = budget.generator(2)
    large = [3 * torch.randn(4, 3, generator=generator), torch.randn(5, generator=generator)]
    small = [0.01 * gradient for gradient in large]
    three = [*large, 2 * torch.randn(2, 2, generator=generator)]
    norm = torch.cat([gradient.flatten() for gradient in large]).norm().item()
    each = [gradient.norm().item() for gradient in large]

    def usual(gradients: list[Tensor], max_norm: float, index: int) -> dict[str, Tensor]:
        gradient = gradients[index]
        whole = torch.cat([other.flatten() for other in gradients]).norm().item()
        if not whole:
            return {}
        return {
            "each value was clipped for itself, which turns the direction: scale all by one factor": gradient.clamp(
                -max_norm, max_norm
            ),
            "each tensor was scaled by its own norm: the norm is that of all of them together": gradient
            * min(1.0, max_norm / gradient.norm().item()),
            "small gradients were scaled up: below the limit they stay as they are": gradient * max_norm / whole,
            "the root is missing: the norm is the root of the sum of squares": gradient * min(1.0, max_norm / whole**2),
            "the gradient was divided by the norm, but not multiplied by max_norm": gradient
            / (whole if whole > max_norm else 1.0),
            "the norms of the tensors were added: their squares are to be added": gradient
            * min(1.0, max_norm / sum(other.norm().item() for other in gradients)),
            "the largest value was taken for the norm": gradient
            * min(1.0, max_norm / max(other.abs().max().item() for other in gradients)),
            "nothing was scaled: the norm is above the limit": gradient,
        }

    for gradients, max_norm, what in (
        (large, 2.0, "of a gradient above the limit"),
        (small, 2.0, "of a gradient below the limit"),
        (large, (max(each) + norm) / 2, "where only all tensors together are above the limit"),
        (three, 2.0, "of three tensors"),
        ([torch.zeros(3)], 1.0, "of a gradient of zeros, whose norm is 0"),
    ):
        got = answer(gradients, max_norm)
        if not isinstance(got, list | tuple) or len(got) != len(gradients):
            number = f" of {len(got)}" if isinstance(got, list | tuple) else ""
            raise WrongAnswerError(f"{what}: wanted a list of {len(gradients)}, got {type(got).__name__}{number}")
        for index, wanted in enumerate(clip_gradients(gradients, max_norm)):
            same(
                got[index],
                wanted,
                what=f"{what}, tensor {index}",
                usual=usual(gradients, max_norm, index),
                look="all tensors are multiplied by one number, and it is at most 1",
            )


def forget_bias_for(num_frames: int, left: float) -> float:
    """Return the bias b with ``sigmoid(b) ** num_frames == left``."""
    keep = left ** (1 / num_frames)
    return math.log(keep / (1 - keep))


def _biased(answer: object) -> None:
    for num_frames, left in ((16, 0.5), (1, 0.9), (48, 0.5), (48, 0.1), (1000, 0.5)):
        keep = left ** (1 / num_frames)
        close(
            answer(num_frames, left),
            forget_bias_for(num_frames, left),
            what=f"for {num_frames} frames and a share of {left} the bias",
            usual={
                "this is the share kept per frame: which bias gives it, through the sigmoid?": keep,
                "this is the sigmoid of the share, and its inverse is wanted": 1 / (1 + math.exp(-keep)),
                "the sign is turned: a larger bias keeps more": -forget_bias_for(num_frames, left),
                "the number of frames does not enter: the share is that of all of them": math.log(left / (1 - left)),
                "the share was divided by the frames: the gate multiplies, so take the root": math.log(
                    left / num_frames / (1 - left / num_frames)
                ),
                "this is the logarithm of the time, which is near only for long ones: turn the formula round": math.log(
                    num_frames
                ),
                "the logarithm of the share kept is only half of the sigmoid's inverse": math.log(keep),
            },
            look="put it back: sigmoid(bias) to the power of num_frames must be the share",
            tolerance=1e-3,
        )


EXERCISES = (
    Exercise(
        "03-walk",
        _walked,
        "equal to nn.RNN, and no clip sees another's state",
        (
            "Begin with zeros of shape (B, H), and walk over the second dimension of x.",
            "One step for the whole batch: `x[:, t]` is (B, D), and `x[:, t] @ W.T` is (B, H).",
            "Collect the states in a list; `torch.stack(states, dim=1)` puts time second.",
        ),
        _walk,
    ),
    Exercise(
        "03-gru",
        _stepped,
        "two gates, each where it belongs",
        (
            "`from_input.chunk(3, dim=-1)` gives three blocks, (B, H) each; the same for `from_hidden`.",
            "Both gates go through a sigmoid. The reset gate multiplies h_n alone, inside the tanh.",
            "The new state is z times the old one, plus (1 - z) times the candidate.",
        ),
    ),
    Exercise(
        "03-clip",
        _clipped,
        "one factor for all, and never above 1",
        (
            "One norm for all tensors: the root of the sum of all squares.",
            "If the norm is above max_norm, multiply every tensor by max_norm / norm.",
            "`min(1.0, max_norm / norm)` is the factor; a norm of 0 needs no scaling.",
        ),
        clip_gradients,
    ),
    Exercise(
        "03-bias",
        _biased,
        "and a longer memory needs no more than a logarithm",
        (
            "First: which share must be kept at each frame, so that after num_frames the share is `left`?",
            "It is the root: left ** (1 / num_frames). Now: which number does the sigmoid take there?",
            "The inverse of the sigmoid is log(p / (1 - p)): `torch.logit`.",
        ),
        forget_bias_for,
    ),
)
