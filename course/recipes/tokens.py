"""The experiment of chapter 11: from a caption to tokens, and from tokens to a clip of 8 frames of 16 x 16 pixels.

Two trainings, one behind the other. An autoencoder learns to write a clip as tokens and to read them back. Then it
stays as it is, and a Transformer learns which tokens follow a caption, and one another.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import log, prod
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from course import budget
from course.budget import one_thread
from course.datasets import sprites
from course.datasets.captions import ALL, HELD_OUT, MAX_WORDS, TRAINED, VOCABULARY, Combination, caption, indices
from course.evaluation.judge import MOTION_BOUND, Verdict, judge
from course.generation.tokens import TokenModel, sample_tokens
from course.layers.quantization import perplexity
from course.models.ngram import NGram, NGramConfig
from course.models.token_transformer import TokenTransformer, TokenTransformerConfig, around
from course.models.vqvae import VQVAE, VQVAEConfig
from course.recipes.making import make_checkpoint
from course.recipes.text_to_clip import WORLD, captions_of
from course.training.checkpoint import Card, Resume, load
from course.training.ema import EMA
from course.training.loop import History, TrainConfig, step_generator, train

_FORM = VQVAEConfig(frames_per_token=2, hidden_channels=(96,), time_channels=96, num_codes=128, levels=(4, 4, 8))
AUTOENCODERS: dict[str, VQVAEConfig] = {
    "vector": _FORM,
    "finite scalar": replace(_FORM, quantizer="finite scalar"),
}
"""The autoencoders of chapter 11, by their quantizer."""
COMMITMENT = 0.02
"""How much it counts that a latent lies near its code, beside the squared error of the pixels."""
AUTOENCODER_RATE, AUTOENCODER_BATCH = 4e-3, 16
TRANSFORMER_RATE, TRANSFORMER_BATCH, EMA_DECAY = 3e-3, 16, 0.995
CAPTION_LEFT_OUT = 0.05
"""Share of clips that are shown to the Transformer without a caption, so that it can be asked without one."""
_DATA = "clips of 8 frames of 16 x 16 pixels, rendered as they are used; no held-out combination"


# The autoencoder


@dataclass(frozen=True, kw_only=True)
class AutoencoderRun:
    """One training of an autoencoder.

    Attributes:
        name: one of ``AUTOENCODERS``.
        config: its form.
        seed: of the weights and of the clips.
        cpu_seconds: the budget, of process CPU time.
    """

    name: str
    config: VQVAEConfig
    seed: int
    cpu_seconds: float

    @property
    def recipe(self) -> str:
        """The name and all that the training depends on beside the seed and the form of the network."""
        return (
            f"tokens, {self.name} quantizer: {self.cpu_seconds:g} CPU seconds, batches of {AUTOENCODER_BATCH}, "
            f"learning rate {AUTOENCODER_RATE:g}, commitment {COMMITMENT:g}"
        )


def autoencoder_run(name: str, *, seed: int, cpu_seconds: float) -> AutoencoderRun:
    """Return the training of one of ``AUTOENCODERS``."""
    if name not in AUTOENCODERS:
        raise ValueError(f"name: wanted one of {', '.join(AUTOENCODERS)}, got {name!r}")
    return AutoencoderRun(name=name, config=AUTOENCODERS[name], seed=seed, cpu_seconds=cpu_seconds)


def clips_to_learn(num_clips: int, generator: torch.Generator) -> sprites.SpriteClips:
    """Draw clips of the combinations that are trained."""
    return sprites.sample(num_clips, generator=generator, config=WORLD, combinations=TRAINED)


def reconstruction_loss(model: VQVAE, clips: Tensor) -> Tensor:
    """Return the squared error of the clips that come back, and how far the latents lie from their codes."""
    drawn, quantized = model(clips)
    return F.mse_loss(drawn, clips) + COMMITMENT * quantized.commitment


def train_autoencoder(run: AutoencoderRun, *, resume: Resume | None = None) -> tuple[VQVAE, History]:
    """Train an autoencoder on one thread.

    Args:
        run: which one.
        resume: where the state of the training is kept, if it is to go on after an interruption.
    """
    config = TrainConfig(cpu_seconds=run.cpu_seconds, learning_rate=AUTOENCODER_RATE)

    def batch(step: int) -> Tensor:
        return clips_to_learn(AUTOENCODER_BATCH, step_generator(run.seed, step)).clips

    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(run.seed)  # of the weights, and of the vectors that dead codes are put on
        model = VQVAE(run.config)
        history = train(model, batch, reconstruction_loss, config, resume=resume)
    return model.eval(), history


def real_clips(combinations: Sequence[Combination], *, num_each: int, seed: int) -> tuple[Tensor, list[str]]:
    """Render so many clips of each combination, and return them with their captions."""
    combinations = list(combinations) * num_each
    state = sprites.sample_state(combinations, generator=budget.generator(seed), config=WORLD)
    return sprites.render(state, config=WORLD), [caption(one) for one in combinations]


def autoencoder_metrics(model: VQVAE) -> dict[str, float]:
    """Return what is left of 20 clips of each combination, of all and of the held-out ones, and how codes are used."""
    found = {}
    for name, combinations, seed in (("all", ALL, 9100), ("held out", HELD_OUT, 9101)):
        clips, captions = real_clips(combinations, num_each=20, seed=seed)
        tokens = model.encode(clips)
        drawn = model.decode(tokens)
        rates = judge(drawn, captions, config=WORLD).rates()
        found |= {f"{rate}, {name}": value for rate, value in rates.items()}
        found |= {f"squared error, {name}": F.mse_loss(drawn, clips).item()}
        if combinations is ALL:
            found |= {"perplexity": perplexity(tokens, model.num_codes), "codes": float(model.num_codes)}
            found |= {"codes in use": float(len(tokens.unique()))}
    return found


def autoencoder_checkpoint(
    path: Path,
    run: AutoencoderRun,
    *,
    command: str,
    measure: Callable[[VQVAE], dict[str, float]] = autoencoder_metrics,
) -> Card:
    """Train and test an autoencoder, and keep it with its card: see ``making.make_checkpoint``."""
    return make_checkpoint(
        path,
        recipe=run.recipe,
        seed=run.seed,
        config=asdict(run.config),
        data=_DATA,
        command=command,
        train=lambda resume: train_autoencoder(run, resume=resume),
        measure=measure,
    )


def load_autoencoder(path: Path) -> VQVAE:
    """Load a trained autoencoder.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if the file is damaged, or holds something else.
    """
    return load(path, lambda config: VQVAE(VQVAEConfig(**config)))


# The Transformer over its tokens


@dataclass(frozen=True, kw_only=True)
class TransformerRun:
    """One training of a Transformer over the tokens of an autoencoder.

    Attributes:
        name: of the autoencoder.
        config: the form of the Transformer.
        seed: of the weights and of the clips.
        cpu_seconds: the budget, of process CPU time.
    """

    name: str
    config: TokenTransformerConfig
    seed: int
    cpu_seconds: float

    @property
    def recipe(self) -> str:
        """The name and all that the training depends on beside the seed and the form of the network."""
        return (
            f"tokens, Transformer over those of the {self.name} quantizer: {self.cpu_seconds:g} CPU seconds, batches "
            f"of {TRANSFORMER_BATCH}, learning rate {TRANSFORMER_RATE:g}, weights averaged with {EMA_DECAY:g}, one "
            f"caption of {1 / CAPTION_LEFT_OUT:g} left out"
        )


def transformer_run(name: str, *, seed: int, cpu_seconds: float) -> TransformerRun:
    """Return the training of a Transformer over the tokens of one of ``AUTOENCODERS``."""
    autoencoder = autoencoder_run(name, seed=seed, cpu_seconds=0.0).config
    num_codes = autoencoder.num_codes if autoencoder.quantizer == "vector" else prod(autoencoder.levels)
    return TransformerRun(
        name=name, config=transformer_config(autoencoder, num_codes), seed=seed, cpu_seconds=cpu_seconds
    )


def transformer_config(autoencoder: VQVAEConfig, num_codes: int) -> TokenTransformerConfig:
    """Return the form of the Transformer over the tokens of an autoencoder."""
    return TokenTransformerConfig(
        num_codes=num_codes,
        tokens_per_frame=autoencoder.tokens_per_group,
        num_words=len(VOCABULARY),
        max_words=MAX_WORDS,
        num_layers=3,
        told=around(autoencoder.grid_size, autoencoder.tokens_per_group),
    )


@dataclass(frozen=True)
class TokenBatch:
    """Captions, some of which are left out, (B, L), and the tokens of their clips, (B, N)."""

    words: Tensor
    tokens: Tensor


def token_batch(autoencoder: VQVAE, num_clips: int, generator: torch.Generator) -> TokenBatch:
    """Draw clips to learn from, and write them as tokens.

    A caption is left out as a whole or not at all. A network that has to guess a motion from a colour and a shape
    learns which combinations it never sees, and does not draw them either.
    """
    drawn = clips_to_learn(num_clips, generator)
    told = torch.rand(num_clips, 1, generator=generator) >= CAPTION_LEFT_OUT
    return TokenBatch(indices(drawn.captions) * told, autoencoder.encode(drawn.clips))


def token_loss(model: Callable[[Tensor, Tensor], Tensor], batch: TokenBatch) -> Tensor:
    """Return the cross-entropy of the tokens in nats, each seen with those before it: teacher forcing."""
    logits = model(batch.words, batch.tokens[:, :-1])  # (B, N, K)
    return F.cross_entropy(logits.flatten(0, 1), batch.tokens.flatten())


def train_transformer(
    run: TransformerRun, autoencoder: VQVAE, *, resume: Resume | None = None
) -> tuple[TokenTransformer, History]:
    """Train a Transformer on one thread; return it with averaged weights, and what the training went through.

    Args:
        run: which one.
        autoencoder: trained; it is left as it is.
        resume: where the state of the training is kept, if it is to go on after an interruption.
    """
    config = TrainConfig(cpu_seconds=run.cpu_seconds, learning_rate=TRANSFORMER_RATE)

    def batch(step: int) -> TokenBatch:
        return token_batch(autoencoder, TRANSFORMER_BATCH, step_generator(run.seed, step))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = TokenTransformer(run.config)
    ema = EMA(model, EMA_DECAY)
    with one_thread():
        history = train(model, batch, token_loss, config, ema=ema, resume=resume)
    return ema.average.eval(), history


def fit_ngram(autoencoder: VQVAE, *, num_clips: int = 20_000, seed: int = 0, order: int = 5) -> NGram:
    """Count the tokens of clips with their captions: the baseline."""
    drawn = clips_to_learn(num_clips, budget.generator(seed))
    tokens = torch.cat([autoencoder.encode(some) for some in drawn.clips.split(512)])
    config = NGramConfig(
        num_codes=autoencoder.num_codes,
        tokens_per_frame=autoencoder.config.tokens_per_group,
        num_words=len(VOCABULARY),
        order=order,
    )
    return NGram(config).fit(indices(drawn.captions), tokens)


# What is drawn, and how good it is


def draw_clips(
    model: TokenModel,
    autoencoder: VQVAE,
    captions: Sequence[str],
    *,
    generator: torch.Generator,
    given: Tensor | None = None,
    chunk: int = 192,
    **options: object,
) -> Tensor:
    """Draw a clip for each caption.

    Args:
        model: what says how likely each token is.
        autoencoder: whose tokens these are.
        captions: B of them.
        generator: the only source of chance.
        given: (B, n), the first tokens, such as ``autoencoder.encode`` makes of first frames; None for none.
        chunk: clips at a time.
        **options: as of ``generation.tokens.sample_tokens``, beside or in place of ``SAMPLING``.

    Returns:
        (B, 8, 3, 16, 16), values in [0, 1].
    """
    words, num_tokens, drawn = indices(list(captions)), autoencoder.config.num_tokens, []
    for first in range(0, len(words), chunk):
        some = slice(first, first + chunk)
        known = None if given is None else given[some]
        tokens = sample_tokens(model, words[some], num_tokens, generator=generator, given=known, **(SAMPLING | options))
        drawn.append(autoencoder.decode(tokens))
    return torch.cat(drawn)


SAMPLING: dict[str, object] = {"temperature": 0.25}
"""How clips are drawn, unless it is said otherwise. Lower temperatures draw held-out combinations a little better and
clips of one caption more alike, and guidance does as much harm as good: see ``data/records/tokens_log.csv``."""


def judge_drawn(
    model: TokenModel,
    autoencoder: VQVAE,
    combinations: Sequence[Combination] = ALL,
    *,
    num_each: int,
    seed: int,
    **options: object,
) -> Verdict:
    """Draw so many clips for each combination's caption, and judge them; the options are those of ``draw_clips``."""
    captions = captions_of(combinations, num_each)
    clips = draw_clips(model, autoencoder, captions, generator=budget.generator(seed), **options)
    return judge(clips, captions, config=WORLD)


@torch.no_grad()
def bits_per_token(
    model: Callable[[Tensor, Tensor], Tensor],
    autoencoder: VQVAE,
    combinations: Sequence[Combination],
    *,
    num_each: int,
    seed: int,
    shuffled: bool = False,
) -> float:
    """Return how many bits a token of real clips costs, if it is written by what a model says of it.

    Args:
        model: from words and tokens to logits, such as a ``TokenTransformer`` or an ``NGram``.
        autoencoder: whose tokens these are.
        combinations: what the clips show.
        num_each: clips of each.
        seed: of the clips.
        shuffled: give each clip the caption of another.
    """
    clips, captions = real_clips(combinations, num_each=num_each, seed=seed)
    words = indices(captions)
    if shuffled:
        words = words[torch.randperm(len(words), generator=budget.generator(seed))]
    return token_loss(model, TokenBatch(words, autoencoder.encode(clips))).item() / log(2)


def token_metrics(model: TokenTransformer, autoencoder: VQVAE) -> dict[str, float]:
    """Return what a Transformer's tokens cost, and what the judge says of 20 clips of each caption, 60 if held out.

    Both are measured on all combinations and on the held-out ones, beside the n-gram baseline and with the captions
    shuffled: then a clip is judged by a caption that it was not drawn for.
    """
    found = {}
    ngram = fit_ngram(autoencoder)
    for name, combinations, num_each, seed in (("all", ALL, 20, 9200), ("held out", HELD_OUT, 60, 9201)):
        clips = {"num_each": num_each, "seed": seed}
        for who, asked in (("", model), (", n-gram", ngram)):
            verdict = judge_drawn(asked, autoencoder, combinations, **clips)
            found |= {f"{rate}, {name}{who}": value for rate, value in verdict.rates().items()}
            found |= {f"bits per token, {name}{who}": bits_per_token(asked, autoencoder, combinations, **clips)}
            found |= {f"caption, {name}{who}, shuffled": shuffled_captions(verdict, combinations, **clips)}
        found |= {
            f"bits per token, {name}, shuffled": bits_per_token(
                model, autoencoder, combinations, **clips, shuffled=True
            )
        }
    return found


def shuffled_captions(verdict: Verdict, combinations: Sequence[Combination], *, num_each: int, seed: int) -> float:
    """Return the CAPTION of drawn clips whose captions have changed places: what chance gives."""
    asked = list(combinations) * num_each
    order = torch.randperm(len(asked), generator=budget.generator(seed)).tolist()
    good = verdict.valid & verdict.identity & (verdict.motion_error <= MOTION_BOUND)
    right = [found == asked[place] for found, place in zip(verdict.combinations, order, strict=True)]
    return (good & torch.tensor(right)).float().mean().item()


def transformer_checkpoint(
    path: Path,
    run: TransformerRun,
    autoencoder: VQVAE,
    *,
    command: str,
    measure: Callable[[TokenTransformer, VQVAE], dict[str, float]] = token_metrics,
) -> Card:
    """Train and test a Transformer, and keep it with its card: see ``making.make_checkpoint``.

    Args:
        path: of the weights, NAME.safetensors.
        run: which one.
        autoencoder: as it is kept, so that the tokens are those that it will write later.
        command: what makes the checkpoint again, for the card.
        measure: from the Transformer and the autoencoder to the metrics.
    """
    return make_checkpoint(
        path,
        recipe=run.recipe,
        seed=run.seed,
        config=asdict(run.config),
        data=f"captions, and the tokens of {_DATA}",
        command=command,
        train=lambda resume: train_transformer(run, autoencoder, resume=resume),
        measure=lambda model: measure(model, autoencoder),
    )


def load_transformer(path: Path) -> TokenTransformer:
    """Load a trained Transformer over tokens.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if the file is damaged, or holds something else.
    """
    return load(path, lambda config: TokenTransformer(TokenTransformerConfig(**config)))
