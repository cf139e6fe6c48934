"""How quickly the datasets render, and the layers beside PyTorch's; and what predictors learn: all in CPU time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.budget import cpu_time, generator, one_thread
from course.datasets.digits import load_digits, moving_digits
from course.datasets.photos import load_photo, photo_clips, photo_names
from course.datasets.sprites import SpriteConfig, sample
from course.display import progress
from course.generation.tokens import sample_tokens
from course.layers.attention import MultiHeadAttention, attention
from course.layers.convolution import Conv2Plus1d, Conv3d, channels_between
from course.layers.recurrent import GRUCell, LSTMCell, Recurrent, RNNCell
from course.models.token_transformer import TokenTransformer, TokenTransformerConfig
from course.recipes.families import FAMILIES, Entry, enter
from course.recipes.image_to_video import compare_inflated
from course.recipes.making import write_csv
from course.recipes.prediction import (
    HORIZON,
    PREDICTION_MODELS,
    PUBLISHED_MODELS,
    PredictionResult,
    PredictionRun,
    Scores,
    as_predictor,
    prediction_baselines,
    scores,
    train_prediction,
    trained_model,
)
from course.recipes.text_to_clip import TEXT_SETTINGS, WORLD, steps_of_sprites, text_run, train_text
from course.training.parallel import side_by_side

NUM_FRAMES = 20
SIZE = 64

Layer = Callable[..., Tensor | tuple[Tensor, ...]]


def datasets(num_clips: int = 64, repetitions: int = 9) -> None:
    """Print the milliseconds per batch and the clips per second of each dataset: 20 frames of 64 x 64, one thread.

    Args:
        num_clips: clips in a batch, at least 1.
        repetitions: batches timed, at least 1; the median is printed.
    """
    config = SpriteConfig(size=SIZE, num_frames=NUM_FRAMES)
    digits, labels = load_digits()
    photos = [load_photo(name) for name in photo_names()]
    makers: dict[str, Callable[[torch.Generator], object]] = {
        "sprites": lambda chance: sample(num_clips, generator=chance, config=config),
        "digits": lambda chance: moving_digits(num_clips, generator=chance, images=digits, labels=labels),
        "photos": lambda chance: photo_clips(
            num_clips, generator=chance, photos=photos, num_frames=NUM_FRAMES, size=SIZE
        ),
    }
    with one_thread():
        print(f"{num_clips} clips of {NUM_FRAMES} x {SIZE} x {SIZE}, one thread, median of {repetitions} batches")
        print(f"{'dataset':<10}{'ms per batch':>14}{'clips per second':>18}")
        for name, make in makers.items():
            make(generator(0))  # warms caches up
            seconds = median(_cpu_seconds(make, generator(seed)) for seed in range(repetitions))
            print(f"{name:<10}{1000 * seconds:>14.3f}{num_clips / seconds:>18.0f}")


@dataclass(frozen=True)
class Row:
    """What a layer took, forward and backward: medians, in milliseconds of CPU time."""

    layer: str
    size: str
    ms_ours: float
    ms_pytorch: float

    @property
    def ratio(self) -> float:
        """How many times as long as PyTorch's."""
        return self.ms_ours / self.ms_pytorch


@dataclass(frozen=True)
class Pair:
    """A layer of ours and PyTorch's with the same weights, and what both are given."""

    layer: str
    size: str
    ours: Layer
    pytorch: Layer
    inputs: tuple[Tensor, ...]


def layers(*names: str, repetitions: int = 31) -> list[Row]:
    """Measure our layers beside PyTorch's, forward and backward, on one thread.

    The two take turns, so that whatever else the machine does slows both, and their ratio can be trusted more than the
    milliseconds.

    Args:
        *names: the layers to measure, such as ``"LSTM"``; all of them, if none is named.
        repetitions: turns of each, at least 1.

    Raises:
        ValueError: for a name that no layer has.
    """
    chosen = [pair for pair in pairs() if not names or pair.layer in names]
    if unknown := set(names) - {pair.layer for pair in chosen}:
        known = sorted({pair.layer for pair in pairs()})
        raise ValueError(f"layers: wanted some of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    with one_thread():
        return [_measured(pair, repetitions) for pair in chosen]


def table(rows: Sequence[Row]) -> str:
    """Write rows as text, with the names of the columns above."""
    lines = [f"{'layer':<20}{'size':<26}{'ms ours':>10}{'ms PyTorch':>12}{'ratio':>8}"]
    for row in rows:
        lines += [f"{row.layer:<20}{row.size:<26}{row.ms_ours:>10.3f}{row.ms_pytorch:>12.3f}{row.ratio:>8.2f}"]
    return "\n".join(lines)


def prediction(
    *,
    cpu_minutes: float,
    num_seeds: int,
    folder: Path,
    models: Sequence[str] = (),
    images: Tensor | None = None,
    num_processes: int = 1,
    record: Path | None = None,
) -> str:
    """Train predictors for an equal CPU time, and write what they reach beside the baselines.

    What is finished is kept, and what is interrupted goes on when the same is asked for again.

    Args:
        cpu_minutes: of each training, on one thread.
        num_seeds: trainings of each model, at least 1.
        folder: where they are kept.
        models: some of ``PREDICTION_MODELS``; all of them, if none is named.
        images: (N, 1, 28, 28), float32 in [0, 1]: other digits to test all predictors on as well.
        num_processes: 1, or 2 for two trainings at a time.
        record: an .csv file to write with a row for each training and baseline; None for none.

    Returns:
        A table; with ``images``, two.

    Raises:
        ValueError: if an argument does not fit, or a file of the folder is damaged.
    """
    models = tuple(dict.fromkeys(models)) or tuple(PREDICTION_MODELS)
    if unknown := set(models) - PREDICTION_MODELS.keys():
        raise ValueError(f"models: wanted some of {', '.join(PREDICTION_MODELS)}, got {', '.join(sorted(unknown))}")
    if not (0 < cpu_minutes < float("inf") and num_seeds >= 1 and num_processes in (1, 2)):
        raise ValueError(
            "wanted CPU minutes above 0, one seed or more and one process or two, "
            f"got {cpu_minutes}, {num_seeds} and {num_processes}"
        )
    runs = [
        PredictionRun(model=model, seed=seed, cpu_seconds=60 * cpu_minutes)
        for seed in range(num_seeds)
        for model in models
    ]
    function = partial(train_prediction, folder=folder)
    if num_processes == 1:
        results = {run: function(run) for run in runs}
    else:
        results = dict(progress(side_by_side(function, runs), description="trainings", total=len(runs)))
    by_model = {model: [results[run] for run in runs if run.model == model] for model in models}
    with one_thread():
        rivals = prediction_baselines()
        found = {name: [scores(rivals[name])] for name in progress(rivals, description="baselines")}
        measured = {"test digits of scikit-learn": found | by_model}
        if images is not None:
            found = {name: [scores(predictor, images=images)] for name, predictor in rivals.items()}
            for run in progress(runs, description="your digits"):
                predictor = as_predictor(trained_model(run, folder=folder))
                found.setdefault(run.model, []).append(scores(predictor, images=images))
            measured["your digits, none of them trained on"] = found
    if record is not None:
        _write_record(record, measured, by_model)
    tables = [_prediction_table(title, found, results=by_model) for title, found in measured.items()]
    about = f"{cpu_minutes:g} CPU-minutes on one thread for each training, {num_seeds} of each model"
    return "\n\n".join([about, *tables])


def _write_record(
    path: Path, measured: dict[str, dict[str, Sequence[Scores]]], results: dict[str, Sequence[PredictionResult]]
) -> None:
    """Write a row for each training and baseline on each set of digits."""
    by_t = [f"t = {t}" for t in range(1, HORIZON + 1)]
    rows = [["digits", "predictor", "seed", "MSE", *by_t, "PSNR", "SSIM", "steps", "parameters", "CPU seconds"]]
    for title, found in measured.items():
        for name, several in found.items():
            for seed, each in enumerate(several):
                numbers = [each.mse, *each.mse_by_frame, each.psnr, each.ssim]
                row = [title, name, seed, *(f"{number:.4g}" for number in numbers)]
                trained = results[name][seed] if name in results else None
                cost = (
                    (trained.num_steps, trained.num_parameters, f"{trained.cpu_seconds:.1f}") if trained else [""] * 3
                )
                rows.append([*row, *cost])
    write_csv(path, rows)


def text(
    *,
    cpu_minutes: Sequence[float],
    num_seeds: int,
    folder: Path,
    models: Sequence[str] = (),
    record: Path | None = None,
) -> str:
    """Train denoisers that draw a clip for a caption, each for several budgets, and write what the judge says of them.

    What is finished is kept, and what is interrupted goes on when the same is asked for again.

    Args:
        cpu_minutes: of each training, on one thread; one training for each.
        num_seeds: trainings of each model for each budget, at least 1.
        folder: where they are kept.
        models: some of ``TEXT_SETTINGS``; all of them, if none is named.
        record: an .csv file to write with a row for each training: its metrics, and how far sprites go, in pixels, from
            each frame to the next; None for none.

    Returns:
        A table.

    Raises:
        ValueError: if an argument does not fit, or a file of the folder is damaged.
    """
    models = tuple(dict.fromkeys(models)) or tuple(TEXT_SETTINGS)
    _expect_budgets(cpu_minutes, num_seeds)
    runs = [
        (model, minutes, text_run(model, seed=seed, cpu_seconds=60 * minutes))
        for model in models
        for minutes in cpu_minutes
        for seed in range(num_seeds)
    ]
    cards = {run: train_text(run, folder=folder) for *_, run in progress(runs, description="trainings")}
    if record is not None:
        frames = [f"step to frame {t}" for t in range(1, WORLD.num_frames)]
        rows = [["model", "seed", "CPU seconds", "steps", *next(iter(cards.values())).metrics, *frames]]
        for model, _, run in runs:
            card = cards[run]
            numbers = (f"{value:.4f}" for value in (*card.metrics.values(), *steps_of_sprites(run, folder=folder)))
            rows.append([model, run.seed, f"{card.cpu_seconds:.1f}", card.num_steps, *numbers])
        write_csv(record, rows)
    width = max(24, *(len(model) + 2 for model in models))
    lines = [
        f"{'model':<{width}}{'minutes':>8}{'CAPTION':>9}{'spread':>8}{'held out':>10}{'spread':>8}"
        f"{'VALID':>8}{'MOTION':>8}"
    ]
    for model, minutes in dict.fromkeys((model, minutes) for model, minutes, _ in runs):
        found = [cards[run].metrics for name, budget, run in runs if (name, budget) == (model, minutes)]
        line = f"{model:<{width}}{minutes:>8g}"
        for name, wide in (("caption, all", 9), ("caption, held out", 10)):
            values = [metrics[name] for metrics in found]
            spread = f"{stdev(values):.3f}" if len(values) > 1 else ""
            line += f"{mean(values):>{wide}.3f}{spread:>8}"
        line += "".join(f"{mean(metrics[name] for metrics in found):>8.3f}" for name in ("valid, all", "motion, all"))
        lines.append(line)
    return "\n".join(lines)


def families(
    *,
    cpu_minutes: Sequence[float],
    num_seeds: int,
    folder: Path,
    models: Sequence[str] = (),
    record: Path | None = None,
) -> str:
    """Let a GAN, tokens, diffusion and the cascade run against one another, in equal CPU time, and write who is where.

    What is finished is kept, and what is interrupted goes on when the same is asked for again.

    Args:
        cpu_minutes: of each training, all its networks together, on one thread; one training for each.
        num_seeds: trainings of each family for each budget, at least 1.
        folder: where they are kept.
        models: some of ``FAMILIES``; all of them, if none is named.
        record: an .csv file to write with a row for each training and way of drawing; None for none.

    Returns:
        A table: CAPTION, VALID, MOTION and COVERAGE of held-out captions, and what a clip costs.

    Raises:
        ValueError: if an argument does not fit, or a file of the folder is damaged.
    """
    models = tuple(dict.fromkeys(models)) or tuple(FAMILIES)
    _expect_budgets(cpu_minutes, num_seeds)
    asked = [(name, minutes, seed) for minutes in cpu_minutes for name in models for seed in range(num_seeds)]
    entries: list[Entry] = []
    for name, minutes, seed in progress(asked, description="trainings"):
        entries += enter(name, seed=seed, cpu_minutes=minutes, folder=folder)
    if record is not None:
        rows = [["family", "draws", "way", "seed", "CPU minutes", *entries[0].numbers]]
        for entry in entries:
            numbers = (f"{value:.4f}" for value in entry.numbers.values())
            about = (entry.family, FAMILIES[entry.family].draws, entry.way, entry.seed, f"{entry.cpu_minutes:g}")
            rows.append([*about, *numbers])
        write_csv(record, rows)
    columns = ("caption", "valid", "motion", "coverage")
    lines = [
        f"{'family':<11}{'way of drawing':<24}{'minutes':>8}{'CAPTION':>9}{'spread':>8}"
        + "".join(f"{name.upper():>10}" for name in columns[1:])
        + f"{'seconds a clip':>16}"
    ]
    for about in dict.fromkeys((entry.family, entry.way, entry.cpu_minutes) for entry in entries):
        found = [entry.numbers for entry in entries if (entry.family, entry.way, entry.cpu_minutes) == about]
        captions = [numbers["caption"] for numbers in found]
        spread = f"{stdev(captions):.3f}" if len(found) > 1 else ""
        line = f"{about[0]:<11}{about[1]:<24}{about[2]:>8g}{mean(captions):>9.3f}{spread:>8}"
        line += "".join(f"{mean(numbers[name] for numbers in found):>10.3f}" for name in columns[1:])
        lines.append(f"{line}{mean(numbers['CPU seconds a clip'] for numbers in found):>16.4f}")
    return "\n".join(lines)


def inflation(*, cpu_minutes: Sequence[float], num_seeds: int, record: Path | None = None) -> str:
    """Train networks for clips on pictures first, and on clips alone, in equal CPU time, and write what each can do.

    Args:
        cpu_minutes: of each of the two, on one thread; one training for each.
        num_seeds: trainings of each, at least 1.
        record: an .csv file to write with a row for each training; None for none.

    Returns:
        A table.
    """
    _expect_budgets(cpu_minutes, num_seeds)
    asked = [(minutes, seed) for minutes in cpu_minutes for seed in range(num_seeds)]
    found = [
        (name, seed, numbers)
        for minutes, seed in progress(asked, description="trainings")
        for name, numbers in compare_inflated(cpu_seconds=60 * minutes, seed=seed).items()
    ]
    names = list(found[0][2])
    if record is not None:
        rows = [["model", "seed", *names]]
        rows += [[name, seed, *(f"{value:.4f}" for value in numbers.values())] for name, seed, numbers in found]
        write_csv(record, rows)
    lines = [f"{'':<22}{'seed':>5}" + "".join(f"{name:>17}" for name in names)]
    for name, seed, numbers in found:
        lines.append(f"{name:<22}{seed:>5}" + "".join(f"{value:>17.3f}" for value in numbers.values()))
    return "\n".join(lines)


WIDE = TokenTransformerConfig(num_words=18, hidden_size=384, num_layers=4, num_heads=8)
"""A Transformer over tokens that is wide enough for its arithmetic, and not Python's, to take most of the time."""


@dataclass(frozen=True)
class CacheRow:
    """What drawing tokens took with and without a cache of keys and values, in seconds of CPU time: medians."""

    batch_size: int
    seconds_cached: float
    seconds_uncached: float

    @property
    def ratio(self) -> float:
        """How many times as long it takes without."""
        return self.seconds_uncached / self.seconds_cached


def cache(
    *,
    config: TokenTransformerConfig = WIDE,
    num_tokens: int = 256,
    batch_sizes: Sequence[int] = (1, 8),
    repetitions: int = 3,
) -> list[CacheRow]:
    """Draw tokens with a cache of keys and values and without one, in turns, on one thread.

    What the tokens are does not change the time, so that the Transformer is not trained.

    Args:
        config: its form.
        num_tokens: that are drawn behind a caption.
        batch_sizes: clips at a time.
        repetitions: turns of each, at least 1.

    Raises:
        ValueError: if the tokens are not the same with and without.
    """
    rows = []
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TokenTransformer(config).eval()
        for batch_size in batch_sizes:
            words = torch.randint(1, config.num_words + 1, (batch_size, config.max_words), generator=generator(0))
            drawn: dict[bool, list[Tensor]] = {True: [], False: []}
            seconds: dict[bool, list[float]] = {True: [], False: []}
            sample_tokens(model, words, 8, generator=generator(0))  # warms caches up
            for seed in range(repetitions):
                for cached in (True, False):
                    with cpu_time() as watch:
                        tokens = sample_tokens(model, words, num_tokens, generator=generator(seed), cached=cached)
                    drawn[cached].append(tokens)
                    seconds[cached].append(watch.cpu_seconds)
            if not all(map(torch.equal, drawn[True], drawn[False])):
                raise ValueError("tokens: wanted the same with a cache as without, got others")
            rows.append(CacheRow(batch_size, median(seconds[True]), median(seconds[False])))
    return rows


def cache_table(rows: Sequence[CacheRow]) -> str:
    """Write rows as text, with the names of the columns above."""
    lines = [f"{'clips':>6}{'s with cache':>14}{'s without':>12}{'ratio':>8}"]
    for row in rows:
        lines.append(f"{row.batch_size:>6}{row.seconds_cached:>14.3f}{row.seconds_uncached:>12.3f}{row.ratio:>8.1f}")
    return "\n".join(lines)


def _expect_budgets(cpu_minutes: Sequence[float], num_seeds: int) -> None:
    if not cpu_minutes or not all(0 < minutes < float("inf") for minutes in cpu_minutes) or num_seeds < 1:
        raise ValueError(f"wanted CPU minutes above 0 and one seed or more, got {cpu_minutes} and {num_seeds}")


def _prediction_table(
    title: str, found: dict[str, Sequence[Scores]], *, results: dict[str, Sequence[PredictionResult]]
) -> str:
    """Write the means over seeds of each predictor's scores; the spread is the standard deviation."""
    error = {name: [each.mse for each in several] for name, several in found.items()}
    best = min((mean(error[name]) for name in PUBLISHED_MODELS if name in error), default=None)
    by_t = "".join(f"{f't = {t}':>8}" for t in range(1, HORIZON + 1))
    lines = [
        f"{title}: squared error, summed over the pixels of a frame; the ratio is to the best of the field's methods",
        f"{'predictor':<20}{'MSE':>8}{'spread':>8}{'ratio':>8}{by_t}{'PSNR':>8}{'SSIM':>8}"
        f"{'steps':>8}{'parameters':>12}{'CPU s':>8}",
    ]
    for name, several in found.items():
        spread = f"{stdev(error[name]):.1f}" if len(several) > 1 else ""
        ratio = "" if best is None else f"{mean(error[name]) / best:.2f}"
        errors = zip(*(each.mse_by_frame for each in several), strict=True)
        line = f"{name:<20}{mean(error[name]):>8.1f}{spread:>8}{ratio:>8}"
        line += "".join(f"{mean(at_t):>8.1f}" for at_t in errors)
        line += f"{mean(each.psnr for each in several):>8.2f}{mean(each.ssim for each in several):>8.3f}"
        if trained := results.get(name):
            line += f"{mean(each.num_steps for each in trained):>8.0f}{trained[0].num_parameters:>12,}"
            line += f"{mean(each.cpu_seconds for each in trained):>8.1f}"
        lines.append(line)
    return "\n".join(lines)


def pairs() -> Iterator[Pair]:
    """Yield what ``layers`` measures, of the sizes of the chapters and a larger one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield from _recurrent()
        yield from _attention()
        yield from _convolution()


def _recurrent() -> Iterator[Pair]:
    size = 64
    for cell, layer in ((RNNCell, nn.RNN), (GRUCell, nn.GRU), (LSTMCell, nn.LSTM)):
        ours, theirs = Recurrent(cell(size, size)), layer(size, size, batch_first=True)
        weights = {
            "from_input.weight": theirs.weight_ih_l0,
            "from_input.bias": theirs.bias_ih_l0,
            "from_hidden.weight": theirs.weight_hh_l0,
            "from_hidden.bias": theirs.bias_hh_l0,
        }
        ours.cells[0].load_state_dict(weights)
        for B, T in ((16, 8), (16, 19), (32, 51)):
            words, inputs = f"B {B}, T {T}", _inputs(B, T, size)
            yield Pair(layer.__name__, words, ours, theirs, inputs)
            if layer is nn.LSTM:  # the only one of the three that oneDNN has as a whole, in machine code
                yield Pair("LSTM, no oneDNN", words, ours, partial(_without_onednn, theirs), inputs)


def _attention() -> Iterator[Pair]:
    num_heads, head_size = 4, 16
    size = num_heads * head_size
    # B clips of N frames; then 16 clips of 16 frames and 16 patches, where each place looks along time.
    shapes = ((16, 8), (16, 19), (32, 51), (16, 16, 16))
    for shape in shapes:
        for causal in (False, True):
            yield Pair(
                "attention",
                f"{' x '.join(map(str, shape))}{', causal' * causal}",
                partial(attention, causal=causal),
                partial(F.scaled_dot_product_attention, is_causal=causal),
                _inputs(*shape[:-1], num_heads, shape[-1], head_size, count=3),
            )
    ours, theirs = MultiHeadAttention(size, num_heads), nn.MultiheadAttention(size, num_heads, batch_first=True)
    weights = {
        "project_in.weight": theirs.in_proj_weight,
        "project_in.bias": theirs.in_proj_bias,
        "project_out.weight": theirs.out_proj.weight,
        "project_out.bias": theirs.out_proj.bias,
    }
    ours.load_state_dict(weights)
    for shape in ((16, 8), (16, 19), (32, 51), (256, 16)):
        yield Pair(
            "MultiHeadAttention",
            " x ".join(map(str, shape)),
            ours,
            lambda x, theirs=theirs: theirs(x, x, x, need_weights=False),
            _inputs(*shape, size),
        )


def _convolution() -> Iterator[Pair]:
    T, side = 8, 16
    for B, channels in ((8, 8), (16, 16), (32, 32)):
        words = f"B {B}, channels {channels}"
        ours, theirs = Conv3d(channels, channels, 3), nn.Conv3d(channels, channels, 3, padding=1)
        ours.load_state_dict(theirs.state_dict())
        inputs = _inputs(B, channels, T, side, side)
        yield Pair("Conv3d", words, ours, theirs, inputs)
        between = channels_between(channels, channels, 3)
        ours = Conv2Plus1d(channels, channels, 3)
        space = nn.Conv3d(channels, between, (1, 3, 3), padding=(0, 1, 1))
        time = nn.Conv3d(between, channels, (3, 1, 1), padding=(1, 0, 0))
        ours.space.load_state_dict(space.state_dict())
        ours.time.load_state_dict(time.state_dict())
        yield Pair("Conv2Plus1d", words, ours, nn.Sequential(space, nn.ReLU(), time), inputs)


def _without_onednn(layer: nn.Module, x: Tensor) -> tuple[Tensor, object]:
    """Go forward by PyTorch's own operations, one after the other."""
    enabled = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False
    try:
        return layer(x)
    finally:
        torch.backends.mkldnn.enabled = enabled


def _inputs(*shape: int, count: int = 1) -> tuple[Tensor, ...]:
    return tuple(torch.randn(shape, requires_grad=True) for _ in range(count))


def output(layer: Layer, inputs: tuple[Tensor, ...]) -> Tensor:
    """Go forward; what a layer returns beside its output is left out."""
    result = layer(*inputs)
    return result if isinstance(result, Tensor) else result[0]


def _measured(pair: Pair, repetitions: int) -> Row:
    gradient = torch.randn_like(output(pair.ours, pair.inputs))
    step = [partial(_step, layer, pair.inputs, gradient) for layer in (pair.ours, pair.pytorch)]
    for call in step:  # warms caches up
        call()
    turns = [[_cpu_seconds(call) for call in step] for _ in range(repetitions)]
    ours, theirs = (1000 * median(seconds) for seconds in zip(*turns, strict=True))
    return Row(pair.layer, pair.size, ours, theirs)


def _step(layer: Layer, inputs: tuple[Tensor, ...], gradient: Tensor) -> None:
    output(layer, inputs).backward(gradient)


def _cpu_seconds(call: Callable[..., object], *arguments: object) -> float:
    with cpu_time() as watch:
        call(*arguments)
    return watch.cpu_seconds
