"""Plausible wrong answers to the exercises of chapter 03: name, body, and words that the check's line must hold."""

WALK = """hidden = x.new_zeros(len(x), len(b))
states = []
for t in range(x.shape[1]):
    {step}
    states.append(hidden)
return torch.stack(states, dim={dim})"""
STEP = "hidden = torch.tanh(x[:, t] @ W.T + hidden @ U.T + b)"

GATES = """{order} = gates.chunk(4, dim=-1)
memory = {memory}
return {result}"""
ORDER = "write, keep, candidate, show"
MEMORY = "keep.sigmoid() * memory + write.sigmoid() * candidate.tanh()"
RESULT = "show.sigmoid() * memory.tanh(), memory"

CLIP = """norm = {norm}
return [{scale} * gradient for gradient in gradients]"""
NORM = "torch.cat([gradient.flatten() for gradient in gradients]).norm().item()"
SCALE = "min(1.0, max_norm / max(norm, 1e-12))"

WRONG = {
    "03-walk": [
        (
            "memory not carried over",
            WALK.format(step="hidden = torch.tanh(x[:, t] @ W.T + 0 * hidden @ U.T + b)", dim=1),
            "not carried over",
        ),
        (
            "state leaks between clips",
            """hidden = torch.zeros(len(b))
states = []
for frame in x.reshape(-1, x.shape[-1]):
    hidden = torch.tanh(frame @ W.T + hidden @ U.T + b)
    states.append(hidden)
return torch.stack(states).reshape(len(x), x.shape[1], -1)""",
            "leaks into the next",
        ),
        (
            "state averaged over the batch",
            WALK.format(step="hidden = torch.tanh(x[:, t] @ W.T + hidden.mean(0) @ U.T + b)", dim=1),
            "by hand",
        ),
        ("no tanh", WALK.format(step="hidden = x[:, t] @ W.T + hidden @ U.T + b", dim=1), "tanh is missing"),
        (
            "tanh on the state alone",
            WALK.format(step="hidden = x[:, t] @ W.T + torch.tanh(hidden @ U.T + b)", dim=1),
            "by hand",
        ),
        (
            "matrices not transposed",
            WALK.format(step="hidden = torch.tanh(x[:, t] @ W + hidden @ U + b)", dim=1),
            "not transposed",
        ),
        (
            "matrices exchanged",
            WALK.format(step="hidden = torch.tanh(x[:, t] @ U.T + hidden @ W.T + b)", dim=1),
            "are exchanged",
        ),
        ("bias left out", WALK.format(step="hidden = torch.tanh(x[:, t] @ W.T + hidden @ U.T)", dim=1), "bias"),
        ("time first", WALK.format(step=STEP, dim=0), "time stands first"),
        ("last state alone", WALK.format(step=STEP, dim=1) + "[:, -1]", "all T are wanted"),
        (
            "state before the step",
            WALK.format(step="states.append(hidden)\n    " + STEP, dim=1).replace(
                "b)\n    states.append(hidden)", "b)"
            ),
            "one frame too late",
        ),
        (
            "nothing learned from the frames",
            "return x.new_zeros(len(x), x.shape[1], len(b))",
            "by hand",
        ),
        ("batch walked for time", "x = x.transpose(0, 1)\n" + WALK.format(step=STEP, dim=0), "the batch was walked"),
        ("starts with ones", WALK.format(step=STEP, dim=1).replace("new_zeros", "new_ones"), "by hand"),
    ],
    "03-gates": [
        (
            "keep first",
            GATES.format(order="keep, write, candidate, show", memory=MEMORY, result=RESULT),
            "keep and write are exchanged",
        ),
        (
            "candidate last",
            GATES.format(order="write, keep, show, candidate", memory=MEMORY, result=RESULT),
            "another order",
        ),
        (
            "sigmoid on the candidate",
            GATES.format(
                order=ORDER, memory="keep.sigmoid() * memory + write.sigmoid() * candidate.sigmoid()", result=RESULT
            ),
            "tanh, not a sigmoid",
        ),
        (
            "no squashing of gates",
            GATES.format(order=ORDER, memory="keep * memory + write * candidate.tanh()", result=RESULT),
            "sigmoids are missing",
        ),
        (
            "forget gate forgets",
            GATES.format(
                order=ORDER,
                memory="(1 - keep.sigmoid()) * memory + write.sigmoid() * candidate.tanh()",
                result=RESULT,
            ),
            "how much to lose",
        ),
        (
            "memory not carried over",
            GATES.format(order=ORDER, memory="write.sigmoid() * candidate.tanh()", result=RESULT),
            "old memory is gone",
        ),
        (
            "memory never forgotten",
            GATES.format(order=ORDER, memory="memory + write.sigmoid() * candidate.tanh()", result=RESULT),
            "keep gate is missing",
        ),
        (
            "shows the old memory",
            "write, keep, candidate, show = gates.chunk(4, dim=-1)\nhidden = show.sigmoid() * memory.tanh()\n"
            f"return hidden, {MEMORY}",
            "old memory",
        ),
        (
            "no tanh on the memory",
            GATES.format(order=ORDER, memory=MEMORY, result="show.sigmoid() * memory, memory"),
            "tanh of the memory is missing",
        ),
        (
            "no show gate",
            GATES.format(order=ORDER, memory=MEMORY, result="memory.tanh(), memory"),
            "show gate is missing",
        ),
        (
            "memory first",
            GATES.format(order=ORDER, memory=MEMORY, result="memory, show.sigmoid() * memory.tanh()"),
            "exchanged",
        ),
        (
            "interleaved gates",
            "write, keep, candidate, show = gates.reshape(len(gates), -1, 4).unbind(-1)\n"
            + "\n".join(GATES.format(order=ORDER, memory=MEMORY, result=RESULT).splitlines()[1:]),
            "every fourth column",
        ),
        (
            "hidden state alone",
            GATES.format(order=ORDER, memory=MEMORY, result="show.sigmoid() * memory.tanh()"),
            "a pair",
        ),
    ],
    "03-clip": [
        (
            "each value for itself",
            "return [gradient.clamp(-max_norm, max_norm) for gradient in gradients]",
            "turns the direction",
        ),
        (
            "each tensor for itself",
            "return [gradient * min(1.0, max_norm / max(gradient.norm().item(), 1e-12)) for gradient in gradients]",
            "its own norm",
        ),
        ("always scaled", CLIP.format(norm=NORM, scale="max_norm / max(norm, 1e-12)"), "scaled up"),
        ("no root", CLIP.format(norm=NORM + " ** 2", scale=SCALE), "root is missing"),
        (
            "divided by the norm alone",
            CLIP.format(norm=NORM, scale="(1 / norm if norm > max_norm else 1.0)"),
            "not multiplied by max_norm",
        ),
        (
            "norms added",
            CLIP.format(norm="sum(gradient.norm().item() for gradient in gradients)", scale=SCALE),
            "squares are to be added",
        ),
        (
            "largest value",
            CLIP.format(norm="max(gradient.abs().max().item() for gradient in gradients)", scale=SCALE),
            "largest value",
        ),
        ("nothing done", "return gradients", "nothing was scaled"),
        ("zeros divide", CLIP.format(norm=NORM, scale="(1.0 if 0 < norm < max_norm else max_norm / norm)"), "zero"),
        ("first tensor alone", "return torch.nn.utils.clip_grad_norm_(gradients, max_norm)", "list of 2"),
        (
            "large ones thrown away",
            CLIP.format(norm=NORM, scale="(1.0 if norm <= max_norm else 0.0)"),
            "one number",
        ),
    ],
    "03-bias": [
        ("share per frame", "return left ** (1 / num_frames)", "share kept per frame"),
        (
            "sigmoid of the share",
            "return torch.tensor(left ** (1 / num_frames), dtype=torch.float64).sigmoid().item()",
            "its inverse",
        ),
        (
            "sign turned",
            "keep = left ** (1 / num_frames)\nreturn torch.log(torch.tensor((1 - keep) / keep)).item()",
            "sign is turned",
        ),
        (
            "frames left out",
            "return torch.logit(torch.tensor(left, dtype=torch.float64)).item()",
            "does not enter",
        ),
        (
            "divided, not the root",
            "return torch.logit(torch.tensor(left / num_frames, dtype=torch.float64)).item()",
            "take the root",
        ),
        ("logarithm of the time", "return torch.log(torch.tensor(float(num_frames))).item()", "logarithm of the time"),
        ("always three", "return 3.0", "put it back"),
        (
            "natural logarithm of the share",
            "return torch.log(torch.tensor(left ** (1 / num_frames))).item()",
            "half of the sigmoid's inverse",
        ),
    ],
}
