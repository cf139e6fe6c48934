"""Plausible wrong answers to the exercises of chapter 03: name, body, and words that the check's line must hold."""

WALK = """hidden = x.new_zeros(len(x), len(b))
states = []
for t in range(x.shape[1]):
    {step}
    states.append(hidden)
return torch.stack(states, dim={dim})"""
STEP = "hidden = torch.tanh(x[:, t] @ W.T + hidden @ U.T + b)"

GRU = """{blocks}
r, z = {gates}
n = {candidate}
return {result}"""
BLOCKS = "(x_r, x_z, x_n), (h_r, h_z, h_n) = from_input.chunk(3, -1), from_hidden.chunk(3, -1)"
GATES = "(x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()"
CANDIDATE = "(x_n + r * h_n).tanh()"
RESULT = "z * hidden + (1 - z) * n"


def gru(blocks=BLOCKS, gates=GATES, candidate=CANDIDATE, result=RESULT):
    """Write the body of a step, one part of it perhaps wrong."""
    return GRU.format(blocks=blocks, gates=gates, candidate=candidate, result=result)


CLIP = """norm = {norm}
return [{scale} * gradient for gradient in gradients]"""
NORM = "torch.cat([gradient.flatten() for gradient in gradients]).norm().item()"
SCALE = "min(1.0, max_norm / max(norm, 1e-12))"

IN_PLACE = """norm = sum(gradient.square().sum() for gradient in gradients).sqrt()
if norm > {limit}:
    for gradient in gradients:
        gradient *= {scale}
return gradients"""

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
        ("detached state", WALK.format(step=STEP.replace("hidden @", "hidden.detach() @"), dim=1), "do not detach"),
        ("squeezed", WALK.format(step=STEP.replace("b)", "b).squeeze()"), dim=1), "for one clip"),
        (
            "state kept from the last call",
            "hidden = getattr(walk_rnn, 'kept', None)\n"
            "if hidden is None or hidden.shape != (len(x), len(b)):\n    hidden = x.new_zeros(len(x), len(b))\n"
            "states = []\nfor t in range(x.shape[1]):\n    " + STEP + "\n    states.append(hidden)\n"
            "walk_rnn.kept = hidden\nreturn torch.stack(states, dim=1)",
            "each call begins with zeros",
        ),
    ],
    "03-gru": [
        ("update gate first", gru(gates="(x_z + h_z).sigmoid(), (x_r + h_r).sigmoid()"), "reset and update"),
        ("update gate reversed", gru(result="(1 - z) * hidden + z * n"), "throws it away"),
        ("no reset", gru(candidate="(x_n + h_n).tanh()"), "reset gate is missing"),
        ("reset on all", gru(candidate="(r * (x_n + h_n)).tanh()"), "the whole candidate"),
        ("reset on the frame", gru(candidate="(r * x_n + h_n).tanh()"), "part from the frame"),
        ("reset outside the tanh", gru(candidate="r * (x_n + h_n).tanh()"), "half of the state"),
        ("reset on the state itself", gru(candidate="(x_n + r * hidden).tanh()"), "its third block"),
        ("sigmoid on the candidate", gru(candidate="(x_n + r * h_n).sigmoid()"), "not a sigmoid"),
        ("no tanh", gru(candidate="x_n + r * h_n"), "tanh is missing"),
        ("old state gone", gru(result="(1 - z) * n"), "old state is gone"),
        ("candidate added whole", gru(result="z * hidden + n"), "added whole"),
        ("gates blind to the state", gru(gates="x_r.sigmoid(), x_z.sigmoid()"), "frame alone"),
        ("no squashing", gru(gates="x_r + h_r, x_z + h_z"), "sigmoid is missing"),
        (
            "interleaved",
            gru(
                blocks="(x_r, x_z, x_n), (h_r, h_z, h_n) = "
                "(part.reshape(len(part), -1, 3).unbind(-1) for part in (from_input, from_hidden))"
            ),
            "every third column",
        ),
        ("nothing done", "return hidden", "half of the state"),
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
        ("in place, always scaled", IN_PLACE.format(limit="0", scale="max_norm / norm"), "has been changed"),
        (
            "in place, divided by the norm alone",
            IN_PLACE.format(limit="max_norm", scale="1 / norm"),
            "has been changed",
        ),
        (
            "in place, no root",
            IN_PLACE.replace(".sqrt()", "").format(limit="max_norm", scale="max_norm / norm"),
            "has been changed",
        ),
        (
            "in place, as PyTorch",
            "parameters = [nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]\n"
            "for parameter, gradient in zip(parameters, gradients):\n    parameter.grad = gradient\n"
            "nn.utils.clip_grad_norm_(parameters, max_norm)\nreturn [parameter.grad for parameter in parameters]",
            "has been changed",
        ),
        (
            "nothing for a norm of 0",
            f"norm = {NORM}\nif norm == 0:\n    return []\n"
            "return [gradient * min(1.0, max_norm / norm) for gradient in gradients]",
            "wanted a list of 1",
        ),
        (
            "None for a norm of 0",
            f"norm = {NORM}\nif norm > 0:\n    return [gradient * min(1.0, max_norm / norm) for gradient in gradients]",
            "whose norm is 0",
        ),
        (
            "first and last alone",
            "norm = (gradients[0].norm() ** 2 + gradients[-1].norm() ** 2).sqrt().item()\n"
            "return [gradient * min(1.0, max_norm / max(norm, 1e-12)) for gradient in gradients]",
            "of three tensors",
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
        ("nan", "keep = left ** (1 / num_frames)\nreturn torch.log(torch.tensor(keep / (keep - 1))).item()", "is nan"),
    ],
}
