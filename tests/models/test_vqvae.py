import pytest
import torch
from torch.nn import functional as F

from course.models.vqvae import VQVAE, VQVAEConfig

SMALL = {"num_frames": 4, "size": 8, "patch_size": 2, "hidden_channels": (8, 8), "time_channels": 8, "code_size": 4}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def small(**changes):
    return VQVAE(VQVAEConfig(**SMALL | {"num_codes": 16, "levels": (4, 4)} | changes))


@pytest.mark.parametrize("quantizer", ["vector", "finite scalar"])
@pytest.mark.parametrize(("frames_per_token", "num_tokens"), [(1, 16), (2, 8), (4, 4)])
def test_a_clip_becomes_tokens_and_these_a_clip(quantizer, frames_per_token, num_tokens):
    model = small(quantizer=quantizer, frames_per_token=frames_per_token)
    torch.nn.init.normal_(model.encoder[-1].weight)  # tokens that differ: norms blow up the last bits of equal ones
    clips = torch.rand(3, 4, 3, 8, 8)
    drawn, quantized = model(clips)
    assert drawn.shape == clips.shape
    assert quantized.tokens.shape == (3, 4 // frames_per_token, 2, 2)
    model.eval()
    tokens = model.encode(clips)
    assert tokens.shape == (3, num_tokens)
    assert model.config.num_tokens == num_tokens
    assert 0 <= tokens.min() <= tokens.max() < model.num_codes == 16
    drawn, quantized = model(clips)
    assert torch.equal(quantized.tokens.flatten(1), tokens)
    assert torch.allclose(model.decode(tokens), drawn.clamp(0, 1), atol=1e-5)
    assert not model.decode(tokens).requires_grad


def test_tokens_come_frame_by_frame_and_row_by_row():
    """What changes in one frame changes that frame's tokens alone; a change in a corner, that corner's first."""
    model = small().eval()
    model.quantizer.train()(model._latents(torch.rand(8, 4, 3, 8, 8)))  # codes where the latents are
    model.eval()
    clips = torch.rand(8, 4, 3, 8, 8)
    for t in range(4):
        other = clips.clone()
        other[:, t] = torch.rand(8, 3, 8, 8)
        changed = (model.encode(clips) != model.encode(other)).any(dim=0)
        assert changed.view(4, 4).any(dim=1).tolist() == [frame == t for frame in range(4)]


def test_the_first_frames_alone_give_the_first_tokens():
    model = small().eval()
    clips = torch.rand(5, 4, 3, 8, 8)
    assert torch.equal(model.encode(clips[:, :1]), model.encode(clips)[:, :4])
    pairs = small(frames_per_token=2).eval()
    assert torch.equal(pairs.encode(clips[:, :2]), pairs.encode(clips)[:, :4])


def test_every_frame_is_drawn_from_the_tokens_of_all():
    model = small().eval()
    tokens = torch.randint(16, (2, 16))
    other = tokens.clone()
    other[:, -1] = (other[:, -1] + 1) % 16
    far = (model.decode(tokens) - model.decode(other)).abs().amax(dim=(0, 2, 3, 4))
    assert far.min() > 0


def test_every_parameter_gets_a_gradient_and_the_clips_come_back():
    model = small(num_codes=32)
    colours = torch.rand(6, 1, 3, 1, 1)
    clips = colours.expand(-1, 4, -1, 8, 8).contiguous()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    errors = []
    for _ in range(150):
        drawn, quantized = model(clips)
        error = F.mse_loss(drawn, clips)
        optimiser.zero_grad()
        (error + 0.1 * quantized.commitment).backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters()) or len(errors) < 5
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.05 * errors[0]
    model.eval()
    assert F.mse_loss(model.decode(model.encode(clips)), clips) < 0.05 * errors[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: VQVAEConfig(quantizer="none"), "quantizer: wanted one of ('vector', 'finite scalar'), got 'none'"),
        (lambda: VQVAEConfig(frames_per_token=3), "frames_per_token: wanted a divisor of 8, got 3"),
        (lambda: VQVAEConfig(size=18), "size: wanted a multiple of 4 pixels, the side of a token, got 18"),
        (lambda: VQVAEConfig(time_channels=9), "channels: wanted multiples of 8"),
        (lambda: small().encode(torch.zeros(1, 4, 3, 16, 16)), "wanted (B, 4, 3, 8, 8) or the first frames alone"),
        (lambda: small().encode(torch.zeros(1, 5, 3, 8, 8)), "got (1, 5, 3, 8, 8)"),
        (lambda: small(frames_per_token=2).encode(torch.zeros(1, 1, 3, 8, 8)), "got (1, 1, 3, 8, 8)"),
        (lambda: small().decode(torch.zeros(1, 15, dtype=torch.long)), "tokens: wanted (B, 16), got (1, 15)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
