"""Picture files, photographs and the camera that films them; Pillow is the second opinion."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from course.budget import generator
from course.datasets.photos import load_photo, pan_and_zoom, photo_clips, photo_names, read_picture
from course.evaluation.motion import block_matching


@pytest.fixture(scope="module")
def china():
    return load_photo("china")


def filmed_by_pillow(photo, box, size):
    """Crop and resize with Pillow's antialiased bilinear filter: an independent route to one frame."""
    channels = [Image.fromarray(channel.numpy()) for channel in photo]
    resized = [channel.resize((size, size), Image.Resampling.BILINEAR, box=box) for channel in channels]
    return torch.from_numpy(np.stack([np.asarray(channel) for channel in resized]))


def file_of(pixels, **options):
    """Return the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


class TestLoad:
    """Bundled photographs and own files."""

    def test_bundled(self, china):
        assert photo_names() == ["china", "flower"]
        assert china.shape == (3, 427, 640)
        assert china.dtype == torch.float32
        assert china[2, :40].mean() > china[0, :40].mean()  # a blue sky
        assert load_photo("flower").shape == (3, 427, 640)

    def test_own_file_and_folder(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "b.PNG")
        Image.fromarray(pixels[..., 0]).save(tmp_path / "a.bmp")
        (tmp_path / "notes.txt").write_text("not a picture")
        names = photo_names(tmp_path)
        assert names == [str(tmp_path / "a.bmp"), str(tmp_path / "b.PNG")]
        assert load_photo(names[1]).equal(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
        grey = load_photo(names[0])
        assert grey.shape == (3, 5, 7)
        assert grey[0].equal(grey[2])

    def test_a_photo_taken_on_its_side_stands_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
        pixels = np.zeros((4, 8, 3), np.uint8)
        pixels[0, 0] = 255
        Image.fromarray(pixels).save(tmp_path / "side.png", exif=exif)
        photo = load_photo(tmp_path / "side.png")
        assert photo.shape == (3, 8, 4)
        assert photo[0].nonzero().tolist() == [[0, 3]]

    def test_what_is_transparent_is_black(self, tmp_path):
        pixels = np.full((2, 3, 4), 255, np.uint8)
        pixels[0, 0, 3] = 0  # white, and not to be seen
        Image.fromarray(pixels).save(tmp_path / "hole.png")
        photo = load_photo(tmp_path / "hole.png")
        assert photo[:, 0, 0].tolist() == [0, 0, 0]
        assert photo.sum() == 3 * 5

    def test_damaged_or_wrong(self, tmp_path, china):
        whole = tmp_path / "photo.png"
        Image.fromarray((china * 255).byte().permute(1, 2, 0).numpy()).save(whole)
        cut = tmp_path / "cut.png"
        cut.write_bytes(whole.read_bytes()[:20000])
        text = tmp_path / "text.jpg"
        text.write_text("not a picture")
        for path in (cut, text):
            with pytest.raises(ValueError, match=f"{path.name}: not a readable picture: "):
                load_photo(path)

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            load_photo(tmp_path / "nowhere.png")
        with pytest.raises(FileNotFoundError, match="nowhere"):
            photo_names(tmp_path / "nowhere")
        with pytest.raises(ValueError, match="found none"):
            photo_names(tmp_path)


class TestReadPicture:
    """The middle square of a file's bytes, at the size that was asked for."""

    def test_the_middle_square_is_all_there_is(self):
        for across in (False, True):
            pixels = np.zeros((6, 2, 3), np.uint8)
            pixels[2:4, 0], pixels[2:4, 1] = (255, 0, 0), (0, 0, 255)
            picture = read_picture(file_of(pixels.transpose(1, 0, 2) if across else pixels), 2)
            assert picture.shape == (3, 2, 2)
            assert picture.dtype == torch.float32
            assert picture[1].sum() == 0
            assert (picture[0].mT if across else picture[0]).tolist() == [[1, 0], [1, 0]]

    def test_it_is_scaled(self):
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[:4] = 255
        above, below = read_picture(file_of(pixels), 2)[0].mean(dim=1).tolist()
        assert above > 0.8
        assert below < 0.2
        assert read_picture(file_of(pixels), 16).shape == (3, 16, 16)

    def test_it_is_decoded_as_a_photograph_is(self, tmp_path):
        """Turned by the camera's note, black where it is transparent: one decoder for both."""
        exif = Image.Exif()
        exif[0x0112] = 6
        pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
        data = file_of(pixels, exif=exif)
        (tmp_path / "side.png").write_bytes(data)
        assert read_picture(data, 8).equal(load_photo(tmp_path / "side.png"))

    def test_what_is_no_picture_is_named(self, china):
        whole = file_of((china * 255).byte().permute(1, 2, 0).numpy())
        for data, reason in ((b"", "no format"), (b"not a picture", "no format"), (whole[:20000], "")):
            with pytest.raises(ValueError, match=f"^mine.png: not a readable picture: {reason}"):
                read_picture(data, 16, name="mine.png")
        with pytest.raises(ValueError, match=r"^picture: not a readable picture: "):
            read_picture(b"", 16)


class TestPanAndZoom:
    """One clip, its camera set by hand."""

    def test_standing_still_at_full_size_is_a_crop(self, china):
        clip = pan_and_zoom(china, num_frames=3, size=32, pixel_size=1, start=(0, 1))
        assert clip.equal(china[:, :32, -32:].expand(3, -1, -1, -1))

    def test_whole_pixels_move_the_picture_exactly(self, china):
        clip = pan_and_zoom(china, num_frames=4, size=32, velocity=(2, -3))
        assert clip[1:, :, :-2, 3:].allclose(clip[:-1, :, 2:, :-3], atol=1e-5)

    def test_corners_of_the_photo_can_be_reached(self, china):
        first = pan_and_zoom(china, num_frames=5, size=16, velocity=(4, 0), pixel_size=1, start=(0, 0))
        last = pan_and_zoom(china, num_frames=5, size=16, velocity=(4, 0), pixel_size=1, start=(1, 1))
        assert first[0].equal(china[:, :16, :16])
        assert last[-1].equal(china[:, -16:, -16:])

    @pytest.mark.parametrize(("pixel_size", "size"), [(3.3, 32), (2.0, 64), (0.7, 48)])
    def test_frames_equal_those_of_pillow(self, china, pixel_size, size):
        clip = pan_and_zoom(china, num_frames=2, size=size, pixel_size=pixel_size, velocity=(1.5, 2.25), start=(0, 0))
        for t in range(2):
            top, left = 1.5 * t * pixel_size, 2.25 * t * pixel_size
            box = (left, top, left + size * pixel_size, top + size * pixel_size)
            assert (clip[t] - filmed_by_pillow(china, box, size)).abs().max() < 1e-4

    @pytest.mark.parametrize("zoom", [2.0, 0.5])
    def test_zoom_is_geometric_about_the_middle(self, china, zoom):
        clip = pan_and_zoom(china, num_frames=3, size=32, pixel_size=4, zoom=zoom)
        for t in range(3):
            half = 32 * 4 / zoom ** (t / 2) / 2
            box = (320 - half, 213.5 - half, 320 + half, 213.5 + half)
            assert (clip[t] - filmed_by_pillow(china, box, 32)).abs().max() < 1e-4

    def test_far_away_is_averaged_not_aliased(self):
        stripes = torch.zeros(1, 256, 256)
        stripes[:, :, ::2] = 1
        clip = pan_and_zoom(stripes, num_frames=2, size=16, pixel_size=8, velocity=(0, 0.3))
        assert clip.numpy() == pytest.approx(0.5, abs=0.01)

    @pytest.mark.parametrize("velocity", [(2, -3), (-1, 0), (0, 0)])
    def test_block_matching_finds_the_opposite_of_the_camera(self, china, velocity):
        clip = pan_and_zoom(china, num_frames=3, size=64, velocity=velocity)
        motion = block_matching(clip[:-1], clip[1:], block_size=16, search_radius=4)[:, 1:3, 1:3].reshape(-1, 2)
        assert (motion == -torch.tensor(velocity)).all(1).float().mean() == 1

    def test_camera_that_would_leave(self, china):
        with pytest.raises(ValueError, match=r"path covers 128\.0 x 728\.0 pixels, the photograph has 427 x 640"):
            pan_and_zoom(china, num_frames=31, size=64, velocity=(0, 10))

    @pytest.mark.parametrize(
        "change", [{"num_frames": 0}, {"size": 0}, {"zoom": 0}, {"pixel_size": -1}, {"start": (0, 1.5)}]
    )
    def test_bad_input(self, china, change):
        with pytest.raises(ValueError, match=r"wanted at least one frame.*got"):
            pan_and_zoom(china, **({"num_frames": 2, "size": 8} | change))


class TestPhotoClips:
    """Clips at random."""

    def test_same_seed_same_bytes(self):
        first, again, other = (photo_clips(4, generator=generator(s), size=32, num_frames=4) for s in (0, 0, 1))
        assert first.clips.shape == (4, 4, 3, 32, 32)
        assert first.clips.numpy().tobytes() == again.clips.numpy().tobytes()
        assert first.velocities.equal(again.velocities)
        assert not first.clips.equal(other.clips)

    def test_velocities_and_zooms_are_those_of_the_clips(self):
        """On a ramp, brightness tells the place: rows in the first channel, columns in the second."""
        rows, columns = torch.meshgrid(torch.linspace(0, 1, 301), torch.linspace(0, 1, 401), indexing="ij")
        ramp = torch.stack([rows, columns, torch.zeros_like(rows)])
        batch = photo_clips(6, generator=generator(0), photos=[ramp], size=16, num_frames=5, max_zoom=2)
        middle = batch.clips[:, :, :2].mean((3, 4)) * torch.tensor([300.0, 400.0])  # in pixels of the photo
        width = (batch.clips[:, :, 1, 0, -1] - batch.clips[:, :, 1, 0, 0]) * 400
        assert (width[:, 0] / width[:, -1]).allclose(batch.zooms, rtol=3e-3)
        pixel_size = width / 15
        moved = middle.diff(dim=1) / pixel_size[:, :-1, None]
        assert moved.allclose(batch.velocities[:, None].expand_as(moved), atol=0.02)

    def test_speed_and_zoom_are_bounded_and_varied(self):
        photos = [torch.rand(3, 200, 200, generator=generator(0))]
        batch = photo_clips(100, generator=generator(0), photos=photos, size=8, num_frames=3, max_speed=4, max_zoom=1.5)
        speed = batch.velocities.norm(dim=1)
        assert 3.5 < speed.amax() <= 4
        assert speed.amin() < 0.5
        assert batch.zooms.amax() <= 1.5 + 1e-6
        assert batch.zooms.amin() >= 1 / 1.5 - 1e-6
        assert 0.3 < (batch.zooms > 1).float().mean() < 0.7

    def test_every_photo_is_filmed(self):
        photos = [torch.full((3, 80, 80), value) for value in (0.2, 0.8)]
        batch = photo_clips(20, generator=generator(0), photos=photos, size=8, num_frames=2)
        means = batch.clips.mean((1, 2, 3, 4))
        assert ((means - 0.2).abs() < 1e-5).any()
        assert ((means - 0.8).abs() < 1e-5).any()

    def test_too_small_a_photo(self):
        with pytest.raises(ValueError, match="the photograph has 20 x 20"):
            photo_clips(1, generator=generator(0), photos=[torch.zeros(3, 20, 20)])

    @pytest.mark.parametrize("change", [{"num_clips": 0}, {"photos": []}, {"max_speed": -1}, {"max_zoom": 0.5}])
    def test_bad_input(self, change):
        with pytest.raises(ValueError, match=r"wanted at least one clip.*got"):
            photo_clips(**({"num_clips": 1, "generator": generator(0)} | change))
