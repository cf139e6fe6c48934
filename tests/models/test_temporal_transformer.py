import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from course.models.temporal_transformer import POSITIONS, TemporalTransformer, TemporalTransformerConfig

B, T = 3, 5
FRAMES = TemporalTransformerConfig(num_channels=2, size=4, hidden_size=16, num_heads=2, num_frames=9, output_size=3)
PATCHES = replace(FRAMES, patch_size=2)
FULL = replace(PATCHES, factorised=False, causal=False)
FORMS = {"frames": FRAMES, "patches": PATCHES, "full": FULL}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def allowed(position, form):
    return not (position == "rotary" and form == "full")


CASES = [(form, position) for form in FORMS for position in POSITIONS if allowed(position, form)]


@pytest.mark.parametrize(("form", "position"), CASES)
def test_there_is_an_answer_for_each_frame_of_clips_of_any_length(form, position):
    model = TemporalTransformer(replace(FORMS[form], position=position))
    for num_frames in (1, T, 9):
        assert model(torch.rand(B, num_frames, 2, 4, 4)).shape == (B, num_frames, 3)


@pytest.mark.parametrize(("form", "position"), CASES)
def test_no_answer_sees_a_later_frame_and_no_clip_another(form, position):
    model = TemporalTransformer(replace(FORMS[form], position=position))
    clips = torch.rand(B, T, 2, 4, 4, requires_grad=True)
    for t in range(T):
        (gradient,) = torch.autograd.grad(model(clips)[1, t].sum(), clips)
        later = gradient[1, t + 1 :].abs().sum()
        assert later == 0 if model.config.causal or t == T - 1 else later > 0
        assert gradient[1, : t + 1].flatten(1).abs().amax(dim=1).min() > 0
        assert gradient[0].abs().sum() == gradient[2].abs().sum() == 0


@pytest.mark.parametrize(("form", "position"), CASES)
def test_shuffled_time_is_invisible_without_a_position_and_only_then(form, position):
    model = TemporalTransformer(replace(FORMS[form], position=position, causal=False))
    clips, order = torch.rand(B, T, 2, 4, 4), torch.tensor([3, 0, 4, 2, 1])
    if position == "learned":
        model.time.table.data *= 50  # they start small, and are told apart by training
    difference = (model(clips)[:, order] - model(clips[:, order])).abs().max()
    assert difference < 1e-5 if position == "none" else difference > 1e-3


@pytest.mark.parametrize("form", ["patches", "full"])
def test_a_patch_holds_a_square_of_pixels_and_knows_its_place(form):
    model = TemporalTransformer(replace(FORMS[form], position="none"))
    clip = torch.zeros(1, 1, 2, 4, 4)
    clip[0, 0, 1, 2:, :2] = torch.tensor([[1.0, 2], [3, 4]])  # second channel, lower left patch
    with torch.no_grad():
        got = model.embed(clip) - model.place(4)
    wanted = model.embed_patch(torch.tensor([0.0, 0, 0, 0, 1, 2, 3, 4]))
    assert torch.allclose(got[0, 0, 2], wanted, atol=1e-6)
    for empty in (0, 1, 3):
        assert torch.allclose(got[0, 0, empty], model.embed_patch.bias, atol=1e-6)
    moved = clip.roll(2, dims=4)
    assert not torch.allclose(model(clip), model(moved), atol=1e-4)


def test_only_full_attention_looks_at_another_place_in_another_frame_at_once():
    """In one factorised block the way to another place and time is there, but needs both looks."""
    clips = torch.rand(1, T, 2, 4, 4, requires_grad=True)
    model = TemporalTransformer(replace(PATCHES, num_layers=1, causal=False))
    assert type(model.blocks[0]).__name__ == "FactorisedBlock"
    (gradient,) = torch.autograd.grad(model(clips)[0, 0].sum(), clips)
    assert gradient[0, T - 1].flatten(1).abs().amin() > 0
    assert type(TemporalTransformer(FULL).blocks[0]).__name__ == "TransformerBlock"
    assert TemporalTransformer(FULL).blocks[0].attention.causal is False


@pytest.mark.parametrize(("form", "position"), CASES)
def test_every_parameter_gets_a_gradient_and_learning_happens(form, position):
    """Was the first frame brighter in its first channel than in its second?"""
    config = replace(FORMS[form], position=position, num_frames=T, output_size=2)
    model = TemporalTransformer(config)
    before = copy.deepcopy(list(model.parameters()))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    clips = torch.rand(64, T, 2, 4, 4)
    clips[:, 0, 0] *= torch.rand(64, 1, 1).round()
    target = (clips[:, 0, 0].mean((1, 2)) > clips[:, 0, 1].mean((1, 2))).long()
    losses, seen = [], [0.0] * len(before)
    for _ in range(60):
        loss = F.cross_entropy(model(clips)[:, -1], target)
        optimiser.zero_grad()
        loss.backward()
        seen = [total + p.grad.abs().sum().item() for total, p in zip(seen, model.parameters(), strict=True)]
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert min(seen) > 0
    assert all((now - then).abs().max() > 0 for now, then in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: replace(FRAMES, position="absolute"), "position: wanted one of ('none', 'learned'"),
        (lambda: replace(FRAMES, num_layers=0), "num_layers: wanted at least 1, got 0"),
        (lambda: replace(FRAMES, patch_size=3), "wanted a divisor of the frame's side 4, got 3"),
        (lambda: replace(PATCHES, factorised=False), "full attention counts patches, not frames"),
        (lambda: replace(FULL, position="rotary"), "full attention counts patches, not frames"),
        (lambda: TemporalTransformer(FRAMES)(torch.zeros(1, 2, 3, 4, 4)), "wanted (B, T, 2, 4, 4), got (1, 2, 3"),
        (lambda: TemporalTransformer(FRAMES)(torch.zeros(2, 2, 4, 4)), "wanted (B, T, C, H, W), got (2, 2, 4, 4)"),
        (
            lambda: TemporalTransformer(replace(FRAMES, position="learned"))(torch.zeros(1, 10, 2, 4, 4)),
            "made for 9, got 10",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
