"""The Frechet distance between two sets of clips, on features that need no trained network.

The distance compares mean and covariance of features, so it sees what the features see: ``frame_features`` do not know
the order of frames, ``motion_features`` do.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from course.clips import expect


def frame_features(clips: Tensor) -> Tensor:
    """Describe what is seen, whatever the order: colours in 4 x 4 places and their contrast, averaged over frames.

    Args:
        clips: (B, T, 3, H, W), float32 in [0, 1], H and W at least 4.

    Returns:
        (B, 96), float64.
    """
    sizes = expect(clips, "B T 3 H W", name="clips")
    frames = clips.flatten(0, 1)  # (B * T, 3, H, W)
    mean = F.adaptive_avg_pool2d(frames, 4)
    contrast = F.adaptive_avg_pool2d(frames.square(), 4) - mean.square()
    features = torch.cat([mean, contrast], dim=1).reshape(sizes["B"], sizes["T"], -1)  # (B, T, 96)
    return features.mean(dim=1).double()


def motion_features(clips: Tensor) -> Tensor:
    """Describe how it moves: how well each frame agrees with the one before, shifted in each of 8 directions.

    The agreement is the mean product of the two, minus that without a shift: the elementary motion detector of
    Reichardt (1961), averaged over the frame. Beside it stands the mean size of the change.

    Args:
        clips: (B, T, 3, H, W), float32 in [0, 1], T at least 2.

    Returns:
        (B, 18), float64: mean and standard deviation over time of 9 values.
    """
    sizes = expect(clips, "B T 3 H W", name="clips")
    if sizes["T"] < 2:
        raise ValueError(f"clips: wanted at least 2 frames, got {sizes['T']}")
    before, after = clips[:, :-1].double(), clips[:, 1:].double()
    energy = clips.double().square().mean(dim=(1, 2, 3, 4))[:, None] + 1e-6  # (B, 1)
    step = max(1, sizes["H"] // 16)
    still = (before * after).mean(dim=(2, 3, 4))  # (B, T - 1)
    values = [(after - before).square().mean(dim=(2, 3, 4))]
    for dy in (-step, 0, step):
        for dx in (-step, 0, step):
            if dy or dx:
                moved = before.roll((dy, dx), dims=(3, 4))
                values.append((moved * after).mean(dim=(2, 3, 4)) - still)
    over_time = torch.stack(values, dim=2) / energy[:, None]  # (B, T - 1, 9)
    spread = over_time.var(dim=1, correction=0).sqrt()
    return torch.cat([over_time.mean(dim=1), spread], dim=1)  # (B, 18)


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Compute the Frechet distance between two sets of features, each taken for a Gaussian.

    With means m, n and covariances A, B it is |m - n|^2 + Tr(A + B - 2 (A B)^(1/2)).

    Args:
        first: (N, D), N at least 2.
        second: (M, D), M at least 2.

    Returns:
        The squared distance, at least 0. It depends on N and M: small sets lie farther apart.

    Paper: Dowson and Landau 1982; for images Heusel et al. 2017 (arXiv 1706.08500, eq. 6), for video Unterthiner et
    al. 2018 (arXiv 1812.01717), both on features of trained networks.
    """
    for name, features in (("first", first), ("second", second)):
        if features.ndim != 2 or len(features) < 2 or features.shape[1] != first.shape[1]:
            raise ValueError(f"{name}: wanted (N, {first.shape[-1]}) with N at least 2, got {tuple(features.shape)}")
    first, second = first.double(), second.double()
    difference = first.mean(dim=0) - second.mean(dim=0)
    return gaussian_distance(difference, torch.cov(first.T), torch.cov(second.T))


def gaussian_distance(difference: Tensor, first: Tensor, second: Tensor) -> float:
    """Compute the Frechet distance between two Gaussians.

    Args:
        difference: (D,), of the means.
        first: (D, D), covariance.
        second: (D, D), covariance.
    """
    root = _square_root(torch.atleast_2d(first))
    # (A B)^(1/2) and (A^(1/2) B A^(1/2))^(1/2) have the same trace; the second is symmetric.
    cross = torch.linalg.eigvalsh(root @ torch.atleast_2d(second) @ root).clamp(min=0).sqrt().sum()
    trace = torch.atleast_2d(first).trace() + torch.atleast_2d(second).trace()
    return max(0.0, (difference.square().sum() + trace - 2 * cross).item())


def _square_root(matrix: Tensor) -> Tensor:
    """Return the square root of a symmetric positive matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.mT
