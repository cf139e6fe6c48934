"""Clips from a folder of video files that are written here, whole, short and broken."""

import warnings

import pytest
import torch

from course.datasets.folder import folder_clips, video_files
from course.video import write_clip


def steps(num_frames, size=16):
    """Frames of one grey level each, brighter and brighter: a frame tells its own place."""
    levels = torch.linspace(0.1, 0.9, num_frames)
    return levels[:, None, None, None].expand(-1, 3, size, size)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "more").mkdir()
    write_clip(tmp_path / "b.mp4", steps(20), fps=8)
    write_clip(tmp_path / "more" / "a.MP4", steps(8), fps=8)
    write_clip(tmp_path / "a.gif", 1 - steps(8), fps=8)
    (tmp_path / "notes.txt").write_text("not a video")
    return tmp_path


def test_files_are_sorted_and_found_within(folder):
    names = [path.relative_to(folder).as_posix() for path in video_files(folder)]
    assert names == ["a.gif", "b.mp4", "more/a.MP4"]


def test_each_file_is_cut_into_whole_clips(folder):
    clips = list(folder_clips(folder, num_frames=8, size=16, fps=8))
    assert [(clip.path.name, clip.start) for clip in clips] == [
        ("a.gif", 0.0),
        ("b.mp4", 0.0),
        ("b.mp4", 1.0),
        ("a.MP4", 0.0),
    ]
    assert all(clip.clip.shape == (8, 3, 16, 16) for clip in clips)
    levels = [clip.clip.mean((1, 2, 3)) for clip in clips]
    assert levels[0].allclose(1 - steps(8)[:, 0, 0, 0], atol=0.03)
    assert levels[1].allclose(steps(20)[:8, 0, 0, 0], atol=0.03)
    assert levels[2].allclose(steps(20)[8:16, 0, 0, 0], atol=0.03)
    assert levels[3].allclose(steps(8)[:, 0, 0, 0], atol=0.03)


def test_rate_and_size_are_those_asked_for(folder):
    clips = [c for c in folder_clips(folder, num_frames=4, size=10, fps=4) if c.path.name == "b.mp4"]
    assert [clip.start for clip in clips] == [0.0, 1.0]
    for clip, expected in zip(clips, (steps(20)[:8:2], steps(20)[8:16:2]), strict=True):
        assert clip.clip.shape == (4, 3, 10, 10)
        assert clip.clip.mean((1, 2, 3)).allclose(expected[:, 0, 0, 0], atol=0.03)


def test_files_are_read_only_when_their_turn_comes(folder):
    clips = folder_clips(folder, num_frames=8, size=16)
    first = next(clips)
    (folder / "b.mp4").write_bytes(b"overwritten")
    assert first.path.name == "a.gif"
    with pytest.warns(UserWarning, match=r"b\.mp4"):
        rest = list(clips)
    assert [clip.path.name for clip in rest] == ["a.MP4"]


def test_one_warning_names_all_that_was_skipped(folder):
    (folder / "empty.mp4").touch()
    (folder / "text.avi").write_text("not a video")
    write_clip(folder / "short.mp4", steps(5), fps=8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clips = list(folder_clips(folder, num_frames=8, size=16, fps=8))
    assert len(clips) == 4
    assert len(caught) == 1
    message = str(caught[0].message)
    assert message.startswith("3 video files could not be read in full: ")
    assert "empty.mp4: the file is empty" in message
    assert "short.mp4: wanted 8 frames at 8 fps, found 5" in message
    assert "text.avi" in message


def test_a_file_cut_short_gives_what_it_holds_and_is_named(folder):
    noise = torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    write_clip(folder / "cut.mp4", noise, fps=8)
    whole = (folder / "cut.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 11 // 20])
    with pytest.warns(UserWarning, match=r"1 video files.*cut\.mp4"):
        clips = [clip for clip in folder_clips(folder, num_frames=8, size=32, fps=8) if clip.path.name == "cut.mp4"]
    assert [clip.start for clip in clips] == [0.0, 1.0]
    assert all(len(clip.clip) == 8 for clip in clips)


def test_nothing_readable(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(ValueError, match=r"no clip could be read: .*text\.mp4"):
        list(folder_clips(tmp_path, num_frames=8, size=16))


def test_no_such_folder_and_an_empty_one(tmp_path):
    with pytest.raises(OSError, match="nowhere: wanted a folder of video files, found nothing"):
        folder_clips(tmp_path / "nowhere", num_frames=8, size=16)
    with pytest.raises(ValueError, match=r"wanted video files \(.*\.mp4.*\), found none"):
        folder_clips(tmp_path, num_frames=8, size=16)
    file = tmp_path / "clip.mp4"
    file.touch()
    with pytest.raises(OSError, match="found a file"):
        folder_clips(file, num_frames=8, size=16)


@pytest.mark.parametrize("change", [{"num_frames": 0}, {"size": 0}, {"fps": 0}])
def test_bad_input(folder, change):
    with pytest.raises(ValueError, match=r"wanted at least one frame.*got"):
        folder_clips(folder, **({"num_frames": 8, "size": 16} | change))
