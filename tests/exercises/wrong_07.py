"""Plausible wrong answers to the exercises of chapter 07: name, body, and words that the check's line must hold."""

SPREAD = "T, _, H, W = x.shape[1:]\nB, D = context.shape\nreturn {result}"

NORM = """scale, shift = F.linear(context, weight, bias).chunk(2, dim=-1)
scale, shift = scale[:, None, :, None, None], shift[:, None, :, None, None]
normal = F.group_norm(x.flatten(0, 1), num_groups).view_as(x)
return {result}"""
MODULATED = "normal * (1 + scale) + shift"

COIN = """coin = torch.rand({coins}, generator=generator) < share
return torch.where(coin, {stands_in}, {kept})"""
PER_CLIP = "len(context), 1, 1"

STARTS = "return list(range({first}, {end}))"
FIRST, END = "max(0, num_given - window)", "num_frames - window - ahead + 1"

TOOK = """match = shown == donor[:, None]
seen = visible.any(dim=1)
told = (own != donor).any(dim=1)
{rest}"""

WRONG = {
    "07-spread": [
        (
            "detached",
            SPREAD.format(result="context.detach()[:, None, :, None, None].expand(B, T, D, H, W)"),
            "no gradient comes to the context",
        ),
        (
            "over the batch",
            SPREAD.format(result="context[None, :, :, None, None].expand(len(x), -1, -1, H, W)"),
            "spread each context over the frames of its own clip",
        ),
        (
            "over the batch, left to broadcasting",
            SPREAD.format(result="context[:, :, None, None] + torch.zeros(B, T, D, H, W)"),
            "B and T are the same number here",
        ),
        (
            "repeated end to end",
            SPREAD.format(result="context.repeat(T, 1).view(B, T, D)[..., None, None].expand(B, T, D, H, W)"),
            "the context of clip t",
        ),
        (
            "repeated, and turned round where it fits",
            SPREAD.format(
                result="(context.repeat(T, 1).view(T, B, D).transpose(0, 1) if B == T else "
                "context.repeat(T, 1).view(B, T, D))[..., None, None].expand(B, T, D, H, W)"
            ),
            "laid end to end",
        ),
        (
            "the first frame only",
            SPREAD.format(
                result="torch.cat([context[:, None, :, None, None].expand(B, 1, D, H, W), "
                "torch.zeros(B, T - 1, D, H, W)], dim=1)"
            ),
            "only the first frame",
        ),
        (
            "the mean of the batch",
            SPREAD.format(result="context.mean(0)[None, None, :, None, None].expand(B, T, D, H, W)"),
            "the mean of all contexts",
        ),
        (
            "the first clip's for all",
            SPREAD.format(result="context[0][None, None, :, None, None].expand(B, T, D, H, W)"),
            "the first clip's context",
        ),
        (
            "concatenated",
            SPREAD.format(result="torch.cat([x, context[:, None, :, None, None].expand(B, T, D, H, W)], dim=2)"),
            "x came back as well",
        ),
        (
            "channels before time",
            SPREAD.format(result="context[:, :, None, None, None].expand(B, D, T, H, W)"),
            "time comes second",
        ),
        (
            "no time",
            SPREAD.format(result="context[:, :, None, None].expand(B, D, H, W)"),
            "the dimension of time is missing",
        ),
        (
            "places left out",
            SPREAD.format(result="context[:, None].expand(B, T, D)"),
            "which of (B, T, D, H, W)",
        ),
    ],
    "07-norm": [
        (
            "the context detached",
            NORM.replace("linear(context,", "linear(context.detach(),").format(result=MODULATED),
            "no gradient comes to context",
        ),
        (
            "always two channels in a group",
            NORM.replace("num_groups)", "x.shape[2] // 2)").format(result=MODULATED),
            "",
        ),
        ("a factor without the 1", NORM.format(result="normal * scale + shift"), "it is added to 1"),
        ("exchanged", NORM.format(result="normal * (1 + shift) + scale"), "exchanged"),
        (
            "taken in turns",
            NORM.format(result=MODULATED).replace(".chunk(2, dim=-1)", ".unflatten(1, (x.shape[2], 2)).unbind(-1)"),
            "in turns",
        ),
        (
            "frames normalised together",
            NORM.format(result=MODULATED).replace(
                "F.group_norm(x.flatten(0, 1), num_groups).view_as(x)",
                "F.group_norm(x.transpose(1, 2), num_groups).transpose(1, 2)",
            ),
            "normalised together",
        ),
        (
            "modulated first",
            NORM.format(result="F.group_norm((x * (1 + scale) + shift).flatten(0, 1), num_groups).view_as(x)"),
            "normalise first",
        ),
        ("not normalised", NORM.format(result="x * (1 + scale) + shift"), "x was not normalised"),
        ("no bias", NORM.format(result=MODULATED).replace(", bias)", ")"), "the bias was left out"),
        ("no shift", NORM.format(result="normal * (1 + scale)"), "the shift was left out"),
        ("no scale", NORM.format(result="normal + shift"), "the scale was left out"),
        (
            "one group",
            NORM.format(result=MODULATED).replace("num_groups", "1"),
            "as one group",
        ),
        (
            "a group for each channel",
            NORM.format(result=MODULATED).replace("num_groups", "x.shape[2]"),
            "by itself",
        ),
        (
            "spread over the batch",
            NORM.format(result=MODULATED).replace("[:, None, :, None, None]", "[:, :, None, None]"),
            "with the context of clip t",
        ),
        ("the norm alone", NORM.format(result="normal"), "changed nothing"),
        ("shift before factor", NORM.format(result="(normal + shift) * (1 + scale)"), "before the factor"),
    ],
    "07-dropout": [
        (
            "always as many",
            "result = context.clone()\n"
            "chosen = torch.randperm(len(context), generator=generator)[: round(share * len(context))]\n"
            "result[chosen] = null\nreturn result",
            "chance decides for each clip by itself",
        ),
        (
            "the generator begun anew",
            "generator = torch.Generator().manual_seed(generator.initial_seed())\n"
            + COIN.format(coins=PER_CLIP, stands_in="null", kept="context"),
            "two calls with one generator gave the same coins",
        ),
        ("never dropped", "return context", "no context was ever left out"),
        (
            "dropped only where a model is told so, which is nowhere",
            "given = torch.ones(len(context), 1, 1, dtype=torch.bool)\nreturn torch.where(given, context, null)",
            "no context was ever left out",
        ),
        ("always dropped", "return null.expand(context.shape)", "every clip was left out"),
        (
            "a coin for each vector",
            COIN.format(coins="*context.shape[:2], 1", stands_in="null", kept="context"),
            "for each vector",
        ),
        (
            "a coin for each number",
            COIN.format(coins="context.shape", stands_in="null", kept="context"),
            "neither the context's nor the null vector",
        ),
        (
            "one coin for the batch",
            COIN.format(coins="1, 1, 1", stands_in="null", kept="context"),
            "not one for the batch",
        ),
        (
            "zeros stand in",
            COIN.format(coins=PER_CLIP, stands_in="torch.zeros_like(context)", kept="context"),
            "replaced by zeros",
        ),
        ("nn.Dropout", "return nn.functional.dropout(context, share)", "replaced by zeros"),
        (
            "what is kept is made larger",
            COIN.format(coins=PER_CLIP, stands_in="null", kept="context / (1 - share)"),
            "made larger",
        ),
        (
            "the wrong way round",
            COIN.format(coins=PER_CLIP, stands_in="context", kept="null"),
            "the wrong way round",
        ),
        (
            "global chance",
            "return torch.where(torch.rand(len(context), 1, 1) < share, null, context)",
            "from the generator alone",
        ),
        (
            "the first of the batch",
            "number = int(share * len(context))\n"
            "return torch.cat([null.expand(number, *context.shape[1:]), context[number:]])",
            "another generator gave the same",
        ),
        (
            "a fair coin",
            COIN.format(coins=PER_CLIP, stands_in="null", kept="context").replace("< share", "< 0.5"),
            "where the share is 20%",
        ),
        (
            "the null vector detached",
            COIN.format(coins=PER_CLIP, stands_in="null.detach()", kept="context"),
            "no gradient comes to the null vector",
        ),
        (
            "the context detached",
            COIN.format(coins=PER_CLIP, stands_in="null", kept="context.detach()"),
            "no gradient comes to the context",
        ),
        (
            "blended",
            "return (1 - share) * context + share * null",
            "neither the context's nor the null vector",
        ),
    ],
    "07-starts": [
        ("from the first frame", STARTS.format(first="0", end=END), "a context that contains the answer"),
        (
            "one too early",
            STARTS.format(first="max(0, num_given - window - 1)", end=END),
            "a context that contains the answer",
        ),
        (
            "one too late",
            STARTS.format(first="max(0, num_given - window + 1)", end=END),
            "start 2 is missing",
        ),
        ("only after the given frames", STARTS.format(first="num_given", end=END), "may show given frames"),
        ("below 0", STARTS.format(first="num_given - window", end=END), "there is no frame -3"),
        ("one past the end", STARTS.format(first=FIRST, end=END + " + 1"), "and the last of 24 frames is 23"),
        ("the last one left out", STARTS.format(first=FIRST, end=END + " - 1"), "start 18 is missing"),
        (
            "the frames ahead forgotten",
            STARTS.format(first=FIRST, end="num_frames - window + 1"),
            "and the last of 24 frames is 23",
        ),
        (
            "the window forgotten",
            STARTS.format(first=FIRST, end="num_frames - ahead + 1"),
            "and the last of 24 frames is 23",
        ),
        (
            "pieces that do not overlap",
            "return list(range(max(0, num_given - window), num_frames - window - ahead + 1, window + ahead))",
            "start 3 is missing",
        ),
        ("the number of starts", f"return len(range({FIRST}, {END}))", "wanted a list of starts"),
    ],
    "07-handover": [
        (
            "what clip and donor have in common is not looked at",
            "match = (shown == donor[:, None]) | (own == donor)[:, None]\n"
            "took = (match.all(dim=2) | ~visible).all(dim=1) & visible.any(dim=1)\n"
            "return took[(own != donor).any(dim=1)].float().mean().item()",
            "have in common must be shown",
        ),
        (
            "all clips counted",
            TOOK.format(rest="return ((match.all(2) | ~visible).all(1) & seen).float().mean().item()"),
            "there is nothing to hand over",
        ),
        (
            "divided by all clips",
            TOOK.format(rest="return ((match.all(2) | ~visible).all(1) & seen & told).float().mean().item()"),
            "divided by all clips",
        ),
        (
            "colour alone",
            TOOK.format(rest="return ((match[..., 0] | ~visible).all(1) & seen)[told].float().mean().item()"),
            "only the colour",
        ),
        (
            "shape alone",
            TOOK.format(rest="return ((match[..., 1] | ~visible).all(1) & seen)[told].float().mean().item()"),
            "only the shape",
        ),
        (
            "any frame",
            TOOK.format(rest="return (match.all(2) & visible).any(1)[told].float().mean().item()"),
            "one frame with the donor's look",
        ),
        (
            "frames counted",
            TOOK.format(rest="return match.all(2)[told][visible[told]].float().mean().item()"),
            "frames were counted",
        ),
        (
            "hidden frames too",
            TOOK.format(rest="return match.all(2).all(1)[told].float().mean().item()"),
            "hidden frames",
        ),
        (
            "never seen, and counted",
            TOOK.format(rest="return (match.all(2) | ~visible).all(1)[told].float().mean().item()"),
            "never shows a sprite",
        ),
        (
            "the clip's own look",
            TOOK.format(
                rest="kept = (shown == own[:, None]).all(2)\n"
                "return ((kept | ~visible).all(1) & seen)[told].float().mean().item()"
            ),
            "kept their own look",
        ),
        (
            "colour and shape must differ",
            TOOK.format(
                rest="told = (own != donor).all(1)\n"
                "return ((match.all(2) | ~visible).all(1) & seen)[told].float().mean().item()"
            ),
            "one of the two is enough",
        ),
        (
            "colour or shape",
            TOOK.format(rest="return ((match.any(2) | ~visible).all(1) & seen)[told].float().mean().item()"),
            "a look is both",
        ),
        (
            "a count",
            TOOK.format(rest="return ((match.all(2) | ~visible).all(1) & seen & told).sum().item()"),
            "wanted their share",
        ),
        (
            "clip by clip",
            TOOK.format(rest="return (match.all(2) | ~visible).all(1)"),
            "wanted a number",
        ),
    ],
}
