"""Clips of equal length from a folder of the learner's own video files."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from torch import Tensor

from course.video import read_clip

SUFFIXES: tuple[str, ...] = (".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv")


@dataclass(frozen=True)
class FileClip:
    """A clip and where it was cut from.

    Attributes:
        path: the video file.
        start: seconds from the beginning of the file to the clip's first frame.
        clip: (T, 3, H, W), float32 in [0, 1].
    """

    path: Path
    start: float
    clip: Tensor


def video_files(folder: str | Path) -> list[Path]:
    """List the video files in a folder and in the folders within, by their suffix, in sorted order.

    Raises:
        OSError: if there is no such folder.
        ValueError: if it holds no video file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise NotADirectoryError(f"{folder}: wanted a folder of video files, found {found}")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise ValueError(f"{folder}: wanted video files ({', '.join(SUFFIXES)}), found none")
    return files


def folder_clips(folder: str | Path, *, num_frames: int, size: int, fps: float = 8.0) -> Iterator[FileClip]:
    """Cut each video file of a folder into clips of equal length, each read only when it is asked for.

    A rest too short for a clip is left out. A file that cannot be read, or is too short for one clip, is skipped, and a
    damaged one gives what it still holds; after the last clip, one warning names all such files and says why.

    Args:
        folder: where the files are; folders within are searched too.
        num_frames: T, at least 1.
        size: side of the square frames in pixels; the middle of the picture is cut out.
        fps: frames per second of the clips, whatever those of the files.

    Returns:
        An iterator over clips, file by file.

    Raises:
        OSError: if there is no such folder.
        ValueError: if an argument does not fit, or no clip can be read in the whole folder.

    Warns:
        UserWarning: once, after the last clip, with the files that were not read in full.
    """
    if min(num_frames, size) < 1 or fps <= 0:
        raise ValueError(
            f"wanted at least one frame and one pixel, and more than 0 fps, got {num_frames}, {size} and {fps}"
        )
    return _read(video_files(folder), num_frames, size, fps)


def _read(files: list[Path], num_frames: int, size: int, fps: float) -> Iterator[FileClip]:
    num_clips = 0
    problems: dict[Path, str] = {}
    for path in files:
        for index in count():  # until the file ends: what it says of its length is often wrong
            start = index * num_frames / fps
            try:
                with warnings.catch_warnings(record=True) as damage:
                    warnings.simplefilter("always", UserWarning)
                    clip = read_clip(path, start=start, num_frames=num_frames, fps=fps, size=size)
                if damage:
                    problems[path] = str(damage[0].message)
                if len(clip) < num_frames:
                    raise ValueError(f"{path}: wanted {num_frames} frames at {fps:g} fps, found {len(clip)}")
            except (OSError, ValueError) as error:
                if index == 0 or isinstance(error, OSError):
                    problems.setdefault(path, str(error))
                break
            num_clips += 1
            yield FileClip(path, start, clip)
    reasons = "; ".join(problems.values())
    if not num_clips:
        raise ValueError(f"no clip could be read: {reasons}")
    if problems:
        warnings.warn(f"{len(problems)} video files could not be read in full: {reasons}", stacklevel=2)
