from dataclasses import replace

import pytest
import torch

from course import budget
from course.models.context import WAYS, ContextConfig, ContextEncoder, ContextPredictor, spot

B, T, SIZE = 3, 5, 16
SMALL = ContextConfig(hidden_channels=16, num_levels=2, context_size=8)
KINDS = {way: replace(SMALL, way=way) for way in WAYS} | {"local": replace(SMALL, local=True)}
TOLD = ("input", "every", "attention")


def made(config):
    """Return a model whose every parameter has a value, also those that start at zero."""
    torch.manual_seed(0)
    model = ContextPredictor(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "from_context" in name or "project_out" in name:
                parameter.normal_(std=0.3)
    return model


@pytest.fixture(params=KINDS, name="model")
def fixture_model(request):
    return made(KINDS[request.param])


def scene(num_frames=T):
    generator = budget.generator(1)
    frames = torch.rand(B, num_frames, 3, SIZE, SIZE, generator=generator)
    path = 4 + 8 * torch.rand(B, num_frames + 1, 2, generator=generator)
    first = torch.rand(B, 4, 3, SIZE, SIZE, generator=generator)
    return frames, path, first


def test_a_spot_stands_where_the_path_says():
    picture = spot(torch.tensor([[4.5, 9.5]]), SIZE)[0]
    assert picture.shape == (SIZE, SIZE)
    assert divmod(int(picture.argmax()), SIZE) == (4, 9)  # the pixel whose centre is (4.5, 9.5)
    assert picture[4, 9] == 1
    assert picture[4, 11] == pytest.approx(torch.tensor(-0.5).exp().item())  # one deviation away
    assert picture[6, 9] == picture[4, 11]
    between = spot(torch.tensor([5.0, 9.5]), SIZE)
    assert between[4, 9] == between[5, 9]


def test_the_context_is_a_set_the_order_of_the_frames_does_not_count():
    torch.manual_seed(0)
    encoder, (_, _, first) = ContextEncoder(3, 8), scene()
    vectors, shuffled = encoder(first), encoder(first[:, [2, 0, 3, 1]])
    assert vectors.shape == (B, 4 * 16, 8)
    assert torch.allclose(vectors.amax(dim=1), shuffled.amax(dim=1), atol=1e-6)
    assert not torch.allclose(vectors, encoder(first.flip(0)), atol=1e-3)


@pytest.mark.parametrize("way", TOLD)
def test_a_prediction_does_not_depend_on_the_order_of_the_context_frames_but_on_the_frames(way):
    model, (frames, path, first) = made(KINDS[way]), scene()
    told = model(frames, path, model.context(first))
    assert torch.allclose(told, model(frames, path, model.context(first[:, [3, 1, 0, 2]])), atol=1e-5)
    assert not torch.allclose(told, model(frames, path, model.context(first**9)), atol=1e-4)


def test_windows_one_by_one_give_what_all_at_once_give(model):
    """So training on a whole clip and a rollout ask the same network the same question."""
    frames, path, first = scene()
    context = model.context(first)
    together = model(frames, path, context)
    assert together.shape == (B, T - 1, 3, SIZE, SIZE)
    for t in range(T - 1):
        alone = model(frames[:, t : t + 2], path[:, t : t + 3], context)
        assert torch.allclose(alone[:, 0], together[:, t], atol=1e-5)


def test_a_frame_depends_on_its_window_its_path_and_its_own_clip_s_context_alone(model):
    frames, path, first = (tensor.requires_grad_() for tensor in scene())
    context = model.context(first)
    result = model(frames, path, context)
    wanted = [frames, path] + ([first] if model.takes_context else [])
    gradients = torch.autograd.grad(result[1, 2].square().sum(), wanted)
    for gradient in gradients:
        assert gradient[[0, 2]].abs().max() == 0
    reached = [gradient[1].flatten(1).abs().amax(dim=1) > 0 for gradient in gradients]
    assert reached[0].tolist() == [False, False, True, True, False]  # the window: frames 2 and 3
    assert reached[1].tolist() == [False, False, True, True, True, False]
    if model.takes_context:
        assert reached[2].any()


def test_local_and_none_take_no_context_and_the_others_insist(model):
    frames, path, first = scene()
    if model.takes_context:
        with pytest.raises(ValueError, match="context: wanted a context, got none"):
            model(frames, path)
    else:
        assert model.context(first) is None
        with pytest.raises(ValueError, match=r"context: wanted no context, got \(3, 7, 8\)"):
            model(frames, path, torch.zeros(B, 7, 8))


def test_the_local_context_is_made_of_the_window():
    """With the frames of the window as context, ``local`` is the network with a context at every level."""
    local = made(KINDS["local"])
    told = made(replace(KINDS["local"], local=False))
    told.load_state_dict(local.state_dict() | {"null.vector": told.null.vector})
    frames, path, _ = scene(num_frames=2)
    assert torch.allclose(local(frames, path), told(frames, path, told.context(frames)), atol=1e-6)


@pytest.mark.parametrize("way", TOLD)
def test_a_context_that_is_left_out_is_out(way):
    model, (frames, path, first) = made(KINDS[way]), scene()
    given = torch.tensor([True, False, True])
    some, other = (model(frames, path, model.context(f, given)) for f in (first, first.flip(1) * 0.5))
    assert torch.equal(some[1], other[1])
    assert not torch.allclose(some[0], other[0], atol=1e-3)


def test_every_parameter_learns(model):
    frames, path, first = scene()
    context = model.context(first, torch.tensor([True, False, True]))
    model(frames, path, context).square().mean().backward()
    still = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert still == []


def test_it_learns_to_draw_what_the_context_tells():
    """One of two colours, which no window shows."""
    torch.manual_seed(0)
    model = ContextPredictor(SMALL)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    path = torch.full((8, 3, 2), 8.0)
    colours = torch.eye(3)[[0, 1] * 4]
    first = colours[:, None, :, None, None].expand(-1, 4, -1, SIZE, SIZE)
    for _ in range(40):
        drawn = model(torch.zeros(8, 2, 3, SIZE, SIZE), path, model.context(first))[:, 0]
        loss = (drawn - first[:, 0]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.02
    assert torch.equal(drawn.mean(dim=(2, 3)).argmax(dim=1), colours.argmax(dim=1))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"way": "film"}, r"way: wanted one of \('none', 'input', 'every', 'attention'\), got 'film'"),
        ({"window": 0}, "window: wanted a whole number of at least 1, got 0"),
        ({"hidden_channels": 20}, "hidden_channels: wanted a multiple of 8, got 20"),
        ({"way": "none", "local": True}, "local: a network without a context has none"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ContextConfig(**settings)


def test_a_path_that_does_not_fit_is_refused():
    frames, path, _ = scene()
    with pytest.raises(ValueError, match=r"a path of one place more, got \(3, 5, 3, 16, 16\) and \(3, 5, 2\)"):
        made(KINDS["none"])(frames, path[:, :-1])
