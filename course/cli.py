"""``python -m course``: the course's commands.

Each command imports what it needs when it runs, so that ``doctor`` can speak even where torch is missing.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
START = "workbook/00_start_here.ipynb"
SAMPLE_STEPS = 10
"""Of the sampler that draws a clip, unless it is told."""
SAMPLE_SIZE = 256
"""Pixels of a side that a drawn clip is enlarged to, as far as a whole number goes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    A mistake in the arguments, or in a file that they name, is one line on stderr and exit code 2.
    """
    for stream in (sys.stdout, sys.stderr):  # a console that lacks a letter shows its number instead of stopping
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        code = options.run(options) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m course", description="Video generation from scratch.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("doctor", help="say what is there, what is missing and how to mend it")
    command.set_defaults(run=_doctor)

    command = commands.add_parser("lab", help="check the machine, make the workbook and open JupyterLab in it")
    command.add_argument("--no-browser", action="store_true", help="print the address only")
    command.add_argument("--port", type=int, default=8888, help="first port to try (8888)")
    command.set_defaults(run=_lab)

    command = commands.add_parser(
        "workbook", help="write your own copy of the chapters; what you did is never overwritten"
    )
    command.add_argument("numbers", nargs="*", metavar="NN", help="chapters (all)")
    command.set_defaults(run=_workbook)

    command = commands.add_parser("progress", help="say which exercises are done and what comes next")
    command.add_argument("--export", choices=["csv", "json"], help="write it for a teacher, to the terminal")
    command.add_argument("--learner", default="", metavar="NAME", help="the name to put into the export")
    command.set_defaults(run=_progress)

    command = commands.add_parser("assignment", help="for teachers: write chapters as nbgrader assignments")
    command.add_argument("numbers", nargs="+", metavar="NN", help="chapters")
    command.add_argument(
        "--points",
        nargs="+",
        default=[],
        metavar="P",
        help="a number for each exercise, one for all of them, or NAME=NUMBER, such as velocity=6 (as in the chapter)",
    )
    command.add_argument("--folder", type=Path, help="nbgrader's course folder (teaching)")
    command.set_defaults(run=_assignment)

    command = commands.add_parser(
        "teacher", help="for teachers: write answer keys, with the usual mistakes and what to say"
    )
    command.add_argument("numbers", nargs="*", metavar="NN", help="chapters (all)")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (build/answers)")
    command.set_defaults(run=_teacher)

    command = commands.add_parser("slides", help="for teachers: write slides of chapters that open without a network")
    command.add_argument("numbers", nargs="*", metavar="NN", help="chapters (all)")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (build/slides)")
    command.set_defaults(run=_slides)

    command = commands.add_parser("workshop", help="for teachers: three hours that begin at any chapter, added up")
    command.add_argument("--from", dest="start", metavar="NN", help="the chapter to begin at (an overview of all)")
    command.add_argument("--measure", nargs="+", metavar="NN", help="measure the cells of chapters, or 'draw'; minutes")
    command.add_argument("--everything", action="store_true", help="measure the sections as well that it leaves out")
    command.add_argument("--renew", action="store_true", help="write the tables into the plan and the guides")
    command.set_defaults(run=_workshop)

    command = commands.add_parser("render", help="write clips of the sprite world to an .mp4 or .gif file")
    command.add_argument("path", type=Path)
    command.add_argument("captions", nargs="*", metavar="CAPTION", help="such as 'a red circle moves left' (random)")
    command.add_argument("--size", type=int, default=64, help="pixels: 16, 32 or 64 (64)")
    command.add_argument("--frames", type=int, default=24)
    command.add_argument("--fps", type=float, default=12)
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=_render)

    command = commands.add_parser("sample", help="draw a clip with a trained network and write it to a file")
    whats = command.add_subparsers(required=True, metavar="WHAT", dest="what")
    what = whats.add_parser("image-to-video", help="let what a picture shows move, or film it with a camera that moves")
    what.add_argument("picture", type=Path, metavar="PICTURE", help="a picture file; its middle square is taken")
    what.add_argument("phrase", metavar="PHRASE", help="such as 'moves left', or for a photograph 'camera moves left'")
    what.add_argument("--strength", type=float, metavar="X", help="of the motion, 0 to 1; no camera takes it (open)")
    what.set_defaults(sample=_sample_image_to_video)
    what = whats.add_parser("cascade", help="draw a clip for a caption, small at first, then larger")
    what.add_argument("caption", metavar="CAPTION", help="such as 'a red circle moves left'")
    what.set_defaults(sample=_sample_cascade)
    for what in whats.choices.values():
        what.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write: .mp4 or .gif")
        what.add_argument("--seed", type=int, default=0, help="of the noise: another one, another clip (0)")
        what.add_argument("--steps", type=int, metavar="N", help="of each sampler (10, or 4 where little is open)")
    command.set_defaults(run=_sample)

    command = commands.add_parser("calibrate", help="judge real and spoilt clips: where the judge's bounds come from")
    command.add_argument("--clips", type=int, default=2000, help="clips of each kind (2000)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--pairs", action="store_true", help="clips of two sprites, judged with the same bounds")
    command.set_defaults(run=_calibrate)

    command = commands.add_parser("benchmark", help="measure on this machine, in process CPU time")
    whats = command.add_subparsers(required=True, metavar="WHAT", dest="what")
    whats.add_parser("datasets", help="how quickly the datasets render")
    whats.add_parser("layers", help="how quickly our layers run, beside PyTorch's")
    whats.add_parser("cache", help="how much quicker tokens are drawn with a cache of keys and values")
    for name, about, example in (
        ("prediction", "what predictors of moving digits learn in equal CPU time", "SimVP medium"),
        ("text", "what denoisers that draw a clip for a caption learn in equal CPU time", "U-Net"),
        ("families", "GAN, tokens, diffusion and cascade: what each learns in equal CPU time, and costs", "GAN"),
    ):
        what = whats.add_parser(name, help=about)
        what.add_argument("--seeds", type=int, default=1, metavar="S", help="trainings of each model (1)")
        what.add_argument("--models", nargs="+", default=[], metavar="NAME", help=f"such as '{example}' (all)")
        what.add_argument(
            "--results",
            type=Path,
            default=ROOT / "data" / "own" / name,
            metavar="FOLDER",
            help=f"where the trainings are kept, to go on after an interruption (data/own/{name})",
        )
        what.add_argument("--record", type=Path, metavar="FILE", help="write a row for each training to a .csv file")
        minutes = {"default": 6} if name == "prediction" else {"nargs": "+", "default": [6]}
        what.add_argument("--cpu-minutes", type=float, metavar="M", help="of each training (6)", **minutes)
    what = whats.add_parser("inflation", help="what a network for clips gains from pictures, in equal CPU time")
    what.add_argument("--seeds", type=int, default=1, metavar="S", help="trainings of each (1)")
    what.add_argument("--cpu-minutes", type=float, nargs="+", default=[1.5], metavar="M", help="of each (1.5)")
    what.add_argument("--record", type=Path, metavar="FILE", help="write a row for each training to a .csv file")
    what = whats.choices["prediction"]
    what.add_argument("--mnist", type=Path, metavar="FILE", help="test on the digits of your MNIST file as well")
    what.add_argument("--processes", type=int, default=1, help="1, or 2 trainings at a time (1)")
    command.set_defaults(run=_benchmark)

    command = commands.add_parser("train", help="make a checkpoint of the course again, by its recipe")
    command.add_argument("name", nargs="?", metavar="NAME", help="of the checkpoint")
    command.add_argument("--list", action="store_true", help="print the names")
    command.set_defaults(run=_train)

    command = commands.add_parser("notebooks", help="for authors: pair, execute what changed, renew the results table")
    command.add_argument("numbers", nargs="*", metavar="NN", help="chapters to execute at most (all)")
    command.add_argument("--force", action="store_true", help="execute them even if their code did not change")
    command.set_defaults(run=_notebooks)
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from course import doctor

    return doctor.run()


def _lab(options: argparse.Namespace) -> int:
    from course import doctor

    if doctor.run():
        return 1
    print()
    _workbook(options)
    no_display = sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}", f"--port={options.port}"]
    command += [f"--LabApp.default_url=/lab/tree/{START}"]
    # Nothing is asked of the network: no news, no look for updates.
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if options.no_browser or no_display:
        command += ["--no-browser"]
        print("\nNo browser is opened: copy one of the addresses that JupyterLab prints below.\n", flush=True)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command += ["--allow-root"]  # in a container, where root is the only user
    try:
        return subprocess.call(command, cwd=ROOT)
    except KeyboardInterrupt:
        return 0


def _workbook(options: argparse.Namespace) -> int:
    from course import workbook

    print("\n".join(workbook.make(getattr(options, "numbers", ()))) or "The workbook is up to date.", flush=True)
    return 0


def _progress(options: argparse.Namespace) -> int:
    from course import progress, workbook

    standings = progress.summary(progress.location(workbook.WORKBOOK), progress.tasks())
    if options.export:
        print(progress.export(standings, options.export, learner=options.learner), end="")
    else:
        print(progress.table(standings))
    return 0


def _assignment(options: argparse.Namespace) -> int:
    from course import assignment

    folder = options.folder or assignment.TEACHING
    print("\n".join(assignment.write(options.numbers, points=options.points, folder=folder)))
    return 0


def _teacher(options: argparse.Namespace) -> int:
    from course import answer_key, notebooks

    folder = options.out or answer_key.FOLDER
    for path in notebooks.write_each(options.numbers, answer_key.answer_key, suffix=".md", folder=folder):
        print(path)
    if not answer_key.MISTAKES.exists():
        print(f"without the usual mistakes: they stand in the repository, and {answer_key.MISTAKES} is not here")
    return 0


def _slides(options: argparse.Namespace) -> int:
    from course import notebooks, slides

    folder = options.out or slides.FOLDER
    for path in notebooks.write_each(options.numbers, slides.chapter_page, suffix=".html", folder=folder):
        print(f"{path}: open it in a browser")
    return 0


def _workshop(options: argparse.Namespace) -> int:
    from course import notebooks, workshop

    for number in options.measure or ():
        try:
            found = workshop.measure("" if number == "draw" else number, everything=options.everything)
        except notebooks.NotebookError as error:
            print(error, file=sys.stderr)
            return 1
        for section, seconds in found.items():
            print(f"{number}  {seconds:6.1f} CPU seconds  {section}", flush=True)
    if options.renew:
        print("\n".join(str(path) for path in workshop.renew()) or "Every table is up to date.")
    if options.start:
        print(workshop.workshop_table(options.start, workshop.parts()), end="")
    elif not options.measure and not options.renew:
        print(workshop.overview_table(workshop.parts()), end="")
    return 0


def _render(options: argparse.Namespace) -> int:
    from course import budget
    from course.clips import grid
    from course.datasets import captions, sprites
    from course.video import write_clip

    generator = budget.generator(options.seed)
    config = sprites.SpriteConfig(size=options.size, num_frames=options.frames)
    told = [captions.parse(text) for text in options.captions]
    if any(len(sprites_told) > 1 for sprites_told in told):
        raise ValueError("render: wanted captions of one sprite each; each gets a clip of its own")
    wanted = [sprite for (sprite,) in told]
    if options.frames > 10_000:
        raise ValueError(f"--frames: wanted at most 10000, got {options.frames}")
    if not wanted:
        wanted = sprites.sample(8, generator=generator, config=config).state.combinations()
    state = sprites.sample_state(wanted, generator=generator, config=config)
    write_clip(options.path, grid(sprites.render(state, config=config), columns=4, gap=2), options.fps)
    print(f"{options.path}: {'; '.join(captions.caption(combination) for combination in wanted)}")
    return 0


def _sample(options: argparse.Namespace) -> int:
    from course import budget
    from course.video import MAX_RATES, write_clip

    if options.out.suffix.lower() not in MAX_RATES:  # said before the work, not after it
        raise ValueError(f"--out: wanted a name that ends in {' or '.join(MAX_RATES)}, got {options.out}")
    if options.steps is not None and not 1 <= options.steps <= 1000:
        raise ValueError(f"--steps: wanted 1 to 1000, got {options.steps}")
    if not 0 <= options.seed < 2**63:
        raise ValueError(f"--seed: wanted a whole number of at least 0, got {options.seed}")
    budget.settle()
    clip = options.sample(options)  # (T, 3, H, W)
    scale = max(1, SAMPLE_SIZE // max(clip.shape[-2:]))
    write_clip(options.out, clip.repeat_interleave(scale, 2).repeat_interleave(scale, 3), fps=len(clip))  # a second
    print(f"{options.out}: {len(clip)} frames of {' x '.join(map(str, clip.shape[-2:]))}, each pixel {scale} wide")
    return 0


def _sample_image_to_video(options: argparse.Namespace) -> "Tensor":
    """Return a clip (T, 3, H, W) that begins with the picture."""
    from course import budget
    from course.datasets.captions import PHRASES
    from course.datasets.photos import read_picture
    from course.recipes import camera, image_to_video, shipped

    generator = budget.generator(options.seed)
    phrase = " ".join(options.phrase.lower().split())
    if phrase in camera.MOVES:
        if options.strength is not None:
            raise ValueError("--strength: wanted none for a camera, which has a speed of its own")
        picture = read_picture(options.picture.read_bytes(), camera.SIZE, name=str(options.picture))
        num_steps, move = options.steps or camera.NUM_STEPS, vars(camera.MOVES[phrase])
        network = watched(shipped.load_shipped_denoiser("camera_shown_0"), num_steps)
        return camera.film(network, picture[None], **move, generator=generator, num_steps=num_steps)[0]
    if phrase not in PHRASES.values() and not _is_caption(phrase):
        raise ValueError(f"PHRASE: {nearest_words(options.phrase)}")
    if options.strength is not None and not 0 <= options.strength <= 1:
        raise ValueError(f"--strength: wanted 0 to 1, got {options.strength}")
    picture = read_picture(options.picture.read_bytes(), image_to_video.SHAPE[-1], name=str(options.picture))
    num_steps = options.steps or SAMPLE_STEPS
    network = watched(shipped.load_shipped_denoiser("picture_unet_0"), num_steps)
    return image_to_video.animate(
        network, picture[None], phrase, strength=options.strength, generator=generator, num_steps=num_steps
    )[0]


def _sample_cascade(options: argparse.Namespace) -> "Tensor":
    """Return a clip (T, 3, H, W) for the caption."""
    from course import budget
    from course.recipes import cascade, shipped

    caption = " ".join(options.caption.lower().split())
    if not _is_caption(caption):
        raise ValueError(f"CAPTION: {nearest_words(options.caption, captions_only=True)}")
    num_steps = {stage: options.steps or default for stage, default in cascade.NUM_STEPS.items()}
    networks = {
        stage: watched(network, num_steps[stage], description=stage)
        for stage, network in shipped.load_cascade().items()
    }
    clips = cascade.draw_cascade(networks, [caption], generator=budget.generator(options.seed), num_steps=num_steps)
    return clips[cascade.STAGES[-1]][0]


def _is_caption(text: str) -> bool:
    """Tell whether a text is a caption of one sprite."""
    from course.datasets.captions import parse

    try:
        return len(parse(text)) == 1
    except ValueError:
        return False


def nearest_words(text: str, *, captions_only: bool = False) -> str:
    """Say in one line what can be asked for, and which words or phrases are nearest to a text that cannot.

    Args:
        text: what was asked for.
        captions_only: leave out phrases without a sprite, and cameras.
    """
    from course.datasets.captions import ALL, COLOURS, PHRASES, SHAPES, caption
    from course.recipes.camera import MOVES

    phrases = list(PHRASES.values())
    sentences = [*map(caption, ALL), *([] if captions_only else [*phrases, *MOVES])]
    known = list(dict.fromkeys(word for sentence in sentences for word in sentence.split()))
    typed = text.lower().split()
    unknown = [word for word in dict.fromkeys(typed) if word not in known][:5]
    hints = []
    for word in unknown:
        near = " or ".join(get_close_matches(word, known, n=2))
        hints.append(f"{word[:20]!r} is unknown" + (f", nearest is {near}" if near else ""))
    if not unknown:
        hints = [f"nearest is {near!r}" for near in get_close_matches(" ".join(typed), sentences, n=1, cutoff=0.4)]
    sprite = f"with a colour of {', '.join(COLOURS)} and a shape of {', '.join(SHAPES)}"
    if captions_only:
        wanted = f"'a COLOUR SHAPE PHRASE' {sprite} and a phrase of {', '.join(phrases)}"
    else:
        wanted = f"{', '.join(phrases)}, alone or behind 'a COLOUR SHAPE' {sprite}; or {', '.join(MOVES)}"
    return "; ".join([f"got {text!r:.80}", *hints, f"wanted {wanted}"])


def watched(network: Callable, num_steps: int, *, description: str = "sampling") -> Callable:
    """Make a denoiser that shows by a progress bar how far the sampler is that asks it.

    Args:
        network: called as ``network(noisy, noise_step, condition)``.
        num_steps: of the sampler, which may ask several times in a step.
        description: what stands before the bar.
    """
    from course.display import progress

    bar = iter(progress(range(num_steps), description=description))
    visited = []

    def ask(noisy: "Tensor", noise_step: "Tensor", condition: object) -> "Tensor":
        step = noise_step[0].item()
        if step not in visited:
            visited.append(step)
            next(bar, None)
        answer = network(noisy, noise_step, condition)
        if len(visited) == num_steps:
            next(bar, None)  # the end: the bar goes
        return answer

    return ask


def _calibrate(options: argparse.Namespace) -> int:
    from course import budget
    from course.evaluation import calibration

    budget.settle()
    if options.pairs:
        print(calibration.rows_table(calibration.calibrate_pairs(options.clips, options.seed)))
    else:
        print(calibration.table(calibration.calibrate(options.clips, options.seed)))
    return 0


def _benchmark(options: argparse.Namespace) -> int:
    from course import benchmark
    from course.datasets.digits import read_images

    if options.what == "datasets":
        benchmark.datasets()
    elif options.what == "layers":
        print(benchmark.table(benchmark.layers()))
    elif options.what == "cache":
        print(benchmark.cache_table(benchmark.cache()))
    elif options.what == "inflation":
        print(benchmark.inflation(cpu_minutes=options.cpu_minutes, num_seeds=options.seeds, record=options.record))
    else:
        asked = {
            "cpu_minutes": options.cpu_minutes,
            "num_seeds": options.seeds,
            "folder": options.results,
            "models": options.models,
            "record": options.record,
        }
        try:
            if options.what == "text":
                print(benchmark.text(**asked))
            elif options.what == "families":
                print(benchmark.families(**asked))
            else:
                images = read_images(options.mnist, "test") if options.mnist else None
                print(benchmark.prediction(**asked, images=images, num_processes=options.processes))
        except KeyboardInterrupt:
            return _interrupted()
    return 0


def _train(options: argparse.Namespace) -> int:
    from course import distributed
    from course.recipes import shipped

    if options.list or options.name is None:
        print("\n".join(shipped.SHIPPED))
        return 0
    try:
        with distributed.workers():
            path, card = shipped.make_shipped(options.name)
            first = distributed.rank() == 0
    except KeyboardInterrupt:
        return _interrupted()
    if not first:  # of several workers one says it
        return 0
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in card.metrics.items())
    print(f"{path}: {card.recipe}; {card.num_steps} steps in {card.cpu_seconds:.1f} CPU seconds; {metrics}")
    return 0


def _interrupted() -> int:
    print("\ninterrupted; the same command goes on from here", file=sys.stderr)
    return 130


def _notebooks(options: argparse.Namespace) -> int:
    from course import notebooks

    try:
        notebooks.update(options.numbers, force=options.force)
    except notebooks.NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
