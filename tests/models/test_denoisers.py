from dataclasses import replace

import pytest
import torch

from course.models.denoiser import CaptionEncoder, Condition, with_given
from course.models.dit import DiT, DiTBlock, DiTConfig, clip_of, patches
from course.models.unet import UNet, UNetConfig

SIZE = {"num_frames": 4, "num_words": 9, "max_words": 3}
SMALL = {"frame_channels": 8, "condition_size": 16}
CONFIGS = {
    "U-Net, stacked": UNetConfig(**SIZE, **SMALL, hidden_channels=(16, 24), frames="stacked"),
    "U-Net, shared": UNetConfig(**SIZE, **SMALL, hidden_channels=(16, 24), frames="shared"),
    "U-Net, factorised": UNetConfig(**SIZE, **SMALL, hidden_channels=(16, 24), frames="factorised"),
    "U-Net, three levels": UNetConfig(**SIZE, **SMALL, hidden_channels=(16, 16, 16), patch_size=1),
    "DiT": DiTConfig(**SIZE, size=8, patch_frames=2, patch_size=4, hidden_size=16, num_layers=2),
    "DiT, read by convolution": DiTConfig(
        **SIZE, size=8, patch_frames=2, patch_size=4, hidden_size=16, num_layers=2, frame_channels=8
    ),
}


def made(config):
    return UNet(config) if isinstance(config, UNetConfig) else DiT(config)


def stirred(module, seed=0):
    """Give every parameter a value, also those that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return module


@pytest.fixture(name="config", params=CONFIGS.values(), ids=CONFIGS)
def fixture_config(request):
    return request.param


@pytest.fixture(name="asked")
def fixture_asked():
    torch.manual_seed(0)
    words = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    return torch.randn(3, 4, 3, 8, 8), torch.tensor([0.2, 0.5, 0.9]), Condition(words=words)


def test_an_untrained_denoiser_answers_with_nothing(config, asked):
    torch.manual_seed(1)
    answer = made(config)(*asked)
    assert answer.shape == asked[0].shape
    assert (answer == 0).all()


def test_the_answer_depends_on_all_that_is_told_and_on_no_other_clip(config, asked):
    network = stirred(made(config))
    noisy, step, condition = asked
    before = network(noisy, step, condition)
    for changed in (
        (noisy + torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1, 1, 1), step, condition),
        (noisy, torch.tensor([0.2, 0.7, 0.9]), condition),
        (noisy, step, Condition(words=torch.tensor([[1, 2, 3], [4, 0, 6], [7, 8, 9]]))),
    ):
        after = network(*changed)
        assert not torch.allclose(after[1], before[1], atol=1e-4)
        assert torch.allclose(after[[0, 2]], before[[0, 2]], atol=1e-5)


def test_every_frame_sees_every_frame(config, asked):
    network = stirred(made(config))
    noisy = asked[0].requires_grad_()
    for t in range(4):
        (gradient,) = torch.autograd.grad(network(*asked)[:, t].sum(), noisy)
        assert (gradient.abs().sum(dim=(0, 2, 3, 4)) > 0).all()


def test_every_parameter_learns(config, asked):
    """After one step away from zero, a gradient reaches every weight: no part is left out."""
    network = stirred(made(config))
    network(*asked).square().sum().backward()
    untouched = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert untouched == []


def test_what_is_given_beside_the_noise_and_the_levels_are_seen(config, asked):
    noisy, step, condition = asked
    network = stirred(made(replace(config, given_channels=2, num_levels=2)))
    told = replace(condition, given=torch.randn(3, 4, 2, 8, 8), levels=torch.full((3, 2), 0.5))
    before = network(noisy, step, told)
    for other in (
        replace(told, given=told.given + 1),
        replace(told, levels=torch.tensor([[0.5, 0.5], [0.5, 0.1], [0.5, 0.5]])),
        replace(told, levels=torch.tensor([[0.5, 0.5], [0.1, 0.5], [0.5, 0.5]])),
    ):
        assert not torch.allclose(network(noisy, step, other)[1], before[1], atol=1e-4)


def test_wrong_inputs_are_refused(config, asked):
    network, (noisy, step, condition) = made(config), asked
    for wrong, words in (
        ((noisy[:, :3], step, condition), "noisy: wanted"),
        ((noisy[..., :7], step, condition), "noisy: wanted"),
        ((noisy, step, Condition()), "words: wanted words, 0 where one is left out, got None"),
        ((noisy, step, replace(condition, levels=torch.zeros(3, 1))), "levels: wanted 0 for each clip, got 1"),
        ((noisy, step, replace(condition, given=torch.zeros(3, 4, 1, 8, 8))), "given: wanted"),
    ):
        with pytest.raises(ValueError, match=words):
            network(*wrong)


def test_frames_of_a_factorised_u_net_begin_as_pictures_by_themselves(asked):
    """Stirred except for the looks along time: what a model of pictures has learned is not disturbed by them."""
    torch.manual_seed(1)
    network = UNet(CONFIGS["U-Net, factorised"])
    torch.nn.init.normal_(network.head.weight)
    noisy, step, condition = asked
    clip = network(noisy, step, condition)
    assert clip.abs().max() > 0.1
    other = noisy.clone()
    other[:, 2] += 1
    assert torch.allclose(network(other, step, condition)[:, [0, 1, 3]], clip[:, [0, 1, 3]], atol=1e-5)


def test_left_out_words_leave_the_rest_of_the_condition():
    condition = Condition(words=torch.ones(2, 3, dtype=torch.long), given=torch.ones(2, 1, 1, 1, 1))
    without = condition.without_words()
    assert (without.words == 0).all()
    assert without.given is condition.given
    assert condition[1:].words.shape == (1, 3)
    assert condition[1:].levels is None


def test_the_place_of_a_word_matters_only_where_words_look_at_one_another():
    """Sums of words in places: two swapped words have the same sum. With a block, who stands where is heard."""
    one, other = torch.tensor([[1, 2, 3]]), torch.tensor([[2, 1, 3]])
    for num_layers, same in ((0, True), (1, False)):
        encoder = stirred(CaptionEncoder(9, 3, 8, num_layers=num_layers))
        assert torch.allclose(encoder(one), encoder(other), atol=1e-5) == same


def test_patches_by_hand_and_back():
    """Two frames of 2 x 4 pixels, patches of 2 frames and 2 x 2 pixels: two tokens, left and right."""
    clip = torch.arange(16.0).view(1, 2, 1, 2, 4)
    tokens = patches(clip, 2, 2)
    assert tokens[0].tolist() == [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]]
    clips = torch.randn(2, 6, 3, 8, 8)
    assert torch.equal(clip_of(patches(clips, 3, 4), 3, 4, side=2), clips)


def test_an_untrained_dit_block_hands_on_what_comes_and_an_open_gate_lets_through():
    torch.manual_seed(0)
    block, x, vector = DiTBlock(8, 2), torch.randn(2, 5, 8), torch.randn(2, 8)
    assert torch.equal(block(x, vector), x)
    with torch.no_grad():
        block.from_condition.bias[16:24] = 1.0  # the gate of the attention
    assert torch.allclose(block(x, vector), x + block.attention(torch.nn.functional.layer_norm(x, (8,))), atol=1e-6)


def test_given_is_put_behind_the_channels():
    noisy, given = torch.zeros(1, 2, 3, 4, 4), torch.ones(1, 2, 1, 4, 4)
    assert with_given(noisy, None, 0) is noisy
    assert with_given(noisy, given, 1)[0, 0, :, 0, 0].tolist() == [0, 0, 0, 1]
    with pytest.raises(ValueError, match=r"given: wanted \(1, 2, 1, 4, 4\), got \(1, 2, 0, 4, 4\)"):
        with_given(noisy, None, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"hidden_channels": (12,)}, {"hidden_channels": ()}, {"num_frames": 0}, {"patch_size": 0}, {"frames": "all"}],
)
def test_wrong_unet_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match=r"wanted"):
        UNetConfig(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"patch_frames": 3},
        {"patch_size": 5},
        {"num_layers": 0},
        {"frame_channels": 12},
        {"frame_channels": 8, "patch_size": 1},
    ],
)
def test_wrong_dit_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match=r"wanted"):
        DiTConfig(**wrong)
