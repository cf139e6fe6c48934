"""The exercises of chapter 02: decibels, structure, sets, and a measure fooled."""

import math

import torch
from torch import Tensor

from course import budget
from course.clips import expect
from course.datasets import sprites
from course.evaluation import frames, judge
from course.evaluation.frechet import gaussian_distance
from course.exercises.checking import Exercise, WrongAnswerError, close, holds


def _decibels(answer: object) -> None:
    generator = budget.generator(0)
    for peak, brightest, shift in ((255.0, 1.0, 0.0), (1.0, 1.0, 0.0), (4095.0, 0.5, 0.05)):
        target = brightest * peak * torch.rand(3, 8, 8, generator=generator)
        noise = 0.1 * brightest * torch.randn(3, 8, 8, generator=generator)
        prediction = (target + peak * (shift + noise)).clamp(0, peak)
        mse = (prediction - target).square().mean().item()
        wanted = 10 * math.log10(peak**2 / mse)
        close(
            answer(prediction, target, peak),
            wanted,
            what=f"with a peak of {peak:g} the result",
            usual={
                "the peak is not squared: it is a value, and the error is a squared one": 10 * math.log10(peak / mse),
                "the peak is left out, or taken for 1": -10 * math.log10(mse),
                "the largest value that occurs was taken for the peak, not the largest that can": 10
                * math.log10(target.max().item() ** 2 / mse),
                "this is the natural logarithm: decibels take the one to base 10": 10 * math.log(peak**2 / mse),
                "this is the mean absolute error, not the mean squared one": 10
                * math.log10(peak**2 / (prediction - target).abs().mean().item()),
                "the sign is turned: a better picture has more decibels": -wanted,
                "the error was summed, not averaged: then large pictures would be worse": 10
                * math.log10(peak**2 / (mse * target.numel())),
            },
            look="compute the mean squared error first, then put it into the formula",
            tolerance=1e-3,
        )


def _ssim(x: Tensor, y: Tensor, *, c1: float = 1e-4, c2: float = 9e-4, correction: int = 0) -> float:
    mean_x, mean_y = x.mean(), y.mean()
    var_x, var_y = x.var(correction=correction), y.var(correction=correction)
    covariance = ((x - mean_x) * (y - mean_y)).sum() / (x.numel() - correction)
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).item()


def ssim_of_window(x: Tensor, y: Tensor) -> float:
    """Return the structural similarity of two windows (H, W), all pixels weighted alike."""
    return _ssim(x, y)


def _window(answer: object) -> None:
    generator = budget.generator(1)
    x = torch.rand(5, 5, generator=generator)
    dark = 0.05 * torch.rand(2, 5, 5, generator=generator)
    pairs = [(x, (0.8 * x + 0.3 * torch.rand(5, 5, generator=generator)).clamp(0, 1)), (x, 0.3 + 0.4 * x), (x, 1 - x)]
    for x, y in [(dark[0], dark[1] + 0.02), *pairs]:  # in the dark the constants decide
        mean_x, mean_y = x.mean(), y.mean()
        deviation_x, deviation_y = x.std(correction=0), y.std(correction=0)
        covariance = ((x - mean_x) * (y - mean_y)).mean()
        brightness = ((2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)).item()
        pattern = ((2 * covariance + 9e-4) / (deviation_x**2 + deviation_y**2 + 9e-4)).item()
        contrast = ((2 * deviation_x * deviation_y + 9e-4) / (deviation_x**2 + deviation_y**2 + 9e-4)).item()
        close(
            answer(x, y),
            _ssim(x, y),
            usual={
                "the constants are missing": _ssim(x, y, c1=0, c2=0),
                "the constants are 0.01 and 0.03: they must be squared": _ssim(x, y, c1=0.01, c2=0.03),
                "both constants are the same: c1 = 0.01 squared is for the means, c2 = 0.03 squared is not": _ssim(
                    x, y, c1=1e-4, c2=1e-4
                ),
                "the constants are exchanged: c1 = 0.01 squared goes with the means": _ssim(x, y, c1=9e-4, c2=1e-4),
                "variances were divided by the number of pixels less one: divide by the number": _ssim(
                    x, y, correction=1
                ),
                "this is the brightness alone: the pattern's factor is missing": brightness,
                "this is the pattern alone: the brightness' factor is missing": pattern,
                "the deviations were multiplied where the covariance belongs: a negative would count as equal": (
                    brightness * contrast
                ),
            },
            look="compute the two means, two variances and the covariance, and compare each with a small case by hand",
            tolerance=1e-4,
        )
    flat = torch.zeros(5, 5)
    close(answer(flat, flat), 1.0, what="for two black windows the result", look="the constants keep it from 0 / 0")


def _frechet(answer: object) -> None:
    generator = budget.generator(2)
    mean1, mean2 = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    first, second = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64)
    cov1, cov2 = first @ first.T + 0.1 * torch.eye(4), second @ second.T + 0.5 * torch.eye(4)
    difference = (mean1 - mean2).square().sum().item()
    traces = (cov1.trace() + cov2.trace()).item()

    def root(matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        return vectors * values.clamp(min=0).sqrt() @ vectors.T

    wanted = gaussian_distance(mean1 - mean2, cov1, cov2)
    close(
        answer(mean1, cov1, mean2, cov2),
        wanted,
        usual={
            "the square root of the matrix is missing": difference + traces - 2 * (cov1 @ cov2).trace().item(),
            "the root was taken of each entry, not of the matrix: see the eigenvalues": difference
            + traces
            - 2 * (cov1 @ cov2).abs().sqrt().trace().item(),
            "only the variances were used: the covariances between features count too": difference
            + (cov1.diagonal().sqrt() - cov2.diagonal().sqrt()).square().sum().item(),
            "the roots were multiplied: that is right only if the two matrices commute": difference
            + traces
            - 2 * (root(cov1) @ root(cov2)).trace().item(),
            "the distance of the means is not squared": difference**0.5 + wanted - difference,
            "the means are missing": wanted - difference,
            "the covariances are missing": difference,
            "the factor of 2 before the cross term is missing": difference
            + traces
            - 0.5 * (difference + traces - wanted),
            "the root of the whole was taken: the formula gives the squared distance": wanted**0.5,
        },
        look="try it with D = 1: it must give the squared difference of means plus that of standard deviations",
        tolerance=1e-6,
    )
    thin = torch.outer(mean1, mean1)  # all features vary together: three eigenvalues are 0, or come out a little below
    for one, other in ((cov1, cov2), (cov1, thin), (thin, cov2)):
        close(
            answer(mean1, one, mean1, other),
            gaussian_distance(torch.zeros(4, dtype=torch.float64), one, other),
            what="for two Gaussians with the same mean the result",
            look="the covariances differ, so the distance is not 0; an eigenvalue of 0 may come out a little below it",
            tolerance=1e-5,
        )
    close(
        answer(mean1, cov1, mean1, cov1),
        0.0,
        what="for two equal Gaussians the result",
        look="the cross term must equal the traces there",
        tolerance=1e-6,
    )


def _fooled(answer: object) -> None:
    real = sprites.sample(100, generator=budget.generator(3)).clips
    spoilt = answer(real)
    try:
        expect(spoilt, "B T C H W", name="the result", B=100, T=8, C=3, H=16, W=16)
    except ValueError as error:
        raise WrongAnswerError(str(error)) from None
    similarity = frames.ssim(spoilt, real).mean().item()
    valid = judge.judge(spoilt).rates()["valid"]
    holds(valid < 1, f"SSIM is {similarity:.2f}, and the judge accepts every clip: spoil them more")
    holds(
        similarity >= 0.8,
        f"SSIM noticed: it is {similarity:.2f}, wanted at least 0.8. Spoil them in a way that keeps the pattern",
    )
    holds(valid == 0, f"SSIM is {similarity:.2f}, but the judge still accepts {valid:.0%} of the clips: a little more")


EXERCISES = (
    Exercise(
        "02-psnr",
        _decibels,
        "right for bytes and for floats",
        (
            "First the mean squared error, over all values.",
            "Decibels are ten times the logarithm to base 10 of a ratio.",
            "The ratio is the squared peak over the mean squared error: `torch.log10(peak**2 / mse)`.",
        ),
    ),
    Exercise(
        "02-ssim",
        _window,
        "brightness, contrast and pattern each count, and black on black is 1",
        (
            "Five numbers are needed: two means, two variances, one covariance. All divide by the number of pixels.",
            "The covariance is the mean of (x - mean of x) times (y - mean of y); it may be negative.",
            "c1 = 0.01 ** 2 goes with the means, c2 = 0.03 ** 2 with variances and covariance, above and below.",
        ),
        ssim_of_window,
    ),
    Exercise(
        "02-frechet",
        _frechet,
        "also where the two covariances do not commute, and zero for equal ones",
        (
            "Compute the root of cov1 from its eigenvalues and eigenvectors, and check that its square is cov1.",
            "Put cov2 between two such roots: the result is symmetric, so its eigenvalues are real.",
            "The trace of a root is the sum of the eigenvalues' roots: `eigvalsh(...).clamp(min=0).sqrt().sum()`.",
        ),
    ),
    Exercise(
        "02-fool",
        _fooled,
        "SSIM is content, and the judge is not",
        (
            "Which kind in the heat map has a high SSIM and no VALID?",
            "SSIM asks for the pattern, the judge for sharp edges in every frame. One bad frame is enough for it.",
            "`calibration.blurred(clips, sigma)` with a sigma a little above 1, or one black frame in each clip.",
        ),
    ),
)
