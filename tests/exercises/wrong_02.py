"""Plausible wrong answers to the exercises of chapter 02: name, body, and words that the check's line must hold."""

SSIM = """c1, c2 = {constants}
mean_x, mean_y = x.mean(), y.mean()
var_x, var_y = x.var(correction={correction}), y.var(correction={correction})
covariance = ((x - mean_x) * (y - mean_y)).sum() / (x.numel() - {correction})
brightness = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
pattern = (2 * {product} + c2) / (var_x + var_y + c2)
return ({result}).item()"""
RIGHT = {
    "constants": "0.01**2, 0.03**2",
    "correction": 0,
    "product": "covariance",
    "result": "brightness * pattern",
}

FRECHET = """def root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
cross = torch.linalg.eigvalsh(root(cov1) @ cov2 @ root(cov1)).clamp(min=0).sqrt().sum()
means, traces = (mean1 - mean2).square().sum(), cov1.trace() + cov2.trace()
return ({result}).item()"""

WRONG = {
    "02-psnr": [
        (
            "peak not squared",
            "return (10 * torch.log10(peak / (prediction - target).square().mean())).item()",
            "not squared",
        ),
        (
            "peak taken for 1",
            "return (-10 * torch.log10((prediction - target).square().mean())).item()",
            "taken for 1",
        ),
        (
            "largest value that occurs",
            "return (10 * torch.log10(target.max() ** 2 / (prediction - target).square().mean())).item()",
            "the largest value that occurs",
        ),
        (
            "largest value of the prediction",
            "return (10 * torch.log10(prediction.max() ** 2 / (prediction - target).square().mean())).item()",
            "wanted",
        ),
        (
            "variance for the mean square",
            "return (10 * torch.log10(peak**2 / (prediction - target).var(correction=0))).item()",
            "wanted",
        ),
        (
            "natural logarithm",
            "return (10 * torch.log(peak**2 / (prediction - target).square().mean())).item()",
            "base 10",
        ),
        (
            "absolute error",
            "return (10 * torch.log10(peak**2 / (prediction - target).abs().mean())).item()",
            "mean absolute error",
        ),
        (
            "sign turned",
            "return (10 * torch.log10((prediction - target).square().mean() / peak**2)).item()",
            "the sign is turned",
        ),
        (
            "summed error",
            "return (10 * torch.log10(peak**2 / (prediction - target).square().sum())).item()",
            "summed, not averaged",
        ),
        (
            "one number per pixel",
            "return 10 * torch.log10(peak**2 / (prediction - target).square())",
            "wanted a number",
        ),
    ],
    "02-ssim": [
        (
            "one constant for both",
            SSIM.format(**RIGHT | {"constants": "0.01**2, 0.01**2"}),
            "both constants are the same",
        ),
        ("no constants", SSIM.format(**RIGHT | {"constants": "0, 0"}), "the constants are missing"),
        ("constants not squared", SSIM.format(**RIGHT | {"constants": "0.01, 0.03"}), "must be squared"),
        (
            "constants exchanged",
            SSIM.format(**RIGHT | {"constants": "0.03**2, 0.01**2"}),
            "the constants are exchanged",
        ),
        ("unbiased variances", SSIM.format(**RIGHT | {"correction": 1}), "less one"),
        ("brightness alone", SSIM.format(**RIGHT | {"result": "brightness"}), "the brightness alone"),
        ("pattern alone", SSIM.format(**RIGHT | {"result": "pattern"}), "the pattern alone"),
        (
            "deviations for the covariance",
            SSIM.format(**RIGHT | {"product": "var_x.sqrt() * var_y.sqrt()"}),
            "where the covariance belongs",
        ),
        (
            "correlation of the pictures",
            "return torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1].item()",
            "wanted",
        ),
    ],
    "02-frechet": [
        (
            "no square root",
            "return ((mean1 - mean2).square().sum() + (cov1 + cov2 - 2 * cov1 @ cov2).trace()).item()",
            "the square root of the matrix is missing",
        ),
        (
            "root of each entry",
            "return ((mean1 - mean2).square().sum() + (cov1 + cov2 - 2 * (cov1 @ cov2).abs().sqrt()).trace()).item()",
            "of each entry",
        ),
        (
            "variances alone",
            "deviations = cov1.diagonal().sqrt() - cov2.diagonal().sqrt()\n"
            "return ((mean1 - mean2).square().sum() + deviations.square().sum()).item()",
            "only the variances",
        ),
        (
            "product of the roots",
            FRECHET.format(result="means + traces - 2 * (root(cov1) @ root(cov2)).trace()"),
            "only if the two matrices commute",
        ),
        (
            "means not squared",
            FRECHET.format(result="means.sqrt() + traces - 2 * cross"),
            "the distance of the means is not squared",
        ),
        (
            "zero for equal means",
            "if torch.allclose(mean1, mean2):\n    return 0.0\n" + FRECHET.format(result="means + traces - 2 * cross"),
            "the covariances differ",
        ),
        ("without the means", FRECHET.format(result="traces - 2 * cross"), "the means are missing"),
        ("factor 2 missing", FRECHET.format(result="means + traces - cross"), "the factor of 2"),
        (
            "root of the whole",
            FRECHET.format(result="(means + traces - 2 * cross).sqrt()"),
            "the formula gives the squared distance",
        ),
    ],
    "02-fool": [
        ("the clips as they are", "return clips", "the judge accepts every clip"),
        ("frozen", "return calibration.frozen(clips)", "the judge accepts every clip"),
        ("black", "return torch.zeros_like(clips)", "SSIM noticed"),
        ("noise", "return torch.rand(clips.shape)", "SSIM noticed"),
        ("too little blur", "return calibration.blurred(clips, 0.78)", "the judge still accepts"),
        ("the input changed", "clips[:, 0] = 0\nreturn clips", "what was given has been changed"),
        ("out of range", "return clips + 0.5", "wanted values in [0, 1]"),
        ("cut", "return clips[:, :4]", "wanted (B, T, C, H, W)"),
    ],
}
