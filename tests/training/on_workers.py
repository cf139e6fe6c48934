"""What ``test_distributed.py`` lets several workers do; each task is also done by one process, to compare with.

Run by ``torch.distributed.run`` with a folder: each worker writes what it found to ``RANK.safetensors`` there. With a
second word, ``train``, the course's own command trains a recipe of each kind, and a worker is killed on the way.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from course import cli, distributed
from course.models.gan import GANConfig, Generator, Noise
from course.models.vqvae import VQVAE, VQVAEConfig
from course.recipes import context, denoising, gan, making, prediction, shipped, tokens, two_sprites
from course.recipes.gan import GANSetting, gan_batch, make_critics
from course.training import checkpoint, loop
from course.training.adversarial import AdversarialConfig, mode_seeking_loss, train_adversarial
from course.training.checkpoint import Resume
from course.training.ema import EMA
from course.training.loop import TrainConfig, step_generator, train

CONFIG = TrainConfig(num_steps=9, learning_rate=0.05, warmup_steps=3)
BATCH_SIZE = 8

# Tasks


@dataclass(frozen=True)
class Example:
    """Inputs (B, 3, 6, 6), targets (B, 1), and something that is not there."""

    x: Tensor
    target: Tensor
    nothing: None = None


def new_model(seed=0):
    torch.manual_seed(seed)
    convolution = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    return nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(64, 1))


def batch_at(step, batch_size=BATCH_SIZE):
    x = torch.randn(batch_size, 3, 6, 6, generator=step_generator(1, step))
    return Example(x, x[:, 0, 0, :1] + x.square().mean(dim=(1, 2, 3))[:, None])


def squared_error(model, batch):
    return F.mse_loss(model(batch.x), batch.target)


def everything(*modules):
    """Return all weights and buffers of some modules under one name each."""
    return {f"{i} {name}": value for i, module in enumerate(modules) for name, value in module.state_dict().items()}


def gradients():
    model = new_model()
    squared_error(model, distributed.share(batch_at(0))).backward()
    distributed.average_gradients(model)
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def gradients_of_the_wrapper():
    """Those of PyTorch's DistributedDataParallel, on the same shares."""
    model = nn.parallel.DistributedDataParallel(new_model())
    squared_error(model, distributed.share(batch_at(0))).backward()
    return {name: parameter.grad for name, parameter in model.module.named_parameters()}


def trained(resume=None, batches=batch_at, seed=0, config=CONFIG):
    model = new_model(seed)
    ema = EMA(model, 0.8)
    history = train(model, batches, squared_error, config, ema=ema, resume=resume)
    return everything(model, ema) | {"losses": torch.tensor(history.losses)}


def interrupted(resume, step=4):
    """Train until an interruption at a step."""

    def batches(number):
        if number == step:
            raise KeyboardInterrupt
        return batch_at(number)

    try:
        trained(resume, batches)
    except KeyboardInterrupt:
        return


def from_other_weights():
    """Train from weights that every worker has drawn for itself."""
    return trained(seed=distributed.rank())


def by_the_clock():
    """Train for 40 CPU seconds; a step takes the first worker 1 of them, and the second 3."""
    now = [0.0]

    def slow(step):
        now[0] += 1 + 2 * distributed.rank()
        return batch_at(step)

    real, loop.time = loop.time, SimpleNamespace(process_time=lambda: now[0])
    try:
        return trained(batches=slow, config=replace(CONFIG, num_steps=None, cpu_seconds=40.0))
    finally:
        loop.time = real


CODES = VQVAEConfig(num_codes=64, hidden_channels=(8,), time_channels=8)


def codebook():
    """Train an autoencoder whose codes follow the vectors of all workers; some of them die and are revived.

    In 64 bits: Adam makes a whole step of the least slope, even of one that is 0 but for rounding.
    """
    torch.manual_seed(0)
    model = VQVAE(CODES).double()
    model.quantizer.decay = 0.5  # forgets so quickly that codes die within these few steps

    def batches(step):
        return tokens.clips_to_learn(BATCH_SIZE, step_generator(0, step)).clips.double()

    history = train(model, batches, tokens.reconstruction_loss, TrainConfig(num_steps=8, warmup_steps=1))
    return everything(model) | {"losses": torch.tensor(history.losses), "chance": torch.get_rng_state()}


GAN = GANSetting(
    config=GANConfig(
        code_size=16,
        canvas_channels=8,
        num_layers=1,
        frame_channels=8,
        clip_channels=8,
        apart_channels=4,
        spectral=True,
    ),
    batch_size=BATCH_SIZE,
    num_seen=2,
)


def double(batch):
    """Return a batch of 64 bits."""
    noise = Noise(*(part.double() for part in vars(batch.noise).values()))
    return replace(batch, clips=batch.clips.double(), noise=noise)


def adversaries():
    """Train a generator and its critics by turns, with wrong captions, pairs of one caption, and the R1 penalty.

    In 64 bits, as above.
    """
    torch.manual_seed(0)
    generator, critics = Generator(GAN.config).double(), make_critics(GAN).double()
    ema = EMA(generator, 0.9)
    history = train_adversarial(
        generator,
        critics,
        lambda step: double(gan_batch(GAN, 0, step)),
        lambda generator, batch: generator(batch.noise, batch.asked),
        partial(gan.critic_loss, GAN),
        partial(gan.generator_loss, GAN),
        AdversarialConfig(num_steps=5, warmup_steps=1, penalty_interval=2),
        penalty=partial(gan.penalty, GAN),
        ema=ema,
    )
    losses = {"losses": torch.tensor(history.losses), "generator losses": torch.tensor(history.generator_losses)}
    return everything(generator, critics, ema) | losses


def shares():
    """Return this worker's share of numbered clips, and what all workers make of their shares."""
    clips = torch.arange(4 * BATCH_SIZE).view(BATCH_SIZE, 4)
    share = distributed.share((clips, clips[:, 0]))
    return {"share": share[1], "gathered": distributed.gathered(share[0]), "clips": clips}


def refusals():
    """Return the messages of what cannot be shared."""
    batch = gan_batch(replace(GAN, batch_size=6), 0, 0)
    attempts = {
        "uneven": lambda: distributed.share(batch_at(0, batch_size=7)),
        "strings": lambda: distributed.share((batch_at(0), ["a red circle"])),
        "pairs": lambda: mode_seeking_loss(*(distributed.share(part) for part in (batch.clips, batch.noise.start))),
    }
    messages = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except ValueError as error:
            messages[name] = str(error)
    return messages


COMPARED = (gradients, trained, codebook, adversaries)
"""What is the same, up to rounding, for one worker and for several."""


def work(folder):
    """Do all tasks, and write what was found."""
    with distributed.workers():
        rank = distributed.rank()
        own = folder / f"files of {rank}"  # as on machines that do not see each other's files
        tasks = (*COMPARED, gradients_of_the_wrapper, from_other_weights, by_the_clock, shares)
        found = {task.__name__: task() for task in tasks}
        interrupted(Resume(path=own / "begun by two.safetensors", every_seconds=0.0))
        found["gone_on"] = trained(Resume(path=own / "begun by one.safetensors"), seed=5)
        messages = refusals()
    flat = {f"{task}/{name}": value for task, values in found.items() for name, value in values.items()}
    flat = {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in flat.items()}
    save_file(flat, folder / f"{rank}.safetensors")
    (folder / f"{rank}.json").write_text(json.dumps(messages))


# A recipe of each kind

NUM_STEPS, KILLED_AT = 8, 3
CONTEXT_RUN = context.ContextRun(model="input", seed=0, num_steps=NUM_STEPS)


def nothing(*_):
    """Measure nothing."""
    return {}


def recipes():
    """Return what makes a small checkpoint of each kind."""
    brief = {"cpu_seconds": 0.2}
    denoisers = ("text_unet_0", "cascade_space_64_0", "picture_unet_0", "camera_shown_0")
    runs = {name: replace(shipped.DENOISERS[name], **brief) for name in denoisers}
    predictor = replace(shipped.PREDICTORS["digits_simvp_0"], **brief)
    runs["two_sprites"] = two_sprites.two_sprites_run(seed=0, **brief)
    torch.manual_seed(0)
    autoencoder = VQVAE(tokens.AUTOENCODERS["vector"]).eval()
    transformer = tokens.transformer_run("vector", seed=0, **brief)
    return {
        "context": partial(context.context_checkpoint, run=CONTEXT_RUN),
        "prediction": partial(prediction.prediction_checkpoint, run=predictor),
        **{name: partial(denoising.denoiser_checkpoint, run=run, measure=nothing) for name, run in runs.items()},
        "gan": partial(gan.gan_checkpoint, run=gan.GANRun(name="both critics", seed=0, **brief), measure=nothing),
        "autoencoder": partial(
            tokens.autoencoder_checkpoint, run=tokens.autoencoder_run("vector", seed=0, **brief), measure=nothing
        ),
        "transformer": partial(
            tokens.transformer_checkpoint, run=transformer, autoencoder=autoencoder, measure=nothing
        ),
    }


def train_all(folder):
    """Run ``python -m course train`` for all of them, without measuring; the second worker is killed in the first."""
    attempt, rank = os.environ["TORCHELASTIC_RESTART_COUNT"], os.environ["RANK"]
    batch, write = context.context_batch, checkpoint._write

    def fatal(seed, step, **options):
        with (folder / f"steps of {rank}").open("a") as file:
            file.write(f"{attempt} {step}\n")
        if (attempt, rank, step) == ("0", "1", KILLED_AT):
            os.kill(os.getpid(), signal.SIGKILL)
        return batch(seed, step, **options)

    def noted(path, data):
        (folder / f"written by {rank}").touch()
        write(path, data)

    def make_all(path, command):
        for name, make in recipes().items():
            card = make(path.with_name(f"{name}.safetensors"), command=command)
        return card

    context.context_batch, checkpoint._write = fatal, noted
    prediction._metrics = lambda model: dict.fromkeys([*prediction._MSE, "psnr", "ssim"], 0.0)
    context._metrics = nothing
    making.Resume, making.BITS = partial(Resume, every_seconds=0.0), 32
    shipped.make_shipped.__kwdefaults__["folder"] = folder
    shipped.SHIPPED = {"all": make_all}
    return cli.main(["train", "all"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    sys.exit(train_all(place) if sys.argv[2:] == ["train"] else work(place))
