"""The video GAN: what stays and what moves, what each critic sees, and that nothing is left out of the training."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from course.models.gan import (
    FARTHEST,
    ClipCritic,
    ContentCode,
    FrameCritic,
    GANConfig,
    Generator,
    MotionCode,
    Noise,
    Words,
    draw_noise,
    folded,
)

SMALL = GANConfig(
    num_frames=4,
    size=8,
    num_words=9,
    noise_size=5,
    step_size=3,
    code_size=12,
    canvas_channels=8,
    num_layers=2,
    frame_channels=6,
    clip_channels=10,
    apart_channels=4,
)
WORDS = torch.tensor([[1, 2, 5, 7, 8], [1, 3, 6, 7, 9], [1, 2, 6, 4, 8]])


def made(kind, config=SMALL, seed=0):
    torch.manual_seed(seed)
    return kind(config)


def noise(num_clips=3, seed=0):
    return draw_noise(num_clips, SMALL, generator=torch.Generator().manual_seed(seed))


def exchanged(words, place, word):
    words = words.clone()
    words[:, place] = word
    return words


# The generator


def test_clips_have_the_form_that_was_asked_for():
    clips = made(Generator)(noise(), WORDS)
    assert clips.shape == (3, 4, 3, 8, 8)
    assert clips.dtype == torch.float32
    assert 0 <= clips.min() < clips.max() <= 1


def test_noise_repeats_with_its_generator_and_is_fresh_for_each_frame():
    one, again, other = noise(), noise(), noise(seed=1)
    for name in ("content", "start", "steps"):
        assert torch.equal(getattr(one, name), getattr(again, name))
        assert not torch.equal(getattr(one, name), getattr(other, name))
    assert one.content.shape == one.start.shape == (3, 5)
    assert one.steps.shape == (3, 4, 3)
    assert not torch.equal(one.steps[:, 0], one.steps[:, 1])
    assert torch.equal(one[1:].steps, one.steps[1:])


def test_one_content_code_serves_all_frames():
    """On a canvas that is not moved all frames are the same: nothing else differs from frame to frame."""
    generator = made(Generator)
    with torch.no_grad():
        generator.step.weight.zero_()
        generator.step.bias.zero_()
    content = generator.content(noise().content, WORDS)
    assert content.shape == (3, 12)
    motion = torch.randn(3, 1, 12).expand(-1, 4, -1)
    clips = generator.render(content, motion)
    assert torch.allclose(clips, clips[:, :1].expand_as(clips))


def test_motion_moves_what_is_drawn_and_changes_nothing_of_it():
    """Moved by one place of two pixels, the picture is the same, two pixels further on."""
    generator = made(Generator, replace(SMALL, size=16))
    with torch.no_grad():
        generator.step.weight.zero_()
        generator.step.weight[0, 0] = generator.step.weight[1, 1] = 1
    motion = torch.zeros(1, 4, 12)
    motion[0, 1, 0] = motion[0, 2, 1] = 0.25  # half sides of 8 pixels
    clips = generator.render(torch.randn(1, 12), motion)
    assert clips[0].std() > 0
    assert torch.allclose(clips[0, 1, :, 2:], clips[0, 0, :, :-2], atol=1e-5)  # down
    assert torch.allclose(clips[0, 2, :, :, 2:], clips[0, 1, :, :, :-2], atol=1e-5)  # to the right
    assert torch.equal(clips[0, 3], clips[0, 2])


def test_the_canvas_stays_in_the_frame():
    generator = made(Generator)
    places = generator.places(100 * torch.randn(3, 4, 12))
    assert places.shape == (3, 4, 2)
    assert places.abs().max() <= 1.001 * FARTHEST


def test_what_would_leave_is_sent_back():
    place = torch.tensor([-1.7, -0.9, -0.8, -0.5, 0.0, 0.5, 0.8, 0.9, 1.7], requires_grad=True)
    wanted = torch.tensor([0.1, -0.7, -0.8, -0.5, 0.0, 0.5, 0.8, 0.7, -0.1])
    assert torch.allclose(folded(place, 0.8), wanted, atol=1e-6)
    (slope,) = torch.autograd.grad(folded(place, 0.8)[[1, 3, 4, 5, 7]].sum(), place)
    assert slope[[1, 3, 4, 5, 7]].tolist() == [-1, 1, 1, 1, -1]


def test_each_code_reads_its_own_noise_and_its_own_words():
    content, motion = made(ContentCode), made(MotionCode)
    some, other = noise(), noise(seed=1)
    before = content(some.content, WORDS)
    assert not torch.allclose(before, content(other.content, WORDS))
    assert torch.equal(before, content(some.content, exchanged(WORDS, 4, 3)))
    assert not torch.allclose(before, content(some.content, exchanged(WORDS, 2, 3)))
    before = motion(some.start, some.steps, WORDS)
    assert before.shape == (3, 4, 12)
    assert not torch.allclose(before, motion(other.start, some.steps, WORDS))
    assert torch.equal(before, motion(some.start, some.steps, exchanged(WORDS, 2, 3)))
    assert not torch.allclose(before, motion(some.start, some.steps, exchanged(WORDS, 4, 3)))


def test_the_motion_code_walks_from_frame_to_frame():
    """Fresh noise at frame 2 changes frame 2 and what follows, and nothing before; frames do not begin anew."""
    motion, some = made(MotionCode), noise()
    steps = some.steps.clone()
    steps[:, 2] += 1
    change = motion(some.start, steps, WORDS) - motion(some.start, some.steps, WORDS)
    assert (change[:, :2] == 0).all()
    assert (change[:, 2:].abs().amax(dim=2) > 0).all()


def test_clips_do_not_mix():
    generator, some = made(Generator), noise()
    clips = generator(some, WORDS)
    assert torch.allclose(generator(some[1:2], WORDS[1:2]), clips[1:2], atol=1e-6)


def test_words_add_up_and_a_word_that_is_left_out_says_nothing():
    words = made(lambda config: Words(config.num_words, (1, 2), 4))
    one, other = WORDS[:1], WORDS[1:2]
    mixed = torch.cat([one[:, :2], other[:, 2:]], dim=1)
    back = torch.cat([other[:, :2], one[:, 2:]], dim=1)
    assert torch.allclose(words(mixed) + words(back), words(one) + words(other), atol=1e-6)
    assert (words(torch.zeros(1, 5, dtype=torch.long)) == 0).all()


# The critics


def clips(num_clips=3, seed=0):
    return torch.rand(num_clips, 4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_a_clip_critic_sees_the_order_of_frames_and_reads_all_words():
    critic, some = made(ClipCritic).eval(), clips()
    before = critic(some, WORDS)
    assert before.shape == (3,)
    assert not torch.allclose(critic(some.flip(1), WORDS), before)
    for place in (1, 2, 3, 4):
        assert (critic(some, exchanged(WORDS, place, 9 if place < 4 else 5)) != before).any()
    assert torch.equal(critic(some, exchanged(WORDS, 0, 5)), before)


def test_a_frame_critic_reads_what_is_seen_and_not_how_it_moves():
    critic, some = made(FrameCritic).eval(), clips()[:, 0]
    before = critic(some, WORDS)
    assert before.shape == (3,)
    assert (critic(some, exchanged(WORDS, 2, 7)) != before).all()
    assert torch.equal(critic(some, exchanged(WORDS, 4, 7)), before)


@pytest.mark.parametrize(("kind", "some"), [(ClipCritic, clips()), (FrameCritic, clips()[:, 0])])
def test_shuffled_captions_change_the_scores(kind, some):
    """What a critic that is blind to its condition would not notice."""
    critic = made(kind).eval()
    assert (critic(some, WORDS.roll(1, dims=0)) - critic(some, WORDS)).abs().min() > 1e-4


@pytest.mark.parametrize(("kind", "some"), [(ClipCritic, clips()), (FrameCritic, clips()[:, 0])])
def test_several_captions_at_once_are_scored_as_each_by_itself(kind, some):
    critic = made(kind).eval()
    several = torch.stack([WORDS, WORDS.roll(1, dims=0)], dim=1)  # (3, 2, 5)
    found = critic(some, several)
    assert found.shape == (3, 2)
    for index in range(2):
        assert torch.allclose(found[:, index], critic(some, several[:, index]), atol=1e-6)


def test_scores_of_one_clip_do_not_depend_on_another():
    critic = made(ClipCritic).eval()
    assert torch.allclose(critic(clips(), WORDS)[1:2], critic(clips()[1:2], WORDS[1:2]), atol=1e-5)


@pytest.mark.parametrize("kind", [ClipCritic, FrameCritic])
def test_every_layer_of_a_critic_is_normalised_where_that_is_wanted(kind):
    critic = made(kind, replace(SMALL, spectral=True))
    layers = [layer for layer in critic.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert layers
    for layer in layers:
        for _ in range(300):
            weight = layer.weight
        assert torch.linalg.svdvals(weight.detach().flatten(1))[0].item() == pytest.approx(1, rel=2e-2)


# All of it is trained


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("kind", [Generator, ClipCritic, FrameCritic])
def test_every_parameter_gets_a_gradient(kind, spectral):
    module = made(kind, replace(SMALL, spectral=spectral))
    given = {Generator: noise(), ClipCritic: clips(), FrameCritic: clips()[:, 0]}[kind]
    module(given, WORDS).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="canvas_channels=7"):
        replace(SMALL, canvas_channels=7)
    with pytest.raises(ValueError, match="size=10"):
        replace(SMALL, size=10)
    with pytest.raises(ValueError, match=r"words: wanted \(B, L\), got \(5,\)"):
        made(Generator)(noise(), WORDS[0])
    assert GANConfig(content_words=[1, 2]).content_words == (1, 2)
    assert Noise(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, 3, 1))[:1].start.shape == (1, 1)
