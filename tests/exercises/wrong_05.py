"""Plausible wrong answers to the exercises of chapter 05: name, body, and words that the check's line must hold."""

CAUSAL = """time, height, width = weight.shape[2:]
space = (width // 2, width // 2, height // 2, height // 2)
{rest}"""

REPAIR = """x = self.relu(self.conv1({clips}))
return self.fc({pooled})"""
MEAN = "x.mean(dim=(2, 3, 4))"

FIELD = """field, step = {start}, 1
for kernel_size, stride in zip({layers}, strict=True):
    {body}
return field"""

WRONG = {
    "05-time": [
        (
            "kernel turned round",
            "count = len(clip) - len(kernel) + 1\n"
            "return sum(kernel[-1 - k] * clip[k : k + count] for k in range(len(kernel)))",
            "turned round",
        ),
        ("over the height", "return clip.unfold(2, len(kernel), 1) @ kernel", "over the height"),
        ("over the width", "return clip.unfold(3, len(kernel), 1) @ kernel", "over the width"),
        ("over the channels", "return clip.unfold(1, len(kernel), 1) @ kernel", "over the channels"),
        (
            "one place too few",
            "count = len(clip) - len(kernel)\nreturn sum(kernel[k] * clip[k : k + count] for k in range(len(kernel)))",
            "the last place",
        ),
        (
            "same size",
            "half = len(kernel) // 2\nx = F.pad(clip, (0, 0, 0, 0, 0, 0, half, half))\n"
            "return sum(kernel[k] * x[k : k + len(clip)] for k in range(len(kernel)))",
            "without padding leaves",
        ),
        (
            "rolled round",
            "return sum(kernel[k] * clip.roll(-k, 0) for k in range(len(kernel)))",
            "without padding leaves",
        ),
        ("mean", "return (clip.unfold(0, len(kernel), 1) * kernel).mean(-1)", "this is the mean"),
        ("patches not summed", "return clip.unfold(0, len(kernel), 1) * kernel", "wanted"),
        ("always (-1, 0, 1)", "return clip[2:] - clip[:-2]", "wanted"),
    ],
    "05-causal": [
        (
            "symmetric",
            "return F.conv3d(x, weight, padding=tuple(size // 2 for size in weight.shape[2:]))",
            "symmetric padding",
        ),
        (
            "padding behind",
            CAUSAL.format(rest="return F.conv3d(F.pad(x, (*space, 0, time - 1)), weight)"),
            "after the last frame",
        ),
        (
            "one frame too many",
            CAUSAL.format(rest="return F.conv3d(F.pad(x, (*space, time, 0)), weight)"),
            "K - 1",
        ),
        (
            "one frame too many, cut at the end",
            CAUSAL.format(rest="return F.conv3d(F.pad(x, (*space, time, 0)), weight)[:, :, :-1]"),
            "kT - 1 frames of zeros",
        ),
        (
            "no padding in time",
            CAUSAL.format(rest="return F.conv3d(F.pad(x, space), weight)"),
            "nothing was put before",
        ),
        (
            "picture not padded",
            CAUSAL.format(rest="return F.conv3d(F.pad(x, (0, 0, 0, 0, time - 1, 0)), weight)"),
            "height and width were not padded",
        ),
        (
            "axes of F.pad mistaken",
            "time, height, width = weight.shape[2:]\n"
            "sides = (width // 2, width // 2, time - 1, 0, height // 2, height // 2)\n"
            "return F.conv3d(F.pad(x, sides), weight)",
            "above the picture",
        ),
        (
            "first frame repeated",
            CAUSAL.format(
                rest="first = x[:, :, :1].expand(-1, -1, time - 1, -1, -1)\n"
                "return F.conv3d(F.pad(torch.cat([first, x], 2), space), weight)"
            ),
            "repeated",
        ),
        (
            "two frames, whatever the kernel",
            CAUSAL.format(rest="return F.conv3d(F.pad(x, (*space, 2, 0)), weight)"),
            "K - 1",
        ),
        (
            "channels and time exchanged",
            CAUSAL.format(
                rest="return F.conv3d(F.pad(x, (*space, time - 1, 0)), weight.flip(2))",
            ),
            "wanted",
        ),
    ],
    "05-stride": [
        ("not padded", "return F.conv3d(x, weight, stride=(2, 1, 1))", "the last frame is gone"),
        (
            "padded behind",
            "return F.conv3d(F.pad(x, (0, 0, 0, 0, 0, x.shape[2] % 2)), weight, stride=(2, 1, 1))",
            "behind the last one",
        ),
        (
            "always padded",
            "return F.conv3d(F.pad(x, (0, 0, 0, 0, 1, 0)), weight, stride=(2, 1, 1))",
            "nothing must be padded",
        ),
        ("padding=1", "return F.conv3d(x, weight, stride=(2, 1, 1), padding=(1, 0, 0))", "both ends"),
        (
            "the first frame thrown away",
            "return F.conv3d(x[:, :, x.shape[2] % 2 :], weight, stride=(2, 1, 1))",
            "the first frame is gone",
        ),
        (
            "the first frame repeated",
            "if x.shape[2] % 2:\n    x = torch.cat([x[:, :, :1], x], 2)\nreturn F.conv3d(x, weight, stride=(2, 1, 1))",
            "repeated",
        ),
        ("no stride", "return F.conv3d(x, weight)", "the stride in time is 2"),
        (
            "stride in space, too",
            "return F.conv3d(F.pad(x, (0, 0, 0, 0, x.shape[2] % 2, 0)), weight, stride=2)",
            "leaves the picture",
        ),
    ],
    "05-field": [
        (
            "strides ignored",
            FIELD.format(start=1, layers="kernel_sizes, strides", body="field += kernel_size - 1"),
            "the strides are left out",
        ),
        (
            "off by one",
            FIELD.format(
                start=0,
                layers="kernel_sizes, strides",
                body="field += (kernel_size - 1) * step\n    step *= stride",
            ),
            "off by one",
        ),
        (
            "whole kernels",
            FIELD.format(
                start=1, layers="kernel_sizes, strides", body="field += kernel_size * step\n    step *= stride"
            ),
            "adds the whole kernel",
        ),
        ("sum of the kernels", "return sum(kernel_sizes)", "the sum of the kernels"),
        (
            "own stride counted",
            FIELD.format(
                start=1,
                layers="kernel_sizes, strides",
                body="step *= stride\n    field += (kernel_size - 1) * step",
            ),
            "own stride",
        ),
        (
            "stride right below alone",
            FIELD.format(
                start=1,
                layers="kernel_sizes, strides",
                body="field += (kernel_size - 1) * step\n    step = stride",
            ),
            "right below",
        ),
        (
            "from the last layer",
            FIELD.format(
                start=1,
                layers="kernel_sizes[::-1], strides[::-1]",
                body="field += (kernel_size - 1) * step\n    step *= stride",
            ),
            "in reverse",
        ),
        ("the example's answer", "return 7", "the strides are left out"),
        ("product of strides", "import math\nreturn math.prod(strides)", "the product of the strides"),
    ],
    "05-repair": [
        (
            "as printed",
            "x = self.relu(self.conv1(clips))\nreturn self.fc(x.view(x.size(0), -1))",
            "it stops",
        ),
        (
            "as printed, axes exchanged",
            REPAIR.format(clips="clips.transpose(1, 2)", pooled="x.flatten(1)"),
            "mat1 and mat2",
        ),
        (
            "a linear layer that fits one size",
            "x = self.relu(self.conv1(clips.transpose(1, 2))).flatten(1)\n"
            "if self.fc.in_features != x.shape[1] and self.fc.in_features == 64:\n"
            "    self.fc = nn.Linear(x.shape[1], 2)\n"
            "return self.fc(x)",
            "it stops",
        ),
        (
            "reshape for transpose",
            REPAIR.format(
                clips="clips.reshape(len(clips), 3, clips.shape[1], *clips.shape[3:])",
                pooled=MEAN,
            ),
            "reshape does not move axes",
        ),
        (
            "clip shrunk to 3 x 3 x 3",
            REPAIR.format(clips="F.interpolate(clips.transpose(1, 2), size=(3, 3, 3))", pooled="x.flatten(1)"),
            "neither cut nor resized",
        ),
        (
            "frames averaged first",
            REPAIR.format(
                clips="clips.mean(1, keepdim=True).expand(-1, clips.shape[1], -1, -1, -1).transpose(1, 2)",
                pooled=MEAN,
            ),
            "what reaches the convolution",
        ),
        (
            "the corner alone",
            REPAIR.format(clips="clips.transpose(1, 2)", pooled="x[:, :, 0, 0, 0]"),
            "depends on some only",
        ),
        (
            "a new layer at each call",
            "x = self.relu(self.conv1(clips.transpose(1, 2))).flatten(1)\nreturn nn.Linear(x.shape[1], 2)(x)",
            "another answer at each call",
        ),
        (
            "one answer for each frame",
            REPAIR.format(clips="clips.transpose(1, 2)", pooled="x.mean(dim=(3, 4)).transpose(1, 2)"),
            "one answer for each clip",
        ),
        (
            "mean over the batch, too",
            REPAIR.format(
                clips="clips.transpose(1, 2)",
                pooled="x.mean(dim=(0, 2, 3, 4)).expand(len(clips), -1)",
            ),
            "other clips of the batch",
        ),
        (
            "time first, then turned away",
            REPAIR.format(clips="clips.permute(0, 2, 3, 4, 1)", pooled=MEAN),
            "in the place of time",
        ),
        ("a constant", "return torch.zeros(len(clips), 2)", "the convolution is not used"),
        ("sum for mean", REPAIR.format(clips="clips.transpose(1, 2)", pooled="x.sum(dim=(2, 3, 4))"), "added up"),
        (
            "channels and places mixed",
            REPAIR.format(clips="clips.transpose(1, 2)", pooled="x.reshape(len(x), -1, 64).mean(1)"),
            "reshape mixes",
        ),
        (
            "the middle alone",
            REPAIR.format(clips="clips.transpose(1, 2)", pooled="x.mean(2)[:, :, x.shape[3] // 2, x.shape[4] // 2]"),
            "of 6 rows",
        ),
        (
            "the top row alone",
            REPAIR.format(clips="clips.transpose(1, 2)", pooled="x[:, :, :, 0].mean(dim=(2, 3))"),
            "of 6 rows",
        ),
        (
            "a corner of 4",
            REPAIR.format(clips="clips.transpose(1, 2)", pooled="x[..., :4, :4].mean(dim=(2, 3, 4))"),
            "of 8 columns",
        ),
        (
            "softmax behind",
            REPAIR.format(clips="clips.transpose(1, 2)", pooled="x.mean(dim=(2, 3, 4))") + ".softmax(1)",
            "behind the last layer",
        ),
        (
            "ReLU behind",
            "x = self.relu(self.conv1(clips.transpose(1, 2)))\nreturn self.relu(self.fc(x.mean(dim=(2, 3, 4))))",
            "last layer",
        ),
        ("no ReLU", "return self.fc(self.conv1(clips.transpose(1, 2)).mean(dim=(2, 3, 4)))", "ReLU is missing"),
        (
            "ReLU after the mean",
            "x = self.conv1(clips.transpose(1, 2))\nreturn self.fc(self.relu(x.mean(dim=(2, 3, 4))))",
            "ReLU stand before",
        ),
        (
            "no gradient",
            "with torch.no_grad():\n    x = self.relu(self.conv1(clips.transpose(1, 2)))\n"
            "return self.fc(x.mean(dim=(2, 3, 4)))",
            "no gradient",
        ),
    ],
}
