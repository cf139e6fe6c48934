"""Plausible wrong answers to the exercises of chapter 01: name, body, and words that the check's line must hold."""

SEARCH = """{sizes}
new = after[:, radius : H - radius, radius : W - radius]
def cost(d):
    y, x = {y}, {x}
    old = before[:, y : y + H - 2 * radius, x : x + W - 2 * radius]
    return ({total}).item()
return min(product({reach}, repeat=2), key=cost)"""
WINDOW = {
    "sizes": "_, H, W = before.shape",
    "y": "radius - d[0]",
    "x": "radius - d[1]",
    "total": "(new - old).abs().sum()",
    "reach": "range(-radius, radius + 1)",
}

WRONG = {
    "01-layout": [
        ("unchanged", "return clips", "nothing was moved"),
        (
            "reshape",
            "B, T, C, H, W = clips.shape\nreturn clips.reshape(B, C, T, H, W)",
            "read the numbers off in storage order",
        ),
        (
            "view",
            "B, T, C, H, W = clips.shape\nreturn clips.view(B, C, T, H, W)",
            "read the numbers off in storage order",
        ),
        ("height and width too", "return clips.permute(0, 2, 1, 4, 3)", "H and W were exchanged"),
        ("batch for time", "return clips.transpose(0, 1)", "B stays first"),
        ("channels last", "return clips.permute(0, 1, 3, 4, 2)", "colours went last"),
        ("permute of four dimensions", "return clips.permute(1, 0, 2, 3)", "it stopped with RuntimeError"),
    ],
    "01-memory": [
        ("bytes as in a file", "return num_bytes / (3 * height * width * fps)", "a float32 takes four"),
        ("float64", "return num_bytes / (3 * height * width * 8 * fps)", "float64 eight"),
        ("one channel", "return num_bytes / (height * width * 4 * fps)", "three colours were forgotten"),
        ("frames", "return num_bytes / (3 * height * width * 4)", "these are frames"),
        ("upside down", "return 3 * height * width * 4 * fps / num_bytes", "this is upside down"),
        ("a number by heart", "return 5.7535", "for 1 GiB of 480 x 640"),
        ("a fixed rate", "return num_bytes / (3 * height * width * 4 * 30)", "at 24 frames per second"),
        ("bits", "return 8 * num_bytes / (3 * height * width * 4 * fps)", "write down the units"),
        ("text", "return 'about five'", "wanted a number"),
    ],
    "01-resample": [
        (
            "stretched to the last frame",
            "n = round(len(clip) / fps * new_fps)\nreturn clip[torch.linspace(0, len(clip) - 1, n).round().long()]",
            "divide by fps, not by T - 1",
        ),
        (
            "frames rounded up",
            "n = -int(-(len(clip) / fps * new_fps - 1e-6) // 1)\n"
            "return clip[(torch.arange(n) / new_fps * fps + 1e-6).long().clamp(max=len(clip) - 1)]",
            "must last as long as before",
        ),
        ("a stride, rounded down", "return clip[:: max(1, int(fps // new_fps))]", "must last as long as before"),
        (
            "off by one",
            "n = round(len(clip) / fps * new_fps)\n"
            "times = (torch.arange(n) + 1) / new_fps\n"
            "return clip[(times * fps).long().clamp(max=len(clip) - 1)]",
            "every frame is one late",
        ),
        (
            "one frame too few",
            "n = round(len(clip) / fps * new_fps) - 1\nreturn clip[(torch.arange(n) / new_fps * fps + 1e-6).long()]",
            "must last as long as before",
        ),
        (
            "the first frames alone",
            "n = round(len(clip) / fps * new_fps)\nreturn clip[torch.arange(n).clamp(max=len(clip) - 1)]",
            "it kept its first frames",
        ),
        (
            "the rates exchanged",
            "n = round(len(clip) / new_fps * fps)\nreturn clip[(torch.arange(n) / fps * new_fps).long() % len(clip)]",
            "must last as long as before",
        ),
        (
            "stretched by nearest neighbour",
            "n = round(len(clip) / fps * new_fps)\n"
            "flat = clip.flatten(1).T[None]\n"
            "return torch.nn.functional.interpolate(flat, size=n)[0].T.reshape(n, *clip.shape[1:])",
            "which old frame is that",
        ),
        (
            "the rate cut to a whole number",
            "n = round(len(clip) / int(fps) * new_fps)\n"
            "return clip[(torch.arange(n) / new_fps * int(fps) + 1e-6).long()]",
            "must last as long as before",
        ),
        (
            "blended",
            "n = round(len(clip) / fps * new_fps)\n"
            "flat = clip.flatten(1).T[None]\n"
            "blend = torch.nn.functional.interpolate(flat, size=n, mode='linear')\n"
            "return blend[0].T.reshape(n, *clip.shape[1:])",
            "frames were blended",
        ),
    ],
    "01-change": [
        ("subtracted as bytes", "return after - before", "bytes wrapped around"),
        (
            "absolute value of bytes",
            "return (after - before).to(torch.int8).int().abs()",
            "uint8 was left too late",
        ),
        ("converted afterwards", "return (after - before).int()", "bytes wrapped around"),
        ("with sign", "return after.int() - before.int()", "the sign is still there"),
        ("only what became lighter", "return (after.int() - before.int()).clamp(min=0)", "became darker"),
        ("floats in [0, 1]", "return (after.float() - before.float()).abs() / 255", "is in [0, 1]"),
        (
            "changes the input",
            "before -= after\nreturn before.int().abs()",
            "what was given has been changed",
        ),
    ],
    "01-velocity": [
        ("nothing moves", "return 0, 0", "does the search try other displacements"),
        ("sign turned", SEARCH.format(**WINDOW | {"y": "radius + d[0]", "x": "radius + d[1]"}), "the sign is turned"),
        (
            "right before down",
            SEARCH.format(**WINDOW | {"y": "radius - d[1]", "x": "radius - d[0]"}),
            "rows come first",
        ),
        ("the largest difference", SEARCH.format(**WINDOW | {"total": "-(new - old).abs().sum()"}), "the least kept"),
        (
            "the largest single difference",
            SEARCH.format(**WINDOW | {"total": "(new - old).abs().max()"}),
            "the picture moved by (6, 6)",
        ),
        (
            "only to the right and down",
            SEARCH.format(**WINDOW | {"reach": "range(0, radius + 1)"}),
            "the picture moved by (-3, 0)",
        ),
        (
            "the farthest left out",
            SEARCH.format(**WINDOW | {"reach": "range(-radius, radius)"}),
            "the picture moved by (6, 6)",
        ),
        ("a fixed radius", "radius = 4\n" + SEARCH.format(**WINDOW), "the picture moved by (6, 6)"),
        ("height for width", SEARCH.format(**WINDOW | {"sizes": "_, H, _ = before.shape\nW = H"}), "it stopped with"),
        ("red alone", SEARCH.format(**WINDOW | {"total": "(new - old)[0].abs().sum()"}), "the picture moved by (2, 1)"),
        ("green alone", SEARCH.format(**WINDOW | {"total": "(new - old)[1].abs().sum()"}), "the picture moved by"),
        (
            "blue alone",
            SEARCH.format(**WINDOW | {"total": "(new - old)[2].abs().sum()"}),
            "the picture moved by (-3, 0)",
        ),
        ("the input changed", "before -= before.mean()\n" + SEARCH.format(**WINDOW), "what was given has been changed"),
        ("three numbers", "return 2, 1, 0", "wanted two whole numbers"),
        ("words", "return '2', '1'", "wanted two whole numbers"),
        (
            "wrapped round",
            """def cost(d):
    return (after - before.roll(d, dims=(1, 2))).abs().sum().item()
return min(product(range(-radius, radius + 1), repeat=2), key=cost)""",
            "none of them beyond the frame",
        ),
        (
            "black beyond the frame",
            """_, H, W = before.shape
padded = torch.nn.functional.pad(before, [radius] * 4)
def cost(d):
    y, x = radius - d[0], radius - d[1]
    return (after - padded[:, y : y + H, x : x + W]).abs().sum().item()
return min(product(range(-radius, radius + 1), repeat=2), key=cost)""",
            "none of them beyond the frame",
        ),
        (
            "summed over the overlap alone",
            """_, H, W = before.shape
def cost(d):
    dy, dx = d
    new = after[:, max(dy, 0) : H + min(dy, 0), max(dx, 0) : W + min(dx, 0)]
    old = before[:, max(-dy, 0) : H + min(-dy, 0), max(-dx, 0) : W + min(-dx, 0)]
    return (new - old).abs().sum().item()
return min(product(range(-radius, radius + 1), repeat=2), key=cost)""",
            "over the same pixels for every displacement",
        ),
    ],
}
