"""The recipe of tokens: an autoencoder and a Transformer that learn, are kept and draw; the numbers that judge them."""

import math
from dataclasses import replace

import pytest
import torch

from course import benchmark
from course.budget import generator
from course.datasets.captions import ALL, HELD_OUT, TRAINED, VOCABULARY, indices
from course.models.token_transformer import TokenTransformer, TokenTransformerConfig
from course.models.vqvae import VQVAE, VQVAEConfig
from course.recipes import tokens as recipe
from course.recipes.tokens import (
    AUTOENCODERS,
    AutoencoderRun,
    TransformerRun,
    autoencoder_metrics,
    autoencoder_run,
    bits_per_token,
    draw_clips,
    fit_ngram,
    judge_drawn,
    load_autoencoder,
    load_transformer,
    real_clips,
    shuffled_captions,
    token_batch,
    token_loss,
    train_autoencoder,
    train_transformer,
    transformer_config,
)
from course.training.checkpoint import Resume

SMALL = VQVAEConfig(patch_size=4, hidden_channels=(8, 8), time_channels=8, num_codes=16, code_size=4)
FORM = TokenTransformerConfig(
    num_codes=16, tokens_per_frame=SMALL.tokens_per_group, num_words=len(VOCABULARY), hidden_size=16, num_layers=1
)
FIRST = AutoencoderRun(name="small", config=SMALL, seed=0, cpu_seconds=1.0)
SECOND = TransformerRun(name="small", config=FORM, seed=0, cpu_seconds=1.0)
STEP_COSTS = 0.01


@pytest.fixture(scope="module", name="autoencoder")
def fixture_autoencoder():
    """An encoder that never learned anything, whose codes lie where its latents are: tokens that tell clips apart."""
    torch.manual_seed(0)
    model = VQVAE(SMALL)
    torch.nn.init.normal_(model.encoder[-1].weight)
    for _ in range(20):
        model(real_clips(TRAINED, num_each=1, seed=0)[0])
    return model.eval()


def test_an_autoencoder_learns_and_its_codes_are_in_use():
    state = torch.random.get_rng_state()
    model, history = train_autoencoder(FIRST)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert sum(history.losses[-5:]) < 0.7 * sum(history.losses[:5])
    clips, _ = real_clips(ALL, num_each=1, seed=0)
    assert len(model.encode(clips).unique()) > 4
    assert not model.training


def test_a_codebook_survives_an_interruption(tmp_path, monkeypatch):
    """Training in one go, and in two with the state on disk between: the same weights and the same codes."""
    run = replace(FIRST, cpu_seconds=100.0)

    def steps(number):
        """Let the batches run out: a budget of seconds has no exact length."""

        def batches(step):
            if step == number:
                raise KeyboardInterrupt
            return recipe.clips_to_learn(4, recipe.step_generator(0, step)).clips

        return batches

    real = recipe.train

    def until(number):
        def train(model, batch, loss_fn, config, *, resume):
            try:
                real(model, steps(number), loss_fn, config, resume=resume)
            except KeyboardInterrupt:
                kept.append({name: value.clone() for name, value in model.state_dict().items()})
            return recipe.History()

        return train

    kept = []
    resume = Resume(path=tmp_path / "state.safetensors", run={"name": "small"}, every_seconds=0.0)
    monkeypatch.setattr(recipe, "train", until(6))
    train_autoencoder(run)
    monkeypatch.setattr(recipe, "train", until(3))
    train_autoencoder(run, resume=resume)
    monkeypatch.setattr(recipe, "train", until(6))
    train_autoencoder(run, resume=resume)
    whole, half, again = kept
    assert not torch.equal(half["quantizer.codebook"], whole["quantizer.codebook"])
    for name, value in whole.items():
        if "learning" not in name:
            assert torch.allclose(again[name], value, atol=1e-6), name


def test_a_batch_shows_trained_combinations_and_leaves_whole_captions_out(autoencoder):
    batch = token_batch(autoencoder, 400, generator(0))
    assert batch.tokens.shape == (400, SMALL.num_tokens)
    left = batch.words == 0
    assert 0.02 < left.all(dim=1).float().mean() < 0.09
    assert torch.equal(left.any(dim=1), left.all(dim=1))
    held_out = indices([recipe.caption(one) for one in HELD_OUT])
    whole = batch.words[(batch.words > 0).all(dim=1)]
    assert not (whole[:, None] == held_out).all(dim=2).any()
    again = token_batch(autoencoder, 400, generator(0))
    assert torch.equal(again.tokens, batch.tokens)


def test_a_transformer_learns(autoencoder):
    before = {name: value.clone() for name, value in autoencoder.state_dict().items()}
    model, history = train_transformer(replace(SECOND, cpu_seconds=2.0), autoencoder)
    assert sum(history.losses[-5:]) < 0.8 * sum(history.losses[:5])
    assert history.losses[0] == pytest.approx(math.log(16), rel=0.1)  # an untrained one knows nothing
    assert all(torch.equal(value, before[name]) for name, value in autoencoder.state_dict().items())
    bits = bits_per_token(model, autoencoder, TRAINED, num_each=1, seed=0)
    assert bits < 0.8 * 4


def test_text_stands_before_the_tokens(autoencoder):
    """What the first token may be depends on the caption; the loss of a batch does as well."""
    torch.manual_seed(0)
    model = TokenTransformer(FORM)
    batch = token_batch(autoencoder, 8, generator(0))
    other = replace(batch, words=batch.words.flip(0))
    assert token_loss(model, batch) != token_loss(model, other)
    none = batch.tokens[:, :0]
    assert (model(batch.words, none) - model(other.words, none)).abs().max() > 0


def test_bits_of_a_model_that_knows_nothing(autoencoder):
    def knows_nothing(words, tokens):
        return torch.zeros(len(tokens), tokens.shape[1] + 1, 16)

    assert bits_per_token(knows_nothing, autoencoder, HELD_OUT, num_each=1, seed=0) == pytest.approx(4.0, abs=1e-5)


def test_an_ngram_beats_chance_and_longer_ones_beat_shorter_ones(autoencoder):
    bits = [
        bits_per_token(fit_ngram(autoencoder, num_clips=400, order=order), autoencoder, TRAINED, num_each=1, seed=0)
        for order in (1, 3)
    ]
    assert bits[1] < bits[0] < 4


def test_the_truth_passes_and_noise_does_not():
    clips, captions = real_clips(HELD_OUT, num_each=2, seed=0)
    verdict = recipe.judge(clips, captions, config=recipe.WORLD)
    assert verdict.caption.all()
    assert shuffled_captions(verdict, HELD_OUT, num_each=2, seed=0) < 0.3
    metrics = autoencoder_metrics(VQVAE(SMALL).eval())
    assert metrics["caption, all"] < 0.1
    assert 1 <= metrics["perplexity"] <= metrics["codes in use"] <= metrics["codes"] == 16


def test_drawing_repeats_and_begins_with_what_is_given(autoencoder):
    torch.manual_seed(0)
    model, captions = TokenTransformer(FORM).eval(), [recipe.caption(one) for one in HELD_OUT[:3]]
    one, two = (draw_clips(model, autoencoder, captions, generator=generator(0)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (3, 8, 3, 16, 16)
    clips, _ = real_clips(HELD_OUT[:3], num_each=1, seed=0)
    given = autoencoder.encode(clips)
    whole = draw_clips(model, autoencoder, captions, generator=generator(0), given=given)
    assert torch.equal(whole, autoencoder.decode(given))
    assert not judge_drawn(model, autoencoder, HELD_OUT, num_each=1, seed=0).caption.any()


def test_what_is_kept_draws_the_same(tmp_path):
    path, other = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    card = recipe.autoencoder_checkpoint(path, FIRST, command="make first", measure=lambda model: {"first": 1.0})
    assert (card.command, card.metrics) == ("make first", {"first": 1.0})
    assert card.recipe.startswith("tokens, small quantizer: 1 CPU seconds")
    first = load_autoencoder(path)
    clips, captions = real_clips(HELD_OUT, num_each=1, seed=0)
    assert first.config == SMALL
    both = []
    card = recipe.transformer_checkpoint(
        other, SECOND, first, command="make second", measure=lambda *models: both.extend(models) or {"second": 2.0}
    )
    assert (card.command, card.metrics) == ("make second", {"second": 2.0})
    assert both[1] is first
    second = load_transformer(other)
    assert second.config == FORM
    tokens = first.encode(clips)
    assert torch.equal(load_autoencoder(path).encode(clips), tokens)
    assert second(indices(captions), tokens).shape == (len(HELD_OUT), SMALL.num_tokens + 1, 16)
    with pytest.raises(ValueError, match="another training, recipe: wanted"):
        recipe.autoencoder_checkpoint(path, replace(FIRST, cpu_seconds=2.0), command="make first")


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_the_settings_fit_one_another(name):
    run = autoencoder_run(name, seed=0, cpu_seconds=1.0)
    model = VQVAE(run.config).eval()
    config = transformer_config(run.config, model.num_codes)
    assert (config.num_codes, config.num_words, config.max_words) == (model.num_codes, 18, 5)
    assert config.window >= run.config.num_tokens
    assert sum(parameter.numel() for parameter in model.parameters()) < 800_000  # a byte each
    assert sum(parameter.numel() for parameter in TokenTransformer(config).parameters()) < 970_000
    with pytest.raises(ValueError, match="name: wanted one of vector, finite scalar, got 'none'"):
        autoencoder_run("none", seed=0, cpu_seconds=1.0)


def test_a_cache_is_timed_beside_none(monkeypatch):
    rows = benchmark.cache(config=replace(FORM, window=8), num_tokens=12, batch_sizes=(1, 2), repetitions=1)
    assert [row.batch_size for row in rows] == [1, 2]
    assert all(row.seconds_cached > 0 and row.seconds_uncached > 0 for row in rows)
    assert benchmark.cache_table([benchmark.CacheRow(8, 0.5, 2.0)]).split()[-4:] == ["8", "0.500", "2.000", "4.0"]

    def forgetful(model, words, num_tokens, *, generator, cached=True):
        return torch.full((len(words), num_tokens), int(cached))

    monkeypatch.setattr(benchmark, "sample_tokens", forgetful)
    with pytest.raises(ValueError, match="the same with a cache as without"):
        benchmark.cache(config=FORM, num_tokens=4, repetitions=1)
