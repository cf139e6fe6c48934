"""Plausible wrong answers to the exercises of chapter 12: name, body, and words that the check's line must hold."""

GIVEN = """mask = known[:, :, None, None, None].float()
frames = {frames}
return torch.cat([{seen}, {channel}], dim={dim})"""
FRAMES, CHANNEL = "to_signed(clips) * mask", "mask.expand_as(frames[:, :, :1])"


def _given(frames: str = FRAMES, seen: str = "frames", channel: str = CHANNEL, dim: int = 2) -> str:
    return GIVEN.format(frames=frames, seen=seen, channel=channel, dim=dim)


HOLD = """z, where = {start}, {where}
for i, (here, there) in enumerate(pairwise({steps})):
    clean = denoise(z, here.expand(len(z)))
    {hold}
    z = z + (there - here) * (z - clean) / here
    {after}
return {result}"""
WHERE, HELD = "known[:, :, None, None, None]", "clean = torch.where(where, frames, clean)"


def _hold(
    start: str = "noise",
    where: str = WHERE,
    steps: str = "steps",
    hold: str = HELD,
    after: str = "pass",
    result: str = "z",
) -> str:
    return HOLD.format(start=start, where=where, steps=steps, hold=hold, after=after, result=result)


LOSS = """mask = known[:, :, None, None, None].float()
s = noise_step[:, None, None, None, None]
z = {z}
given = torch.cat([{frames}, {channel}.expand_as(clean[:, :, :1])], dim=2)
answer = network({asked})
return {result}"""


def _loss(
    z: str = "(1 - s) * clean + s * epsilon",
    frames: str = "clean * mask",
    channel: str = "mask",
    asked: str = "z, noise_step, given",
    result: str = "(answer - clean).square().mean()",
) -> str:
    return LOSS.format(z=z, frames=frames, channel=channel, asked=asked, result=result)


STRENGTH = """strength = {strength}
flag = is_told.float()
return torch.stack([{first}, {second}], dim={dim})"""
LENGTHS = "position.diff(dim=1).norm(dim=2)"


def _strength(
    strength: str = f"({LENGTHS}.mean(dim=1) / fastest).clamp(max=1)",
    first: str = "strength * flag",
    second: str = "flag",
    dim: int = 1,
) -> str:
    return STRENGTH.format(strength=strength, first=first, second=second, dim=dim)


GOOD = """same = {same}
return {result}"""
SAME, REST = "psnr(clips[:, :1], pictures[:, None])[:, 0] >= 30", "verdict.valid & verdict.identity & verdict.motion"


def _good(same: str = SAME, result: str = f"same & {REST}") -> str:
    return GOOD.format(same=same, result=result)


WRONG = {
    "12-given": [
        ("the mask missing", "return to_signed(clips) * known[:, :, None, None, None]", "the mask is missing"),
        ("the mask inverted", _given(channel=f"1 - {CHANNEL}"), "the mask is upside down"),
        ("all inverted", "known = ~known\n" + _given(), "what is not known is shown"),
        ("in [0, 1]", _given(frames="clips * mask"), "still in [0, 1]"),
        ("unknown frames black", _given(frames="to_signed(clips * mask)"), "frames that are not known are black"),
        ("unknown frames shown", _given(frames="to_signed(clips)"), "can be seen"),
        ("in reverse order", _given().replace("return ", "given = ") + "\nreturn given.flip(1)", "in reverse order"),
        ("the last frame first", _given(seen="frames.flip(1)"), "the last frame stands first"),
        (
            "the mask first",
            _given().replace("frames, mask.expand", "mask.expand").replace("[:, :, :1])]", "[:, :, :1]), frames]"),
            "before the colours",
        ),
        ("all known", _given(channel="torch.ones_like(frames[:, :, :1])"), "all frames are said to be known"),
        ("none known", _given(channel="torch.zeros_like(frames[:, :, :1])"), "no frame is said to be known"),
        (
            "the first frame everywhere",
            _given(seen="to_signed(clips[:, :1]).expand_as(clips)"),
            "the first frame stands in every frame",
        ),
        ("a mask of three channels", _given(channel="mask.expand_as(frames)"), "one is enough"),
        ("a mask in [-1, 1]", _given(channel="(2 * mask - 1).expand_as(frames[:, :, :1])"), "in [-1, 1], too"),
        (
            "the mask over the batch",
            "known = known.T if known.shape[0] == known.shape[1] else known\n" + _given(),
            "the mask of clip b",
        ),
        (
            "only frame 0",
            "known = known & (torch.arange(known.shape[1]) == 0)\n" + _given(),
            "only frame 0 is shown",
        ),
        ("the first clip's mask", "known = known[:1].expand_as(known)\n" + _given(), "the first clip's mask"),
        (
            "the mask from each pixel's colours",
            _given(channel="(frames != 0).any(dim=2, keepdim=True).float()"),
            "grey, 0.5, is a colour",
        ),
        (
            "the mask from the frames' colours",
            _given(
                channel="(frames != 0).flatten(2).any(2).float()[:, :, None, None, None].expand_as(frames[:, :, :1])"
            ),
            "may be grey, 0.5, all over",
        ),
        ("a corner for a mask", _given(channel="F.pad(mask, (0, 3, 0, 3))"), "wanted 1"),
        ("the future shines through", _given(frames="to_signed(clips) * (0.999 * mask + 0.001)"), "wanted"),
        ("colours in reverse order", _given(seen="frames.flip(2)"), "wanted"),
        ("doubled", _given().replace("return ", "seen = ") + "\nreturn seen.double()", "wanted torch.float32"),
        ("behind the frames", _given(channel="mask.expand_as(frames)", dim=1), "wanted (5, 5, 4, 4, 4)"),
    ],
    "12-hold": [
        ("at step 0 only", _hold(hold=f"clean = clean if i else {HELD[8:]}"), "in the first step only"),
        (
            "in the last step only",
            _hold(hold=f"clean = {HELD[8:]} if there == 0 else clean"),
            "held in the last step only",
        ),
        ("pasted at the end", _hold(hold="pass", result="torch.where(where, frames, z)"), "pasted over the result"),
        (
            "begun with the picture",
            _hold(start="torch.where(known[:, :, None, None, None], frames, noise)", hold="pass"),
            "began with the picture",
        ),
        ("z overwritten", _hold(after="z = torch.where(where, frames, z)"), "z itself was overwritten"),
        ("not held", _hold(hold="pass"), "nothing was held"),
        ("the mask inverted", _hold(where=f"~{WHERE}"), "the mask is upside down"),
        ("moved to [-1, 1] again", _hold(hold=HELD.replace("frames", "2 * frames - 1")), "once more"),
        ("moved to [0, 1]", _hold(hold=HELD.replace("frames", "(frames + 1) / 2")), "the frames are in [0, 1]"),
        ("the last frame first", _hold(hold=HELD.replace("frames", "frames.flip(1)")), "the last frame stands first"),
        (
            "all held to the first",
            _hold(hold=HELD.replace("frames", "frames[:, :1].expand_as(frames)")),
            "held to the first one",
        ),
        (
            "held to noisy frames",
            _hold(hold=HELD.replace("frames", "(1 - here) * frames + here * noise")),
            "put under noise before they were held",
        ),
        (
            "told where it goes",
            _hold().replace("denoise(z, here.", "denoise(z, there."),
            "tell it where it is",
        ),
        ("one number for all", _hold().replace("here.expand(len(z))", "here"), "one noise step for each"),
        ("the last step missing", _hold(steps="steps[:-1]"), "the last step is missing"),
        (
            "the mask over the batch",
            _hold(where="(known.T if len(known) == known.shape[1] else known)[:, :, None, None, None]"),
            "the mask of clip b",
        ),
        ("not in the last step", _hold(hold=f"clean = {HELD[8:]} if there else clean"), "let go of in the last step"),
        ("in every second step", _hold(hold=f"clean = clean if i % 2 else {HELD[8:]}"), "in every second step"),
        (
            "shown clean frames",
            _hold().replace("denoise(z,", "denoise(torch.where(where, frames, z),"),
            "shown clean frames in z",
        ),
        ("shown the first noise", _hold().replace("denoise(z,", "denoise(noise,"), "the first noise in every step"),
        ("not divided", _hold().replace(" / here", ""), "not divided by"),
        ("from the first noise", _hold(after="z = (1 - there) * clean + there * noise"), "the first noise again"),
        ("the sign exchanged", _hold().replace("there - here", "here - there"), "wanted"),
        (
            "fresh noise",
            _hold(after="z = torch.where(where, (1 - there) * frames + there * torch.randn_like(z), z)"),
            "wanted",
        ),
        ("steps of its own", _hold(steps="torch.linspace(1, 0, len(steps))"), "wanted"),
        ("only frame 0", _hold(where=f"{WHERE}.clone()\nwhere[:, 1:] = False"), "only frame 0 was held"),
        ("the first clip's mask", _hold(where="known[:1, :, None, None, None]"), "the first clip's mask"),
        ("the noise overwritten", _hold().replace("z = z +", "z +="), "leave the inputs as they are"),
        ("in [0, 1]", _hold(result="to_unit(z)"), "wanted"),
        ("asked twice", _hold(hold=f"denoise(z, here.expand(len(z)))\n    {HELD}"), "wanted once for each"),
        ("the noise", "return noise.clone()", "was not asked"),
    ],
    "12-loss": [
        ("the conditioning frame noised", _loss(frames="z * mask"), "shown under noise"),
        ("the conditioning frame is noise", _loss(frames="epsilon * mask"), "is shown as noise"),
        ("all frames shown", _loss(frames="clean"), "frames that are not known are shown"),
        ("all inverted", _loss(frames="clean * (1 - mask)", channel="(1 - mask)"), "the mask is upside down"),
        ("the mask inverted", _loss(channel="(1 - mask)"), "the mask's channel is upside down"),
        ("no mask", _loss(channel="(0 * mask)"), "the mask is 0 everywhere"),
        ("in [0, 1]", _loss(frames="(clean + 1) / 2 * mask"), "shown in [0, 1]"),
        ("moved again", _loss(frames="to_signed(clean.clamp(0, 1)) * mask"), "wanted"),
        ("the last frame first", _loss(asked="z, noise_step, given.flip(1)"), "the last frame is shown first"),
        (
            "known frames without noise",
            _loss(z="torch.where(mask > 0, clean, (1 - s) * clean + s * epsilon)"),
            "no noise lies",
        ),
        ("no noise", _loss(z="clean"), "without noise"),
        ("noise alone", _loss(z="epsilon"), "the noise alone"),
        ("factors exchanged", _loss(z="s * clean + (1 - s) * epsilon"), "exchanged"),
        (
            "the step on the columns",
            _loss(z="(1 - noise_step) * clean + noise_step * epsilon if len(s) == clean.shape[-1] else clean"),
            "landed on the pixels of column b",
        ),
        ("the step not told", _loss(asked="z, torch.zeros_like(noise_step), given"), "not told the noise step"),
        ("the mask not shown", _loss(asked="z, noise_step, given[:, :, :3]"), "what is known as a tensor"),
        (
            "the mask first",
            _loss(asked="z, noise_step, given.roll(1, dims=2)"),
            "the mask stands before the colours",
        ),
        ("unknown frames black", _loss(frames="clean * mask + mask - 1"), "shown black"),
        ("only frame 0", "known = known & (torch.arange(known.shape[1]) == 0)\n" + _loss(), "only frame 0 is shown"),
        (
            "frame 0 always",
            "known = known | (torch.arange(known.shape[1]) == 0)\n" + _loss(),
            "frame 0 is always shown",
        ),
        (
            "the two ends",
            "ends = torch.zeros_like(known)\nends[:, 0] = ends[0, -1] = True\nknown = ends\n" + _loss(),
            "wanted",
        ),
        ("one noise for all frames", _loss(z="(1 - s) * clean + s * epsilon[:, :1]"), "the noise of the first"),
        ("one step for all clips", _loss(z="(1 - s[0]) * clean + s[0] * epsilon"), "the first one's noise step"),
        ("noise of its own", _loss(z="(1 - s) * clean + s * torch.randn_like(clean)"), "wanted"),
        ("noise twice over known frames", _loss(z="(1 - s) * clean + s * epsilon * (1 + mask)"), "wanted"),
        ("another schedule", _loss(z="(1 - s * s).sqrt() * clean + s * epsilon"), "wanted"),
        ("colours summed", _loss(result="(answer - clean).square().sum(dim=2).mean()"), "of the colours are summed"),
        ("the root", _loss(result="(answer - clean).square().mean().sqrt()"), "the root of the error"),
        (
            "known and unknown alike",
            _loss(result="((answer - clean)[known].square().mean() + (answer - clean)[~known].square().mean()) / 2"),
            "wanted",
        ),
        ("one for each clip", _loss(result="(answer - clean).square().mean(dim=(1, 2, 3, 4))"), "wanted a number"),
        ("a number", _loss(result="(answer - clean).square().mean().item()"), "no gradient"),
        (
            "clip by clip",
            _loss().replace(
                "network(z, noise_step, given)",
                "torch.cat([network(*x) for x in zip(z[:, None], noise_step[:, None], given[:, None])])",
            ),
            "once is enough",
        ),
        ("compared with the noise", _loss(result="(answer - epsilon).square().mean()"), "compared with the noise"),
        ("compared with z", _loss(result="(answer - z).square().mean()"), "what the network was shown"),
        (
            "unknown frames alone",
            _loss(result="(answer - clean).square()[~known].mean()"),
            "only the frames that are not known",
        ),
        ("known frames alone", _loss(result="(answer - clean).square()[known].mean()"), "only the known frames"),
        ("known errors at 0", _loss(result="((answer - clean).square() * (1 - mask)).mean()"), "are set to 0"),
        ("summed", _loss(result="(answer - clean).square().sum()"), "summed"),
        ("absolute", _loss(result="(answer - clean).abs().mean()"), "absolute"),
        ("detached", _loss(result="(answer.detach() - clean).square().mean()"), "no gradient"),
    ],
    "12-strength": [
        ("motion strength ignored", _strength(first="0 * flag"), "motion strength is ignored"),
        ("nothing told", _strength(first="0 * flag", second="0 * flag"), "nothing is told"),
        ("one for all", _strength(first="strength.mean() * flag"), "all clips have the same strength"),
        ("told always", _strength(first="strength"), "told of clips where it is not to be"),
        ("the flag inverted", _strength(second="1 - flag"), "the second number is upside down"),
        ("both inverted", _strength(first="strength * (1 - flag)", second="1 - flag"), "the other way round"),
        ("the flag always 1", _strength(second="torch.ones_like(flag)"), "1 for all clips"),
        ("exchanged", _strength(first="flag", second="strength * flag"), "the strength comes first"),
        ("turned", _strength(dim=0), "two numbers for each clip"),
        (
            "from first to last",
            _strength(
                "((position[:, -1] - position[:, 0]).norm(dim=1) / (position.shape[1] - 1) / fastest).clamp(max=1)"
            ),
            "from the first place to the last",
        ),
        ("summed", _strength(f"({LENGTHS}.sum(dim=1) / fastest).clamp(max=1)"), "the steps are summed"),
        ("the longest", _strength(f"({LENGTHS}.amax(dim=1) / fastest).clamp(max=1)"), "the longest step"),
        ("in pixels, cut off", _strength(f"{LENGTHS}.mean(dim=1).clamp(max=1)"), "the strength is in pixels"),
        ("in pixels", _strength(f"{LENGTHS}.mean(dim=1)"), "in pixels, and may be above 1"),
        ("above 1", _strength(f"{LENGTHS}.mean(dim=1) / fastest"), "strengths above 1 came"),
        (
            "rows and columns added",
            _strength("(position.diff(dim=1).abs().sum(dim=2).mean(dim=1) / fastest).clamp(max=1)"),
            "rows and columns were added",
        ),
        ("divided by 7", _strength(f"({LENGTHS}.sum(dim=1) / 7 / fastest).clamp(max=1)"), "divided by 7"),
        ("each cut off", _strength(f"({LENGTHS} / fastest).clamp(max=1).mean(dim=1)"), "each step was cut off"),
        (
            "the root of the mean square",
            _strength(f"({LENGTHS}.square().mean(dim=1).sqrt() / fastest).clamp(max=1)"),
            "the root of the mean square",
        ),
        ("the first step", _strength(f"({LENGTHS}[:, 0] / fastest).clamp(max=1)"), "the first step alone"),
        ("the last step", _strength(f"({LENGTHS}[:, -1] / fastest).clamp(max=1)"), "wanted"),
        ("the median", _strength(f"({LENGTHS}.median(dim=1).values / fastest).clamp(max=1)"), "wanted"),
        (
            "columns alone",
            _strength("(position.diff(dim=1)[..., 1].abs().mean(dim=1) / fastest).clamp(max=1)"),
            "wanted",
        ),
        ("the fastest clip's share", _strength(f"{LENGTHS}.mean(dim=1) / {LENGTHS}.mean(dim=1).max()"), "wanted"),
        ("a fastest of its own", _strength(f"({LENGTHS}.mean(dim=1) / 1.28).clamp(max=1)"), "wanted"),
        ("still is not told", _strength(second="(strength * flag > 0).float()"), "wanted 1"),
        ("minus one", _strength(first="torch.where(is_told, strength, -torch.ones(()))"), "wanted 0"),
        (
            "one step too many",
            _strength(f"({LENGTHS}.sum(dim=1) / position.shape[1] / fastest).clamp(max=1)"),
            "one step less",
        ),
    ],
    "12-good": [
        (
            "a frozen output scored as perfect",
            _good(result="same & verdict.valid & verdict.identity"),
            "a frozen clip is scored as perfect",
        ),
        ("first frame and IDENTITY", _good(result="same & verdict.identity"), "say nothing of motion"),
        ("the first frame alone", _good(result="same"), "a frozen clip is called good"),
        ("the picture not compared", f"return {REST}", "not compared with the picture"),
        ("any test", _good(result="same | verdict.valid | verdict.identity | verdict.motion"), "one test is enough"),
        ("fewer decibels", _good(same=SAME.replace(">=", "<")), "fewer decibels are worse"),
        (
            "all frames like the picture",
            _good(same="psnr(clips, pictures[:, None].expand_as(clips)).mean(dim=1) >= 30"),
            "what moves is punished",
        ),
        (
            "every frame is the picture",
            _good(same="(psnr(clips, pictures[:, None].expand_as(clips)) >= 30).all(dim=1)"),
            "then nothing may move",
        ),
        ("the last frame", _good(same=SAME.replace("[:, :1]", "[:, -1:]")), "the last frame is compared"),
        (
            "some frame",
            _good(same="(psnr(clips, pictures[:, None].expand_as(clips)) >= 30).any(dim=1)"),
            "some frame has to be",
        ),
        ("VALID left out", _good(result="same & verdict.identity & verdict.motion"), "VALID is not asked for"),
        ("CAPTION for MOTION", _good(result="same & verdict.caption"), "CAPTION is asked for"),
        ("CAPTION as well", _good(result=f"same & {REST} & verdict.caption"), "CAPTION is asked for"),
        (
            "three of four",
            _good(result="same.int() + verdict.valid.int() + verdict.identity.int() + verdict.motion.int() >= 3"),
            "is called good",
        ),
        ("a little stricter", _good(same=SAME.replace("30", "33")), "stricter"),
        ("a little laxer", _good(same=SAME.replace("30", "28.5")), "a rough copy is called good"),
        ("equal", _good(same="(clips[:, 0] == pictures).flatten(1).all(dim=1)"), "stricter"),
        ("red alone", _good(same="(clips[:, 0, 0] - pictures[:, 0]).square().mean(dim=(1, 2)) <= 1e-3"), "bluer"),
        (
            "not infinite",
            _good(
                same=f"{SAME} & psnr(clips[:, :1], pictures[:, None])[:, 0].isfinite()".replace(
                    "psnr", "(psnr", 1
                ).replace(">= 30", ">= 30)", 1)
            ),
            "a real clip is called bad",
        ),
        (
            "all clips at once",
            _good(same="(clips[:, 0] - pictures).square().mean() <= 1e-3"),
            "a real clip is called bad",
        ),
        (
            "anything that moves",
            _good(
                result="same & verdict.valid & verdict.identity & (clips.diff(dim=1).abs().amax((1, 2, 3, 4)) > 0.05)"
            ),
            "stands still as it was told is called bad",
        ),
        ("a comparison too wide", _good(same=SAME.replace("[:, 0] >=", " >=")), "has shape (13, 13)"),
        ("identity left out", _good(result="same & verdict.motion"), "is called good"),
        (
            "nothing may stand still",
            _good(result=f'same & {REST} & torch.tensor([c.motion != "still" for c in verdict.combinations])'),
            "may stand still",
        ),
        (
            "a law is enough",
            _good(result="same & verdict.valid & verdict.identity & (verdict.motion_error <= 0.03)"),
            "the law of motion",
        ),
        ("stricter", _good(same=SAME.replace("30", "60")), "stricter"),
        ("laxer", _good(same=SAME.replace("30", "20")), "laxer"),
        ("one number", _good(result=f"(same & {REST}).all()"), "wanted (13,)"),
        ("as numbers", _good(result=f"(same & {REST}).float()"), "wanted torch.bool"),
    ],
}
