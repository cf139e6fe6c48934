"""The denoisers' recipe: batches that repeat, words that are left out, a training that learns, clips that are drawn."""

from dataclasses import replace

import pytest
import torch

from course.datasets.captions import HELD_OUT, VOCABULARY, caption, indices
from course.datasets.sprites import PALETTE
from course.diffusion.schedule import to_signed
from course.models.denoiser import Condition
from course.models.dit import DiTConfig
from course.models.unet import UNetConfig
from course.recipes import denoising, text_to_clip
from course.recipes.denoising import (
    DenoiserRun,
    DenoiserSetting,
    Examples,
    batch_loss,
    denoiser,
    denoiser_checkpoint,
    generate,
    load_denoiser,
    noisy_batch,
    told,
    train_denoiser,
)
from course.recipes.text_to_clip import TEXT_SETTINGS, captions_of, draw, judge_drawn, leave_words_out, text_examples

WORDS = {"num_words": len(VOCABULARY), "max_words": 5}
SMALL = UNetConfig(**WORDS, frame_channels=8, hidden_channels=(8,), condition_size=8)


def colour_examples(num_clips, generator):
    """Clips of one colour, red or green, with a caption that says which."""
    which = torch.randint(2, (num_clips,), generator=generator)
    clips = PALETTE[which][:, None, :, None, None].expand(-1, 8, -1, 4, 4).contiguous()
    captions = [f"a {('red', 'green')[index]} circle moves left" for index in which]
    words = leave_words_out(indices(captions), generator=generator)
    return Examples(clips, Condition(words=words))


COLOURS = DenoiserSetting(config=SMALL, examples=colour_examples, data="two colours", learning_rate=1e-2)
RUN = DenoiserRun(name="colours", setting=COLOURS, seed=0, cpu_seconds=1.0)
STEP_COSTS = 0.01


def test_a_batch_is_a_function_of_seed_and_step():
    one, again = (noisy_batch(TEXT_SETTINGS["U-Net"], 0, 3) for _ in range(2))
    for name in ("clean", "noise_step", "epsilon"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert torch.equal(one.condition.words, again.condition.words)
    assert not torch.equal(one.clean, noisy_batch(TEXT_SETTINGS["U-Net"], 0, 4).clean)
    assert not torch.equal(one.clean, noisy_batch(TEXT_SETTINGS["U-Net"], 1, 3).clean)


def test_noise_steps_are_spread_as_said_and_noise_is_noise():
    batch = noisy_batch(replace(COLOURS, batch_size=64), 0, 0)
    odds = batch.noise_step.logit()
    assert (odds.diff() > 0).all()
    assert odds.mean().item() == pytest.approx(denoising.MIDDLE, abs=0.05)
    assert odds.std().item() == pytest.approx(denoising.WIDTH, abs=0.1)
    assert 0 < batch.noise_step.min() < batch.noise_step.max() < 1
    assert abs(batch.epsilon.mean()) < 0.02
    assert abs(batch.epsilon.std() - 1) < 0.02
    assert batch.clean.min() >= -1


def test_no_held_out_combination_is_trained():
    captions = {caption(combination) for combination in HELD_OUT}
    words = text_examples(600, torch.Generator().manual_seed(0)).condition.words.tolist()
    held_out = indices(sorted(captions)).tolist()
    assert [row for row in words if row in held_out] == []


def test_words_are_left_out_as_often_as_said():
    words = indices(captions_of(HELD_OUT, 1000))
    left = leave_words_out(words, generator=torch.Generator().manual_seed(0)) == 0
    whole = left.all(dim=1)
    assert whole.float().mean().item() == pytest.approx(text_to_clip.ALL_LEFT_OUT, abs=0.01)
    some = left[~whole]
    assert not some[:, 0].any()  # "a" says nothing of the clip
    for place in (1, 2, 3):
        assert some[:, place].float().mean().item() == pytest.approx(text_to_clip.ONE_LEFT_OUT, abs=0.01)
    assert torch.equal(some[:, 3], some[:, 4])  # a phrase is left out as a whole
    both = (some[:, 1] & some[:, 2]).float().mean().item()
    assert both == pytest.approx(text_to_clip.ONE_LEFT_OUT**2, abs=0.005)  # each by itself


def test_a_right_answer_costs_nothing_and_little_noise_counts_more():
    batch = noisy_batch(COLOURS, 0, 0)
    assert batch_loss(lambda *_: batch.clean, batch) == 0
    error = batch_loss(lambda *_: batch.clean + 1, batch)
    assert error.item() == pytest.approx((1 / batch.noise_step.clamp(min=0.05)).mean().item(), rel=1e-5)


@pytest.mark.parametrize("config", [SMALL, DiTConfig(**WORDS, size=4, hidden_size=16, num_layers=1)])
def test_a_network_learns_to_draw_what_a_word_says(config):
    """Two colours; which one is asked for stands in the caption alone."""
    run = replace(RUN, setting=replace(COLOURS, config=config), cpu_seconds=6.0)
    state = torch.random.get_rng_state()
    network, history = train_denoiser(run)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert sum(history.losses[-10:]) < 0.5 * sum(history.losses[:10])
    captions = ["a red circle moves left", "a green circle moves left"] * 8
    drawn = generate(network, told(captions), (16, 8, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    far = (drawn.mean(dim=(1, 3, 4))[:, None] - PALETTE[:2]).abs().sum(dim=2)  # (16, 2)
    assert far.argmin(dim=1).tolist() == [0, 1] * 8
    assert far.amin(dim=1).mean() < 0.3


def test_drawing_repeats_and_does_not_depend_on_the_chunks():
    torch.manual_seed(0)
    network = denoiser(SMALL)
    torch.nn.init.normal_(network.head.weight, std=0.02)
    options = {"condition": told(["a red circle moves left"] * 5), "shape": (5, 8, 3, 4, 4), "num_steps": 3, "eta": 0.0}
    one, two, other = (
        generate(network, **options, generator=torch.Generator().manual_seed(seed), chunk=chunk)
        for seed, chunk in ((0, 96), (0, 2), (1, 96))
    )
    assert torch.allclose(one, two, atol=1e-4)
    assert not torch.allclose(one, other, atol=1e-2)
    assert one.min() >= 0
    assert one.max() <= 1


def test_a_checkpoint_draws_the_same_clips(tmp_path):
    path = tmp_path / "colours.safetensors"
    card = denoiser_checkpoint(path, RUN, command="none", measure=lambda network: {"nothing": 0.0})
    assert card.cpu_seconds == pytest.approx(1.0, abs=0.5)
    assert card.recipe.startswith("colours: 1 CPU seconds, batches of 16")
    one, two = (load_denoiser(path, COLOURS) for _ in range(2))
    noisy = to_signed(torch.rand(2, 8, 3, 4, 4))
    asked = (noisy, torch.full((2,), 0.5), told(["a red circle moves left"] * 2))
    assert torch.equal(one(*asked), two(*asked))
    with pytest.raises(ValueError, match="another training, seed: wanted 1, got 0"):
        denoiser_checkpoint(path, replace(RUN, seed=1), command="none", measure=dict)
    with pytest.raises(ValueError, match="wanted the config of this model"):
        load_denoiser(path, replace(COLOURS, config=DiTConfig(**WORDS)))


@pytest.mark.parametrize("name", TEXT_SETTINGS)
def test_an_untrained_denoiser_obeys_no_caption(name):
    network = denoiser(TEXT_SETTINGS[name].config)
    verdict = judge_drawn(network, HELD_OUT, num_each=1, seed=0, num_steps=2)
    assert not verdict.caption.any()
    assert draw(network, ["a red circle moves left"], generator=torch.Generator(), num_steps=1).shape == (
        1,
        8,
        3,
        16,
        16,
    )
