"""The exercises of chapter 05: kernels in time, padding, a stride that loses a frame, how far one sees, a repair."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import budget
from course.exercises.checking import Exercise, WrongAnswerError, close, holds, same
from course.layers.convolution import receptive_field


def _slid(clip: Tensor, kernel: Tensor, axis: int = 0) -> Tensor:
    """Slide a kernel (K,) along one axis, without padding."""
    return clip.unfold(axis, len(kernel), 1) @ kernel


def _in_time(answer: object) -> None:
    generator = budget.generator(0)
    for shape, size in (((7, 3, 6, 5), 3), ((5, 1, 1, 1), 3), ((6, 2, 7, 6), 2), ((4, 3, 4, 4), 4)):
        clip, kernel = torch.rand(shape, generator=generator), torch.randn(size, generator=generator)
        wanted = _slid(clip, kernel)
        usual = {
            "the kernel was turned round: result t is the sum of kernel[k] * clip[t + k]": _slid(clip, kernel.flip(0)),
            "the last place of the kernel is missing: K frames fit into T in T - K + 1 places": wanted[:-1],
            "the clip was padded, or wrapped round: without padding T - K + 1 frames are left": F.pad(
                wanted, (0, 0, 0, 0, 0, 0, (size - 1) // 2, size // 2)
            ),
            "this is the mean: the products are to be summed": wanted / size,
        }
        for axis, name in ((1, "the channels"), (2, "the height"), (3, "the width")):
            if clip.shape[axis] >= size:
                usual[f"the kernel slides over {name}: time is axis 0 of (T, C, H, W)"] = _slid(clip, kernel, axis)
        got = answer(clip, kernel)
        if isinstance(got, Tensor) and got.shape == clip.shape and size > 1:
            raise WrongAnswerError(
                f"as many frames came back, {len(clip)}: a kernel of {size} without padding leaves {len(wanted)}."
            )
        same(got, wanted, usual=usual, look="do the pixel of section 1 by hand: (0, 0, 1, 1, 0) must give (1, 1, -1)")


def _padded(x: Tensor, weight: Tensor, before: int, after: int) -> Tensor:
    """Convolve with zeros put before the first frame and after the last one."""
    _, height, width = (size // 2 for size in weight.shape[2:])
    return F.conv3d(F.pad(x, (width, width, height, height, before, after)), weight)


def _causal(answer: object) -> None:
    generator = budget.generator(1)
    for kernel in ((3, 3, 3), (2, 3, 5), (4, 1, 3), (1, 3, 3)):
        x = torch.randn(2, 3, 6, 7, 8, generator=generator)
        weight = torch.randn(4, 3, *kernel, generator=generator)
        time, height, width = kernel
        wanted = _padded(x, weight, time - 1, 0)
        usual = {
            "all padding in time stands after the last frame: then an output sees nothing but the future": _padded(
                x, weight, 0, time - 1
            ),
            "one frame too many stands before the first: a kernel of K needs K - 1": _padded(x, weight, time, 0),
            "nothing was put before the first frame: T must be kept": _padded(x, weight, 0, 0),
            "height and width were not padded: they must be kept": F.conv3d(F.pad(x, (0,) * 4 + (time - 1, 0)), weight),
            "the zeros meant for time stand above the picture: F.pad takes the last axis first": F.conv3d(
                F.pad(x, (width // 2, width // 2, time - 1, 0, height // 2, height // 2)), weight
            ),
        }
        if time > 1:
            usual["this is symmetric padding: an output sees later frames"] = _padded(
                x, weight, (time - 1) // 2, time // 2
            )
            usual["this is symmetric padding, cut: an output sees later frames"] = _padded(
                x, weight, time // 2, (time - 1) // 2
            )
            repeated = torch.cat([x[:, :, :1].expand(-1, -1, time - 1, -1, -1), x], dim=2)
            usual["the first frame was repeated: put zeros there"] = _padded(repeated, weight, 0, 0)
        same(
            answer(x, weight),
            wanted,
            what=f"with a kernel of {time} x {height} x {width} the result",
            usual={words: tensor for words, tensor in usual.items() if not _equal(tensor, wanted)},
            look="kT - 1 frames of zeros before the first, none after; half a kernel on each side of the picture",
            tolerance=1e-4,
        )


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other)


def _halved(answer: object) -> None:
    generator = budget.generator(2)
    for num_frames in (7, 6, 1, 2, 9):
        x = torch.randn(2, 3, num_frames, 4, 5, generator=generator)
        weight = torch.randn(4, 3, 2, 1, 1, generator=generator)
        odd = num_frames % 2

        def strided(before: int, after: int, x: Tensor = x, weight: Tensor = weight) -> Tensor:
            return F.conv3d(F.pad(x, (0, 0, 0, 0, before, after)), weight, stride=(2, 1, 1))

        wanted = strided(odd, 0)
        usual = {
            "where T is even nothing is lost, and nothing must be padded": strided(1, 0) if not odd else strided(2, 1),
            "the black frame stands behind the last one: put it before the first": strided(0, 1),
            "a black frame stands at both ends, also where none is needed": strided(1, 1),
        }
        if odd:
            repeated = torch.cat([x[:, :, :1], x], dim=2)
            usual["the first frame was repeated: put a black one there"] = F.conv3d(repeated, weight, stride=(2, 1, 1))
        if num_frames > 2:
            usual["the last frame is gone: pad where T is odd"] = strided(0, 0)
            usual["the first frame is gone: nothing must be lost at that end either"] = F.conv3d(
                x[:, :, odd:], weight, stride=(2, 1, 1)
            )
            usual["every place was computed: the stride in time is 2"] = F.conv3d(x, weight)
        same(
            answer(x, weight),
            wanted,
            what=f"for {num_frames} frames the result",
            usual={words: tensor for words, tensor in usual.items() if not _equal(tensor, wanted)},
            look="the last result is made of the last two frames; stride (2, 1, 1) leaves the picture as it is",
        )


def _field(answer: object) -> None:
    for sizes, strides in (
        ([2, 4, 3], [3, 1, 2]),  # every usual mistake gives another number here
        ([3, 3], [2, 2]),
        ([3], [1]),
        ([3, 3, 3], [1, 1, 1]),
        ([5, 1, 3], [2, 3, 1]),
    ):
        steps = [1]
        for stride in strides:
            steps.append(steps[-1] * stride)
        pairs = list(zip(sizes, steps, strict=False))
        wanted = receptive_field(sizes, strides)
        usual = {
            "the strides are left out: they make later layers take larger steps": receptive_field(sizes),
            "off by one: start with the 1 that an output is before any layer": wanted - 1,
            "each layer adds its kernel less one, and here it adds the whole kernel": 1
            + sum(size * step for size, step in pairs),
            "this is the sum of the kernels: neighbours overlap, so a layer adds its kernel less one": sum(sizes),
            "a layer's own stride is counted for it: only those of the layers below are": 1
            + sum((size - 1) * step for size, step in zip(sizes, steps[1:], strict=True)),
            "only the stride of the layer right below is counted: take the product of all below": 1
            + sum((size - 1) * stride for size, stride in zip(sizes, [1, *strides], strict=False)),
            "the layers are taken in reverse: the strides below count, not those above": receptive_field(
                sizes[::-1], strides[::-1]
            ),
            "this is what the layers skip, the product of the strides": steps[-1],
        }
        close(
            answer(list(sizes), list(strides)),
            wanted,
            what=f"for kernels {sizes} and strides {strides} the result",
            usual={words: value for words, value in usual.items() if value != wanted},
            look="draw one output, the places that it touches one layer below, and so on down to the input",
        )


def _bars(num_frames: int, width: int) -> tuple[Tensor, Tensor]:
    """Return clips of a bar that moves right, their reverses, (B, T, 3, 6, W), and labels 0 and 1."""
    starts = range(width - num_frames + 1)
    right = torch.stack([torch.eye(width)[start : start + num_frames] for start in starts])  # (B, T, W)
    right = right[:, :, None, None].expand(-1, -1, 3, 6, -1)
    return torch.cat([right, right.flip(1)]), torch.arange(2).repeat_interleave(len(starts))


def _one_number_for_each_channel(model: nn.Module, generator: torch.Generator) -> None:
    """Let each channel be one number everywhere: that number must reach the last layer, for any size of clip."""
    (conv,) = (layer for layer in model.modules() if isinstance(layer, nn.Conv3d))
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    holds(
        len(linear) == 1 and linear[0].weight.shape == (2, 64), "the one Linear(64, 2) of the printed network is gone"
    )
    kept = conv.weight.clone(), conv.bias.clone()
    with torch.no_grad():
        conv.weight.zero_()
        for shape in ((2, 4, 3, 6, 7), (2, 5, 3, 5, 8), (2, 3, 3, 4, 4), (2, 6, 3, 3, 5)):
            numbers = torch.randn(64, generator=generator) - 20 * linear[0].weight[0]  # the answer is below 0
            conv.bias.copy_(numbers)
            places = (shape[1] - 2) * (shape[3] - 2) * (shape[4] - 2)
            same(
                model(torch.rand(shape, generator=generator)),
                linear[0](numbers.relu()).expand(2, 2),
                what="where each channel is one number everywhere, the answer",
                usual={
                    "the places were added up: the answer grows with the clip. Take their mean": linear[0](
                        places * numbers.relu()
                    ).expand(2, 2),
                    "the ReLU is missing: keep the layers as printed": linear[0](numbers).expand(2, 2),
                    "something stands behind the last layer: the answer is what it gives": linear[0](numbers.relu())
                    .softmax(0)
                    .expand(2, 2),
                },
                look="each of the 64 channels becomes one number, from its own places alone (reshape mixes channels "
                "and places), and nothing stands behind the last layer",
                tolerance=1e-4,
            )
        conv.weight.copy_(kept[0])
        conv.bias.copy_(kept[1])


def _repair(answer: object) -> None:
    model = answer()
    holds(isinstance(model, nn.Module), f"calling it gives a {type(model).__name__}, wanted a network, an nn.Module")
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv3d)]
    holds(
        len(layers) == 1 and layers[0].weight.shape == (64, 3, 3, 3, 3), "the one Conv3d of the printed network is gone"
    )
    reached = []
    layers[0].register_forward_pre_hook(
        lambda _, given, named: reached.append([*given, *named.values()][0]), with_kwargs=True
    )

    generator = budget.generator(3)
    for shape in ((2, 8, 3, 16, 16), (3, 5, 3, 9, 12), (2, 3, 3, 3, 3), (1, 3, 3, 7, 5)):
        clips = torch.rand(shape, generator=generator)
        reached.clear()
        try:
            result = model(clips)
        except RuntimeError as error:
            if isinstance(error, NotImplementedError):
                raise
            raise WrongAnswerError(f"with clips {shape} it stops: {error}") from None
        holds(bool(reached), "the convolution is not used: let the clip go through self.conv1(...)")
        same(
            torch.cat(reached) if len(reached) == len(clips) else reached[-1],  # clip by clip, or all at once
            clips.transpose(1, 2),
            what=f"with clips {shape} what reaches the convolution",
            usual={
                "the clip reaches the convolution as it came, (B, T, C, H, W): it wants channels second": clips,
                "reshape does not move axes, it mixes them: frames and channels are to be exchanged": clips.reshape(
                    shape[0], 3, shape[1], *shape[3:]
                ),
                "height or width stands in the place of time": clips.permute(0, 2, 3, 4, 1),
            },
            look="the whole clip as (B, C, T, H, W), neither cut nor resized",
        )
        holds(
            isinstance(result, Tensor) and result.shape == (shape[0], 2),
            f"with clips {shape} the result is {tuple(getattr(result, 'shape', ())) or type(result).__name__}, "
            f"wanted ({shape[0]}, 2): one answer for each clip",
        )

    clips = torch.rand(1, 7, 3, 6, 8, generator=generator, requires_grad=True)
    answer_of = model(clips)[0]
    gradients = [torch.autograd.grad(one, clips, retain_graph=True, allow_unused=True)[0] for one in answer_of]
    holds(gradients[0] is not None, "no gradient comes from the answer to the clip: was something detached?")
    size = torch.stack(gradients).abs().sum(dim=(0, 1, 3))  # (7, 6, 8)
    holds(bool(size.any()), "the answer does not depend on the clip: what stands between it and the last layer?")
    for axis, name in enumerate(("frames", "rows", "columns")):
        idle = (size.sum(dim=[other for other in range(3) if other != axis]) == 0).nonzero().flatten().tolist()
        holds(
            not idle,
            f"of {size.shape[axis]} {name} the answer depends on some only, not on {idle}: "
            "take the mean over all places",
        )
    alone, together = torch.rand(1, 6, 3, 8, 8, generator=generator), torch.rand(2, 6, 3, 8, 8, generator=generator)
    holds(
        torch.equal(model(alone), model(alone)), "the same clip gets another answer at each call: what is random in it?"
    )
    both = model(torch.cat([alone, together]))[:1]
    holds(torch.allclose(model(alone), both, atol=1e-4), "a clip's answer depends on the other clips of the batch")

    _one_number_for_each_channel(model, generator)
    clips, labels = _bars(5, 9)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(model(clips), labels).backward()
        optimiser.step()
    clips, labels = _bars(6, 12)  # longer and wider than those that it was trained on
    share = (model(clips).argmax(dim=1) == labels).float().mean().item()
    holds(
        share > 0.9,
        f"trained on bars that move left or right, it is right about {share:.0%} of larger clips: does the order of "
        "frames still count, and does the ReLU stand before the mean?",
    )


EXERCISES = (
    Exercise(
        "05-time",
        _in_time,
        "over frames and nothing else, at every place where the kernel fits",
        (
            "How many places are there for a kernel of K in T frames? With K = T it is one.",
            "Let k run over the kernel, not t over the clip: kernel[k] times all the frames that meet it.",
            "Those frames are `clip[k : k + T - K + 1]`; add up the K products.",
        ),
    ),
    Exercise(
        "05-causal",
        _causal,
        "every size kept, and no output sees a later frame",
        (
            "A kernel of kT frames takes kT - 1 off the clip: so many frames of zeros bring T back.",
            "All of them before the first frame. Height and width get half a kernel on each side.",
            "`F.pad(x, (kW // 2, kW // 2, kH // 2, kH // 2, kT - 1, 0))`, then `F.conv3d` without padding.",
        ),
    ),
    Exercise(
        "05-stride",
        _halved,
        "the last frame counts, for odd and even numbers of frames",
        (
            "Which frames does the last place of the kernel cover, if T is 6? If T is 7?",
            "One frame more at the front shifts all places by one. Where T is even, it must not be there.",
            "Pad `x.shape[2] % 2` frames before the first, then `F.conv3d` with `stride=(2, 1, 1)`.",
        ),
    ),
    Exercise(
        "05-field",
        _field,
        "and it is what the gradient finds",
        (
            "Before any layer, an output sees itself: 1. Each layer adds something to that.",
            "A layer adds its kernel less one, times the distance of its neighbours, counted in inputs.",
            "That distance is the product of the strides of all layers below; for the first layer it is 1.",
        ),
    ),
    Exercise(
        "05-repair",
        _repair,
        "any size goes in, and it learned a direction",
        (
            "Two faults, two messages: 3 channels wanted and 8 found; 64 values wanted and many thousands found.",
            "The first is cured by exchanging two axes. The second: 64 channels, but how many places of each?",
            "`clips.transpose(1, 2)` at the start, `x.mean(dim=(2, 3, 4))` in place of `view`.",
        ),
    ),
)
