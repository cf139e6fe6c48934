"""Right answers to the exercises of chapter 10 that are written in unusual ways: name and body."""

LEVEL = "level = max_level * torch.rand(len(clips), generator=generator)\nshare = level.view(-1, 1, 1, 1, 1)\n"

LINE = """clips = stages[0](None, words)
by_itself, in_line = [score(clips, words)], [score(clips, words)]
for stage, truth in zip(stages[1:], real[:-1], strict=True):
    by_itself.append(score(stage(truth, words), words))
    clips = stage(clips, words)
    in_line.append(score(clips, words))
return {result}"""

RIGHT = {
    "10-neighbours": [
        ("the package's", "return neighbours(clips)"),
        (
            "by index",
            "T = clips.shape[1]\nreturn torch.cat([clips, clips[:, [min(t + 1, T - 1) for t in range(T)]]], dim=2)",
        ),
        (
            "frame by frame",
            "frames = [*clips.unbind(1), clips[:, -1]]\n"
            "return torch.stack([torch.cat(pair, dim=1) for pair in pairwise(frames)], dim=1)",
        ),
        (
            "by windows",
            "B, T, C, H, W = clips.shape\n"
            "longer = torch.cat([clips, clips[:, -1:]], dim=1)\n"
            "return longer.unfold(1, 2, 1).permute(0, 1, 5, 2, 3, 4).reshape(B, T, 2 * C, H, W)",
        ),
        (
            "written into place",
            "B, T, C, H, W = clips.shape\n"
            "both = torch.empty(B, T, 2 * C, H, W)\n"
            "both[:, :, :C] = clips\n"
            "both[:, :-1, C:] = clips[:, 1:]\n"
            "both[:, -1, C:] = clips[:, -1]\n"
            "return both",
        ),
    ],
    "10-noise": [
        (
            "the noise first",
            "noise = torch.randn(clips.shape, generator=generator)\n"
            f"{LEVEL}"
            "return (1 - share) * (2 * clips - 1) + share * noise, level[:, None]",
        ),
        (
            "lerp, and levels that are a column at once",
            "level = max_level * torch.rand(len(clips), 1, generator=generator)\n"
            "noise = torch.randn(*clips.shape, generator=generator)\n"
            "return torch.lerp(2 * clips - 1, noise, level.view(-1, 1, 1, 1, 1).expand_as(noise)), level",
        ),
        (
            "filled in place",
            "level = torch.empty(len(clips)).uniform_(0, max_level, generator=generator)\n"
            "noise = torch.empty_like(clips).normal_(generator=generator)\n"
            "signed = (clips - 0.5) * 2\n"
            "return signed + level.reshape(-1, 1, 1, 1, 1) * (noise - signed), level.unsqueeze(1)",
        ),
        (
            "normal of mean and deviation",
            f"{LEVEL}"
            "seen = torch.normal((1 - share) * (2 * clips - 1), share.expand_as(clips), generator=generator)\n"
            "return seen, level[:, None]",
        ),
        (
            "taken away",
            f"{LEVEL}noise = torch.randn(clips.shape, generator=generator)\n"
            "return (1 - share) * (2 * clips - 1) - share * noise, level[:, None]",
        ),
        (
            "clip by clip",
            "level = max_level * torch.rand(len(clips), generator=generator)\n"
            "seen = [(1 - l) * (2 * clip - 1) + l * torch.randn(clip.shape, generator=generator) "
            "for clip, l in zip(clips, level)]\n"
            "return [torch.stack(seen), level[:, None]]",
        ),
        (
            "the package's",
            "level = max_level * torch.rand(len(clips), generator=generator)\n"
            "return augmented(clips, level, generator=generator), level[:, None]",
        ),
        (
            "a share of the levels for each clip, in any order",
            "B = len(clips)\n"
            "order = torch.randperm(B, generator=generator)\n"
            "level = max_level * (order + torch.rand(B, generator=generator)) / B\n"
            "return augmented(clips, level, generator=generator), level[:, None]",
        ),
    ],
    "10-double": [
        (
            "the package's",
            "for _ in range(2):\n    clips = interleaved(clips, draw(neighbours(clips)))\nreturn clips",
        ),
        (
            "frame by frame",
            "for _ in range(2):\n"
            "    pairs = zip(clips.unbind(1), draw(neighbours(clips)).unbind(1))\n"
            "    clips = torch.stack([frame for pair in pairs for frame in pair], dim=1)\n"
            "return clips",
        ),
        (
            "put together at the end",
            "first = draw(neighbours(clips))\n"
            "whole = torch.empty(clips.shape[0], 4 * clips.shape[1], *clips.shape[2:])\n"
            "whole[:, ::4], whole[:, 2::4] = clips, first\n"
            "whole[:, 1::2] = draw(neighbours(whole[:, ::2]))\n"
            "return whole",
        ),
    ],
    "10-true": [
        (
            "blocks as dimensions",
            "B, T, C, H, W = below.shape\n"
            "blocks = drawn.view(B, T, C, H, 2, W, 2)\n"
            "blocks = blocks - blocks.mean(dim=(4, 6), keepdim=True) + below[:, :, :, :, None, :, None]\n"
            "return blocks.reshape(drawn.shape)",
        ),
        (
            "three dimensions",
            "missing = below - F.avg_pool3d(drawn, (1, 2, 2))\n"
            "return drawn + missing.repeat_interleave(2, 3).repeat_interleave(2, 4)",
        ),
        (
            "interpolate",
            "mean = F.interpolate(drawn.flatten(0, 1), scale_factor=0.5, mode='area')\n"
            "missing = F.interpolate(below.flatten(0, 1) - mean, scale_factor=2, mode='nearest')\n"
            "return drawn + missing.view_as(drawn)",
        ),
        (
            "corner by corner",
            "corners = [(i, j) for i in (0, 1) for j in (0, 1)]\n"
            "missing = below - sum(drawn[..., i::2, j::2] for i, j in corners) / 4\n"
            "right = drawn.clone()\n"
            "for i, j in corners:\n"
            "    right[..., i::2, j::2] += missing\n"
            "return right",
        ),
        (
            "Kronecker",
            "return drawn + torch.kron(below - F.avg_pool3d(drawn, (1, 2, 2)), torch.ones(1, 1, 1, 2, 2))",
        ),
    ],
    "10-line": [
        ("tuples", LINE.format(result="tuple(by_itself), tuple(in_line)")),
        ("tensors", LINE.format(result="torch.tensor(by_itself), torch.tensor(in_line)")),
        ("lists of tensors", LINE.format(result="[torch.tensor(one) for one in by_itself], in_line")),
        ("NumPy's numbers", LINE.format(result="by_itself, list(torch.tensor(in_line).numpy())")),
        ("a list of two", LINE.format(result="[by_itself, in_line]")),
        (
            "the whole line first",
            "clips, in_line = None, []\n"
            "for stage in stages:\n"
            "    clips = stage(clips, words)\n"
            "    in_line.append(score(clips, words))\n"
            "alone = [stage(truth, words) for stage, truth in zip(stages[1:], real)]\n"
            "return in_line[:1] + [score(clips, words) for clips in alone], in_line",
        ),
        ("by name", LINE.format(result="by_itself, in_line").replace("(truth, words)", "(below=truth, words=words)")),
    ],
}
