"""Video files: what is written plays and reads back exactly, and no file, however bad, hangs or leaves a process."""

import os
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imageio_ffmpeg import get_ffmpeg_exe
from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter
from PIL import Image
from torch import Tensor

from course import video
from course.clips import resize
from course.video import probe, read_clip, write_clip

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, derandomize=True)


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """Whatever a test does, ffmpeg is gone afterwards, and not as a zombie."""
    yield
    assert psutil.Process().children(recursive=True) == []


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clip ``counting(40)`` at 20 frames per second, in several formats with key frames."""
    folder = tmp_path_factory.mktemp("media")
    write_clip(folder / "a.mp4", counting(40), 20)
    ffmpeg(folder, "-i a.mp4 -c:v libx264 -g 10 -bf 0 -crf 10 -movflags +faststart keys.mp4")
    ffmpeg(folder, "-i a.mp4 -c:v libx264 -g 10 -crf 10 keys.mkv")
    ffmpeg(folder, "-i a.mp4 -c:v libvpx -g 10 -b:v 1M -deadline realtime keys.webm")
    ffmpeg(folder, "-i a.mp4 -c:v mpeg4 -g 10 -q:v 2 keys.avi")
    ffmpeg(folder, "-i a.mp4 -c:v mjpeg -q:v 2 keys.mov")
    ffmpeg(folder, "-i a.mp4 -c:v libx264 -g 10 -crf 10 keys.ts")
    write_clip(folder / "keys.gif", counting(40), 20)
    ffmpeg(folder, "-f lavfi -i sine=d=1 sound.wav")
    return folder


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The times of the frames that came out of ffmpeg, one list for each time it was run."""
    runs, run = [], video._run

    def recorded(*args: object, **kwargs: object) -> Iterator:
        runs.append([])
        for shown, frame in run(*args, **kwargs):
            runs[-1].append(shown.time)
            yield shown, frame

    monkeypatch.setattr(video, "_run", recorded)
    return runs


def ffmpeg(folder: Path, command: str) -> None:
    """Run ffmpeg in a folder; the words of the command must hold no space."""
    subprocess.run([get_ffmpeg_exe(), "-v", "error", "-y", *command.split()], check=True, cwd=folder)


def counting(num_frames: int, height: int = 16, width: int = 16) -> Tensor:
    """A grey clip whose brightness is the number of the frame: (T, 1, H, W)."""
    return (torch.arange(num_frames) / 64 + 0.1)[:, None, None, None].expand(-1, 1, height, width).contiguous()


def numbers(clip: Tensor) -> list[int]:
    """Read the numbers of the frames of ``counting`` back."""
    return ((clip.mean(dim=(1, 2, 3)) - 0.1) * 64).round().int().tolist()


def smooth(num_frames: int, channels: int, height: int, width: int) -> Tensor:
    """Colours that change slowly over time and space, which 4:2:0 keeps well: (T, C, H, W)."""
    coarse = torch.rand(2, channels, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    images = resize(coarse, 48, 48)[..., :height, :width]
    weight = torch.linspace(0, 1, num_frames)[:, None, None, None]
    return images[:1] * (1 - weight) + images[1:] * weight


# Writing and reading back


@settings(one_folder, max_examples=12)
@given(
    num_frames=st.integers(1, 12),
    channels=st.sampled_from((1, 3)),
    height=st.integers(1, 33),
    width=st.integers(1, 33),
    fps=st.integers(1, 60) | st.sampled_from((24000 / 1001, 30000 / 1001, 12.5, 0.5)),
)
def test_an_mp4_gives_back_what_was_written(
    tmp_path: Path, num_frames: int, channels: int, height: int, width: int, fps: float
) -> None:
    clip, path = smooth(num_frames, channels, height, width), tmp_path / "clip.mp4"
    write_clip(path, clip, fps)
    info, back = probe(path), read_clip(path)
    assert (info.fps, info.num_frames, info.has_audio) == (fps, num_frames, False)
    assert info.duration == pytest.approx(num_frames / fps, abs=0.01)
    assert (info.height, info.width) == (height + height % 2, width + width % 2)
    assert back.shape == (num_frames, 3, info.height, info.width)
    assert back.dtype == torch.float32
    error = (back[..., :height, :width] - clip).abs()
    assert error.max() < 0.1
    assert error.mean() < 0.02


def test_every_rate_keeps_every_frame(tmp_path: Path) -> None:
    path, wrong = tmp_path / "clip.mp4", []
    for fps in range(1, 61):
        write_clip(path, counting(20), fps)
        if (probe(path).fps, numbers(read_clip(path))) != (fps, list(range(20))):
            wrong.append(fps)
    assert wrong == []


def test_every_rate_of_a_gif_keeps_every_frame(tmp_path: Path) -> None:
    path, wrong = tmp_path / "clip.gif", []
    for fps in range(1, 51):
        write_clip(path, counting(20), fps)
        info = probe(path)  # decodes and counts all frames of a GIF
        if (info.fps, info.num_frames) != (fps, 20) or abs(info.duration - 20 / fps) > 0.011:
            wrong.append(fps)
    assert wrong == []


def test_a_rate_is_not_rounded(tmp_path: Path) -> None:
    write_clip(tmp_path / "slow.mp4", counting(56), 1 / 3)  # at 0.33, one frame in 100 would be repeated
    assert probe(tmp_path / "slow.mp4").fps == 1 / 3
    assert numbers(read_clip(tmp_path / "slow.mp4")) == list(range(56))


def test_an_odd_size_is_padded_by_the_edge(tmp_path: Path) -> None:
    clip = smooth(3, 1, 15, 17)
    write_clip(tmp_path / "clip.mp4", clip, 10)
    back = read_clip(tmp_path / "clip.mp4")
    assert back.shape == (3, 3, 16, 18)
    torch.testing.assert_close(back[..., 15, :17], back[..., 14, :17], atol=0.03, rtol=0)
    torch.testing.assert_close(back[..., :15, 17], back[..., :15, 16], atol=0.03, rtol=0)


def test_an_mp4_is_what_players_accept(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, torch.rand(5, 3, 7, 9, generator=torch.Generator().manual_seed(0)), 30)
    log = subprocess.run([get_ffmpeg_exe(), "-i", str(path)], capture_output=True, text=True).stderr
    (stream,) = [line for line in log.splitlines() if "Video:" in line]
    assert "h264 (High)" in stream
    assert "yuv420p(" in stream
    assert "10x8" in stream
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is loaded


def test_a_gif_keeps_equal_frames_and_few_colours(tmp_path: Path) -> None:
    clip = torch.zeros(12, 3, 5, 7)
    clip[:, 0, 1:3] = 1
    clip[6:, 2, 2:] = 0.5
    write_clip(tmp_path / "clip.gif", clip, 15)
    back = read_clip(tmp_path / "clip.gif")
    torch.testing.assert_close(back, clip, atol=1.5 / 255, rtol=0)
    with Image.open(tmp_path / "clip.gif") as image:
        assert (image.n_frames, image.info["loop"]) == (12, 0)


def test_grey_is_written_as_three_equal_channels(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.gif", counting(3), 10)
    back = read_clip(tmp_path / "clip.gif")
    assert torch.equal(back[:, 0], back[:, 1])
    assert torch.equal(back[:, 0], back[:, 2])


@posix
def test_a_written_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_clip(tmp_path / "clip.gif", counting(1), 10)
    assert (tmp_path / "clip.gif").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize(
    ("name", "clip", "fps", "message"),
    [
        ("clip.avi", counting(2), 10, "clip.avi: wanted a name that ends in .mp4 or .gif"),
        ("clip.mp4", counting(2), 0, "fps: wanted 0.01 to 240 in .mp4, got 0"),
        ("clip.mp4", counting(2), float("nan"), "fps: wanted .* got nan"),
        ("clip.gif", counting(2), 60, "fps: wanted 0.01 to 50 in .gif, got 60"),
        ("clip.mp4", counting(0), 10, r"at least one frame and one pixel, got \(0, 1, 16, 16\)"),
        ("clip.mp4", counting(2).expand(-1, 2, -1, -1), 10, r"C = \(1, 3\), got \(2, 2, 16, 16\)"),
        ("clip.mp4", counting(2)[0], 10, r"wanted \(T, C, H, W\), got \(1, 16, 16\)"),
        ("clip.mp4", counting(2) * 255, 10, r"wanted values in \[0, 1\]"),
        ("clip.mp4", (counting(2) * 255).byte(), 10, "to_float"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path: Path, name: str, clip: Tensor, fps: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_clip(tmp_path / name, clip, fps)
    assert list(tmp_path.iterdir()) == []


# Writing is atomic


def interrupt(writer: FFMPEG_VideoWriter) -> None:
    raise KeyboardInterrupt


def kill(writer: FFMPEG_VideoWriter) -> None:
    writer.proc.kill()
    writer.proc.wait()


@pytest.mark.parametrize(("mishap", "error"), [(interrupt, KeyboardInterrupt), (kill, OSError)])
@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_write_that_stops_half_way_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, mishap: Callable, error: type[BaseException]
) -> None:
    path = tmp_path / f"clip{suffix}"
    write_clip(path, counting(3), 10)
    old, write_frame, written = path.read_bytes(), FFMPEG_VideoWriter.write_frame, []

    def write_three(writer: FFMPEG_VideoWriter, frame: object) -> None:
        if len(written) == 3:
            assert [stat.S_ISDIR(entry.stat().st_mode) for entry in tmp_path.iterdir() if entry != path] == [True]
            mishap(writer)
        written.append(frame)
        write_frame(writer, frame)

    monkeypatch.setattr(FFMPEG_VideoWriter, "write_frame", write_three)
    with pytest.raises(error):
        write_clip(path, counting(30), 10)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_of_the_encoder_keeps_the_old_file_and_is_said(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match=r"clip.mp4: could not be written: .*20000"):
        write_clip(path, torch.zeros(1, 1, 2, 20000), 10)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_replaces_the_old_file_at_once(tmp_path: Path) -> None:
    path, other = tmp_path / "clip.mp4", tmp_path / "other.mp4"
    path.write_bytes(b"old")
    other.hardlink_to(path)
    write_clip(path, counting(4), 10)
    assert numbers(read_clip(path)) == [0, 1, 2, 3]
    assert other.read_bytes() == b"old"  # not written over: who has the old file open reads it to its end
    assert sorted(tmp_path.iterdir()) == [path, other]


def test_where_no_file_can_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OSError, match=r"folder\.mp4: exists and is not a file"):
        write_clip(tmp_path / "folder.mp4", counting(2), 10)
    with pytest.raises(FileNotFoundError, match=r"cannot write in this folder.*clip.mp4"):
        write_clip(tmp_path / "nowhere" / "clip.mp4", counting(2), 10)


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Give up the rights of root, who may do everything, for a while."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@posix
def test_no_permission_is_said() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path, counting(2), 10)
        path.chmod(0)
        Path(folder).chmod(0o555)
        with as_somebody_else(), pytest.raises(PermissionError, match=r"clip\.mp4"):
            read_clip(path)
        with as_somebody_else(), pytest.raises(PermissionError, match=r"other\.mp4"):
            write_clip(Path(folder) / "other.mp4", counting(2), 10)
        assert [entry.name for entry in Path(folder).iterdir()] == ["clip.mp4"]
        Path(folder).chmod(0o755)


# Reading a part


@pytest.mark.parametrize("name", ["keys.mp4", "keys.mkv", "keys.webm", "keys.avi", "keys.mov", "keys.ts", "keys.gif"])
def test_every_format_is_read_whole_and_in_part(media: Path, name: str) -> None:
    path = media / name
    assert probe(path).fps == 20
    assert numbers(read_clip(path)) == list(range(40))
    assert numbers(read_clip(path, fps=20)) == list(range(40))
    assert numbers(read_clip(path, start=1.25, num_frames=3)) == [25, 26, 27]
    assert numbers(read_clip(path, start=0.45, duration=0.2)) == [9, 10, 11, 12]
    assert numbers(read_clip(path, start=1.8)) == [36, 37, 38, 39]
    assert numbers(read_clip(path, start=0.95, duration=0.4, fps=10)) == [19, 21, 23, 25]


@pytest.mark.parametrize(
    ("fps", "wanted"),
    [
        (10, list(range(0, 40, 2))),
        (40, [k // 2 for k in range(80)]),
        (60, [k // 3 for k in range(120)]),
        (15, [round(k * 20 / 15 + 1e-6) for k in range(30)]),
        (8, [round(k * 20 / 8 + 1e-6) for k in range(16)]),  # a tie goes to the later frame
        (1, [0, 20]),
        (0.1, [0]),
    ],
)
def test_resampling_takes_the_frame_on_screen(media: Path, fps: float, wanted: list[int]) -> None:
    assert numbers(read_clip(media / "keys.mp4", fps=fps)) == wanted


def test_to_land_between_key_frames_is_no_damage(media: Path) -> None:
    ffmpeg(media, "-i a.mp4 -c:v libx264 -x264-params keyint=10:open-gop=1:bframes=3 -crf 10 open.mkv")
    for k in range(18, 26):
        assert numbers(read_clip(media / "open.mkv", start=k / 20, num_frames=2)) == [k, k + 1]


def test_counts_and_seconds_limit_each_other(media: Path) -> None:
    path = media / "keys.mp4"
    assert len(read_clip(path, duration=0.5, num_frames=4)) == 4
    assert len(read_clip(path, duration=0.5, num_frames=40)) == 10
    assert len(read_clip(path, duration=0.5, num_frames=40, fps=10)) == 5
    assert len(read_clip(path, duration=1e-6)) == 1
    assert len(read_clip(path, duration=1e-6, fps=5)) == 1
    assert len(read_clip(path, start=1.9, duration=10)) == 2


def test_size_and_crop(tmp_path: Path) -> None:
    clip = torch.zeros(2, 3, 16, 48)
    clip[:, 0, :, :16], clip[:, 1, :, 16:32], clip[:, 2, :, 32:] = 1, 1, 1
    write_clip(tmp_path / "thirds.gif", clip, 5)
    middle = read_clip(tmp_path / "thirds.gif", size=16)
    torch.testing.assert_close(middle, clip[..., 16:32], atol=0.01, rtol=0)
    squeezed = read_clip(tmp_path / "thirds.gif", size=(8, 6), crop=False)
    assert squeezed.shape == (2, 3, 8, 6)
    assert squeezed[0, :, 4].argmax(0).tolist() == [0, 0, 1, 1, 2, 2]
    tall = read_clip(tmp_path / "thirds.gif", size=(32, 8))
    assert tall.shape == (2, 3, 32, 8)
    assert (tall.argmax(1) == 1).all()


def test_an_odd_crop_is_exact_though_colour_is_kept_in_pairs(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", (torch.arange(16) / 20).expand(1, 1, 16, 16), 5)
    whole = read_clip(tmp_path / "clip.mp4")
    cut = read_clip(tmp_path / "clip.mp4", size=(16, 5))
    torch.testing.assert_close(cut, whole[..., 6:11], atol=0.01, rtol=0)


def test_resizing_averages_over_area(tmp_path: Path) -> None:
    checkers = ((torch.arange(64)[:, None] + torch.arange(64)) % 2).float().expand(1, 1, 64, 64)
    write_clip(tmp_path / "clip.gif", checkers, 5)
    assert (read_clip(tmp_path / "clip.gif", size=8) - 0.5).abs().max() < 0.05


def test_a_long_file_is_not_decoded(media: Path, runs: list[list[float]]) -> None:
    ffmpeg(media, "-stream_loop 1799 -i keys.mp4 -c copy long.mp4")  # an hour
    info = probe(media / "long.mp4")
    assert info.duration == pytest.approx(3600, abs=1)
    assert numbers(read_clip(media / "long.mp4", start=1801, duration=5)) == [k % 40 for k in range(20, 120)]
    assert [len(run) <= 100 + 10 + 2 for run in runs] == [True]  # beside what was asked for, from the key frame before
    assert len(read_clip(media / "long.mp4", start=10, num_frames=1200, size=2)) == 1200  # four digits in the log
    with pytest.raises(ValueError, match=r"about 72000: set duration, num_frames, fps or size"):
        read_clip(media / "long.mp4", max_bytes=2**24)
    with pytest.raises(ValueError, match="no frame begins at 4000 s: it lasts 3600"):
        read_clip(media / "long.mp4", start=4000)


def test_a_file_longer_than_it_says_does_not_fill_the_memory(media: Path) -> None:
    ffmpeg(media, "-i keys.mkv -c copy -f matroska -live 1 live.mkv")  # as recorded live: no duration
    assert probe(media / "live.mkv").duration is None
    assert probe(media / "live.mkv").num_frames is None
    assert numbers(read_clip(media / "live.mkv", max_bytes=40 * 16 * 16 * 3 * 4)) == list(range(40))
    with pytest.raises(ValueError, match=r"at most 39 frames of 16 x 16 .* got more"):
        read_clip(media / "live.mkv", max_bytes=40 * 16 * 16 * 3 * 4 - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": -1}, "start: wanted seconds, at least 0, got -1"),
        ({"start": float("nan")}, "start: .* got nan"),
        ({"duration": 0}, "duration: wanted more than 0, got 0"),
        ({"num_frames": 0}, "num_frames: wanted more than 0, got 0"),
        ({"fps": float("inf")}, "fps: wanted more than 0, got inf"),
        ({"size": 0}, r"size: wanted a whole number or \(height, width\), each at least 1, got 0"),
        ({"size": (8, 0)}, r"got \(8, 0\)"),
        ({"size": 1.5}, "got 1.5"),
        ({"size": "8"}, "got '8'"),
        ({"size": 10**5}, "at most 0 frames of 100000 x 100000"),
        ({"start": 2}, "keys.mp4: no frame begins at 2 s: it lasts 2 s"),
    ],
)
def test_a_wrong_argument_is_said(media: Path, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_clip(media / "keys.mp4", **arguments)


# Kinds of files


def test_rotation_is_applied(media: Path, tmp_path: Path) -> None:
    clip = smooth(2, 3, 16, 24)
    write_clip(tmp_path / "clip.mp4", clip, 10)
    ffmpeg(tmp_path, "-display_rotation 90 -i clip.mp4 -c copy turned.mp4")
    info = probe(tmp_path / "turned.mp4")
    assert (info.height, info.width) == (24, 16)
    turned = read_clip(tmp_path / "turned.mp4")
    torch.testing.assert_close(turned, read_clip(tmp_path / "clip.mp4").rot90(1, (2, 3)), atol=0.03, rtol=0)
    assert read_clip(tmp_path / "turned.mp4", size=(12, 8)).shape == (2, 3, 12, 8)


def test_pixels_are_made_square(media: Path) -> None:
    ffmpeg(media, "-i keys.mp4 -vf setsar=2 wide.mp4")
    info = probe(media / "wide.mp4")
    assert (info.height, info.width) == (16, 32)
    assert read_clip(media / "wide.mp4", num_frames=1).shape == (1, 3, 16, 32)


def test_a_variable_rate(media: Path, runs: list[list[float]]) -> None:
    chosen = r"select='eq(n,0)+eq(n,2)+eq(n,20)+eq(n,38)'"
    ffmpeg(media, f"-i keys.mp4 -vf {chosen} -fps_mode passthrough -c:v libx264 -bf 0 -crf 10 variable.mp4")
    path = media / "variable.mp4"
    assert numbers(read_clip(path)) == [0, 2, 20, 38]
    assert numbers(read_clip(path, fps=10, duration=2)) == [0] + [2] * 9 + [20] * 9 + [38]
    assert numbers(read_clip(path, fps=10, start=0.6, duration=0.6)) == [2] * 4 + [20] * 2
    assert numbers(read_clip(path, start=0.6)) == [20, 38]
    assert len(runs) == 4  # what is on screen is found at once, however old it is
    with pytest.raises(ValueError, match="set fps to repeat the one on screen"):
        read_clip(path, start=0.5, duration=0.2)


def test_uneven_times_do_not_repeat_or_lose_frames(media: Path) -> None:
    shaky = "settb=1/1000,setpts=PTS+mod(N*7\\,5)*4"
    ffmpeg(media, f"-i keys.mp4 -vf {shaky} -fps_mode passthrough -enc_time_base 1/1000 -c:v libx264 -crf 10 shaky.mkv")
    assert numbers(read_clip(media / "shaky.mkv", fps=20))[:39] == list(range(39))


def test_sound_is_left_aside(media: Path) -> None:
    ffmpeg(media, "-i sound.wav -i keys.mp4 -map 0 -map 1 -c:v copy sounding.mkv")
    assert probe(media / "sounding.mkv").has_audio
    assert numbers(read_clip(media / "sounding.mkv")) == list(range(40))


def test_sound_that_begins_earlier_does_not_shift_the_frames(media: Path) -> None:
    ffmpeg(media, "-itsoffset 0.03 -i keys.mp4 -i sound.wav -c:v copy late.mkv")
    assert numbers(read_clip(media / "late.mkv", fps=20)) == list(range(40))
    assert numbers(read_clip(media / "late.mkv", start=0.5, num_frames=2)) == [10, 11]


def test_one_frame(media: Path) -> None:
    write_clip(media / "one.mp4", counting(1), 25)
    assert read_clip(media / "one.mp4", fps=50).shape == (2, 3, 16, 16)
    Image.new("RGB", (5, 3), (255, 0, 51)).save(media / "picture.png")
    picture = read_clip(media / "picture.png")
    assert picture.shape == (1, 3, 3, 5)
    torch.testing.assert_close(picture[0, :, 1, 2], torch.tensor([1.0, 0.0, 0.2]))


def test_grey_and_odd_sizes(media: Path) -> None:
    ffmpeg(media, "-f lavfi -i color=gray:s=15x9:r=5:d=1 -pix_fmt gray -c:v ffv1 grey.mkv")
    clip = read_clip(media / "grey.mkv")
    assert clip.shape == (5, 3, 9, 15)
    assert clip.sub(128 / 255).abs().max() < 0.01


def test_what_is_transparent_lies_on_black(media: Path) -> None:
    image = Image.new("RGBA", (4, 2), (255, 255, 255, 255))
    image.paste((255, 255, 255, 0), (0, 0, 2, 2))
    image.paste((255, 255, 255, 128), (2, 0, 3, 2))
    image.save(media / "clear.png")
    ffmpeg(media, "-i clear.png -c:v qtrle clear.mov")
    for name in ("clear.png", "clear.mov"):
        row = read_clip(media / name)[0, :, 0]
        torch.testing.assert_close(row, torch.tensor([0, 0, 128 / 255, 1]).expand(3, -1), atol=0.005, rtol=0)


@posix
@pytest.mark.parametrize(
    "name", ["-i.mp4", "a b%03d é.mp4", "concat:a|b.mp4", "http:", "file:x.mp4", "no suffix", "wrong.gif", "'q\".png"]
)
def test_any_name_is_a_name(media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes((media / "keys.mp4").read_bytes())
    assert numbers(read_clip(name)) == list(range(40))
    if name.endswith(".mp4"):
        write_clip(name, counting(2), 5)
        assert len(read_clip(Path(name))) == 2


# Files that cannot be read, or not whole


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "the file is empty"),
        ("short.mp4", b"\0", "it is no video, or too damaged"),
        ("zeros.mp4", bytes(10000), "it is no video, or too damaged"),
        ("noise.mp4", os.urandom(10000), "cannot be read as a video"),
        ("page.mp4", b"<!DOCTYPE html><html><body>" + b"<p>404 not found</p>" * 99, "it is no video, or too damaged"),
        ("text.mp4", b"one two three\n" * 99, "it is no video, or too damaged"),
        ("header.gif", b"GIF89a", "cannot be read as a video"),
        ("huge.gif", b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;", "cannot be read as a video"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n", "cannot be read"),
        ("list.txt", b"ffconcat version 1.0\nfile a.mp4\n", "cannot be read as a video"),
        ("call.sdp", b"v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n", "cannot be read"),
    ],
)
def test_what_is_no_video_is_said(media: Path, name: str, content: bytes, reason: str) -> None:
    path = media / name
    path.write_bytes(content)
    for read in (probe, read_clip):
        with pytest.raises(ValueError, match=f"{name}: .*{reason}"):
            read(path)


def test_sound_and_its_cover_are_no_video(media: Path) -> None:
    Image.new("RGB", (8, 8)).save(media / "cover.png")
    ffmpeg(media, "-i sound.wav -i cover.png -map 0 -map 1 -c:v copy -disposition:v attached_pic song.mp3")
    for name in ("sound.wav", "song.mp3"):
        with pytest.raises(ValueError, match=f"{name}: .* there is no video in it"):
            read_clip(media / name)


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4"):
        read_clip(tmp_path / "nowhere.mp4")
    with pytest.raises(OSError, match=tmp_path.name):
        read_clip(tmp_path)


@posix
def test_what_would_block_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", Path("/dev/zero")):
        with pytest.raises(ValueError, match=f"{path}: not a regular file"):
            read_clip(path)


@pytest.mark.parametrize("name", ["keys.mp4", "keys.mkv", "keys.webm", "keys.avi", "keys.gif"])
def test_of_a_file_cut_short_the_rest_is_read_with_a_warning(media: Path, name: str) -> None:
    data = (media / name).read_bytes()
    path = media / f"cut.{name}"
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.warns(UserWarning, match=f"cut.{name}: damaged .*frames could be read"):
        found = numbers(read_clip(path))
    assert 5 < len(found) < 40
    assert found[:-2] == list(range(len(found)))[:-2]  # what was being written when it was cut may look odd


def test_a_file_without_its_index_is_said(media: Path) -> None:
    data = (media / "keys.mov").read_bytes()  # the index comes last
    (media / "cut.mov").write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(ValueError, match=r"cut.mov: .* its index is missing"):
        read_clip(media / "cut.mov")


def test_damage_in_the_middle_is_read_over_with_a_warning(media: Path) -> None:
    data = bytearray((media / "keys.avi").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    (media / "hole.avi").write_bytes(data)
    with pytest.warns(UserWarning, match="hole.avi: damaged"):
        found = numbers(read_clip(media / "hole.avi"))
    assert found[:10] == list(range(10))
    assert len(found) >= 30


@settings(one_folder, max_examples=25)
@given(
    name=st.sampled_from(("keys.mp4", "keys.mkv", "keys.avi", "keys.gif", "keys.ts")),
    seed=st.integers(0, 10**6),
    num_flips=st.sampled_from((1, 5, 50)),
    first=st.sampled_from((600, 10**6)),
)
def test_flipped_bytes_never_do_worse_than_an_error(
    media: Path, name: str, seed: int, num_flips: int, first: int
) -> None:
    data = bytearray((media / name).read_bytes())
    generator = torch.Generator().manual_seed(seed)
    for place in torch.randint(min(first, len(data)), (num_flips,), generator=generator).tolist():
        data[place] ^= 1 + place % 255
    path = media / "flipped"
    path.write_bytes(data)
    with warnings.catch_warnings(), suppress(ValueError, OSError):
        warnings.simplefilter("ignore", UserWarning)
        clip = read_clip(path, max_bytes=2**26)
        assert clip.ndim == 4
        assert 0 <= clip.min() <= clip.max() <= 1


@posix
@pytest.mark.parametrize("stuck", ["null", "rawvideo"])
def test_a_decoder_that_is_stuck_is_ended(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: str
) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text(
        f'#!/bin/sh\ncase " $* " in *" {stuck} "*) exec sleep 60;; esac\nexec "{get_ffmpeg_exe()}" "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(script))
    monkeypatch.setattr(video, "STALL_SECONDS", 0.5)
    with pytest.raises(TimeoutError, match=r"keys\.mp4: no frame could be read in 0\.5 s"):
        read_clip(media / "keys.mp4")


def test_an_interrupted_read_ends_ffmpeg(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "frombuffer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_clip(media / "keys.mp4")


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target.gif", tmp_path / "link.gif"
    write_clip(target, torch.zeros(2, 3, 4, 4), 5)
    link.symlink_to(target)
    write_clip(link, torch.ones(3, 3, 4, 4), 5)
    assert link.is_symlink()
    assert len(read_clip(target)) == 3
