"""Real digits, how they move, and the files that may take their place."""

import gzip
import io
import os

import numpy as np
import pytest
import torch

from course.budget import generator
from course.datasets.digits import load_digits, moving_digits, read_clips, read_images


@pytest.fixture(scope="module")
def train():
    return load_digits("train")


@pytest.fixture(scope="module")
def batch(train):
    images, labels = train
    return moving_digits(16, generator=generator(0), images=images, labels=labels)


def dot(size=28):
    """One white image: its whole square shows where it was drawn."""
    return torch.ones(1, 1, size, size)


def idx(images):
    return b"".join(number.to_bytes(4, "big") for number in (2051, *images.shape)) + images.tobytes()


def pixels(num_images=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (num_images, 28, 28), dtype=np.uint8)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


class Trap:
    """Makes a folder when it is unpickled: a file could run any code that way."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class TestLoad:
    """The bundled digits and their split."""

    def test_splits_share_no_image_and_hold_all(self, train):
        test, _ = load_digits("test")
        both = torch.cat([train[0], test]).flatten(1)
        assert len(train[0]) == 1433
        assert len(test) == 364
        assert len(both.unique(dim=0)) == 1797

    def test_every_digit_keeps_a_fifth_for_testing(self, train):
        _, labels = load_digits("test")
        test_share = labels.bincount() / (labels.bincount() + train[1].bincount())
        assert ((test_share > 0.19) & (test_share < 0.21)).all()

    def test_enlarging_keeps_the_brightness_and_the_place(self, train):
        from sklearn.datasets import load_digits as load_bundled

        bundled = load_bundled()
        small = torch.from_numpy(bundled.images[0]).float() / 16  # the first zero of the file is for training
        large = train[0][0, 0]
        assert train[1][0] == bundled.target[0] == 0
        assert train[0].amin() == 0
        assert train[0].amax() == 1
        assert large.mean().item() == pytest.approx(small.mean().item(), rel=0.05)
        assert torch.nn.functional.adaptive_avg_pool2d(large[None], 4)[0] == pytest.approx(
            torch.nn.functional.avg_pool2d(small[None], 2)[0], abs=0.08
        )
        assert large.diff(dim=1).abs().amax() < 0.5 * small.diff(dim=1).abs().amax()  # smooth, not blocky

    def test_labels_belong_to_the_images(self, train):
        """The nearest training image of a test image almost always shows the same digit."""
        images, labels = load_digits("test")
        nearest = torch.cdist(images.flatten(1), train[0].flatten(1)).argmin(1)
        assert (train[1][nearest] == labels).float().mean() > 0.9

    def test_unknown_split(self):
        with pytest.raises(ValueError, match="'validation'"):
            load_digits("validation")


class TestMovingDigits:
    """Rendering and the laws of motion."""

    def test_layout(self, batch):
        assert batch.clips.shape == (16, 20, 1, 64, 64)
        assert batch.clips.dtype == torch.float32
        assert batch.positions.shape == (16, 20, 2, 2)
        assert batch.labels.shape == (16, 2)

    def test_same_seed_same_bytes(self, train, batch):
        again = moving_digits(16, generator=generator(0), images=train[0], labels=train[1])
        other = moving_digits(16, generator=generator(1), images=train[0], labels=train[1])
        assert again.clips.numpy().tobytes() == batch.clips.numpy().tobytes()
        assert again.positions.equal(batch.positions)
        assert again.labels.equal(batch.labels)
        assert not other.clips.equal(batch.clips)

    def test_never_leaves_the_frame(self):
        """All of a white square shows in every frame, however long and fast it moves."""
        long = moving_digits(8, generator=generator(2), images=dot(), num_digits=1, num_frames=100, step=0.7)
        assert long.clips.sum((2, 3, 4)).eq(28 * 28).all()
        assert long.positions.amin() == 0
        assert long.positions.amax() == 36

    def test_drawn_at_the_floor_of_its_position(self):
        one = moving_digits(8, generator=generator(3), images=dot(), num_digits=1)
        mass = one.clips[:, :, 0]
        grid = torch.arange(64) + 0.5
        row = (mass.sum(3) * grid).sum(2) / mass.sum((2, 3))
        column = (mass.sum(2) * grid).sum(2) / mass.sum((2, 3))
        assert torch.stack([row, column], -1).allclose(one.positions[:, :, 0].floor() + 14, atol=1e-4)

    def test_first_clip_by_hand(self, train, batch):
        """Draw one frame the slow way: each digit in its square, the brighter pixel where they overlap."""
        probe = moving_digits(16, generator=generator(0), images=train[0], labels=torch.arange(1433))
        for b, t in ((0, 0), (7, 19)):
            frame = torch.zeros(64, 64)
            for digit in range(2):
                y, x = probe.positions[b, t, digit].int().tolist()
                image = train[0][probe.labels[b, digit], 0]
                for i in range(28):
                    for j in range(28):
                        frame[y + i, x + j] = max(frame[y + i, x + j], image[i, j])
            assert batch.clips[b, t, 0].equal(frame)
            assert batch.labels[b].equal(train[1][probe.labels[b]])

    @pytest.mark.parametrize("step", [0.1, 0.04])
    def test_speed_is_constant_between_bounces(self, step):
        path = moving_digits(64, generator=generator(4), images=dot(), num_digits=1, step=step).positions[:, :, 0]
        free = ((path > 0) & (path < 36)).all(-1)
        free = free[:, 1:] & free[:, :-1]
        speed = path.diff(dim=1).norm(dim=-1)
        assert free.float().mean() > 0.5
        assert speed[free].allclose(torch.tensor(36 * step), atol=1e-4)
        assert (speed[~free] < 36 * step + 1e-4).all()

    def test_turns_round_at_a_wall_and_there_only(self):
        path = moving_digits(64, generator=generator(5), images=dot(), num_digits=1).positions[:, :, 0]
        speed = path.diff(dim=1)  # (B, 19, 2)
        at_wall = ((path == 0) | (path == 36))[:, 1:-1]
        away = (path[:, 2:] - path[:, 1:-1]) * (path[:, 1:-1] - 18)  # negative: back into the frame
        assert at_wall.any()
        assert (away[at_wall] <= 0).all()
        whole = ~at_wall & ~((path == 0) | (path == 36))[:, 2:] & ~((path == 0) | (path == 36))[:, :-2]
        assert speed[:, 1:][whole].allclose(speed[:, :-1][whole], atol=1e-4)

    def test_directions_and_starts_are_spread_evenly(self):
        batch = moving_digits(4000, generator=generator(6), images=dot(8), num_digits=1, num_frames=2, size=16)
        move = batch.positions[:, 1, 0] - batch.positions[:, 0, 0]
        assert (move > 0).float().mean(0).numpy() == pytest.approx([0.5, 0.5], abs=0.05)
        assert batch.positions[:, 0, 0].mean(0).numpy() == pytest.approx([4, 4], abs=0.2)

    def test_other_sizes(self):
        batch = moving_digits(2, generator=generator(7), images=torch.ones(3, 1, 6, 4), size=16, num_digits=3)
        assert batch.clips.shape == (2, 20, 1, 16, 16)
        assert batch.positions[..., 0].amax() <= 10
        assert batch.positions[..., 1].amax() <= 12
        assert batch.labels is None
        still = moving_digits(1, generator=generator(7), images=dot(16), size=16)
        assert still.clips.eq(1).all()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"num_clips": 0}, "at least one clip"),
            ({"num_frames": 0}, "at least one clip"),
            ({"step": 1.5}, r"1\.5"),
            ({"size": 27}, r"at most 27, at most 27\), got \(1, 1, 28, 28\)"),
            ({"images": torch.ones(28, 28)}, r"wanted \(N, 1, H, W\), got \(28, 28\)"),
            ({"images": torch.zeros(0, 1, 28, 28)}, "image"),
            ({"images": 255 * torch.ones(1, 1, 28, 28)}, "255"),
            ({"images": torch.ones(1, 3, 28, 28)}, r"wanted \(N, 1, .*got \(1, 3, 28, 28\)"),
            ({"labels": torch.zeros(2)}, "labels"),
        ],
    )
    def test_bad_input(self, change, message):
        arguments = {"num_clips": 1, "generator": generator(0), "images": dot()} | change
        with pytest.raises(ValueError, match=message):
            moving_digits(**arguments)


class TestReadImages:
    """The learner's own MNIST, whole and damaged."""

    @pytest.mark.parametrize("zipped", [False, True])
    def test_idx(self, tmp_path, zipped):
        path = tmp_path / "t10k-images-idx3-ubyte"
        path.write_bytes(gzip.compress(idx(pixels())) if zipped else idx(pixels()))
        images = read_images(path)
        assert images.shape == (3, 1, 28, 28)
        assert images.equal(torch.from_numpy(pixels())[:, None].float() / 255)

    def test_archive_has_both_splits(self, tmp_path):
        path = tmp_path / "mnist.npz"
        np.savez(path, x_train=pixels(seed=1), x_test=pixels(seed=2), y_train=np.arange(3))
        assert read_images(path)[:, 0].equal(torch.from_numpy(pixels(seed=1)).float() / 255)
        assert read_images(path, "test")[:, 0].equal(torch.from_numpy(pixels(seed=2)).float() / 255)

    def test_the_other_split_is_never_given_instead(self, tmp_path):
        path = tmp_path / "mnist.npz"
        np.savez(path, x_train=pixels())
        with pytest.raises(ValueError, match=r"mnist\.npz.*wanted x_test"):
            read_images(path, "test")

    def test_archive_with_one_array_of_any_name(self, tmp_path):
        path = tmp_path / "own.npz"
        np.savez_compressed(path, drawings=pixels(), labels=np.arange(3))
        assert read_images(path).shape == (3, 1, 28, 28)

    def test_floats_in_an_array(self, tmp_path):
        path = tmp_path / "own.npy"
        np.save(path, pixels() / 255)
        assert read_images(path).allclose(torch.from_numpy(pixels())[:, None].float() / 255)

    def test_the_same_code_renders_them(self, tmp_path):
        path = tmp_path / "own.npy"
        np.save(path, pixels())
        batch = moving_digits(2, generator=generator(0), images=read_images(path))
        assert batch.clips.amax() == 1

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"not a picture of a digit",
            idx(pixels())[:-1],
            idx(pixels()) + b"\0",
            idx(pixels())[:10],
            gzip.compress(idx(pixels()))[:-20],
            gzip.compress(idx(pixels())[:-1]),
            npy(pixels())[:-1],
            npy(pixels())[:30],
            npy(pixels()[:, :27]),
            npy(pixels().astype(np.int64)),
            npy(pixels().astype(np.float32)),
            npy(pixels()[:0]),
            npy(np.array([{"a": "pickle"}], dtype=object)),
            b"PK\x03\x04 broken",
            idx(pixels()[:, :14, :14]),
        ],
    )
    def test_damaged_or_wrong(self, tmp_path, content):
        path = tmp_path / "images"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"images: not a readable file of MNIST images: \S"):
            read_images(path)

    def test_archive_that_leaves_a_choice(self, tmp_path):
        path = tmp_path / "two.npz"
        np.savez(path, first=pixels(), second=pixels())
        with pytest.raises(ValueError, match=r"two\.npz.*x_train.*first.*second"):
            read_images(path)

    def test_truncated_archive(self, tmp_path):
        path = tmp_path / "mnist.npz"
        np.savez(path, x_train=pixels())
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(ValueError, match=r"mnist\.npz: not a readable"):
            read_images(path)

    @pytest.mark.parametrize("save", [np.save, np.savez])
    def test_never_unpickles(self, tmp_path, save):
        path = tmp_path / f"trap.{'npy' if save is np.save else 'npz'}"
        save(path, np.array([Trap(tmp_path / "sprung")], dtype=object))
        for read in (read_images, read_clips):
            with pytest.raises(ValueError, match=path.name):
                read(path)
        assert not (tmp_path / "sprung").exists()

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            read_images(tmp_path / "nowhere")


class TestReadClips:
    """The published test clips, whole and damaged."""

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "mnist_test_seq.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (20, 4, 64, 64), dtype=np.uint8))
        return path

    def test_time_moves_behind_the_clips(self, path):
        clips = read_clips(path)
        stored = np.load(path)
        assert clips.shape == (4, 20, 1, 64, 64)
        assert clips.dtype == torch.float32
        assert clips[3, 11, 0].equal(torch.from_numpy(stored[11, 3]).float() / 255)

    def test_some_of_them(self, path):
        assert read_clips(path, first=1, num_clips=2).equal(read_clips(path)[1:3])
        assert read_clips(path, first=3).equal(read_clips(path)[3:])

    @pytest.mark.parametrize("bounds", [(4, None), (0, 5), (-1, 2), (2, 0)])
    def test_more_than_there_are(self, path, bounds):
        with pytest.raises(ValueError, match="the file holds 4"):
            read_clips(path, first=bounds[0], num_clips=bounds[1])

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"nonsense",
            npy(np.zeros((20, 2, 64, 64), np.uint8))[:-1],
            npy(np.zeros((20, 2, 64, 64), np.float32)),
            npy(np.zeros((2, 20, 64, 64), np.uint8)),
            npy(np.zeros((20, 64, 64), np.uint8)),
            npy(np.array([{"a": "pickle"}], dtype=object)),
        ],
    )
    def test_damaged_or_wrong(self, tmp_path, content):
        path = tmp_path / "clips.npy"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"clips\.npy: not a readable file of Moving MNIST clips: \S"):
            read_clips(path)

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            read_clips(tmp_path / "nowhere")
