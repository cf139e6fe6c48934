"""Video files to clips and back, with MoviePy and the ffmpeg binary that it brings: nothing is installed by hand.

Files are streamed: what lies outside the seconds asked for never reaches memory. To read, ffmpeg is handed an open
file, never a name, so that no path can be taken for an option, a pattern or an address, and no suffix matters.
"""

import math
import os
import queue
import re
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from course.clips import expect, to_float, to_uint8

MAX_BYTES = 1024**3
"""How large a clip ``read_clip`` gives unless told otherwise: 1 GiB, 12 minutes of 64 x 64 at 30 frames per second."""

MAX_RATES = {".mp4": 240, ".gif": 50}
"""The formats written, and the frames per second of each: players slow a GIF's delay of 1/100 s to 10/100."""

STALL_SECONDS = 60.0
"""How long ffmpeg may take over one frame before it counts as stuck."""

HAS_ALPHA = re.compile(r"yuva|gbrap|rgba|bgra|argb|abgr|ya8|ya16|pal8")
# What ffmpeg's log says of a file, of the stream and each frame in it (the filter `showinfo`), and of a failure.
DURATION = re.compile(r"\[info\]   Duration: (\d+):(\d+):([\d.]+)")
AUDIO = re.compile(r"\[info\]   Stream #0:\d+.*: Audio: ")
STREAM = re.compile(r"\[Parsed_showinfo.*\] config in time_base: (\d+/\d+), frame_rate: (\d+)/(\d+)")
FRAME = re.compile(
    r"\[Parsed_showinfo.*\] n: *\d+ pts: *(-?\d+) .* duration: *(\d+) .* fmt:(\S+) .*sar:(\d+)/(\d+) s:(\d+)x(\d+)"
)
FAILURE = re.compile(r"(?:\[[^]]+ @ \w+\] )*\[(?:error|fatal)\] (?:Error opening input: )?(.+)")
IN_WORDS = {
    "Invalid data found": "it is no video, or too damaged",
    "moov atom not found": "its index is missing, as in a file cut short (moov atom not found)",
    "matches no streams": "there is no video in it",
}


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds, as a player would show it."""

    width: int
    """Pixels, after rotation and with square pixels."""
    height: int
    """Pixels, after rotation."""
    fps: float
    """Frames per second; where the rate varies, an estimate of it."""
    duration: float | None
    """Seconds, or None where the file does not say."""
    num_frames: int | None
    """An estimate, duration x fps (of a GIF, the count), or None where the file does not say."""
    has_audio: bool
    """Whether there is sound, which ``read_clip`` leaves aside."""


def probe(path: str | os.PathLike) -> VideoInfo:
    """Describe the first video stream of a file.

    Only the first frame is decoded; of a GIF all of them, since a GIF states neither rate nor length.

    Args:
        path: any file that ffmpeg reads; the suffix does not matter.

    Raises:
        OSError: if the file is missing, a directory or not permitted, or if reading it stalls.
        ValueError: if no frame can be read from it, with the reason.
    """
    with _open(path) as file:
        return _inspect(path, file).info


def read_clip(
    path: str | os.PathLike,
    *,
    start: float = 0.0,
    duration: float | None = None,
    num_frames: int | None = None,
    fps: float | None = None,
    size: int | tuple[int, int] | None = None,
    crop: bool = True,
    max_bytes: int = MAX_BYTES,
) -> Tensor:
    """Read a clip from a video file, whole or in part.

    Every frame is one of the file's, never a blend. Without ``fps`` they come as stored, however they are spaced in
    time. With it, frame k is the one on screen ``start + k / fps`` seconds into the video, or the next if that comes
    within half a frame of the faster rate: a slower rate takes the nearest in time, twice the rate gives each twice.
    Rotation is applied, pixels are made square, grey becomes three equal channels, what is transparent lies on black.

    Args:
        path: any file that ffmpeg reads; the suffix does not matter.
        start: seconds after the first frame; decoding begins at the key frame before.
        duration: seconds to read, or None for all.
        num_frames: frames to read at most, or None for all.
        fps: frames per second to resample to, or None for the frames as stored.
        size: (height, width), or one number for a square, or None to keep the size.
        crop: cut the centre in the shape of ``size`` before resizing; otherwise the picture is squeezed.
        max_bytes: refuse to build a larger clip than this.

    Returns:
        (T, 3, H, W), float32 in [0, 1]. T is smaller than asked for where the file ends earlier.

    Raises:
        OSError: if the file is missing, a directory or not permitted, or if reading it stalls.
        ValueError: if an argument is out of range, no frame can be read, or the clip would pass ``max_bytes``.

    Warns:
        UserWarning: if the file is damaged; what can be read is returned.
    """
    if not 0 <= start < math.inf:
        raise ValueError(f"start: wanted seconds, at least 0, got {start}")
    for name, value in {"duration": duration, "num_frames": num_frames, "fps": fps}.items():
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{name}: wanted more than 0, got {value}")
    whole = (size, size) if isinstance(size, int) else size
    if whole is not None and not (
        isinstance(whole, tuple | list)
        and len(whole) == 2
        and all(isinstance(side, int) and side > 0 for side in whole)
    ):
        raise ValueError(f"size: wanted a whole number or (height, width), each at least 1, got {size!r:.60}")
    problems: list[str] = []
    frames: list[Tensor] = []
    with _open(path) as file:
        source = _inspect(path, file)
        info = source.info
        height, width = whole or (info.height, info.width)
        remaining = math.inf if info.duration is None else max(0, info.duration - start)
        expected = min(num_frames or math.inf, min(duration or math.inf, remaining) * (fps or info.fps))
        most = max_bytes // (3 * height * width * torch.float32.itemsize)
        held = f"about {expected:.0f}" if most < expected < math.inf else "more"
        too_large = ValueError(
            f"{path}: wanted at most {most} frames of {height} x {width} (max_bytes = {max_bytes}), "
            f"got {held}: set duration, num_frames, fps or size"
        )
        if most == 0 or most + 1 <= expected < math.inf:
            raise too_large
        with closing(_decode(source, start, height, width, crop and size is not None, problems)) as decoded:
            for frame in _in_time(decoded, source.origin + start, duration or math.inf, fps, source.half):
                if len(frames) == most:  # a file may hold more than it says
                    raise too_large
                frames.append(frame)
                if len(frames) >= (num_frames or math.inf):
                    break
    problems += ["it ends early"] * source.is_cut
    if not frames:
        known = f"it lasts {info.duration:g} s" if remaining == 0 else "set fps to repeat the one on screen"
        raise ValueError(f"{path}: no frame begins at {start:g} s: {problems[0] if problems else known}")
    if problems:
        warnings.warn(f"{path}: damaged ({problems[0]}); {len(frames)} frames could be read", stacklevel=2)
    return to_float(torch.stack([frame.permute(2, 0, 1) for frame in frames]))  # (T, 3, H, W)


def write_clip(path: str | os.PathLike, clip: Tensor, fps: float) -> None:
    """Write a clip as .mp4 (H.264 in yuv420p, which every player shows) or .gif (256 colours, repeating).

    The file appears whole or not at all: a failed or interrupted write leaves what was there before. An mp4 is lossy,
    and of even size: an odd one is padded by repeating the last row or column. A GIF counts time in 1/100 s: delays
    alternate so that the mean rate is right.

    Args:
        path: where to write; the suffix, .mp4 or .gif, says what.
        clip: (T, C, H, W), float32 in [0, 1], C 1 or 3, not empty.
        fps: frames per second, 0.01 to 240; for a GIF, to 50.

    Raises:
        ValueError: if the clip, the rate or the suffix is not as wanted.
        OSError: if the file cannot be written, with the reason.
    """
    from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MAX_RATES:
        raise ValueError(f"{path}: wanted a name that ends in {' or '.join(MAX_RATES)}")
    if not 0.01 <= fps <= MAX_RATES[suffix]:
        raise ValueError(f"fps: wanted 0.01 to {MAX_RATES[suffix]} in {suffix}, got {fps}")
    expect(clip, "T C H W", C=(1, 3))
    if not clip.numel():
        raise ValueError(f"clip: wanted at least one frame and one pixel, got {tuple(clip.shape)}")
    if path.exists() and not path.is_file():
        raise OSError(f"{path}: exists and is not a file")
    target = Path(os.path.realpath(path))  # a link stays a link

    frames = to_uint8(clip).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy()  # (T, H, W, 3)
    rate = Fraction(float(fps)).limit_denominator(1001)  # 23.976... is 24000/1001
    filters = f"settb=1/({rate}),setpts=N"  # MoviePy rounds the rate to 1/100: count the time anew, in frames
    settings = ["-r", str(rate), "-loglevel", "level+error"]
    if suffix == ".gif":
        codec = "gif"
        settings += [
            "-filter_complex",
            f"{filters},split[clip][sample];[sample]palettegen[palette];[clip][palette]paletteuse=dither=none",
        ]
    else:
        codec = "libx264"
        settings += ["-vf", filters, "-crf", "20", "-movflags", "+faststart"]
        _, H, W, _ = frames.shape
        frames = np.pad(frames, ((0, 0), (0, H % 2), (0, W % 2), (0, 0)), mode="edge")
    try:
        folder = tempfile.TemporaryDirectory(prefix=".clip-", dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, f"cannot write in this folder: {error.strerror}", str(path)) from None
    with folder as name, tempfile.TemporaryFile("w+", errors="replace") as log:
        part = Path(name).resolve() / f"part{suffix}"
        # One thread: the bytes do not depend on the number of cores.
        writer = FFMPEG_VideoWriter(
            str(part), frames.shape[2:0:-1], fps, codec=codec, logfile=log, threads=1, ffmpeg_params=settings
        )
        process = writer.proc
        try:
            with suppress(OSError):  # ffmpeg has ended early: its exit status and log say why
                for frame in frames:
                    writer.write_frame(frame)
                writer.close()
        finally:
            process.kill()
            with suppress(OSError):
                process.stdin.close()
            process.wait()
        if process.returncode:
            log.seek(0)
            reasons = [match[1] for line in log if (match := FAILURE.match(line))]
            raise OSError(f"{path}: could not be written: {reasons[0] if reasons else 'ffmpeg was stopped'}")
        part.replace(target)


@dataclass(frozen=True)
class _Source:
    """An open file and what reading it needs."""

    path: str | os.PathLike
    file: FileIO
    info: VideoInfo
    origin: float  # time of the first frame: not 0 where the sound begins earlier
    has_alpha: bool
    is_cut: bool  # a GIF or AVI that ends early: ffmpeg does not tell

    @property
    def half(self) -> float:
        """Half the time of a frame, and a little more, so that a tie always goes to the later frame."""
        return 0.501 / self.info.fps


class _Shown(NamedTuple):
    """What the log says of a frame that has passed the filters."""

    time: float
    duration: float
    rate: float
    pixel_format: str
    aspect: float  # of one pixel, its width over its height
    width: int
    height: int


def _open(path: str | os.PathLike) -> FileIO:
    """Open a regular file that is not empty; a pipe or a device could block for ever."""
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError(f"{path}: not a regular file")
    file = path.open("rb", buffering=0)  # ffmpeg shares the position in the file
    if not os.fstat(file.fileno()).st_size:
        file.close()
        raise ValueError(f"{path}: the file is empty")
    return file


def _command(*seek: str, filters: Iterable[str], output: Iterable[str]) -> list[str]:
    """Return the ffmpeg command that filters the first video stream of the file on its standard input."""
    from imageio_ffmpeg import get_ffmpeg_exe

    log = ["-nostdin", "-nostats", "-hide_banner", "-loglevel", "level+info"]
    # One thread, because with more some decoders do not give the same frames twice; times stay as the file has them.
    # `fd:` is the standard input, and allows a playlist to open nothing else. V is a video, not the picture on a song.
    source = ["-threads", "1", "-copyts", *seek, "-i", "fd:", "-map", "0:V:0"]
    return [get_ffmpeg_exe(), *log, *source, "-vf", ",".join([*filters, "showinfo=checksum=0"]), *output]


def _read_log(lines: Iterable[str], problems: list[str], since: float = -math.inf) -> Iterator[_Shown]:
    """Yield what ffmpeg's log says of each frame; gather the first failures in ``problems``.

    Failures before the frame at ``since`` are left out: to land between key frames is no damage.
    """
    time_base = rate = Fraction(1)
    time = -math.inf
    for line in lines:
        if match := FRAME.match(line):
            pts, duration, pixel_format, *numbers = match.groups()
            sar_width, sar_height, width, height = map(int, numbers)
            aspect = sar_width / sar_height if sar_width and sar_height else 1.0
            time, length = float(int(pts) * time_base), float(int(duration) * time_base or 1 / rate)
            yield _Shown(time, length, float(rate), pixel_format, aspect, width, height)
        elif match := STREAM.match(line):
            time_base = Fraction(match[1])
            rate = Fraction(int(match[2]) or 25, int(match[3]) or 1)  # 25 where none is known, as in ffmpeg
        elif (match := FAILURE.match(line)) and time >= since and len(problems) < 2:
            problems.append(match[1])


def _inspect(path: str | os.PathLike, file: FileIO) -> _Source:
    """Decode the first frame, or all of a GIF, and gather what the log says."""
    head = file.read(8)
    is_gif = head.startswith(b"GIF8")
    length = file.seek(-1, os.SEEK_END) + 1
    riff_length = int.from_bytes(head[4:], "little") + 8  # an AVI says how long it is, a GIF ends in a semicolon
    is_cut = length < riff_length if head.startswith(b"RIFF") else is_gif and file.read() != b";"
    file.seek(0)
    command = _command(filters=[], output=[*([] if is_gif else ["-frames:v", "1"]), "-f", "null", "-"])
    try:
        done = subprocess.run(command, stdin=file, capture_output=True, timeout=STALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{path}: no frame could be read in {STALL_SECONDS:g} s") from None
    lines = done.stderr.decode(errors="replace").splitlines()
    problems: list[str] = []
    shown = list(_read_log(lines, problems))
    if not shown:
        problem = problems[0] if problems else "there is no frame in it"
        reason = next((words for key, words in IN_WORDS.items() if key in problem), problem)
        raise ValueError(f"{path}: cannot be read as a video: {reason}")
    first, last = shown[0], shown[-1]
    lines = lines[: lines.index("[info] Stream mapping:")]  # what follows is about the output
    has_audio = any(AUDIO.match(line) for line in lines)
    if is_gif:
        fps, duration, num_frames = _gif_rate(shown), last.time + last.duration, len(shown)
    else:
        clock = next((match for line in lines if (match := DURATION.match(line))), None)
        duration = clock and int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])
        fps, num_frames = first.rate, None if duration is None else round(duration * first.rate)
    info = VideoInfo(max(1, round(first.width * first.aspect)), first.height, fps, duration, num_frames, has_audio)
    return _Source(path, file, info, first.time, bool(HAS_ALPHA.match(first.pixel_format)), is_cut)


def _gif_rate(shown: list[_Shown]) -> float:
    """Return a GIF's rate from the times of its frames, which are rounded to 1/100 s: a whole number where one fits."""
    if len(shown) == 1:
        return 1 / shown[0].duration
    gaps = [later.time - earlier.time for earlier, later in pairwise(shown)]
    if max(gaps) - min(gaps) > 0.011:  # more than rounding
        return 1 / min(gaps)
    mean = len(gaps) / sum(gaps)
    for rate in (math.floor(mean) or mean, math.ceil(mean)):
        if all(abs(shown[0].time + k / rate - frame.time) < 0.0051 for k, frame in enumerate(shown)):
            return float(rate)
    return mean


def _decode(
    source: _Source, start: float, height: int, width: int, crop: bool, problems: list[str]
) -> Iterator[tuple[_Shown, Tensor]]:
    """Yield the frames, uint8 (H, W, 3): the one on screen at ``start`` or an earlier one, and all that follow."""
    # The same arithmetic on every processor, for a little speed.
    filters = [f"scale={width}:{height}:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"]
    if crop:
        aspect = f"({width}/{height}/sar)"
        filters.insert(0, f"crop=w='min(iw,ih*{aspect})':h='min(ih,iw/{aspect})':exact=1")
    if source.has_alpha:
        filters += ["format=gbrap", "premultiply=inplace=1"]
    filters.append("format=rgb24")
    output = ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    shape = (height, width, 3)
    begin = source.origin + start
    if start > source.half:
        # To the key frame before, and from there without discarding: what is on screen may be older than `start`.
        seek = ["-noaccurate_seek", "-seek_timestamp", "1", "-ss", f"{begin - source.half:.6f}"]
        command = _command(*seek, filters=filters, output=output)
        with closing(_run(source, command, shape, problems, since=begin - source.half)) as run:
            first = next(run, None)
            if first is not None and first[0].time <= begin + source.half:
                yield first
                yield from run
                return
        problems.clear()  # without an index ffmpeg may land too late: begin at the beginning
    yield from _run(source, _command(filters=filters, output=output), shape, problems)


def _run(
    source: _Source, command: list[str], shape: tuple[int, int, int], problems: list[str], since: float = -math.inf
) -> Iterator[tuple[_Shown, Tensor]]:
    """Yield each frame that ffmpeg writes with what its log says; once the generator is closed, ffmpeg is gone."""
    told: queue.Queue[_Shown | None] = queue.Queue()

    def follow(log: Iterable[bytes]) -> None:
        try:
            for shown in _read_log((line.decode(errors="replace") for line in log), problems, since):
                told.put(shown)
        finally:
            told.put(None)

    source.file.seek(0)
    with subprocess.Popen(command, stdin=source.file, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        follower = threading.Thread(target=follow, args=(process.stderr,), daemon=True)
        follower.start()
        try:
            while shown := told.get(timeout=STALL_SECONDS):  # the log runs ahead of the pixels: a stall shows there
                pixels = bytearray(process.stdout.read(math.prod(shape)))
                if len(pixels) < math.prod(shape):
                    break
                yield shown, torch.frombuffer(pixels, dtype=torch.uint8).reshape(shape)
        except queue.Empty:
            raise TimeoutError(f"{source.path}: no frame could be read in {STALL_SECONDS:g} s") from None
        finally:
            process.kill()
            follower.join()


def _in_time(
    decoded: Iterable[tuple[_Shown, Tensor]], begin: float, duration: float, fps: float | None, half: float
) -> Iterator[Tensor]:
    """Yield the frames of ``duration`` from ``begin``: as stored, or at ``fps`` the one on screen at each tick."""
    if fps is None:
        for shown, frame in decoded:
            if shown.time >= begin - half + max(duration, 1.99 * half):  # one frame at least
                return
            if shown.time >= begin - half:
                yield frame
        return
    ahead = min(half, 0.501 / fps)
    limit = max(1, round(duration * fps)) if duration < math.inf else math.inf
    ticks, end, on_screen = 0, -math.inf, None
    for shown, frame in decoded:
        while ticks < limit and begin + ticks / fps + ahead < shown.time:
            yield frame if on_screen is None else on_screen
            ticks += 1
        if ticks == limit:
            return
        on_screen, end = frame, shown.time + shown.duration - begin
    if end > half:
        for _ in range(ticks, min(limit, max(1, round(end * fps)))):
            yield on_screen
