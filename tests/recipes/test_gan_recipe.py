"""The GANs' recipe: batches that repeat, captions that are wrong where they should be, a training that moves it all."""

from dataclasses import replace

import pytest
import torch

from course.datasets import sprites
from course.datasets.captions import HELD_OUT, MAX_WORDS, TRAINED, VOCABULARY, caption, indices
from course.evaluation.judge import judge
from course.models.gan import GANConfig, Generator, draw_noise
from course.recipes import gan
from course.recipes.gan import (
    FACTORS,
    GAN_SETTINGS,
    GANRun,
    GANSetting,
    critic_loss,
    draw_gan,
    gan_batch,
    gan_checkpoint,
    generator_loss,
    judge_gan,
    load_gan,
    make_critics,
    penalty,
    scores,
    swapped,
    train_gan,
    variety,
)
from course.recipes.text_to_clip import WORLD
from course.training.adversarial import mode_seeking_loss, r1_penalty
from course.training.checkpoint import read_card

SMALL = GANConfig(code_size=16, canvas_channels=8, num_layers=1, frame_channels=8, clip_channels=8, apart_channels=4)
SETTING = GANSetting(mode_seeking=0.0, config=SMALL, batch_size=4, num_seen=2)
STEP_COSTS = 0.02


@pytest.fixture(name="run")
def fixture_run(monkeypatch):
    monkeypatch.setitem(GAN_SETTINGS, "small", SETTING)
    return GANRun(name="small", seed=0, cpu_seconds=0.5)


@pytest.fixture(name="batch")
def fixture_batch():
    return gan_batch(SETTING, 0, 0)


def fakes(batch, seed=0):
    torch.manual_seed(seed)
    return Generator(SMALL)(batch.noise, batch.asked)


def critics_of(setting, seed=0):
    torch.manual_seed(seed)
    return make_critics(setting)


def test_the_form_fits_the_captions():
    config = GANConfig()
    assert config.num_words == len(VOCABULARY)
    places = [place for factor in FACTORS.values() for place in factor]
    assert sorted(config.content_words + config.motion_words) == places
    assert max(config.motion_words) == MAX_WORDS - 1


def test_a_batch_is_a_function_of_seed_and_step():
    one, again = (gan_batch(SETTING, 0, 3) for _ in range(2))
    for name in ("clips", "words", "wrong", "asked", "seen"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert torch.equal(one.noise.start, again.noise.start)
    assert not torch.equal(one.clips, gan_batch(SETTING, 0, 4).clips)
    assert not torch.equal(one.clips, gan_batch(SETTING, 1, 3).clips)


def test_no_held_out_combination_is_trained():
    batch = gan_batch(replace(SETTING, batch_size=1000), 0, 0)
    seen = {tuple(row) for row in batch.words.tolist()}
    assert not seen & {tuple(row) for row in indices([caption(c) for c in HELD_OUT]).tolist()}
    assert len(seen) == len(TRAINED)
    assert {tuple(row) for row in batch.asked.tolist()} == seen


def test_clips_are_asked_for_in_pairs_of_one_caption_and_different_noise(batch):
    assert torch.equal(batch.asked[:2], batch.asked[2:])
    assert not torch.equal(batch.noise.start[:2], batch.noise.start[2:])


def test_wrong_captions_have_one_factor_of_another_clip():
    one, other = indices(["a red circle moves left", "a blue cross stands still"])[:, None]
    wanted = ["a blue circle moves left", "a red cross moves left", "a red circle stands still"]
    assert torch.equal(swapped(one, other)[0], indices(wanted))


def test_each_frame_is_seen_once_at_most():
    seen = gan_batch(replace(SETTING, num_seen=3), 0, 0).seen
    assert seen.shape == (4, 3)
    assert all(len(set(row)) == 3 and set(row) <= set(range(8)) for row in seen.tolist())


def test_the_frame_critic_is_shown_the_frames_that_are_to_be_seen(batch):
    critics = critics_of(replace(SETTING, critics=("frame",)))
    found = scores(critics, batch.clips, batch.words[:, None], batch.seen)
    assert list(found) == ["frame"]
    for clip in range(4):
        for index, frame in enumerate(batch.seen[clip]):
            wanted = critics["frame"](batch.clips[clip, frame][None], batch.words[clip : clip + 1])
            assert found["frame"][2 * clip + index].item() == pytest.approx(wanted.item(), abs=1e-5)


def test_a_critics_loss_by_hand(batch):
    """One clip with one wrong caption: real and fake, and right and wrong, each by the hinge."""
    setting = replace(SETTING, critics=("clip",), mismatch=0.5)
    critics, fake = critics_of(setting), fakes(batch).detach()
    real, generated = critics["clip"](batch.clips, batch.words), critics["clip"](fake, batch.asked)
    wrong = critics["clip"](batch.clips, batch.wrong)
    unlike = (batch.wrong != batch.words[:, None]).any(dim=2)
    up, down = (1 - real).clamp(min=0), (1 + generated).clamp(min=0)
    pairs = up[:, None] + (1 + wrong).clamp(min=0)
    wanted = up.mean() + down.mean() + 0.5 * pairs[unlike].mean()
    assert critic_loss(setting, critics, batch, fake).item() == pytest.approx(wanted.item(), rel=1e-5)
    wanted = -generated.mean() + setting.mode_seeking * mode_seeking_loss(fake, batch.noise.start)
    assert generator_loss(setting, critics, batch, fake).item() == pytest.approx(wanted.item(), rel=1e-5)
    slope = r1_penalty(lambda clips: critics["clip"](clips, batch.words), batch.clips)
    assert penalty(setting, critics, batch).item() == pytest.approx(setting.penalty / 2 * slope.item(), rel=1e-5)


def test_the_frame_critic_is_not_asked_for_motion(batch):
    """Another motion is no wrong caption for a frame."""
    setting = replace(SETTING, critics=("frame",), mismatch=1.0)
    critics, fake = critics_of(setting), fakes(batch).detach()
    still = replace(batch, wrong=batch.words[:, None].repeat(1, 3, 1))
    still.wrong[:, 2, 3:] = batch.words[:, 3:].roll(1, dims=0)
    alone = critic_loss(replace(setting, mismatch=0.0), critics, batch, fake)
    assert critic_loss(setting, critics, still, fake).item() == pytest.approx(alone.item(), rel=1e-5)
    assert critic_loss(setting, critics, batch, fake).item() > alone.item() + 0.1


def test_critics_react_to_shuffled_captions_where_they_can_see_it():
    batch = gan_batch(replace(SETTING, batch_size=16), 0, 0)
    fake = fakes(batch).detach()

    def losses(setting, some):
        critics = critics_of(setting)
        return [loss(setting, critics, some, fake).item() for loss in (critic_loss, generator_loss)]

    def shuffled(*places):
        other = {name: getattr(batch, name).clone() for name in ("words", "wrong", "asked")}
        for words in other.values():
            words[..., places] = words.roll(1, dims=0)[..., places]
        return replace(batch, **other)

    for places in FACTORS.values():
        before, after = losses(SETTING, batch), losses(SETTING, shuffled(*places))
        assert all(a != b for a, b in zip(before, after, strict=True))
    frames = replace(SETTING, critics=("frame",))  # from a frame nobody can say how it moves
    assert losses(frames, batch) == losses(frames, shuffled(*FACTORS["motion"]))


def test_every_parameter_of_both_sides_moves(run, monkeypatch):
    """Every embedding, too: one that is in no optimiser stays as it was drawn."""
    kept = {}
    whole = gan.train_adversarial

    def spied(generator, critics, *args, **options):
        kept["modules"] = torch.nn.ModuleDict({"generator": generator, "critics": critics})
        kept["before"] = {name: value.detach().clone() for name, value in kept["modules"].named_parameters()}
        return whole(generator, critics, *args, **options)

    monkeypatch.setattr(gan, "train_adversarial", spied)
    train_gan(run)
    for name, value in kept["modules"].named_parameters():
        assert not torch.equal(value, kept["before"][name]), name
    embeddings = [name for name in kept["before"] if "word" in name]
    assert len(embeddings) == 4  # of the two codes and of the two critics


def test_a_generator_is_kept_and_comes_back(run, tmp_path):
    path = tmp_path / "gan.safetensors"
    card = gan_checkpoint(path, run, command="none", measure=lambda network: {"caption, all": 0.5})
    assert read_card(path) == card
    assert card.metrics == {"caption, all": 0.5}
    assert card.num_steps > 0
    network = load_gan(path)
    assert isinstance(network, Generator)
    assert network.config == SMALL
    captions = [caption(c) for c in HELD_OUT[:5]]
    clips = draw_gan(network, captions, generator=torch.Generator().manual_seed(0), chunk=2)
    assert clips.shape == (5, 8, 3, 16, 16)
    again = draw_gan(network, captions, generator=torch.Generator().manual_seed(0), chunk=5)
    assert torch.allclose(clips, again, atol=1e-6)
    words = indices(captions)
    noise = draw_noise(5, SMALL, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(clips, network(noise, words), atol=1e-6)
    assert judge_gan(network, HELD_OUT[:2], num_each=1).valid.shape == (2,)


def test_variety_is_one_for_the_world_and_nothing_for_a_generator_that_knows_one_clip_for_each_caption():
    combinations, num_each = TRAINED[:6], 30
    captions = [caption(c) for c in combinations] * num_each
    state = sprites.sample_state(combinations * num_each, generator=torch.Generator().manual_seed(7), config=WORLD)
    clips = sprites.render(state, config=WORLD)
    assert variety(judge(clips, captions, config=WORLD), combinations, num_each) == pytest.approx(1, abs=0.15)
    one = clips[:6].repeat(num_each, 1, 1, 1, 1)
    assert variety(judge(one, captions, config=WORLD), combinations, num_each) == pytest.approx(0, abs=1e-3)


def test_settings_and_runs_say_what_they_are():
    names = {run.recipe for run in (GANRun(name=name, seed=0, cpu_seconds=60.0) for name in GAN_SETTINGS)}
    assert len(names) == len(GAN_SETTINGS)
    with pytest.raises(ValueError, match="wanted one of both critics"):
        GANRun(name="none", seed=0, cpu_seconds=1.0)
    with pytest.raises(ValueError, match="critics: wanted some of frame, clip"):
        GANSetting(critics=())


def test_the_judge_looks_at_a_training_and_the_best_look_is_returned(monkeypatch):
    """At every turn here; the looks grow worse, so that the first is the best."""
    monkeypatch.setitem(GAN_SETTINGS, "small", replace(SETTING, look_every=1))
    seen, rates = [], iter(range(1000, 0, -1))

    class Worse:
        def rates(self):
            return {"caption": next(rates) / 1000}

    def judged(network, combinations, **options):
        assert combinations == TRAINED
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return Worse()

    monkeypatch.setattr(gan, "judge_gan", judged)
    network, history = train_gan(GANRun(name="small", seed=0, cpu_seconds=0.5))
    assert len(seen) == len(history.losses) > 1
    assert all(torch.equal(value, seen[0][name]) for name, value in network.state_dict().items())
    assert not all(torch.equal(value, seen[-1][name]) for name, value in network.state_dict().items())
