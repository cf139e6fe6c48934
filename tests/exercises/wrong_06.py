"""Plausible wrong answers to the exercises of chapter 06: name, body, and words that the check's line must hold."""

LOOP = """frames = clips[:, :num_context]
while frames.shape[1] < clips.shape[1]:
    frames = torch.cat([frames, {following}], dim=1)
return {result}"""
REST = "frames[:, num_context:]"

CHANGED = """changed = clips.clone()
{change}
return not torch.equal(predict(clips, num_context), predict(changed, num_context))"""
NOISE = "changed[:, num_context:] = torch.rand(changed[:, num_context:].shape)"

PRICES = """flat = futures.flatten(1)
mean = probabilities @ flat
apart = (flat[:, None] - flat).square().sum(dim=2)
{rest}"""
OF_MEAN = "(probabilities @ (flat - mean).square().sum(dim=1)).item()"
OF_DRAW = "(probabilities @ apart @ probabilities).item()"

WRONG = {
    "06-rollout": [
        (
            "fed with the truth, in one pass",
            "return step(clips[:, :-1])[:, num_context - 1 :].clamp(0, 1)",
            "fed with the truth",
        ),
        (
            "fed with the truth, in a loop",
            "steps = range(num_context, clips.shape[1])\n"
            "return torch.cat([step(clips[:, :t])[:, -1:].clamp(0, 1) for t in steps], dim=1)",
            "fed with the truth",
        ),
        (
            "fed with the truth, not clamped",
            "return step(clips[:, :-1])[:, num_context - 1 :]",
            "fed with the truth",
        ),
        ("the truth itself", "return clips[:, num_context:].clone()", "nothing was predicted"),
        (
            "the last frame copied",
            "return clips[:, num_context - 1 : num_context].expand(-1, clips.shape[1] - num_context, -1, -1, -1)",
            "the last frame given was copied",
        ),
        (
            "one prediction repeated",
            "one = step(clips[:, :num_context])[:, -1:].clamp(0, 1)\n"
            "return one.expand(-1, clips.shape[1] - num_context, -1, -1, -1)",
            "one prediction is repeated",
        ),
        (
            "the last frame alone is fed",
            LOOP.format(following="step(frames[:, -1:]).clamp(0, 1)", result=REST),
            "the last frame alone",
        ),
        ("not clamped", LOOP.format(following="step(frames)[:, -1:]", result=REST), "not clamped"),
        (
            "clamped at the end",
            LOOP.format(following="step(frames)[:, -1:]", result=REST + ".clamp(0, 1)"),
            "clamped at the end",
        ),
        (
            "the context is returned too",
            LOOP.format(following="step(frames)[:, -1:].clamp(0, 1)", result="frames"),
            "the whole clip came back",
        ),
        (
            "one frame too few",
            LOOP.format(following="step(frames)[:, -1:].clamp(0, 1)", result="frames[:, num_context:-1]"),
            "is missing",
        ),
        (
            "the first output is taken",
            LOOP.format(following="step(frames)[:, :1].clamp(0, 1)", result=REST),
            "append each guess",
        ),
        (
            "the window slides",
            "frames, result = clips[:, :num_context], []\n"
            "for _ in range(clips.shape[1] - num_context):\n"
            "    result.append(step(frames)[:, -1:].clamp(0, 1))\n"
            "    frames = torch.cat([frames[:, 1:], result[-1]], dim=1)\n"
            "return torch.cat(result, dim=1)",
            "append each guess",
        ),
        (
            "a look at the truth that is thrown away",
            "step(clips)\n" + LOOP.format(following="step(frames)[:, -1:].clamp(0, 1)", result=REST),
            "was shown true frames",
        ),
    ],
    "06-loss": [
        (
            "a tensor made anew from a number",
            "number = (outputs - clips[:, 1:])[:, num_context - 1 :].square().mean().item()\n"
            "return torch.tensor(number, requires_grad=True)",
            "another gradient comes to the outputs",
        ),
        (
            "half of the gradient",
            "error = (outputs - clips[:, 1:])[:, num_context - 1 :]\nreturn (error.detach() * error).mean()",
            "another gradient comes to the outputs",
        ),
        (
            "outputs clamped",
            "return (outputs.clamp(0, 1) - clips[:, 1:])[:, num_context - 1 :].square().mean()",
            "which output predicts",
        ),
        (
            "summed over a frame",
            "return (outputs - clips[:, 1:])[:, num_context - 1 :].square().sum(dim=(2, 3, 4)).mean()",
            "the mean is over all numbers",
        ),
        ("given frames counted", "return (outputs - clips[:, 1:]).square().mean()", "the given frames are counted"),
        (
            "not shifted",
            "return (outputs - clips[:, :-1])[:, num_context - 1 :].square().mean()",
            "compared with frame t",
        ),
        ("not shifted, all counted", "return (outputs - clips[:, :-1]).square().mean()", "compared with frame t"),
        (
            "first asked frame left out",
            "return (outputs[:, num_context:] - clips[:, num_context + 1 :]).square().mean()",
            "the first frame after the context",
        ),
        (
            "off by one",
            "return (outputs[:, num_context:] - clips[:, num_context:-1]).square().mean()",
            "off by one",
        ),
        ("summed", "return (outputs - clips[:, 1:])[:, num_context - 1 :].square().sum()", "take their mean"),
        ("absolute", "return (outputs - clips[:, 1:])[:, num_context - 1 :].abs().mean()", "absolute"),
        (
            "root",
            "return (outputs - clips[:, 1:])[:, num_context - 1 :].square().mean().sqrt()",
            "root",
        ),
        ("last frame alone", "return (outputs[:, -1] - clips[:, -1]).square().mean()", "only the last frame"),
        (
            "context alone",
            "return (outputs - clips[:, 1:])[:, : num_context - 1].square().mean()",
            "only the context",
        ),
        (
            "a plain number",
            "return (outputs - clips[:, 1:])[:, num_context - 1 :].square().mean().item()",
            "must be a tensor",
        ),
        (
            "detached",
            "return (outputs.detach() - clips[:, 1:])[:, num_context - 1 :].square().mean()",
            "detached",
        ),
    ],
    "06-coin": [
        (
            "always as many",
            "result = predicted.clone()\n"
            "chosen = torch.randperm(len(true), generator=generator)[: round(share * len(true))]\n"
            "result[chosen] = true[chosen]\nreturn result",
            "chance decides for each clip by itself",
        ),
        (
            "the generator begun anew",
            "again = torch.Generator().manual_seed(generator.initial_seed())\n"
            "return torch.where(torch.rand(len(true), 1, 1, 1, generator=again) < share, true, predicted)",
            "two calls with one generator gave the same coins",
        ),
        ("blended", "return share * true + (1 - share) * predicted", "blended"),
        ("blended the wrong way round", "return share * predicted + (1 - share) * true", "wrong way round"),
        (
            "a coin for each pixel",
            "return torch.where(torch.rand(true.shape, generator=generator) < share, true, predicted)",
            "partly true",
        ),
        (
            "one coin for the batch",
            "return true if torch.rand(1, generator=generator) < share else predicted",
            "a coin of its own",
        ),
        (
            "the wrong way round",
            "coin = torch.rand(len(true), 1, 1, 1, generator=generator) < share\n"
            "return torch.where(coin, predicted, true)",
            "wrong way round",
        ),
        (
            "global chance",
            "return torch.where(torch.rand(len(true), 1, 1, 1) < share, true, predicted)",
            "from the generator alone",
        ),
        (
            "the first of the batch are true",
            "result = predicted.clone()\nresult[: int(share * len(true))] = true[: int(share * len(true))]\n"
            "return result",
            "another generator gave the same",
        ),
        (
            "a fair coin",
            "return torch.where(torch.rand(len(true), 1, 1, 1, generator=generator) < 0.5, true, predicted)",
            "where the share is 30%",
        ),
        ("always the truth", "return true", "a coin of its own"),
        (
            "normal numbers",
            "return torch.where(torch.randn(len(true), 1, 1, 1, generator=generator) < share, true, predicted)",
            "% are true frames",
        ),
    ],
    "06-leak": [
        (
            "the future turned to its negative",
            CHANGED.format(change="changed[:, num_context:] = 1 - changed[:, num_context:]"),
            "let through, in clips with a grey future",
        ),
        (
            "frames from the fourth on",
            CHANGED.format(change="changed[:, 3:] = torch.rand(changed[:, 3:].shape)"),
            "was called a leak, with five frames given",
        ),
        (
            "sums compared",
            "changed = clips.clone()\n" + NOISE + "\n"
            "return bool(predict(clips, num_context).sum() != predict(changed, num_context).sum())",
            "moves light about within a frame was let through",
        ),
        ("always", "return True", "is honest, and was called a leak"),
        ("never", "return False", "was let through"),
        (
            "the error is small",
            "return ((predict(clips, num_context) - clips[:, num_context:]).square().mean() < 0.01).item()",
            "was let through",
        ),
        (
            "the first frame changed alone",
            CHANGED.format(change="changed[:, num_context] = torch.rand(changed[:, 0].shape)"),
            "the last frame of the future was let through",
        ),
        (
            "the last frame changed alone",
            CHANGED.format(change="changed[:, -1] = torch.rand(changed[:, 0].shape)"),
            "a rollout fed with the truth was let through",
        ),
        (
            "one clip changed alone",
            CHANGED.format(change="changed[0, num_context:] = torch.rand(changed[0, num_context:].shape)"),
            "the second clip alone",
        ),
        (
            "the future made black",
            CHANGED.format(change="changed[:, num_context:] = 0"),
            "with a black future",
        ),
        (
            "the future made white",
            CHANGED.format(change="changed[:, num_context:] = 1"),
            "with a white future",
        ),
        (
            "the future played backwards",
            CHANGED.format(change="changed[:, num_context:] = changed[:, num_context:].flip(1)"),
            "was let through",
        ),
        (
            "the context changed too",
            CHANGED.format(change="changed = torch.rand(changed.shape)"),
            "is honest, and was called a leak",
        ),
        (
            "the future cut off",
            "changed = clips[:, : num_context + 1]\n"
            "return not torch.equal(predict(clips, num_context)[:, :1], predict(changed, num_context))",
            "is honest, and was called a leak",
        ),
        (
            "the first prediction compared alone",
            CHANGED.format(change=NOISE).replace("num_context),", "num_context)[:, 0],")[:-1] + "[:, 0])",
            "fed with the truth was let through",
        ),
        (
            "compared with tolerance",
            f"changed = clips.clone()\n{NOISE}\n"
            "return not torch.allclose(predict(clips, num_context), predict(changed, num_context), atol=0.01)",
            "was let through",
        ),
        (
            "the inputs compared",
            f"changed = clips.clone()\n{NOISE}\nreturn not torch.equal(clips, changed)",
            "is honest, and was called a leak",
        ),
        (
            "the other way round",
            CHANGED.format(change=NOISE).replace("not ", ""),
            "is honest, and was called a leak",
        ),
    ],
    "06-price": [
        ("exchanged", PRICES.format(rest=f"return {OF_DRAW}, {OF_MEAN}"), "exchanged"),
        (
            "mean without probabilities",
            PRICES.format(rest=f"mean = flat.mean(dim=0)\nreturn {OF_MEAN}, {OF_DRAW}"),
            "leaves the probabilities out",
        ),
        (
            "futures not weighed",
            PRICES.format(rest=f"return (flat - mean).square().sum(dim=1).mean().item(), {OF_DRAW}"),
            "not weighed",
        ),
        (
            "averaged over numbers",
            PRICES.format(rest=f"D = flat.shape[1]\nreturn {OF_MEAN} / D, {OF_DRAW} / D"),
            "sum them",
        ),
        (
            "draw not weighed",
            PRICES.format(rest=f"return {OF_MEAN}, apart.mean().item()"),
            "weighed alike",
        ),
        (
            "draw weighed once",
            PRICES.format(rest=f"return {OF_MEAN}, (probabilities @ apart.mean(dim=1)).item()"),
            "only one of the two",
        ),
        (
            "equal pairs left out",
            PRICES.format(rest=f"return {OF_MEAN}, {OF_DRAW} / (1 - (probabilities @ probabilities).item())"),
            "left out of the probabilities",
        ),
        ("both the mean's", PRICES.format(rest=f"return {OF_MEAN}, {OF_MEAN}"), "the price of the mean"),
        ("draw is what comes", PRICES.format(rest=f"return {OF_MEAN}, 0.0"), "drawn apart"),
        ("one number", PRICES.format(rest=f"return {OF_MEAN}"), "wanted two numbers"),
    ],
}
