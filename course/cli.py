"""``python -m course``: the course's commands.

Each command imports what it needs when it runs, so that ``doctor`` can speak even where torch is missing.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START = "workbook/00_start_here.ipynb"


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

    command = commands.add_parser("render", help="write clips of the sprite world to an .mp4 or .gif file")
    command.add_argument("path", type=Path)
    command.add_argument("captions", nargs="*", metavar="CAPTION", help="such as 'a red circle moves left' (random)")
    command.add_argument("--size", type=int, default=64, help="pixels: 16, 32 or 64 (64)")
    command.add_argument("--frames", type=int, default=24)
    command.add_argument("--fps", type=float, default=12)
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=_render)

    command = commands.add_parser("calibrate", help="judge real and spoilt clips: where the judge's bounds come from")
    command.add_argument("--clips", type=int, default=2000, help="clips of each kind (2000)")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=_calibrate)

    command = commands.add_parser("benchmark", help="measure on this machine, in process CPU time")
    whats = command.add_subparsers(required=True, metavar="WHAT", dest="what")
    whats.add_parser("datasets", help="how quickly the datasets render")
    whats.add_parser("layers", help="how quickly our layers run, beside PyTorch's")
    for name, about, example in (
        ("prediction", "what predictors of moving digits learn in equal CPU time", "SimVP medium"),
        ("text", "what denoisers that draw a clip for a caption learn in equal CPU time", "U-Net"),
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
        minutes = {"nargs": "+", "default": [6]} if name == "text" else {"default": 6}
        what.add_argument("--cpu-minutes", type=float, metavar="M", help="of each training (6)", **minutes)
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


def _calibrate(options: argparse.Namespace) -> int:
    from course import budget
    from course.evaluation import calibration

    budget.settle()
    print(calibration.table(calibration.calibrate(options.clips, options.seed)))
    return 0


def _benchmark(options: argparse.Namespace) -> int:
    from course import benchmark
    from course.datasets.digits import read_images

    if options.what == "datasets":
        benchmark.datasets()
    elif options.what == "layers":
        print(benchmark.table(benchmark.layers()))
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
            else:
                images = read_images(options.mnist, "test") if options.mnist else None
                print(benchmark.prediction(**asked, images=images, num_processes=options.processes))
        except KeyboardInterrupt:
            return _interrupted()
    return 0


def _train(options: argparse.Namespace) -> int:
    from course.recipes import shipped

    if options.list or options.name is None:
        print("\n".join(shipped.SHIPPED))
        return 0
    try:
        path, card = shipped.make_shipped(options.name)
    except KeyboardInterrupt:
        return _interrupted()
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
