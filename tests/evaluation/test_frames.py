"""Frame metrics, by hand and against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from course.budget import generator
from course.datasets.digits import load_digits, moving_digits
from course.datasets.photos import load_photo, pan_and_zoom
from course.evaluation.frames import mse, psnr, squared_error, ssim


@pytest.fixture(scope="module")
def photo_clip():
    return pan_and_zoom(load_photo("flower"), num_frames=3, size=48, velocity=(1, 2))[None]


def noisy(clip, strength, seed=0):
    return (clip + strength * torch.randn(clip.shape, generator=generator(seed))).clamp(0, 1)


def constant(value, size=12):
    return torch.full((1, 1, 1, size, size), value)


def test_by_hand():
    target = torch.zeros(1, 2, 1, 2, 2)
    prediction = target.clone()
    prediction[0, 1] = torch.tensor([[1.0, 0.5], [0.0, 0.0]])
    assert squared_error(prediction, target).tolist() == [[0.0, 1.25]]
    assert mse(prediction, target).tolist() == [[0.0, 0.3125]]
    assert psnr(prediction, target).tolist() == [[float("inf"), pytest.approx(5.0515, abs=1e-4)]]


def test_psnr_of_a_known_error():
    assert psnr(constant(0.5), constant(0.6)).item() == pytest.approx(20, abs=1e-4)
    assert psnr(constant(0.0), constant(1.0)).item() == 0


def test_each_frame_has_its_own_number(photo_clip):
    prediction = photo_clip.clone()
    prediction[:, 1] = noisy(photo_clip, 0.2)[:, 1]
    for metric, perfect in ((squared_error, 0), (mse, 0), (psnr, torch.inf), (ssim, 1)):
        scores = metric(prediction, photo_clip)
        assert scores.shape == (1, 3)
        assert (scores == perfect).tolist() == [[True, False, True]]


def test_psnr_is_the_logarithm_of_mse(photo_clip):
    prediction = noisy(photo_clip, 0.1)
    assert (10 ** (-psnr(prediction, photo_clip) / 10)).allclose(mse(prediction, photo_clip), rtol=1e-4)
    assert squared_error(prediction, photo_clip).allclose(3 * 48 * 48 * mse(prediction, photo_clip), rtol=1e-4)
    expected = peak_signal_noise_ratio(photo_clip[0, 0].numpy(), prediction[0, 0].numpy(), data_range=1)
    assert psnr(prediction, photo_clip)[0, 0].item() == pytest.approx(expected, abs=1e-3)


def test_ssim_of_flat_frames_by_hand():
    """Without structure only the means are compared: (2ab + C1) / (a^2 + b^2 + C1), with C1 = 0.0001."""
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(constant(0.2), constant(0.6)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("strength", [0.02, 0.1, 0.5])
def test_ssim_equals_scikit_image_on_photos(photo_clip, strength):
    prediction = noisy(photo_clip, strength)
    found = ssim(prediction, photo_clip)
    for t in range(3):
        expected = structural_similarity(
            photo_clip[0, t].double().numpy(),
            prediction[0, t].double().numpy(),
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
        )
        assert found[0, t].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [11, 16, 64])
def test_ssim_equals_scikit_image_on_digits(size):
    images, _ = load_digits("test")
    images = torch.nn.functional.interpolate(images, size=(min(size, 28),) * 2)
    batch = moving_digits(2, generator=generator(0), images=images, size=size, num_frames=2).clips
    prediction = batch.flip(0)
    found = ssim(prediction, batch)
    for b, t in np.ndindex(2, 2):
        expected = structural_similarity(
            batch[b, t, 0].double().numpy(),
            prediction[b, t, 0].double().numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
        )
        assert found[b, t].item() == pytest.approx(expected, abs=1e-5)


def test_ssim_falls_under_noise(photo_clip):
    scores = torch.stack([ssim(noisy(photo_clip, s), photo_clip).mean() for s in (0, 0.02, 0.05, 0.1, 0.3)])
    assert scores[0] == 1
    assert (scores.diff() < -0.02).all()


def test_ssim_is_symmetric_and_can_be_negative(photo_clip):
    negative = 1 - photo_clip
    assert ssim(negative, photo_clip).equal(ssim(photo_clip, negative))
    assert (ssim(negative, photo_clip) < 0).all()


def test_frame_metrics_do_not_see_the_order_of_frames(photo_clip):
    prediction, order = noisy(photo_clip, 0.1), [2, 0, 1]
    for metric in (squared_error, mse, psnr, ssim):
        shuffled = metric(prediction[:, order], photo_clip[:, order])
        assert shuffled.equal(metric(prediction, photo_clip)[:, order])


@pytest.mark.parametrize("metric", [squared_error, mse, psnr, ssim])
def test_bad_input(metric):
    good = constant(0.5)
    with pytest.raises(ValueError, match="prediction"):
        metric(good[..., :-1], good)
    with pytest.raises(ValueError, match="prediction"):
        metric(good * 3, good)
    with pytest.raises(ValueError, match=r"target: wanted \(B, T, C, H, W\)"):
        metric(good[0], good[0])
    with pytest.raises(ValueError, match="uint8"):
        metric(good, (good * 255).byte())


def test_ssim_needs_room_for_its_window():
    with pytest.raises(ValueError, match="11 x 11 does not fit into a frame of 10 x 10"):
        ssim(constant(0.5, 10), constant(0.5, 10))
