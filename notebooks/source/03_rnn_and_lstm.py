# %% [markdown]
# # 03 · RNN and LSTM: a memory, and how it forgets
#
# Cover something for sixteen frames: what was it? In this chapter you build networks that carry a memory through a clip, measure how fast they forget, find the cause in the gradient, and mend it with a gate.
#
# **Time**: about 65 minutes to read, 45 for the exercises, about six to run. **You need**: chapter 01 (what a clip is), and what a gradient is.
#
# When you are through, you can
#
# 1. **build** a recurrent network and an LSTM, and **prove** them equal to PyTorch's;
# 2. **explain** from one number, the share of the gradient that reaches the first frame, when a network cannot learn to remember;
# 3. **compute** the forget gate's bias for the time that a memory must last;
# 4. **test** a textbook's story by experiment, and **say** where it breaks.

# %%
import torch
from torch import Tensor, nn

from course import benchmark, budget
from course.datasets import sprites
from course.datasets.recall import recall_clips, recall_digits
from course.display import curve, explore, show, strip
from course.evaluation.claims import claim
from course.evaluation.gradients import share_by_frame
from course.exercises.checking import check, hint, working
from course.layers import recurrent
from course.recipes import recall
from course.recipes.recall import RecallRun
from course.training.loop import TrainConfig, train

print(budget.settle())

# %% [markdown]
# ## What was it?
#
# A handwritten digit is shown for two frames. Then a grey board covers it, and other digits flash by in front of the board. In the last frame comes the question: *which one was the first?*

# %%
images, labels = recall_digits("train")
batch = recall_clips(4, gap=16, generator=budget.generator(0), images=images, labels=labels)

show(
    {f"clip {i}": clip for i, clip in enumerate(batch.clips)},
    fps=4,
    size=120,
    description="four clips: a digit, a grey board with other digits flashing by, a question mark",
)
strip(
    batch.clips[0],
    every=3,
    description="the first of them, every third frame: a digit, five times another one, a question mark",
)
print("the answers:", batch.labels.tolist())

# %% [markdown]
# You answered from memory. A network that sees one frame at a time, the last one, must guess: the question mark is the same in all clips. So any network that does better than one in ten carries something from the first frames to the last.
#
# The time between, 16 frames here, is the **gap**. It is the number that this chapter turns.
#
# ## 1. A memory of one number
#
# A **recurrent network** (Elman 1990) keeps a *hidden state* $h$, and renews it with each frame:
#
# $$h_t = \tanh(w x_t + u h_{t-1} + b).$$
#
# The same $w$ and $u$ for every frame: that is why it takes clips of any length. With one number for a state, $w = 1$, $b = 0$, and an input that is 1 in the first frame and 0 after it, we can follow it by hand.

# %%
for u in (0.5, 1.0, 2.0):
    print(f"u = {u}")
    h = torch.tensor(0.0)
    for t, x in enumerate([1.0, 0.0, 0.0, 0.0, 0.0]):
        before = h.item()
        h = torch.tanh(torch.tensor(x + u * before))
        print(f"  frame {t}: tanh({x:.0f} + {u} * {before:.3f}) = {h:.3f}")

# %% [markdown]
# With $u = 0.5$, about half of it is gone at each frame. With $u = 1$ it lasts longer; with $u = 2$ the state runs to a corner of the $\tanh$ and stays there. Between forgetting and being stuck there is little room.
#
# With many numbers for a state, $w$ and $u$ become matrices. Here is the cell as a class; it takes one step.


# %%
class RNNCell(nn.Module):
    """One step of a recurrent network: hidden = tanh(W x + U hidden)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(input_size, hidden_size)
        self.from_hidden = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """x: (B, input_size), hidden and result: (B, hidden_size)."""
        return torch.tanh(self.from_input(x) + self.from_hidden(hidden))


def walk(cell: nn.Module, x: Tensor, hidden: Tensor) -> Tensor:
    """Take the cell through x, (B, T, input_size); return every state, (B, T, hidden_size)."""
    states = []
    for t in range(x.shape[1]):
        hidden = cell(x[:, t], hidden)
        states.append(hidden)
    return torch.stack(states, dim=1)


torch.manual_seed(0)
x = torch.randn(3, 7, 5)  # 3 clips, 7 frames, 5 numbers each
cell = RNNCell(5, 4)
states = walk(cell, x, torch.zeros(3, 4))
print("states:", tuple(states.shape))

# %% [markdown]
# The package has the same cell in `course.layers.recurrent`, and PyTorch has `nn.RNN`. With the same weights all three must give the same numbers, and the same gradients.

# %%
package = recurrent.RNNCell(5, 4)
package.load_state_dict(cell.state_dict())
pytorch = nn.RNN(5, 4, batch_first=True)
with torch.no_grad():
    pytorch.weight_ih_l0.copy_(cell.from_input.weight)
    pytorch.weight_hh_l0.copy_(cell.from_hidden.weight)
    pytorch.bias_ih_l0.copy_(cell.from_input.bias)
    pytorch.bias_hh_l0.copy_(cell.from_hidden.bias)


def agree(*results: Tensor) -> bool:
    """Say whether all results are equal, up to rounding."""
    return all(torch.allclose(results[0], other, atol=1e-6) for other in results[1:])


by_package, _ = recurrent.Recurrent(package)(x)
by_pytorch, _ = pytorch(x)
for result in (states, by_package, by_pytorch):
    result.square().sum().backward()
print("same states:   ", agree(states, by_package, by_pytorch))
print(
    "same gradients:",
    agree(
        cell.from_hidden.weight.grad, package.from_hidden.weight.grad, pytorch.weight_hh_l0.grad
    ),
)

# %% [markdown]
# ## 2. Back through time
#
# Training asks how the loss at the end changes with the weights. These were used at every frame, so the answer is a sum over frames, and what the first frame adds to it must come back from the last: through every state between. The chain rule multiplies one factor per frame on this way. For our memory of one number,
#
# $$\frac{\partial h_T}{\partial h_0} = \prod_{t=1}^{T} u \, (1 - h_t^2),$$
#
# since the derivative of $\tanh$ is one less the square of its value. We multiply by hand and let PyTorch do the same, from a state so small that $\tanh$ is almost a straight line there.

# %%
for u in (0.5, 1.0, 2.0):
    start = torch.tensor(0.001, requires_grad=True)
    h, product, largest = start, 1.0, 1.0
    for _ in range(16):
        h = torch.tanh(u * h)
        product *= u * (1 - h.item() ** 2)
        largest = max(largest, product)
    h.backward()
    print(
        f"u = {u}: product of 16 factors {product:.1e}, PyTorch's gradient {start.grad:.1e}; "
        f"largest on the way {largest:.0f}"
    )

# %% [markdown]
# From there, only $u = 1$ hands the gradient on. Below it, sixteen factors below one leave next to nothing: gradients *vanish* (Hochreiter 1991; Bengio et al. 1994). Above it they first *explode*, as the last column shows, until the state is stuck in a corner, where $\tanh$ is flat and each factor is small. In a network with many numbers the factors are matrices, and the same happens. **Before you run the next cell: by what factor does the gradient shrink over sixteen frames, in an untrained network with 64 numbers?**

# %%
LAGS = list(range(0, 33, 4))


def gradient_by_lag(model: nn.Module, num_frames: int = 33) -> list[float]:
    """Return the norm of the last state's gradient with respect to the input some frames before."""
    x = torch.randn(16, num_frames, 64, generator=budget.generator(0), requires_grad=True)
    out, _ = model(x)
    (gradient,) = torch.autograd.grad(out[:, -1].sum(), x)
    return gradient.norm(dim=(0, 2)).flip(0)[LAGS].tolist()


def untrained(make: type[nn.Module], **options: float) -> list[list[float]]:
    """Return the norms for three sets of random weights."""
    norms = []
    for seed in budget.SEEDS:
        torch.manual_seed(seed)
        norms.append(gradient_by_lag(recurrent.Recurrent(make(64, 64, **options))))
    return norms


plain = untrained(recurrent.RNNCell)
curve(
    LAGS,
    {"RNN": plain},
    x_label="frames back",
    y_label="norm of the gradient",
    log=True,
    description="a straight line downwards on a logarithmic axis: the gradient shrinks by the same factor with each frame",
)
shrunk = [norms[0] / norms[LAGS.index(16)] for norms in plain]
print(
    f"sixteen frames back it is at least {10 ** int(torch.tensor(min(shrunk)).log10()):,} times smaller"
)

# %% [markdown]
# A straight line on a logarithmic axis: the same factor for each frame. (PyTorch starts the matrix with numbers of at most $1/\sqrt{64}$, and such a matrix makes vectors shorter.) What lies far back hardly moves the weights, so it is hardly learned from.
#
# The cure for the opposite case, gradients that explode, is short: when the norm of the whole gradient is above a limit, scale it down to the limit (Pascanu et al. 2013). The direction stays. You will write it as an exercise. Nothing of the kind helps a gradient that has vanished: whatever scales it up scales up all that drowns it, too.
#
# ## 3. A memory that is kept unless it is changed
#
# The **LSTM** (Hochreiter and Schmidhuber 1997; the forget gate is from Gers et al. 2000) carries a second state, the memory $c$. It is not squeezed through a matrix and a $\tanh$ at each frame. It is *multiplied by a number between 0 and 1*, the forget gate, and added to:
#
# $$c_t = \underbrace{\sigma(f)}_{\text{keep}} c_{t-1} + \underbrace{\sigma(i)}_{\text{write}} \tanh(g), \qquad h_t = \underbrace{\sigma(o)}_{\text{show}} \tanh(c_t),$$
#
# where $i, f, g, o$ are each computed from $x_t$ and $h_{t-1}$ as the RNN computes its state, before its $\tanh$, and the sigmoid $\sigma(z) = 1 / (1 + e^{-z})$ squeezes any number between 0 and 1. (The "forget" gate says how much to *keep*. The name has stayed.)
#
# By hand: if nothing is written, then after $k$ frames a share $\sigma(f)^k$ of the memory is left. An untrained network has $f \approx 0$. What if we start it with a larger bias?

# %%
print("forget bias      kept per frame   after 4   after 16   after 48 frames")
for bias in (0.0, 1.0, 3.0, 5.0):
    keep = torch.tensor(bias).sigmoid().item()
    print(f"{bias:11.0f} {keep:19.3f} {keep**4:9.3f} {keep**16:10.5f} {keep**48:10.1e}")

# %% [markdown]
# A half, sixteen times over, is nothing. So a plain LSTM starts with much of the disease that it was made to cure. A bias above zero (Gers et al. 2000 had positive ones; Jozefowicz et al. 2015 tried thousands of other cells and found that a bias of 1 closes the gap between LSTM and GRU) starts it with a memory that lasts.


# %%
class LSTMCell(nn.Module):
    """One step of a long short-term memory; the gates are stacked as PyTorch does."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(input_size, 4 * hidden_size)
        self.from_hidden = nn.Linear(hidden_size, 4 * hidden_size)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """x: (B, input_size), state and result: hidden and memory, (B, hidden_size) each."""
        hidden, memory = state
        gates = self.from_input(x) + self.from_hidden(hidden)  # (B, 4 * hidden_size)
        write, keep, candidate, show = gates.chunk(4, dim=-1)
        memory = keep.sigmoid() * memory + write.sigmoid() * candidate.tanh()
        return show.sigmoid() * memory.tanh(), memory


cell = LSTMCell(5, 4)
package = recurrent.LSTMCell(5, 4)
package.load_state_dict(cell.state_dict())
pytorch = nn.LSTM(5, 4, batch_first=True)
with torch.no_grad():
    pytorch.weight_ih_l0.copy_(cell.from_input.weight)
    pytorch.weight_hh_l0.copy_(cell.from_hidden.weight)
    pytorch.bias_ih_l0.copy_(cell.from_input.bias)
    pytorch.bias_hh_l0.copy_(cell.from_hidden.bias)

state = (torch.zeros(3, 4), torch.zeros(3, 4))
for t in range(x.shape[1]):
    state = cell(x[:, t], state)
by_package, _ = recurrent.Recurrent(package)(x)
by_pytorch, _ = pytorch(x)
print("same last state:", agree(state[0], by_package[:, -1], by_pytorch[:, -1]))

# %% [markdown]
# (The GRU of Cho et al. 2014 does with two gates and one state what the LSTM does with three and two; it is exercise 3.2.) What does it cost to have written it ourselves? The package's layers beside PyTorch's, forward and backward, in turns: the last column is ours over theirs.

# %% tags=["nbval-ignore-output"]
rows = benchmark.layers(
    "RNN", "GRU", "LSTM", "LSTM, no oneDNN", repetitions=budget.choose(full=31, smoke=1)
)
print(benchmark.table(rows))

# %% [markdown]
# RNN is level, GRU nearly. PyTorch's LSTM is quicker, because the whole walk is one routine of oneDNN, a library in machine code. Ours is a dozen small operations for each frame, and every one of them is called, allocates its result and is remembered for the way back. Forbid PyTorch the routine (the rows without oneDNN) and the two are level again.
#
# Now the gradient again, over the lag. **Where will the plain LSTM lie? And the one with a forget bias of 3?**

# %%
curve(
    LAGS,
    {
        "RNN": plain,
        "LSTM": untrained(recurrent.LSTMCell),
        "LSTM, forget bias 3": untrained(recurrent.LSTMCell, forget_bias=3.0),
    },
    x_label="frames back",
    y_label="norm of the gradient",
    log=True,
    description="the RNN falls steeply, the LSTM a little less so; the LSTM with a forget bias of 3 stays almost level",
)

# %% [markdown]
# ### The gates over time
#
# How much of what the first frame wrote is left in the memory at frame $t$? It is the product of all forget gates since. Below, each row is one of the 64 numbers of the memory, each column a frame of a clip with a gap of 16; white means that all is still there. Move the forget bias.

# %%
clip = batch.clips[:1]  # (1, 19, 1, 16, 16)


def what_is_left(bias: float) -> Tensor:
    """Return a picture: rows are the numbers of the memory, columns the frames; white is kept."""
    torch.manual_seed(0)
    encode, cell = nn.Linear(256, 64), recurrent.LSTMCell(64, 64, forget_bias=bias)
    state, left, columns = (torch.zeros(1, 64),) * 2, torch.ones(64), []
    for frame in encode(clip.flatten(2)).unbind(dim=1):
        gates = cell.from_input(frame) + cell.from_hidden(state[0])  # (1, 256)
        if columns:  # what the first frame writes is all there when it is written
            left = left * gates.chunk(4, dim=-1)[1].sigmoid()[0]
        state = cell(frame, state)
        columns.append(left)
    picture = torch.stack(columns, dim=1)[None].detach()  # (1, 64, 19)
    return picture.repeat_interleave(3, dim=1).repeat_interleave(10, dim=2)


explore(
    what_is_left,
    name="forget bias",
    values=[-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
    description="bright at the left, where the clip begins, and dark after a few frames if the bias is small; the larger it is, the later the dark comes; at 5 the end is still bright",
    size=190,
)

# %% [markdown]
# ## 4. Train one
#
# Enough of untrained networks. A model reads a clip frame by frame: a linear layer encodes the frame, the recurrent layer walks, a linear layer answers after each frame. Only the answer to the last frame counts. This is all of a training step; 700 of them take about five seconds on a laptop.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
model = recall.recall_model("LSTM")
optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
source = recall.recall_batches(gap=4, seed=0)  # endless: clips (32, 7, 1, 16, 16), labels (32,)
losses = []
with budget.cpu_time() as watch:
    for _ in range(budget.choose(full=700, smoke=20)):
        clips, wanted = next(source)
        answers = model(clips)[:, -1]  # (32, 10): what it says after the last frame
        loss = nn.functional.cross_entropy(answers, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
print(f"{len(losses)} steps in {watch.cpu_seconds:.0f} CPU seconds")
curve(
    list(range(len(losses))),
    {"loss": losses},
    x_label="step",
    y_label="cross-entropy",
    description="the loss stays level for a while, then falls to almost nothing",
)

# %% [markdown]
# The loss sits at the level of guessing, $\ln 10 \approx 2.3$, and then falls. From here on the package's loop does this (`course.training.loop.train`; it also warms the learning rate up, lowers it at the end, and clips), and counts the CPU seconds. `recall.train_recall` calls it with a larger learning rate and smoothed labels, which read new handwriting better.
#
# ## 5. How long does it last?
#
# The experiment: for gaps of 4, 16 and 48 frames, train each kind of network at the same cost, and ask it about digits of the test set, which no training has seen. Three seeds each. (A budget of seconds would compute something else on each machine, so it is turned into steps, by what a step of each network cost on one laptop; the lines below say what it costs on yours.) Beside them a baseline with no memory of order, a network that sees the mean of all frames. **Sketch the curves before you run it: accuracy against gap for RNN, LSTM and LSTM with a forget bias of 3. Where is each at 16? At 48?**
#
# Two trainings run at a time, one on each core. The next cells take about a minute each.

# %% tags=["nbval-ignore-output"]
GAPS = budget.choose(full=(4, 16, 48), smoke=(4, 48))
SECONDS = budget.choose(full=7.0, smoke=0.1)  # CPU seconds for each training


def runs(
    model: str, gaps: tuple[int, ...] = GAPS, *, seconds: float = SECONDS, **options: bool
) -> list[RecallRun]:
    """Return one training for each gap and seed."""
    return [
        RecallRun(model=model, gap=gap, seed=seed, cpu_seconds=seconds, **options)
        for gap in gaps
        for seed in budget.seeds()
    ]


def accuracies(model: str, gap: int, **options: float) -> list[float]:
    """Return the accuracy for each seed."""
    return [results[run].accuracy for run in runs(model, (gap,), **options)]


def report(model: str) -> None:
    """Print what a kind of network reached at each gap, and what it cost."""
    for gap in GAPS:
        done = [results[run] for run in runs(model, (gap,))]
        right = ", ".join(f"{result.accuracy:.2f}" for result in done)
        cost = sum(result.cpu_seconds for result in done) / len(done)
        steps = len(done[0].losses)
        print(f"{model:20} gap {gap:2}: {right} right ({steps} steps, {cost:.1f} CPU seconds)")


results = {}
print(f"gaps of {', '.join(map(str, GAPS))} frames")

# %% tags=["nbval-ignore-output"]
for name in ("mean frame", "RNN"):
    results |= recall.recall_results(runs(name))
    report(name)

# %% tags=["nbval-ignore-output"]
for name in ("LSTM", "LSTM, forget bias 3"):
    results |= recall.recall_results(runs(name))
    report(name)

# %% tags=["nbval-ignore-output"]
NAMES = ["RNN", "LSTM", "LSTM, forget bias 3"]
by_gap = {name: [accuracies(name, gap) for gap in GAPS] for name in ("mean frame", *NAMES)}
curve(
    GAPS,
    {name: torch.tensor(values).T.tolist() for name, values in by_gap.items()},
    x_label="gap (frames)",
    y_label="accuracy on new digits",
    description="four curves that fall with the gap: the LSTM with a forget bias of 3 last, and at 48 all are near 0.1",
)

# %% [markdown]
# Now the numbers, held against bounds. The control: the same training with the answers shuffled among the clips. (Three trainings, about 15 seconds.)

# %% tags=["nbval-ignore-output"]
NEAR, FAR = GAPS[-2:]  # 16 and 48 frames
GATED = "LSTM, forget bias 3"
shuffled = runs(GATED, (NEAR,), shuffled=True)
results |= recall.recall_results(shuffled)
bounds = {"RNN": {"at_most": 0.8}, "LSTM": {"at_most": 0.8}, GATED: {"at_least": 0.85}}
for name, bound in bounds.items():
    claim(
        f"{name}: recall over 16 frames (accuracy; baseline: mean frame; control: {GATED}, answers shuffled)",
        accuracies(name, NEAR),
        baseline=accuracies("mean frame", NEAR),
        control=[results[run].accuracy for run in shuffled],
        **bound,
    )
for name in NAMES:
    claim(
        f"{name}: recall over 48 frames (accuracy; baseline: mean frame)",
        accuracies(name, FAR),
        at_most=0.2,
        baseline=accuracies("mean frame", FAR),
    )

# %% [markdown]
# Why? Ask the *untrained* networks what training would have to work with: of the loss' gradient with respect to all frames, which share reaches the two frames that show the digit? (For each frame the norm of the gradient, averaged over the clips, divided by the sum over the frames. If all frames had the same, it would be two in seven for a gap of 4, and two in fifty-one for one of 48.)

# %% tags=["nbval-ignore-output"]
SHOWN = 2


def share_of_digit(model: str, gap: int) -> list[float]:
    """Return the share of the gradient that reaches the digit, before training, for three seeds."""
    clips, labels = next(recall.recall_batches(gap, seed=0))
    shares = []
    for seed in budget.SEEDS:
        torch.manual_seed(seed)
        by_frame = share_by_frame(recall.recall_model(model), clips, labels)
        shares.append(by_frame[:SHOWN].sum().item())
    return shares


ALL_GAPS = (4, 8, 16, 32, 48)
shares = {name: [share_of_digit(name, gap) for gap in ALL_GAPS] for name in NAMES}
for name, values in shares.items():
    largest = ", ".join(f"{max(each):.0e}" for each in values)
    print(f"{name:20} largest of three seeds, at gaps of {ALL_GAPS}: {largest}")
curve(
    ALL_GAPS,
    {name: torch.tensor(values).T.tolist() for name, values in shares.items()},
    x_label="gap (frames)",
    y_label="share of the gradient",
    log=True,
    description="RNN and LSTM fall by many powers of ten; the LSTM with a forget bias of 3 stays almost level",
)
claim(
    "Share of an untrained LSTM's gradient that reaches the digit over 16 frames (baseline: forget bias 3)",
    shares["LSTM"][ALL_GAPS.index(16)],
    at_most=0.002,
    baseline=shares[GATED][ALL_GAPS.index(16)],
    always=True,
)

# %% [markdown]
# This explains the plain networks at 48. They do not lack the room to remember a digit, and nothing in their equations forbids it. But the training signal that would tell them to drowns in that of the frames between, as the printed shares at 48 show. It is not that they forget; they never learn that there is something to keep.
#
# ## 6. Does the textbook's story hold?
#
# The usual story goes: a plain network remembers for a dozen frames at most, an LSTM with a good forget bias for some dozens, and then its gradient vanishes, too. The accuracies above seem to tell it. But look again at the shares: over 48 frames the LSTM with bias 3 still hands through about as much as a fair share. A training can live on that. **What else may have stopped it?** Three suspects:
#
# - **Time.** The budget was small. Train twice as long.
# - **The bias.** With 3, after 48 frames a tenth of the memory is left, as the table of section 3 says. Start with 5.
# - **The board.** It is grey, 0.5 behind every digit that flashes by, where black is 0. The mean of these frames is far from zero and the same in all clips; perhaps this constant push fills the memory, frame by frame. Subtract 0.5 from every pixel of every frame. Nothing is lost, and the network stays as it is.
#
# **Which of the three will help over 48 frames: one, two together, none?** Each line is three trainings; the next two cells take about a minute each.

# %% tags=["nbval-ignore-output"]
BIASED = "LSTM, forget bias 5"
LONGER, CENTRED = {"seconds": 2 * SECONDS}, {"centre": True}


def suspect(words: str, model: str, gap: int = FAR, **options: float) -> None:
    """Train a kind of network in another way and print what it recalls."""
    results.update(recall.recall_results(runs(model, (gap,), **options)))
    right = ", ".join(f"{value:.2f}" for value in accuracies(model, gap, **options))
    print(f"{model:20} gap {gap:2}, {words}: {right}")


suspect("as before", GATED)
suspect("twice the time", GATED, **LONGER)
suspect("board at zero", GATED, **CENTRED)
suspect("twice the time, bias 5", BIASED, **LONGER)

# %% tags=["nbval-ignore-output"]
BOTH = LONGER | CENTRED
suspect("twice the time, board at zero", GATED, **BOTH)
suspect("twice the time, board at zero", "LSTM", **BOTH)
suspect("twice the time", "RNN", NEAR, **LONGER)
claim(
    "LSTM, forget bias 3, twice the time, board at zero: recall over 48 frames (baseline: board at 0.5; control: forget bias 0)",
    accuracies(GATED, FAR, **BOTH),
    at_least=0.5,
    baseline=accuracies(GATED, FAR, **LONGER),
    control=accuracies("LSTM", FAR, **BOTH),
)

# %% [markdown]
# Time alone does nothing. A larger bias or a board at zero helps on some seeds, and with time the board at zero helps on all. So the wall at 48 frames was not in the architecture: it stood in the inputs and in how we started. The plain LSTM gains nothing from the same treatment, since no gradient reaches its first frames: for that one the textbook is right.
#
# Note what the share of the gradient can tell and what it cannot. Near zero, it says that a network *cannot* learn from the frames that matter. A large one promises nothing: the LSTM with bias 3 had it all the time. And between small shares it does not rank: over 16 frames the RNN's is smaller than the plain LSTM's, and yet on some seeds the RNN learns something there, and more time does not help it.
#
# Beware of curves like that of section 5: they compare *trainings*, and a better one can overturn the ranking. Before you blame an architecture, look at its inputs.
#
# ## 7. Broken on purpose
#
# A network was trained on clips, and then used in a loop, clip after clip. Somebody forgot to begin each clip with an empty memory: the state that the last clip left is handed to the next. All shapes fit, and nothing crashes. **What do you expect: will the answers change? And what will the network say instead?**

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
model = recall.recall_model("LSTM, forget bias 3")
source = recall.recall_batches(gap=4, seed=0)
with budget.cpu_time() as watch:
    history = train(
        model,
        source,
        recall.recall_loss,
        TrainConfig(num_steps=budget.choose(full=500, smoke=10)),
    )
print(f"{len(history.losses)} steps in {watch.cpu_seconds:.0f} CPU seconds")

# %% tags=["nbval-ignore-output"]
clips, wanted = next(recall.recall_batches(gap=4, seed=7, split="test", batch_size=500))
other = clips.flip(0)  # each clip is preceded by another one
with torch.no_grad():
    encoded = model.encode(clips.flatten(2))
    _, leaked = model.walk(model.encode(other.flatten(2)))
    right = {
        "empty memory": model.walk(encoded)[0],
        "memory of another clip": model.walk(encoded, leaked)[0],
        "no memory: last frame only": model.walk(encoded[:, -1:])[0],
    }
for name, shown in right.items():
    said = model.answer(shown[:, -1]).argmax(dim=-1)
    of_this, of_other = ((said == digit).float().mean() for digit in (wanted, wanted.flip(0)))
    print(f"{name:27} this clip's digit {of_this:.2f}, the other clip's digit {of_other:.2f}")

# %% [markdown]
# It is not even confused: it answers for the *other* clip, and as well as before. It has learned that the first digit counts and that whatever flashes by later is distraction. With a memory that is not empty, the digit of the new clip is one more distraction. (And without any memory it knows neither.) A state that leaks shows in no shape and in no error message; it shows when you ask for it.
#
# ## 8. A memory that is a picture
#
# So far each frame was flattened into a vector, and the network does not know that pixel 17 lies beside pixel 18. For clips there is a better cell: in the **ConvLSTM** (Shi et al. 2015) the states are pictures, and the matrices are convolutions. What it learns at one place holds at every place.


# %%
class ConvLSTMCell(nn.Module):
    """An LSTM cell whose hidden state and memory are pictures."""

    def __init__(self, input_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(input_channels + hidden_channels, 4 * hidden_channels, 3, padding=1)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """x: (B, input_channels, H, W); state and result: two of (B, hidden_channels, H, W)."""
        hidden, memory = state
        write, keep, candidate, show = self.gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)
        memory = keep.sigmoid() * memory + write.sigmoid() * candidate.tanh()
        return show.sigmoid() * memory.tanh(), memory


torch.manual_seed(0)
cell, package = ConvLSTMCell(3, 2), recurrent.ConvLSTMCell(3, 2)
package.load_state_dict(cell.state_dict())
picture, empty = torch.rand(2, 3, 16, 16), (torch.zeros(2, 2, 16, 16),) * 2
print("equal to the package's:", agree(cell(picture, empty)[1], package(picture, empty)[1]))

moved = cell(picture.roll(3, dims=-1), empty)[1]
inside = slice(5, -5)  # away from the edges, where zeros were added
same = agree(moved[..., inside], cell(picture, empty)[1].roll(3, dims=-1)[..., inside])
print("the picture moves by 3 pixels, and the memory moves with it:", same)

# %% [markdown]
# And we can set its gates by hand and watch. Keep nine tenths of the memory at each frame, always write, and let the candidate be the brightness of the pixel: such a cell is the brighter, the longer and the more recently something stood there.

# %%
cell = ConvLSTMCell(1, 1)
with torch.no_grad():
    cell.gates.weight.zero_()
    cell.gates.weight[2, 0, 1, 1] = 1.0  # the candidate is the pixel itself
    cell.gates.bias.copy_(torch.tensor([9.0, 2.2, 0.0, 9.0]))  # write; keep 0.9; -; show

moving = sprites.sample(
    1, generator=budget.generator(4), config=sprites.SpriteConfig(size=32, num_frames=24)
)
grey = moving.clips.mean(dim=2, keepdim=True)  # (1, 24, 1, 32, 32)
state, trail = (torch.zeros(1, 1, 32, 32),) * 2, []
for frame in grey.unbind(dim=1):
    state = cell(frame, state)
    trail.append(state[1][0])
trail = torch.stack(trail).detach()
show(
    {moving.captions[0]: grey[0], "memory": trail / trail.max()},
    description=f"{moving.captions[0]}, and beside it a memory: a trail that fades behind the sprite",
)

# %% [markdown]
# The memory on the right holds what no single frame shows: which way, and how fast. Chapter 06 predicts the next frame from such memories.
#
# ## Exercises
#
# ### Exercise 3.1 · Walk
#
# *10 minutes, difficulty 1 of 3.* Walk a plain recurrent network through a batch of clips that are already encoded: $h_t = \tanh(W x_t + U h_{t-1} + b)$, beginning with zeros. Return the state after every frame.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "03-walk", "locked": false, "schema_version": 3, "solution": true, "task": false}
def walk_rnn(x: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """x: (B, T, D), W: (H, D), U: (H, H), b: (H,); return the states, (B, T, H)."""
    # BEGIN SOLUTION: a tensor (B, T, H)
    hidden = x.new_zeros(len(x), len(b))
    states = []
    for t in range(x.shape[1]):
        hidden = torch.tanh(x[:, t] @ W.T + hidden @ U.T + b)
        states.append(hidden)
    return torch.stack(states, dim=1)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-walk-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("03-walk", walk_rnn)

# %%
# hint("03-walk")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 3.2 · A cell with two gates
#
# *15 minutes, difficulty 2 of 3.* The GRU (Cho et al. 2014) has one state and two gates. From the frame come three blocks of numbers, $x_r, x_z, x_n$, and three from the state, $h_r, h_z, h_n$, stacked in this order:
#
# $$r = \sigma(x_r + h_r), \quad z = \sigma(x_z + h_z), \quad n = \tanh(x_n + r \odot h_n), \quad h' = z \odot h + (1 - z) \odot n.$$
#
# $r$ is the reset gate: how much of the state may enter the candidate $n$. $z$ is the update gate, which *keeps* the state when it is open, as the LSTM's forget gate does. Return the new state.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "03-gru", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gru_step(from_input: Tensor, from_hidden: Tensor, hidden: Tensor) -> Tensor:
    """from_input, from_hidden: (B, 3 * H), before the gates' squashing; hidden: (B, H)."""
    # BEGIN SOLUTION: a tensor (B, H)
    x_r, x_z, x_n = from_input.chunk(3, dim=-1)
    h_r, h_z, h_n = from_hidden.chunk(3, dim=-1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = (x_n + r * h_n).tanh()
    return z * hidden + (1 - z) * n
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-gru-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("03-gru", gru_step)

# %%
# hint("03-gru")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 3.3 · Clip a gradient
#
# *10 minutes, difficulty 2 of 3.* When gradients explode, one step can throw away an hour of training. Scale all gradients down *together*, so that the norm of all of them taken as one long vector is at most `max_norm`; leave them as they are if it is smaller already.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "03-clip", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clip_gradients(gradients: list[Tensor], max_norm: float) -> list[Tensor]:
    """Return the gradients, scaled down together if their common norm is above max_norm."""
    # BEGIN SOLUTION: a list of tensors, shaped like those given
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    scale = min(1.0, max_norm / norm.item()) if norm > 0 else 1.0
    return [scale * gradient for gradient in gradients]
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-clip-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("03-clip", clip_gradients)

# %%
# hint("03-clip")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 3.4 · A bias for a time
#
# *10 minutes, difficulty 2 of 3.* A memory is to last: after `num_frames` frames, a share `left` of it should still be there, if nothing is written. Which forget bias must the network start with? (Turn $\sigma(b)^k = \text{left}$ round. For long memories the result grows as the logarithm of the time; Tallec and Ollivier, 2018, start networks so.)


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "03-bias", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forget_bias_for(num_frames: int, left: float) -> float:
    """Return the forget bias with which a share `left`, between 0 and 1, is there after num_frames frames."""
    # BEGIN SOLUTION: a number
    keep = left ** (1 / num_frames)
    return torch.logit(torch.tensor(keep, dtype=torch.float64)).item()
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-bias-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("03-bias", forget_bias_for)

# %%
# hint("03-bias")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# With your answer: which bias leaves a half after so many frames?

# %%
bias_for = working("03-bias", forget_bias_for)
for num_frames in (4, 16, 48, 1000):
    print(f"{num_frames:5d} frames: a forget bias of {bias_for(num_frames, 0.5):.1f}")

# %% [markdown]
# ## What we built, and what still fails
#
# A cell that carries a state through time, a gate that lets the state pass untouched, and a number, the share of the gradient, that tells before any training when a network *cannot* learn from what lies far back. You have seen a curve that agrees with the textbooks, and a subtraction that overturns half of it.
#
# What still fails: all of it hangs on a chain. What happened 48 frames ago must be handed on 48 times, through every frame between, and one careless hand is enough. And it is slow: frame 48 must wait for frame 47. Why not *look back*? **Chapter 04** lets the last frame look at all the others at once.
#
# ## Papers
#
# - J. L. Elman, *Finding Structure in Time*, Cognitive Science 14(2), 1990: the plain recurrent network.
# - S. Hochreiter, *Untersuchungen zu dynamischen neuronalen Netzen*, diploma thesis, 1991; Y. Bengio, P. Simard and P. Frasconi, *Learning Long-Term Dependencies with Gradient Descent is Difficult*, IEEE Trans. Neural Networks 5(2), 1994: vanishing gradients.
# - S. Hochreiter and J. Schmidhuber, *Long Short-Term Memory*, Neural Computation 9(8), 1997. It had no forget gate: F. A. Gers, J. Schmidhuber and F. Cummins, *Learning to Forget: Continual Prediction with LSTM*, Neural Computation 12(10), 2000.
# - R. Pascanu, T. Mikolov and Y. Bengio, *On the difficulty of training recurrent neural networks*, 2013, [arXiv 1211.5063](https://arxiv.org/abs/1211.5063): exploding gradients, and clipping by the norm.
# - K. Cho et al., *Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation*, 2014, [arXiv 1406.1078](https://arxiv.org/abs/1406.1078): the GRU.
# - R. Jozefowicz, W. Zaremba and I. Sutskever, *An Empirical Exploration of Recurrent Network Architectures*, ICML 2015: the forget bias.
# - X. Shi et al., *Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting*, 2015, [arXiv 1506.04214](https://arxiv.org/abs/1506.04214). Ours leaves out its peepholes, by which the gates see the memory.
# - C. Tallec and Y. Ollivier, *Can recurrent neural networks warp time?*, 2018, [arXiv 1804.11188](https://arxiv.org/abs/1804.11188): forget biases from the time that a memory must last.
