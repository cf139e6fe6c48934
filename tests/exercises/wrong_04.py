"""Plausible wrong answers to the exercises of chapter 04: name, body, and words that the check's line must hold."""

SCORES = "scores = q @ k.mT / q.shape[-1] ** 0.5\n"
MINUS = 'float("-inf")'

FRAME = "frame = torch.arange(num_frames * num_patches) // num_patches\n"

TURN = """T, D = x.shape
pair, time = torch.arange(D // 2), torch.arange(T)[:, None]
angle = {angle}
a, b = {halves}
return {result}"""
RIGHT = {
    "angle": "time * 10000.0 ** (-2 * pair / D)",
    "halves": "x[:, : D // 2], x[:, D // 2 :]",
    "result": "torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=1)",
}

ENCODER = """class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(input_dim, {width}), nn.Linear({width}, input_dim)
        layer = nn.TransformerEncoderLayer({width}, {heads}, 64, 0.0, batch_first={batch_first})
        self.encoder = nn.TransformerEncoder(layer, {layers}, enable_nested_tensor=False)
    def forward(self, x):
        T = x.shape[{time}]
        future = torch.ones(T, T, dtype=torch.bool).{future}
        x = self.enter(x) {position}
        return self.leave(self.encoder(x{mask}))
return Model()"""
WHOLE = {
    "width": "hidden_dim",
    "heads": "num_heads",
    "layers": "num_layers",
    "batch_first": "True",
    "time": "1",
    "future": "triu(1)",
    "position": "+ position.sinusoidal(T, hidden_dim)",
    "mask": ", mask=future",
}

SEQUENCE = """return nn.Sequential(
    nn.Linear(input_dim, hidden_dim),
    *({block} for _ in range(num_layers)),
    nn.Linear(hidden_dim, input_dim),
)"""

BLOCKS = """class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(input_dim, hidden_dim), nn.Linear(hidden_dim, input_dim)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(hidden_dim, num_heads, 64, 0.0, batch_first=True) for _ in range(num_layers)
        )
    def forward(self, x):
        T = x.shape[1]
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        x = self.enter(x) + position.sinusoidal(T, hidden_dim)
        {walk}
        return self.leave({result})
return Model()"""

WRONG = {
    "04-attention": [
        (
            "scaled by d",
            f"return (q @ k.mT / q.shape[-1]).masked_fill(~visible, {MINUS}).softmax(-1) @ v",
            "divided by D",
        ),
        ("not scaled", f"return (q @ k.mT).masked_fill(~visible, {MINUS}).softmax(-1) @ v", "not divided"),
        (
            "scaled the wrong way",
            f"return (q @ k.mT * q.shape[-1] ** 0.5).masked_fill(~visible, {MINUS}).softmax(-1) @ v",
            "multiplied by the square root",
        ),
        (
            "scaled by the number of keys",
            f"return (q @ k.mT / k.shape[-2] ** 0.5).masked_fill(~visible, {MINUS}).softmax(-1) @ v",
            "wanted",
        ),
        (
            "softmax over the queries",
            SCORES + f"return scores.masked_fill(~visible, {MINUS}).softmax(-2) @ v",
            "over the queries",
        ),
        (
            "mask on the wrong side",
            SCORES + f"return scores.masked_fill(visible, {MINUS}).softmax(-1) @ v",
            "on the wrong side",
        ),
        (
            "mask transposed",
            SCORES + f"return scores.masked_fill(~visible.T, {MINUS}).softmax(-1) @ v",
            "on the wrong side: its rows are queries",
        ),
        ("mask after the softmax", SCORES + "return (scores.softmax(-1) * visible) @ v", "no longer sum to 1"),
        (
            "mask multiplied into the scores",
            SCORES + "return (scores * visible).softmax(-1) @ v",
            "a hidden score was set to 0",
        ),
        ("no mask", SCORES + "return scores.softmax(-1) @ v", "the mask is not used"),
        (
            "causal whatever is asked",
            "return F.scaled_dot_product_attention(q, k, v, is_causal=True)",
            "wanted",
        ),
        ("weights alone", SCORES + f"return scores.masked_fill(~visible, {MINUS}).softmax(-1)", "wanted"),
        (
            "scaled by the size of the values",
            'return (q @ k.mT / v.shape[-1]).masked_fill(~visible, float("-inf")).softmax(-1) @ v',
            "wanted",
        ),
        ("always by 4", 'return (q @ k.mT / 4).masked_fill(~visible, float("-inf")).softmax(-1) @ v', "wanted"),
        (
            "four dimensions alone",
            'return (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).masked_fill(~visible, float("-inf")).softmax(-1) @ v',
            "dimension out of range",
        ),
    ],
    "04-mask": [
        (
            "a triangle of tokens",
            "n = num_frames * num_patches\nreturn torch.ones(n, n, dtype=torch.bool).tril()",
            "single tokens",
        ),
        ("wrong side", FRAME + "return frame[:, None] <= frame[None, :]", "on the wrong side"),
        ("exchanged", FRAME + "return frame[:, None] < frame[None, :]", "True and False are exchanged"),
        ("not itself", FRAME + "return frame[:, None] > frame[None, :]", "does not see itself"),
        ("itself alone", FRAME + "return frame[:, None] == frame[None, :]", "sees itself alone"),
        (
            "other order of tokens",
            "frame = torch.arange(num_frames * num_patches) % num_frames\nreturn frame[:, None] >= frame[None, :]",
            "in another order",
        ),
        ("floats", FRAME + "return (frame[:, None] >= frame[None, :]).float()", "of type torch.float32"),
        (
            "scores to add",
            FRAME + f"return torch.zeros(len(frame), len(frame)).masked_fill(frame[:, None] < frame, {MINUS})",
            "of type torch.float32",
        ),
        ("frames, not tokens", "return torch.ones(num_frames, num_frames, dtype=torch.bool).tril()", "mask of frames"),
        (
            "right for two patches alone",
            "frame = torch.arange(num_frames * num_patches) // 2\nreturn frame[:, None] >= frame[None, :]",
            "for 2 frames of 3 patches",
        ),
        (
            "four frames back at most",
            "frame = torch.arange(num_frames * num_patches) // num_patches\n"
            "back = frame[:, None] - frame\nreturn (back >= 0) & (back < 4)",
            "for 6 frames",
        ),
    ],
    "04-rotary": [
        (
            "neighbours paired",
            TURN.format(
                **RIGHT
                | {
                    "halves": "x[:, ::2], x[:, 1::2]",
                    "result": "torch.stack([a * angle.cos() - b * angle.sin(), "
                    "a * angle.sin() + b * angle.cos()], -1).flatten(1)",
                }
            ),
            "neighbours were paired",
        ),
        (
            "the other way",
            TURN.format(**RIGHT | {"angle": "-time * 10000.0 ** (-2 * pair / D)"}),
            "the other way round",
        ),
        (
            "no minus",
            TURN.format(**RIGHT | {"result": RIGHT["result"].replace("cos() - b", "cos() + b")}),
            "not a rotation",
        ),
        ("all pairs alike", TURN.format(**RIGHT | {"angle": "time.expand(T, D // 2)"}), "all pairs turn alike"),
        (
            "time from 1",
            TURN.format(**RIGHT | {"angle": "(time + 1) * 10000.0 ** (-2 * pair / D)"}),
            "time starts at 1",
        ),
        (
            "2 missing",
            TURN.format(**RIGHT | {"angle": "time * 10000.0 ** (-pair / D)"}),
            "the 2 in the exponent",
        ),
        (
            "exponent positive",
            TURN.format(**RIGHT | {"angle": "time * 10000.0 ** (2 * pair / D)"}),
            "lost its minus",
        ),
        ("a table added", "return x + position.sinusoidal(*x.shape)", "nothing is added"),
        ("nothing turned", "return x", "frame 0 must stay as it is"),
        (
            "one angle for all",
            TURN.format(**RIGHT | {"angle": "(T - 1) * 10000.0 ** (-2 * pair / D)[None]"}),
            "the angle grows with time",
        ),
    ],
    "04-article": [
        (
            "as printed",
            "class Model(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.transformer = nn.Transformer(input_dim, num_heads, num_layers, batch_first=True)\n"
            "        self.fc = nn.Linear(input_dim, input_dim)\n"
            "    def forward(self, x):\n"
            "        return self.fc(self.transformer(x))\n"
            "return Model()",
            "missing 1 required positional argument: 'tgt'",
        ),
        (
            "the clip given twice",
            "class Model(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.transformer = nn.Transformer(input_dim, num_heads, num_layers, batch_first=True)\n"
            "        self.fc = nn.Linear(input_dim, input_dim)\n"
            "    def forward(self, x):\n"
            "        return self.fc(self.transformer(x, x))\n"
            "return Model()",
            "a causal mask is missing",
        ),
        (
            "batch for time",
            ENCODER.format(
                **WHOLE
                | {"batch_first": "False", "time": "0", "position": "+ position.sinusoidal(T, hidden_dim)[:, None]"}
            ),
            "the batch is taken for time",
        ),
        ("no mask", ENCODER.format(**WHOLE | {"mask": ""}), "a causal mask is missing"),
        (
            "mask on the wrong side",
            ENCODER.format(**WHOLE | {"future": "tril(-1)"}),
            "on the wrong side",
        ),
        (
            "a frame alone",
            ENCODER.format(**WHOLE | {"future": "logical_xor(torch.eye(T))"}),
            "does not depend on all",
        ),
        ("no position", ENCODER.format(**WHOLE | {"position": ""}), "no time position"),
        (
            "one position for the whole clip",
            ENCODER.format(**WHOLE | {"position": "+ position.sinusoidal(1, hidden_dim)"}),
            "no time position",
        ),
        (
            "the position of the clip in the batch",
            ENCODER.format(**WHOLE | {"position": "* (1 + torch.arange(len(x)))[:, None, None]"}),
            "alone in the batch",
        ),
        (
            "hidden size not used",
            SEQUENCE.format(block="attention.TransformerBlock(input_dim * 2, num_heads, causal=True, rotary=True)")
            .replace("nn.Linear(input_dim, hidden_dim)", "nn.Linear(input_dim, input_dim * 2)")
            .replace("nn.Linear(hidden_dim, input_dim)", "nn.Linear(input_dim * 2, input_dim)"),
            "hidden_dim is not used",
        ),
        (
            "one layer whatever is asked",
            ENCODER.format(**WHOLE | {"layers": "1"}),
            "num_layers is not used",
        ),
        ("one head whatever is asked", ENCODER.format(**WHOLE | {"heads": "2"}), "num_heads is not used"),
        (
            "a recurrent network",
            "class Model(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.walk = nn.LSTM(input_dim, hidden_dim, num_layers, batch_first=True)\n"
            "        self.leave = nn.Linear(hidden_dim, input_dim)\n"
            "    def forward(self, x):\n"
            "        return self.leave(self.walk(x)[0])\n"
            "return Model()",
            "a recurrent network",
        ),
        ("a model of single frames", "return nn.Linear(input_dim, input_dim)", "does not depend on all"),
        ("the class, not a model", "return nn.Transformer", "wanted a module"),
        (
            "a position from 0 to 1",
            ENCODER.format(**WHOLE | {"position": "+ torch.linspace(0, 1, T)[:, None]"}),
            "depend on T",
        ),
        (
            "positions counted from the end",
            ENCODER.format(**WHOLE | {"position": "+ position.sinusoidal(T, hidden_dim).flip(0)"}),
            "depend on T",
        ),
        (
            "each block reads the first input",
            BLOCKS.format(walk="for block in self.blocks:\n            result = block(x, future)", result="result"),
            "what the block before it gave",
        ),
        (
            "the first block alone",
            BLOCKS.format(walk="x = self.blocks[0](x, future)", result="x"),
            "what the block before it gave",
        ),
        (
            "one block three times",
            "block = attention.TransformerBlock(hidden_dim, num_heads, causal=True, rotary=True)\n"
            "enter, leave = nn.Linear(input_dim, hidden_dim), nn.Linear(hidden_dim, input_dim)\n"
            "return nn.Sequential(enter, *[block] * num_layers, leave)",
            "weights of its own",
        ),
        (
            "mask in the first block alone",
            BLOCKS.format(
                walk="for i, block in enumerate(self.blocks):\n            x = block(x, None if i else future)",
                result="x",
            ),
            "with three blocks",
        ),
        (
            "dropout that never ends",
            ENCODER.format(
                **WHOLE | {"position": "+ position.sinusoidal(T, hidden_dim)\n        x = F.dropout(x, 0.1)"}
            ),
            "at each call",
        ),
        ("a row all hidden", ENCODER.format(**WHOLE | {"future": "triu()"}), "all hidden"),
        (
            "detached",
            ENCODER.format(**WHOLE | {"position": "+ position.sinusoidal(T, hidden_dim)\n        x = x.detach()"}),
            "detached",
        ),
    ],
    "04-time": [
        (
            "across the frame",
            "B, T, N, D = x.shape\nreturn layer(x.reshape(B * T, N, D)).reshape(B, T, N, D)",
            "across each frame",
        ),
        (
            "reshape without transpose",
            "B, T, N, D = x.shape\nreturn layer(x.reshape(B * N, T, D)).reshape(B, T, N, D)",
            "reshape alone mixes",
        ),
        (
            "no transpose on the way back",
            "B, T, N, D = x.shape\nreturn layer(x.transpose(1, 2).reshape(B * N, T, D)).reshape(B, T, N, D)",
            "missing its transpose",
        ),
        (
            "patches left in front",
            "B, T, N, D = x.shape\nreturn layer(x.transpose(1, 2).reshape(B * N, T, D)).reshape(B, N, T, D)",
            "turn it back",
        ),
        (
            "all in one row",
            "B, T, N, D = x.shape\nreturn layer(x.reshape(B, T * N, D)).reshape(B, T, N, D)",
            "in one row",
        ),
        (
            "from clip to clip",
            "B, T, N, D = x.shape\n"
            "return layer(x.permute(1, 0, 2, 3).reshape(T, B, N * D)).reshape(T, B, N, D).transpose(0, 1)",
            "from clip to clip",
        ),
        (
            "patches averaged",
            "return layer(x.mean(dim=2))[:, :, None].expand_as(x)",
            "patches were averaged",
        ),
        ("handed over as it is", "return layer(x)", "the layer takes (batch, length, D)"),
        ("not applied", "return x", "the layer was not applied"),
        (
            "the first place alone",
            "result = x.clone()\nresult[:, :, 0] = layer(x[:, :, 0])\nreturn result",
            "wanted",
        ),
        ("patches as channels", "return layer(x.flatten(2)).reshape(x.shape)", "no further channels"),
        (
            "each channel for itself",
            "B, T, N, D = x.shape\n"
            "return layer(x.permute(0, 2, 3, 1).reshape(-1, T, 1)).reshape(B, N, D, T).permute(0, 3, 1, 2)",
            "was given (20, 4, 1)",
        ),
    ],
}
