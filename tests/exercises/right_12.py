"""Right answers to the exercises of chapter 12 that are written in unusual ways: name and body."""

GIVEN = "given = torch.cat([clean * mask, mask.expand_as(clean[:, :, :1])], dim=2)\n"
MASK = "mask = known[:, :, None, None, None].float()\n"

RIGHT = {
    "12-given": [
        ("the package's", "return known_frames(clips, known)"),
        (
            "frame by frame",
            "seen = torch.zeros(*clips.shape[:2], 4, *clips.shape[3:])\n"
            "for b, t in known.nonzero().tolist():\n"
            "    seen[b, t, :3], seen[b, t, 3] = 2 * clips[b, t] - 1, 1\n"
            "return seen",
        ),
        (
            "by a mask as an index",
            "seen = torch.zeros(*clips.shape[:2], 4, *clips.shape[3:])\n"
            "seen[known] = F.pad(to_signed(clips[known]), (0, 0, 0, 0, 0, 1), value=1.0)\n"
            "return seen",
        ),
        ("the mask by padding", f"{MASK}return F.pad(to_signed(clips), (0, 0, 0, 0, 0, 1), value=1.0) * mask"),
        (
            "unknown frames grey first",
            "where = known[..., None, None, None]\n"
            "frames = to_signed(torch.where(where, clips, torch.full_like(clips, 0.5)))\n"
            "return torch.cat([frames, where.expand_as(frames[:, :, :1])], dim=2)",
        ),
    ],
    "12-hold": [
        (
            "the package's sampler",
            "where = known[:, :, None, None, None]\n"
            "return euler(lambda z, s, _: torch.where(where, frames, denoise(z, s)), noise, None, steps=steps)",
        ),
        (
            "a sum in place of a choice",
            f"{MASK}z = noise\n"
            "for here, there in pairwise(steps.tolist()):\n"
            "    clean = denoise(z, torch.full((len(z),), here))\n"
            "    clean = mask * frames + (1 - mask) * clean\n"
            "    z = clean + there / here * (z - clean)\n"
            "return z",
        ),
        (
            "the state replaced, under its own noise",
            "z, where = noise, known[:, :, None, None, None]\n"
            "for here, there in pairwise(steps):\n"
            "    clean = denoise(z, here.expand(len(z)))\n"
            "    z = z + (there - here) * (z - clean) / here\n"
            "    z = torch.where(where, (1 - there) * frames + there * noise, z)\n"
            "return z",
        ),
        (
            "by a mask as an index",
            "z = noise.clone()\n"
            "for here, there in zip(steps[:-1], steps[1:]):\n"
            "    clean = denoise(z, here * torch.ones(len(z)))\n"
            "    clean[known] = frames[known]\n"
            "    z += (there - here) * (z - clean) / here\n"
            "return z",
        ),
        (
            "the last answer",
            "z, where = noise, known[:, :, None, None, None]\n"
            "for here, there in pairwise(steps):\n"
            "    clean = torch.where(where, frames, denoise(z, here.expand(len(z))))\n"
            "    z = z + (there - here) * (z - clean) / here\n"
            "return clean",
        ),
    ],
    "12-loss": [
        (
            "the package's pieces",
            "noisy = diffuse(clean, epsilon, noise_step, Flow())\n"
            "return F.mse_loss(network(noisy, noise_step, known_frames(to_unit(clean), known)), clean)",
        ),
        (
            "mixed by lerp, padded",
            f"{MASK}given = F.pad(clean, (0, 0, 0, 0, 0, 1), value=1.0) * mask\n"
            "noisy = torch.lerp(clean, epsilon, noise_step.view(-1, 1, 1, 1, 1))\n"
            "return (network(noisy, noise_step, given) - clean).pow(2).mean(dim=(1, 2, 3, 4)).mean()",
        ),
        (
            "the target detached",
            f"{MASK}{GIVEN}"
            "s = noise_step[:, None, None, None, None]\n"
            "answer = network(clean + s * (epsilon - clean), noise_step, given.detach())\n"
            "return (clean.detach() - answer).square().mean()",
        ),
    ],
    "12-strength": [
        (
            "by hand, written into place",
            "steps = position[:, 1:] - position[:, :-1]\n"
            "strength = (steps**2).sum(-1).sqrt().mean(1) / fastest\n"
            "levels = torch.zeros(len(position), 2)\n"
            "levels[is_told, 0], levels[is_told, 1] = strength[is_told].clamp(0, 1), 1.0\n"
            "return levels",
        ),
        (
            "hypotenuses, then a mask",
            "down, right = position.diff(dim=1).unbind(dim=2)\n"
            "strength = torch.hypot(down, right).mean(dim=1).clamp(max=fastest) / fastest\n"
            "return torch.stack([strength, torch.ones_like(strength)], dim=1).masked_fill(~is_told[:, None], 0)",
        ),
        (
            "clip by clip",
            "rows = []\n"
            "for path, told_it in zip(position, is_told.tolist()):\n"
            "    mean = (path[1:] - path[:-1]).norm(dim=1).mean().item()\n"
            "    rows.append([min(1.0, mean / fastest), 1.0] if told_it else [0.0, 0.0])\n"
            "return torch.tensor(rows)",
        ),
    ],
    "12-good": [
        (
            "by the squared error",
            "close = (clips[:, 0] - pictures).square().mean(dim=(1, 2, 3)) <= 1e-3\n"
            "return close & verdict.valid & verdict.identity & verdict.motion",
        ),
        (
            "stacked",
            "same = psnr(clips[:, :1], pictures[:, None]).squeeze(1) >= 30\n"
            "return torch.stack([same, verdict.valid, verdict.identity, verdict.motion]).all(dim=0)",
        ),
        (
            "multiplied",
            "same = psnr(clips, pictures[:, None].expand_as(clips))[:, 0] >= 30\n"
            "return same * verdict.valid * verdict.identity * verdict.motion",
        ),
        (
            "clip by clip",
            "good = []\n"
            "for i, (clip, picture) in enumerate(zip(clips, pictures)):\n"
            "    same = psnr(clip[None, :1], picture[None, None]).item() >= 30\n"
            "    good.append(same and all(bool(x[i]) for x in (verdict.valid, verdict.identity, verdict.motion)))\n"
            "return torch.tensor(good)",
        ),
    ],
}
