"""From a picture to a clip: what is told, what is known, how it is measured, and a network that is inflated."""

from dataclasses import asdict, replace

import pytest
import torch

from course.budget import generator
from course.datasets import doodles, sprites
from course.datasets.captions import ALL, HELD_OUT, MOTIONS, PHRASES, TRAINED, VOCABULARY, caption, indices
from course.datasets.sprites import SPEEDS
from course.generation.image_to_video import clamped
from course.models.denoiser import Condition
from course.models.unet import UNet, UNetConfig, inflated
from course.recipes import image_to_video as recipe
from course.recipes.denoising import batch_loss, denoiser, generate, noisy_batch, told, train_denoiser
from course.recipes.image_to_video import (
    IMAGE_SETTING,
    KNOWN,
    PICTURE_SETTING,
    VIDEO_SETTING,
    animate,
    doodle_metrics,
    draw_known,
    fill,
    find_again,
    freedom_metrics,
    held_out_loss,
    motion_strength,
    moves_as_told,
    picture_checkpoint,
    picture_examples,
    picture_run,
    sprite_metrics,
    strength_levels,
    told_words,
    train_inflated,
)
from course.recipes.text_to_clip import WORLD

SMALL = {"hidden_channels": (8,), "frame_channels": 8, "condition_size": 8}
WORDS = {"num_words": len(VOCABULARY), "max_words": 5}
QUICK = {"num_steps": 2, "guidance": 1.0}
STEP_COSTS = 0.02


def small(setting):
    """Return a setting whose network is small enough for a test."""
    return replace(setting, config=replace(setting.config, **SMALL), batch_size=8)


def stirred(module):
    """Give every parameter a value, also those that start at zero."""
    chance = generator(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=chance))
    return module


@pytest.fixture(name="examples", scope="module")
def fixture_examples():
    return picture_examples(1200, generator(0))


# What is told


def test_a_phrase_alone_says_nothing_of_colour_and_shape():
    whole, phrase = told_words(["a blue cross stands still", "stands still"], 2)
    assert whole.tolist() == indices(["a blue cross stands still"])[0].tolist()
    assert phrase[[0, 3, 4]].tolist() == whole[[0, 3, 4]].tolist()
    assert phrase[1:3].tolist() == [0, 0]


def test_words_may_be_for_all_and_may_be_none():
    assert torch.equal(told_words("moves  left ", 3), told_words(["moves left"] * 3, 3))
    assert (told_words(None, 2) == 0).all()
    assert told_words([], 0).shape == (0, 5)
    for phrase in PHRASES.values():
        assert (told_words(phrase, 1) > 0).sum() == 3
    for combination in ALL:
        assert torch.equal(told_words(caption(combination), 1), indices([caption(combination)]))


@pytest.mark.parametrize(
    "text",
    [
        "moves sideways",
        "",
        "left",
        "a purple circle moves left",
        "circle red a moves left",
        "moves left moves left",
        "a red circle moves left while a blue cross moves up",
        "a red circle",
        7,
        None,
    ],
)
def test_words_that_the_network_does_not_know_are_told_with_those_it_knows(text):
    with pytest.raises(ValueError, match="caption: wanted a phrase") as error:
        told_words([text], 1)
    for known in (*PHRASES.values(), "red", "triangle", repr(text)):
        assert known in str(error.value)


def test_there_are_words_for_every_clip():
    with pytest.raises(ValueError, match="captions: wanted one for each of 3 clips, got 2"):
        told_words(["moves left", "moves up"], 3)


def test_strength_is_told_with_a_sign_that_it_is():
    assert strength_levels(None, 2).tolist() == [[0, 0], [0, 0]]
    assert strength_levels(0, 2).tolist() == [[0, 1], [0, 1]]
    assert strength_levels(torch.tensor([0.5, 1.0]), 2).tolist() == [[0.5, 1], [1, 1]]
    for wrong in (1.5, -0.1, float("nan"), torch.ones(3), torch.ones(2, 1)):
        with pytest.raises(ValueError, match=r"strength: wanted one number in \[0, 1\], or one for each of 2 clips"):
            strength_levels(wrong, 2)


def test_strength_is_the_share_of_the_fastest_speed():
    batch = sprites.sample(300, generator=generator(0), config=WORLD)
    strength = motion_strength(batch.state.position, size=WORLD.size)
    still = batch.state.motion == MOTIONS.index("still")
    assert (strength[still] == 0).all()
    assert 0.5 - 0.01 < strength[~still].min() < 0.53
    assert 0.97 < strength[~still].max() < 1 + 1e-4
    steps = batch.state.velocity[:, 0].norm(dim=1) / (SPEEDS[1] * WORLD.size)
    assert torch.allclose(strength, steps, atol=1e-4)  # no clip of this length meets a wall


# What is learned


def test_which_frames_are_known_is_drawn_as_often_as_said():
    known = draw_known(4000, 8, generator=generator(0))
    assert sum(KNOWN.values()) == pytest.approx(1)
    count, first, last = known.sum(dim=1), known[:, 0], known[:, -1]
    shares = {
        "first": first & (count == 1),
        "first and last": first & last & (count == 2),
        "last": last & (count == 1),
        "none": count == 0,
    }
    for name, found in shares.items():
        assert found.float().mean().item() == pytest.approx(KNOWN[name], abs=0.025)
    assert known[count > 2].float().mean().item() > 0.4


def test_some_clips_are_doodles_and_no_held_out_combination_is_among_the_sprites(monkeypatch):
    monkeypatch.setattr(recipe, "leave_words_out", lambda words, generator: words)
    monkeypatch.setattr(recipe, "OPEN", 0.0)
    words = picture_examples(800, generator(1)).condition.words
    drawings = (words[:, 1] == 0) & (words[:, 2] == 0)
    assert drawings.sum() == recipe.DOODLES * 800
    assert (words[drawings][:, [0, 3, 4]] > 0).all()
    trained = indices([caption(combination) for combination in TRAINED]).tolist()
    assert all(row in trained for row in words[~drawings].tolist())
    assert 0.4 < drawings[:400].sum() / drawings.sum() < 0.6  # kinds are shuffled: noise steps are dealt out in order


def test_known_frames_are_the_clips_own_and_clean(examples):
    given, clips = examples.condition.given, examples.clips
    assert given.shape == (1200, 8, 4, 16, 16)
    known = given[:, :, 3, 0, 0] == 1
    assert torch.equal(given[:, :, :3][known], (2 * clips - 1)[known])
    assert (given[:, :, :3][~known] == 0).all()


def test_strength_is_told_of_half_of_the_clips(examples):
    levels = examples.condition.levels
    told_of = levels[:, 1] == 1
    assert told_of.float().mean().item() == pytest.approx(recipe.TOLD_STRENGTH, abs=0.05)
    assert (levels[~told_of] == 0).all()
    assert levels.min() >= 0
    assert levels.max() <= 1
    still = levels[told_of, 0] == 0
    assert still.float().mean().item() == pytest.approx(1 / 6, abs=0.06)


def test_some_words_are_left_out(examples):
    words = examples.condition.words
    assert 0.05 < (words == 0).all(dim=1).float().mean() < 0.15
    left_open = 1 - 0.9 * 0.9 * (1 - recipe.OPEN)
    assert (words[:, 4] == 0).float().mean().item() == pytest.approx(left_open, abs=0.06)
    assert torch.equal(words[:, 3] == 0, words[:, 4] == 0)  # a phrase is left out as a whole


def test_a_batch_is_a_function_of_seed_and_step():
    one, again = (noisy_batch(PICTURE_SETTING, 0, 3) for _ in range(2))
    assert torch.equal(one.clean, again.clean)
    assert torch.equal(one.condition.given, again.condition.given)
    assert torch.equal(one.condition.levels, again.condition.levels)


# What is drawn


@pytest.fixture(name="network", scope="module")
def fixture_network():
    return stirred(denoiser(small(PICTURE_SETTING).config)).eval()


def test_all_that_is_told_is_heard(network):
    picture = sprites.sample(1, generator=generator(0), config=WORLD).clips[:, 0]

    def drawn(picture=picture, captions="moves left", **options):
        return animate(network, picture, captions, generator=generator(0), **QUICK, **options)

    before = drawn()
    assert before.shape == (1, 8, 3, 16, 16)
    assert torch.equal(before, drawn())
    for other in (
        drawn(1 - picture),
        drawn(captions="moves up"),
        drawn(captions=None),
        drawn(strength=0.5),
        drawn(strength=0.0),
        drawn(last=picture),
    ):
        assert (other - before).abs().max() > 1e-4
    assert before.min() >= 0
    assert before.max() <= 1


def test_a_picture_is_a_first_frame_that_is_known(network):
    pictures = torch.rand(2, 3, 16, 16, generator=generator(0))
    known = torch.zeros(2, 8, dtype=torch.bool)
    known[:, 0] = True
    clips = torch.rand(2, 8, 3, 16, 16, generator=generator(1))
    clips[:, 0] = pictures
    options = QUICK | {"captions": "moves up", "strength": 0.7}
    one = animate(network, pictures, generator=generator(2), **options)
    assert torch.equal(one, fill(network, clips, known, generator=generator(2), **options))
    known[:, -1] = True
    two = animate(network, pictures, last=clips[:, -1], generator=generator(2), **options)
    assert torch.equal(two, fill(network, clips, known, generator=generator(2), **options))


@pytest.mark.parametrize(("options", "calls"), [({}, 2), ({"guidance": 1.0}, 2), ({"guidance": 2.0}, 4)])
def test_the_network_is_asked_once_a_step_unless_it_is_guided(network, options, calls):
    asked = []

    def counted(noisy, noise_step, condition):
        asked.append(condition.words.any().item())
        return network(noisy, noise_step, condition)

    animate(counted, torch.zeros(1, 3, 16, 16), "moves up", generator=generator(0), num_steps=2, **options)
    assert len(asked) == calls
    assert asked.count(True) == 2  # guided, it is asked without words as well


def test_pictures_of_another_form_are_refused(network):
    with pytest.raises(ValueError, match=r"pictures: wanted \(B, 3, H, W\), H = 16, W = 16, got \(1, 3, 32, 32\)"):
        animate(network, torch.zeros(1, 3, 32, 32), generator=generator(0))
    with pytest.raises(ValueError, match=r"pictures: wanted \(B, 3, H, W\), got \(3, 16, 16\)"):
        animate(network, torch.zeros(3, 16, 16), generator=generator(0))
    with pytest.raises(ValueError, match=r"last: wanted .*B = 2.* got \(1, 3, 16, 16\)"):
        animate(network, torch.zeros(2, 3, 16, 16), last=torch.zeros(1, 3, 16, 16), generator=generator(0))


def test_a_network_that_was_never_told_of_frames_is_held_to_them():
    network = stirred(denoiser(UNetConfig(**WORDS, **SMALL)))
    clips = sprites.sample(2, generator=generator(0), config=WORLD).clips
    known = torch.zeros(2, 8, dtype=torch.bool)
    known[:, 0] = True
    asked = told(["a red circle moves left"] * 2)
    drawn = generate(clamped(network, clips, known), asked, tuple(clips.shape), generator=generator(1), num_steps=3)
    assert torch.allclose(drawn[:, 0], clips[:, 0], atol=1e-6)


# What is measured


def test_drawings_are_found_where_they_are():
    batch = doodles.sample(120, generator=generator(0))
    moved = find_again(batch.clips, batch.clips[:, 0])
    wanted = batch.position - batch.position[:, :1]
    assert (moved - wanted).square().sum(dim=2).sqrt().max() < 0.6
    assert moves_as_told(moved, batch.motion, size=16).float().mean() > 0.98
    other = (batch.motion + 1) % len(MOTIONS)
    assert not moves_as_told(moved, other, size=16).any()
    assert not moves_as_told(moved.flip(1), batch.motion, size=16)[batch.motion < 4].any()


def test_real_clips_pass_every_measure(monkeypatch):
    """In place of a network: one that knows the clips that are asked for."""
    real = {}
    for module in (sprites, doodles):
        render = module.render

        def keep(*args, render=render, **options):
            real["clips"] = render(*args, **options)
            return real["clips"]

        monkeypatch.setattr(module, "render", keep)
    monkeypatch.setattr(recipe, "animate", lambda *args, **options: real["clips"])
    found = sprite_metrics(None, HELD_OUT, num_each=2, seed=0)
    assert found["first frame"] == 100
    assert found["identity and motion"] == found["caption"] == found["good first frames"] == 1
    found = doodle_metrics(None, num_clips=60, seed=0)
    assert found["good first frames"] == 1
    assert found["moves as told"] > 0.95
    assert found["same drawing"] > 30


def test_an_untrained_network_obeys_no_caption():
    network = denoiser(small(PICTURE_SETTING).config)
    assert sprite_metrics(network, HELD_OUT, num_each=1, seed=0, **QUICK)["caption"] == 0
    assert doodle_metrics(network, num_clips=12, seed=0, **QUICK)["moves as told"] == 0
    found = freedom_metrics(network, num_each=2, seed=0, **QUICK)
    assert found["motions from one picture"] == found["lawful"] == 0
    assert found["in between, caption"] == 0


def test_a_checkpoint_has_a_card_and_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "PICTURE_SETTING", small(PICTURE_SETTING))
    monkeypatch.setattr(recipe, "picture_metrics", lambda network: {"nothing": 0.0})
    run = picture_run(seed=0, cpu_seconds=0.3)
    card = picture_checkpoint(tmp_path / "one.safetensors", run, command="none")
    assert card.recipe.startswith("image to video: 0.3 CPU seconds")
    assert card.metrics == {"nothing": 0.0}
    assert picture_checkpoint(tmp_path / "one.safetensors", run, command="none") == card


def test_what_is_known_helps():
    """A training of two seconds: clips of which frames are known are easier to find than others."""
    setting = small(PICTURE_SETTING)
    run = replace(picture_run(seed=0, cpu_seconds=2.0), setting=setting)
    network, history = train_denoiser(run)
    assert sum(history.losses[-10:]) < 0.6 * sum(history.losses[:10])
    batch = noisy_batch(replace(setting, batch_size=64), 1, 0)
    with torch.no_grad():
        shown = batch_loss(network, batch)
        given = torch.zeros_like(batch.condition.given)
        hidden = batch_loss(network, replace(batch, condition=replace(batch.condition, given=given)))
    assert shown < hidden


# From an image network to a video network


def image_network(**options):
    return stirred(UNet(UNetConfig(**WORDS, **SMALL, num_frames=1, frames="stacked", **options)))


@pytest.mark.parametrize("options", [{}, {"given_channels": 2, "num_levels": 1}])
def test_an_inflated_network_answers_for_every_frame_as_the_image_network_does(options):
    image = image_network(**options)
    video = inflated(image, 5)
    chance = generator(1)
    noisy, noise_step = torch.randn(2, 5, 3, 8, 8, generator=chance), torch.tensor([0.3, 0.8])
    condition = Condition(words=indices(["a red circle moves left"] * 2))
    if options:
        given, levels = torch.randn(2, 5, 2, 8, 8, generator=chance), torch.rand(2, 1, generator=chance)
        condition = replace(condition, given=given, levels=levels)
    with torch.no_grad():
        clips = video(noisy, noise_step, condition)
        for t in range(5):
            given = condition.given[:, t : t + 1] if options else None
            frame = image(noisy[:, t : t + 1], noise_step, replace(condition, given=given))
            assert torch.allclose(clips[:, t : t + 1], frame, atol=1e-5)
    assert clips.std() > 0.1


def test_inflating_copies_all_and_adds_only_looks_along_time():
    image = image_network()
    video = inflated(image, 8)
    assert asdict(video.config) == asdict(image.config) | {"num_frames": 8, "frames": "factorised"}
    own, brought = video.state_dict(), image.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in brought.items())
    assert all(".time." in name for name in own.keys() - brought.keys())
    own["head.weight"].zero_()
    assert brought["head.weight"].abs().sum() > 0  # a copy, not the same tensor


def test_only_a_network_for_pictures_is_inflated():
    with pytest.raises(ValueError, match="image: wanted a network of one stacked frame, got 8 of 'factorised'"):
        inflated(inflated(image_network(), 8), 8)


def test_the_two_settings_differ_in_time_alone():
    image, video = IMAGE_SETTING.config, VIDEO_SETTING.config
    assert replace(image, num_frames=8, frames="factorised") == video
    drawn = IMAGE_SETTING.examples(40, generator(0))
    assert drawn.clips.shape == (40, 1, 3, 16, 16)
    assert (drawn.condition.words[:, 3:] == 0).all()
    assert (drawn.condition.words[:, 1] > 0).float().mean() > 0.6


def test_a_training_begins_with_the_network_it_is_given():
    setting = small(VIDEO_SETTING)
    start = inflated(image_network(), 8).requires_grad_(False)  # as an averaged network comes
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    run = replace(picture_run(seed=0, cpu_seconds=1e-6), setting=setting)
    network, history = train_denoiser(run, start=start)
    assert len(history.losses) == 1  # of a step whose learning rate is next to nothing
    for name, tensor in network.state_dict().items():
        assert torch.allclose(tensor, before[name], atol=1e-3), name
    assert all(torch.equal(tensor, before[name]) for name, tensor in start.state_dict().items())


def test_an_image_network_is_trained_inflated_and_trained_on(monkeypatch):
    monkeypatch.setattr(recipe, "IMAGE_SETTING", small(IMAGE_SETTING))
    monkeypatch.setattr(recipe, "VIDEO_SETTING", small(VIDEO_SETTING))
    network, (first, second) = train_inflated(seed=0, image_seconds=1.0, video_seconds=0.5)
    assert network.config.num_frames == 8
    assert len(first.losses) > len(second.losses) / 2
    assert second.losses[0] < first.losses[0]  # it can draw a little when it meets its first clip
    assert held_out_loss(network, num_batches=2) < held_out_loss(denoiser(network.config), num_batches=2)
