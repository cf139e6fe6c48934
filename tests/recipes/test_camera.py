"""The camera: a strip never filmed in training, geometry that agrees with the films, what is told, what is kept."""

import math
from dataclasses import replace

import pytest
import torch

from course import budget
from course.datasets.photos import load_photo, pan_and_zoom
from course.diffusion.schedule import to_signed, to_unit
from course.models.unet import UNetConfig
from course.recipes import camera
from course.recipes.camera import (
    CAMERA_SETTINGS,
    MOVES,
    WAYS,
    camera_checkpoint,
    camera_examples,
    camera_metrics,
    camera_run,
    film,
    filmed,
    parts,
    psnr_of_parts,
    read_back,
    sources,
    visible,
    warped,
)
from course.recipes.denoising import denoiser

SMALL = UNetConfig(given_channels=4, num_levels=3, frame_channels=8, patch_size=8, hidden_channels=(8,))
STEP_COSTS = 0.05


@pytest.fixture(scope="module")
def truth():
    return filmed(40, generator=budget.generator(0), photos=parts()[1])


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = denoiser(SMALL)
        torch.nn.init.normal_(network.head.weight, std=0.02)
        return network.eval()


def agrees(noisy, noise_step, condition):
    """A network that has nothing to add to what it is shown."""
    return torch.zeros_like(noisy)


def test_the_held_out_strip_is_in_no_part_that_is_filmed_in_training(monkeypatch):
    """In photographs whose red says in which column they are."""
    column = torch.linspace(0, 1, 640).expand(3, 400, 640)
    monkeypatch.setattr(camera, "load_photo", lambda name: column)
    parts.cache_clear()
    trained, held_out = parts()
    drawn = camera_examples(200, budget.generator(0), way="told")
    clips = (to_signed(drawn.clips) + drawn.condition.given[:, :, :3] + 1) / 2  # of half the size
    parts.cache_clear()
    first, last = camera.HELD_OUT
    assert len(trained) == 8
    assert all(first <= strip.min() + 0.002 and strip.max() - 0.002 <= last for strip in held_out)
    assert not any(((part > first + 0.002) & (part < last - 0.002)).any() for part in trained)
    assert not ((clips > first + 0.005) & (clips < last - 0.005)).any()
    assert clips.min() < 0.1
    assert clips.max() > 0.9


def test_the_strips_leave_room_for_every_move():
    turns = torch.arange(8) * torch.pi / 4
    for strip in parts()[1]:
        for turn in turns.tolist():
            for zoom in (1 / camera.MAX_ZOOM, camera.MAX_ZOOM):
                velocity = camera.MAX_SPEED * math.sin(turn), camera.MAX_SPEED * math.cos(turn)
                pan_and_zoom(
                    strip,
                    num_frames=camera.NUM_FRAMES,
                    size=camera.SIZE,
                    velocity=velocity,
                    zoom=zoom,
                    pixel_size=camera.PIXEL_SIZE,
                )


@pytest.mark.parametrize("way", WAYS)
def test_a_camera_that_stands_still_is_told_as_halves_and_sees_all(way, truth):
    pictures = truth.clips[:2, 0]
    condition = WAYS[way](pictures, torch.zeros(2, 2), torch.ones(2))
    assert condition.given.shape == (2, 8, 4, 32, 32)
    assert torch.allclose(condition.levels, torch.full((2, 3), 0.5))
    assert torch.allclose(condition.given[:, 5, :3], 2 * pictures - 1, atol=1e-5)
    assert (condition.given[:, 0, 3] == 1).all()
    assert (condition.given[:, 1:, 3] == (way == "shown")).all()


@pytest.mark.parametrize("way", WAYS)
def test_what_is_learned_is_what_is_missing_from_what_is_shown(way):
    drawn = camera_examples(20, budget.generator(0), way=way)
    clips = to_unit(drawn.condition.given[:, :, :3] + to_signed(drawn.clips))
    truth = filmed(20, generator=budget.generator(0), photos=parts()[0])
    assert (clips - truth.clips).abs().mean() < 0.01  # what is cut off is little
    assert (drawn.clips[:, 0] - 0.5).abs().max() < 1e-5
    error = (drawn.clips - 0.5).abs().mean(dim=2)
    seen = visible(truth.velocities, truth.zooms)
    assert error[~seen].mean() > 0.02
    assert (error[seen].mean() < 0.01) == (way == "shown")


def test_levels_reach_from_0_to_1():
    levels = camera.told(
        torch.zeros(3, 3, 32, 32),
        camera.MAX_SPEED * torch.tensor([[-1.0, 1.0], [1.0, -1.0], [0.0, 0.5]]),
        torch.tensor([camera.MAX_ZOOM, 1 / camera.MAX_ZOOM, 1.0]),
    ).levels
    assert levels.tolist() == [pytest.approx(row, abs=1e-6) for row in ([0, 1, 1], [1, 0, 0], [0.5, 0.75, 0.5])]


def test_the_geometry_is_that_of_the_films(truth):
    """A photograph in which each pixel says where it is."""
    rows, columns = torch.meshgrid(torch.arange(400) + 0.5, torch.arange(400) + 0.5, indexing="ij")
    photo = torch.stack([rows, columns]) / 400
    for velocity, zoom in (((1.0, -0.7), 1.2), ((0.0, 1.5), 0.8), ((0.0, 0.0), 1.0)):
        clip = 400 * pan_and_zoom(photo, num_frames=8, size=32, velocity=velocity, zoom=zoom, pixel_size=4)
        where = sources(torch.tensor([velocity]), torch.tensor([zoom]))[0]  # (8, 32, 2)
        corner = clip[0, :, 0, 0] - 2  # half a pixel of 4
        assert torch.allclose(clip[:, 0, :, 0], corner[0] + 4 * where[..., 0], atol=0.05)
        assert torch.allclose(clip[:, 1, 0], corner[1] + 4 * where[..., 1], atol=0.05)


def test_what_is_visible_is_right_where_the_first_frame_is_warped(truth):
    still = visible(torch.zeros(1, 2), torch.ones(1))
    assert still.all()
    moved = visible(torch.tensor([[0.0, 1.0]]), torch.ones(1))[0]
    assert [int((~frame).sum()) for frame in moved] == [32 * t for t in range(8)]
    assert not moved[-1, :, -7:].any()  # it comes in on the right
    known, invented = psnr_of_parts(warped(truth.clips[:, 0], truth.velocities, truth.zooms), truth)
    assert known > 30
    assert invented < 25
    frozen, _ = psnr_of_parts(truth.clips[:, :1].expand_as(truth.clips), truth)
    assert frozen < 25


def test_the_motion_of_true_films_is_read_back_and_a_frozen_film_has_none(truth):
    asked = truth.velocities, truth.zooms
    velocities, zooms = read_back(truth.clips, *asked)
    assert (velocities - asked[0]).norm(dim=1).mean() < 0.1
    assert (zooms - asked[1]).abs().mean() < 0.04
    velocities, zooms = read_back(truth.clips[:, :1].expand_as(truth.clips), *asked)
    assert velocities.abs().max() < 1e-4
    assert (zooms - 1).abs().max() < 1e-4


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_a_film_begins_with_the_picture_itself(move, way, network):
    pictures = torch.rand(2, 3, 32, 32, generator=budget.generator(0))
    options = {"way": way, "num_steps": 2, **vars(move)}
    one, again, other = (film(network, pictures, generator=budget.generator(seed), **options) for seed in (0, 0, 1))
    assert one.shape == (2, 8, 3, 32, 32)
    assert torch.equal(one[:, 0], pictures)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 1


def test_a_camera_moves_where_its_phrase_says():
    """What is shown of a bright spot moves the other way."""
    picture = torch.zeros(1, 3, 32, 32)
    picture[:, :, 15:17, 15:17] = 1
    where = {}
    for phrase, move in MOVES.items():
        last = film(agrees, picture, generator=budget.generator(0), num_steps=1, **vars(move))[0, -1].mean(dim=0)
        weight = last / last.sum()
        place = torch.arange(32) + 0.5 - 16
        where[phrase] = ((weight.sum(dim=1) @ place).item(), (weight.sum(dim=0) @ place).item(), last.sum().item())
    assert where["camera moves left"][:2] == pytest.approx((0, 7), abs=0.1)
    assert where["camera moves right"][:2] == pytest.approx((0, -7), abs=0.1)
    assert where["camera moves up"][:2] == pytest.approx((7, 0), abs=0.1)
    assert where["camera moves down"][:2] == pytest.approx((-7, 0), abs=0.1)
    assert where["camera zooms in"][2] > 4.5 > 3.5 > where["camera zooms out"][2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"down": 2.0}, "at most 1.5 pixels per frame .* got 2 down, 0 right and a zoom of 1"),
        ({"down": 1.2, "right": 1.2}, "at most 1.5 pixels"),
        ({"zoom": 1.5}, "zoom from 0.8 to 1.25, .* zoom of 1.5"),
        ({"zoom": 0.0}, "zoom from 0.8"),
        ({"right": float("nan")}, "got 0 down, nan right"),
        ({"way": "asked"}, "way: wanted one of told, shown, got 'asked'"),
    ],
)
def test_a_move_that_was_never_trained_is_refused(options, message, network):
    with pytest.raises(ValueError, match=message):
        film(network, torch.zeros(1, 3, 32, 32), generator=budget.generator(0), **options)


def test_pictures_of_another_form_are_refused(network):
    with pytest.raises(ValueError, match=r"pictures: wanted \(B, 3, 32, 32\), got \(1, 3, 16, 16\)"):
        film(network, torch.zeros(1, 3, 16, 16), generator=budget.generator(0))
    with pytest.raises(ValueError, match="way: wanted one of told, shown"):
        camera_run("asked", seed=0, cpu_seconds=1.0)


def test_a_network_that_adds_nothing_is_the_warped_film():
    metrics = camera_metrics(agrees, num_clips=10)
    for part in ("known", "invented"):
        of_part = metrics[f"PSNR of what is {part}"]
        assert of_part == pytest.approx(metrics[f"PSNR of what is {part}, first frame warped"], abs=0.1)
    assert metrics["error of the camera's velocity"] < 0.15
    frozen = camera_metrics(agrees, way="told", num_clips=10)
    assert frozen["PSNR of what is known"] == pytest.approx(
        frozen["PSNR of what is known, first frame frozen"], abs=0.1
    )
    assert frozen["error of the camera's velocity"] > 0.3


def test_a_checkpoint_holds_what_was_measured(tmp_path, monkeypatch):
    small = {way: replace(setting, config=SMALL) for way, setting in CAMERA_SETTINGS.items()}
    monkeypatch.setattr(camera, "CAMERA_SETTINGS", small)
    asked = []
    monkeypatch.setattr(camera, "camera_metrics", lambda network, way: asked.append(way) or {"nothing": 0.0})
    card = camera_checkpoint(tmp_path / "a.safetensors", camera_run(seed=0, cpu_seconds=0.3), command="none")
    assert asked == ["shown"]
    assert card.recipe.startswith("picture and camera to clip, the move shown: 0.3 CPU seconds")
    assert card.num_steps > 0


def test_a_strip_is_a_quarter_of_a_photograph():
    _, strips = parts()
    assert [strip.shape for strip in strips] == [(3, 427, 160)] * 2
    assert torch.equal(strips[0], load_photo("china")[:, :, 320:480])
