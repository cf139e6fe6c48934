"""Right answers to the exercises of chapter 08 that are written in unusual ways: name and body."""

RIGHT = {
    "08-codes": [
        (
            "frame by frame",
            "content = torch.randn(num_clips, content_size, generator=generator)\n"
            "frames = [\n"
            "    torch.cat([content, torch.randn(num_clips, motion_size, generator=generator)], dim=1)\n"
            "    for _ in range(num_frames)\n"
            "]\n"
            "return torch.stack(frames, dim=1)",
        ),
        (
            "clip by clip, the motion first",
            "clips = []\n"
            "for _ in range(num_clips):\n"
            "    motion = torch.randn(num_frames, motion_size, generator=generator)\n"
            "    content = torch.randn(content_size, generator=generator).repeat(num_frames, 1)\n"
            "    clips.append(torch.hstack([content, motion]))\n"
            "return torch.stack(clips)",
        ),
    ],
    "08-hinge": [
        (
            "the package's pieces",
            "return (hinge_critic_loss(real, drawn) + hinge_critic_loss(real, wrong)) / 2",
        ),
        (
            "by clamp and maximum",
            "zero = torch.tensor(0.0)\n"
            "no = (1 + drawn).clamp(min=0).mean() + torch.maximum(zero, 1 + wrong).mean()\n"
            "return torch.where(real < 1, 1 - real, zero).sum() / len(real) + 0.5 * no",
        ),
    ],
    "08-norm": [
        (
            "the package's round",
            "matrix = weight.flatten(1)\n"
            "u, v = power_iteration(matrix, u)\n"
            "return weight / torch.einsum('o,oi,i->', u, matrix, v), u",
        ),
        (
            "the stretch as a length",
            "matrix = weight.detach().view(len(weight), -1)\n"
            "v = matrix.T @ u\n"
            "v = v / v.norm()\n"
            "u = matrix @ v\n"
            "u = u / u.norm()\n"
            "stretch = u.dot(weight.flatten(1) @ v)\n"
            "return weight / stretch, u",
        ),
    ],
    "08-penalty": [
        ("the package's", "return gamma / 2 * r1_penalty(score, real)"),
        (
            "clip by clip",
            "total = 0\n"
            "for clip in real:\n"
            "    clip = clip[None].clone().requires_grad_()\n"
            "    slope = torch.autograd.grad(score(clip)[0], clip, create_graph=True)[0]\n"
            "    total = total + slope.pow(2).sum()\n"
            "return gamma * total / (2 * len(real))",
        ),
        (
            "a square of a norm",
            "clips = (real + 0).requires_grad_(True)\n"
            "out = score(clips)\n"
            "(slope,) = torch.autograd.grad(out, clips, torch.ones_like(out), create_graph=True)\n"
            "return gamma / 2 * slope.flatten(1).norm(dim=1).pow(2).mean()",
        ),
    ],
    "08-critic": [
        (
            "a table without a row for 0",
            "class Critic(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.features, self.real = features, nn.Linear(size, 1)\n"
            "        self.table = nn.Parameter(torch.randn(num_words, size))\n"
            "\n"
            "    def forward(self, clips, words):\n"
            "        x = self.features(clips)\n"
            "        said = F.one_hot(words, num_words + 1)[..., 1:].sum(dim=1).float()\n"
            "        return self.real(x).squeeze(1) + torch.einsum('bd,bw,wd->b', x, said, self.table)\n"
            "\n"
            "return Critic()",
        ),
        (
            "a table that begins at zero",
            "class Critic(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.body = nn.ModuleList([features, nn.Linear(size, 1)])\n"
            "        self.word = nn.EmbeddingBag(num_words + 1, size, mode='sum', padding_idx=0)\n"
            "        nn.init.normal_(self.word.weight[1:], std=0.01)\n"
            "        with torch.no_grad():\n"
            "            self.word.weight[0] = 0\n"
            "\n"
            "    def forward(self, clips, words):\n"
            "        x = self.body[0](clips)\n"
            "        return (self.body[1](x) + (x * self.word(words)).sum(dim=1, keepdim=True)).flatten()\n"
            "\n"
            "return Critic()",
        ),
    ],
    "08-turn": [
        (
            "the critic frozen in the generator's step",
            "for k in (0, 1):\n"
            "    critic_optimiser.zero_grad()\n"
            "    loss = hinge_critic_loss(critic(real[k]), critic(generator(noise[k]).detach()))\n"
            "    loss.backward()\n"
            "    critic_optimiser.step()\n"
            "critic.requires_grad_(False)\n"
            "generator_optimiser.zero_grad()\n"
            "loss = -critic(generator(noise[2])).mean()\n"
            "loss.backward()\n"
            "generator_optimiser.step()\n"
            "critic.requires_grad_(True)\n"
            "return loss.item()",
        ),
        (
            "all drawn beforehand",
            "drawn = [generator(one) for one in noise]\n"
            "for clips, fake in zip(real, drawn):\n"
            "    for network in (critic, generator):\n"
            "        network.zero_grad()\n"
            "    hinge_critic_loss(critic(clips), critic(fake.detach())).backward()\n"
            "    critic_optimiser.step()\n"
            "lost = hinge_generator_loss(critic(drawn[2]))\n"
            "generator_optimiser.zero_grad()\n"
            "lost.backward()\n"
            "generator_optimiser.step()\n"
            "return lost",
        ),
    ],
}
