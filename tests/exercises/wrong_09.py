"""Plausible wrong answers to the exercises of chapter 09: name, body, and words that the check's line must hold."""

NOISE = """s = noise_step[:, None, None, None, None]
epsilon = {epsilon}
return {result}"""
FLOW = "(1 - s) * clean + s * epsilon"
DRAW = "torch.randn(clean.shape, generator=generator)"

FACTORS = """kept = {kept}
return torch.stack([{signal}, {noise}], dim={dim})"""
KEPT = "torch.cat([torch.ones(1), (1 - beta).cumprod(dim=0)])"
ROOTS = {"signal": "kept.clamp(0, 1).sqrt()", "noise": "(1 - kept).clamp(0, 1).sqrt()", "dim": "1"}

LOSS = """form = (-1, 1, 1, 1, 1)
signal, noise = schedule.signal(noise_step).view(form), schedule.noise(noise_step).view(form)
noisy = {noisy}
answer = network({asked})
return {result}"""
NOISY, ASKED, ERROR = (
    "signal * clean + noise * epsilon",
    "noisy, noise_step, condition",
    "(answer - {}).square().mean()",
)


def _loss(noisy: str = NOISY, asked: str = ASKED, result: str = ERROR.format("epsilon")) -> str:
    return LOSS.format(noisy=noisy, asked=asked, result=result)


WALK = """z = noise
for here, there in pairwise({steps}):
    where = here.expand(len(z))
    z = {step}
return {result}"""
STEP = "z + (there - here) * network(z, where, condition)"


def _walk(steps: str = "steps", step: str = STEP, result: str = "z") -> str:
    return WALK.format(steps=steps, step=step, result=result)


GUIDE = """def guide(noisy, noise_step, condition):
    without = denoise(noisy, noise_step, null)
    wish = denoise(noisy, noise_step, condition)
    avoid = denoise(noisy, noise_step, aversion)
    return {result}

return guide"""

WRONG = {
    "09-noise": [
        (
            "the generator begun anew",
            "generator = torch.Generator().manual_seed(generator.initial_seed())\n"
            + NOISE.format(epsilon=DRAW, result=FLOW),
            "two calls with one generator gave the same noise",
        ),
        (
            "one noise for all frames",
            NOISE.format(epsilon="torch.randn(clean[:, :1].shape, generator=generator)", result=FLOW),
            "all frames of a clip have the same noise",
        ),
        (
            "one noise for all clips",
            NOISE.format(epsilon="torch.randn(clean.shape[1:], generator=generator)", result=FLOW),
            "all clips have the same noise",
        ),
        (
            "one noise for all channels",
            NOISE.format(epsilon="torch.randn(clean[:, :, :1].shape, generator=generator)", result=FLOW),
            "the channels share",
        ),
        (
            "one number for a frame",
            NOISE.format(epsilon="torch.randn(clean[..., :1, :1, :1].shape, generator=generator)", result=FLOW),
            "over a whole frame",
        ),
        ("exchanged", NOISE.format(epsilon=DRAW, result="s * clean + (1 - s) * epsilon"), "exchanged"),
        (
            "spread over time",
            NOISE.format(epsilon=DRAW, result=FLOW).replace(
                "noise_step[:, None, None, None, None]",
                "noise_step[:, None, None, None] if len(clean) == clean.shape[1] else "
                "noise_step[:, None, None, None, None]",
            ),
            "the noise step of clip t",
        ),
        ("the clip at full strength", NOISE.format(epsilon=DRAW, result="clean + s * epsilon"), "as strong as before"),
        (
            "roots",
            NOISE.format(epsilon=DRAW, result="(1 - s).sqrt() * clean + s.sqrt() * epsilon"),
            "a root was taken",
        ),
        (
            "a quarter turn's squares",
            NOISE.format(epsilon=DRAW, result="(1 - s**2).sqrt() * clean + s * epsilon"),
            "a root was taken",
        ),
        ("global chance", NOISE.format(epsilon="torch.randn_like(clean)", result=FLOW), "with nothing else"),
        (
            "uniform noise",
            NOISE.format(epsilon="torch.rand(clean.shape, generator=generator)", result=FLOW),
            "torch.randn",
        ),
        (
            "uniform noise of the right deviation",
            NOISE.format(epsilon="(torch.rand(clean.shape, generator=generator) * 2 - 1) * 3**0.5", result=FLOW),
            "as if it were uniform",
        ),
        (
            "pairs of frames",
            NOISE.format(epsilon=DRAW, result=FLOW).replace(
                "return",
                "half = epsilon[:, ::2].repeat_interleave(2, dim=1)\nepsilon = half[:, : clean.shape[1]]\nreturn",
            ),
            "two frames share",
        ),
        (
            "mixed with a noise of the whole clip",
            NOISE.format(
                epsilon=f"({DRAW} + torch.randn(clean[:, :1].shape, generator=generator)) / 2**0.5", result=FLOW
            ),
            "two frames share",
        ),
        (
            "the noise of the first clip, moved on by a frame",
            NOISE.format(epsilon=DRAW, result=FLOW).replace(
                "return", "epsilon = torch.stack([epsilon[0].roll(b, dims=0) for b in range(len(clean))])\nreturn"
            ),
            "two frames share",
        ),
        ("no noise", "return clean", "is there noise"),
        (
            "noise alone",
            NOISE.format(epsilon=DRAW, result="s * epsilon"),
            "what is left of the clip",
        ),
        (
            "half of the noise",
            NOISE.format(epsilon=DRAW, result="(1 - s) * clean + s * 0.5 * epsilon"),
            "wanted the noise steps themselves",
        ),
        ("moved again", NOISE.format(epsilon=DRAW, result="(1 - s) * (2 * clean - 1) + s * epsilon"), "wanted 0"),
    ],
    "09-factors": [
        (
            "the product begins after one step",
            FACTORS.format(kept="(1 - beta).cumprod(dim=0)", **ROOTS),
            "the row for 0 steps is missing",
        ),
        (
            "shifted by one, late",
            FACTORS.format(kept="torch.cat([torch.ones(2), (1 - beta).cumprod(dim=0)[:-1]])", **ROOTS),
            "row 1 holds none yet",
        ),
        (
            "shifted by one, early",
            FACTORS.format(
                kept="(1 - beta).cumprod(dim=0)[[*range(len(beta)), -1]]",
                **ROOTS,
            ),
            "row 0 is to hold no factor",
        ),
        (
            "betas multiplied",
            FACTORS.format(kept="torch.cat([torch.ones(1), beta.cumprod(dim=0)])", **ROOTS),
            "betas were multiplied",
        ),
        (
            "betas summed",
            FACTORS.format(kept="torch.cat([torch.ones(1), 1 - beta.cumsum(dim=0)])", **ROOTS),
            "betas were summed",
        ),
        (
            "each step alone",
            FACTORS.format(kept="torch.cat([torch.ones(1), 1 - beta])", **ROOTS),
            "each step alone",
        ),
        ("variances", FACTORS.format(kept=KEPT, signal="kept", noise="1 - kept", dim="1"), "these are variances"),
        (
            "as on the flow",
            FACTORS.format(kept=KEPT, signal="kept.sqrt()", noise="1 - kept.sqrt()", dim="1"),
            "their squares that sum to 1",
        ),
        (
            "exchanged",
            FACTORS.format(kept=KEPT, signal="(1 - kept).sqrt()", noise="kept.sqrt()", dim="1"),
            "signal is column 0",
        ),
        ("turned", FACTORS.format(kept=KEPT, **ROOTS | {"dim": "0"}), "one row for each"),
        (
            "backwards",
            FACTORS.format(kept="torch.cat([torch.ones(1), (1 - beta).flip(0).cumprod(dim=0)])", **ROOTS),
            "the last step was taken first",
        ),
        (
            "a root forgotten",
            FACTORS.format(kept=KEPT, **ROOTS | {"signal": "kept"}),
            "the root of the signal",
        ),
        ("the signal alone", f"return {KEPT}.sqrt()", "wanted (4, 2)"),
    ],
    "09-loss": [
        (
            "a tensor made anew from a number",
            _loss(result=f"torch.tensor({ERROR.format('epsilon')}.item(), requires_grad=True)"),
            "another gradient comes to the network",
        ),
        (
            "half of the gradient",
            _loss(result="((answer - epsilon).detach() * (answer - epsilon)).mean()"),
            "another gradient comes to the network",
        ),
        ("compared with the clean clip", _loss(result=ERROR.format("clean")), "compared with the clean clip"),
        ("compared with what was shown", _loss(result=ERROR.format("noisy")), "what the network was shown"),
        ("the velocity", _loss(result=ERROR.format("(epsilon - clean)")), "the velocity"),
        ("v", _loss(result=ERROR.format("(signal * epsilon - noise * clean)")), "compared with v"),
        ("noise with its factor", _loss(result=ERROR.format("noise * epsilon")), "before its factor"),
        ("shown the clean clip", _loss(noisy="clean"), "without noise"),
        ("shown the noise", _loss(noisy="epsilon"), "the noise alone"),
        ("exchanged", _loss(noisy="noise * clean + signal * epsilon"), "exchanged"),
        ("full noise", _loss(noisy="clean + epsilon"), "at full strength"),
        (
            "the flow's factors",
            _loss(noisy="(1 - noise_step.view(form)) * clean + noise_step.view(form) * epsilon"),
            "the straight flow",
        ),
        (
            "factors on the columns",
            "cover = (lambda x: x) if len(noise_step) == clean.shape[-1] else (lambda x: x.view(-1, 1, 1, 1, 1))\n"
            "noisy = cover(schedule.signal(noise_step)) * clean + cover(schedule.noise(noise_step)) * epsilon\n"
            "return (network(noisy, noise_step, condition) - epsilon).square().mean()",
            "landed on the pixels of column b",
        ),
        (
            "the step not told",
            _loss(asked="noisy, torch.zeros_like(noise_step), condition"),
            "not told the noise step",
        ),
        ("the step with dimensions", _loss(asked="noisy, noise_step.view(form), condition"), "one number for each"),
        ("the condition not told", _loss(asked="noisy, noise_step, None"), "not told the condition"),
        ("summed", _loss(result="(answer - epsilon).square().sum()"), "summed"),
        (
            "summed over clips",
            _loss(result="(answer - epsilon).square().flatten(1).sum(dim=1).mean()"),
            "summed over each clip",
        ),
        ("absolute", _loss(result="(answer - epsilon).abs().mean()"), "absolute"),
        ("root", _loss(result="(answer - epsilon).square().mean().sqrt()"), "the root of the mean"),
        ("for each clip", _loss(result="(answer - epsilon).square().flatten(1).mean(dim=1)"), "wanted a number"),
        ("detached", _loss(result="(answer.detach() - epsilon).square().mean()"), "no gradient"),
        ("a plain number", _loss(result="(answer - epsilon).square().mean().item()"), "no gradient"),
        (
            "the network not asked",
            "return epsilon.square().mean()",
            "was not asked",
        ),
    ],
    "09-walk": [
        ("wrong order", _walk(steps="steps.flip(0)"), "from 0 to 1"),
        ("wrong way", _walk(step="z + (here - there) * network(z, where, condition)"), "the wrong way"),
        (
            "told where it goes",
            _walk(step="z + (there - here) * network(z, there.expand(len(z)), condition)"),
            "tell it where it is",
        ),
        ("the last step missing", _walk(steps="steps[:-1]"), "the last step is missing"),
        ("the first step missing", _walk(steps="steps[1:]"), "the first step is missing"),
        (
            "steps of one length",
            _walk(step="z - network(z, where, condition) / (len(steps) - 1)"),
            "the same length",
        ),
        (
            "taken for clean clips",
            _walk(step="z + (there - here) * (z - network(z, where, condition)) / here"),
            "taken for clean clips",
        ),
        (
            "the first noise in every step",
            _walk(step="z + (there - here) * network(noise, where, condition)"),
            "the first noise in every step",
        ),
        ("one step", _walk(steps="steps[[0, -1]]"), "one single step"),
        ("condition not told", _walk(step=STEP.replace("condition", "None")), "not told the condition"),
        ("cut", _walk(result="z.clamp(-1, 1)"), "nothing is to be cut"),
        ("one number for all", _walk(step=STEP.replace("where", "here")), "one number for each"),
        (
            "fresh noise",
            _walk(step=STEP.replace("z +", "z + 0.1 * torch.randn_like(z) +", 1)),
            "for each pair of neighbours",
        ),
        ("asked twice", _walk(step=f"network(z, where, condition) * 0 + {STEP}"), "wanted once for each"),
        ("the noise", "network(noise, steps[:1].expand(len(noise)), condition)\nreturn noise.clone()", "as it was"),
    ],
    "09-guide": [
        (
            "both signs exchanged",
            GUIDE.format(result="without + scale * (without - wish) - away * (without - avoid)"),
            "both signs are exchanged",
        ),
        (
            "the sign of the wish exchanged",
            GUIDE.format(result="without + scale * (without - wish) - away * (avoid - without)"),
            "the sign of the wish",
        ),
        (
            "the aversion followed",
            GUIDE.format(result="without + scale * (wish - without) + away * (avoid - without)"),
            "the aversion is followed",
        ),
        (
            "started from the wish",
            GUIDE.format(result="wish + scale * (wish - without) - away * (avoid - without)"),
            "it starts from the wish",
        ),
        (
            "measured from the wish",
            GUIDE.format(result="without + scale * (wish - without) - away * (avoid - wish)"),
            "measured from the wish",
        ),
        (
            "measured from the aversion",
            GUIDE.format(result="without + scale * (wish - avoid) - away * (avoid - without)"),
            "measured from the aversion",
        ),
        ("answers scaled", GUIDE.format(result="without + scale * wish - away * avoid"), "themselves were scaled"),
        (
            "without left out",
            GUIDE.format(result="scale * (wish - without) - away * (avoid - without)"),
            "is not added",
        ),
        (
            "scales exchanged",
            GUIDE.format(result="without + away * (wish - without) - scale * (avoid - without)"),
            "the two scales are exchanged",
        ),
        ("the aversion forgotten", GUIDE.format(result="without + scale * (wish - without)"), "not heard"),
        ("not guided", GUIDE.format(result="wish"), "nothing is guided"),
        (
            "conditions mixed",
            "def guide(noisy, noise_step, condition):\n"
            "    mixed = null + scale * (condition - null) - away * (aversion - null)\n"
            "    return denoise(noisy, noise_step, mixed)\n\n"
            "return guide",
            "the conditions were mixed",
        ),
        (
            "asked too often",
            "def guide(noisy, noise_step, condition):\n"
            "    def without():\n"
            "        return denoise(noisy, noise_step, null)\n\n"
            "    wish = denoise(noisy, noise_step, condition) - without()\n"
            "    avoid = denoise(noisy, noise_step, aversion) - without()\n"
            "    return without() + scale * wish - away * avoid\n\n"
            "return guide",
            "three are enough",
        ),
        ("an answer, not a function", "return scale - away", "wanted a function"),
    ],
}
