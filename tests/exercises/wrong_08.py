"""Plausible wrong answers to the exercises of chapter 08: name, body, and words that the check's line must hold."""

CODES = """content = {content}
motion = {motion}
return torch.cat([{first}, {second}], dim={dim})"""


def _codes(
    content: str = "torch.randn(num_clips, 1, content_size, generator=generator).expand(-1, num_frames, -1)",
    motion: str = "torch.randn(num_clips, num_frames, motion_size, generator=generator)",
    first: str = "content",
    second: str = "motion",
    dim: int = 2,
) -> str:
    return CODES.format(content=content, motion=motion, first=first, second=second, dim=dim)


HINGE = "return {real} + ({drawn} + {wrong}) {weight}"


def _hinge(
    real: str = "F.relu(1 - real).mean()",
    drawn: str = "F.relu(1 + drawn).mean()",
    wrong: str = "F.relu(1 + wrong).mean()",
    weight: str = "/ 2",
) -> str:
    return HINGE.format(real=real, drawn=drawn, wrong=wrong, weight=weight)


NORM = """matrix = {matrix}
with torch.no_grad():
    v = {v}
    new = {new}
return {result}, {kept}"""


def _norm(
    matrix: str = "weight.flatten(1)",
    v: str = "F.normalize(matrix.T @ u, dim=0)",
    new: str = "F.normalize(matrix @ v, dim=0)",
    result: str = "weight / (new @ matrix @ v)",
    kept: str = "new",
) -> str:
    return NORM.format(matrix=matrix, v=v, new=new, result=result, kept=kept)


PENALTY = """clips = {clips}
(slope,) = torch.autograd.grad({score}, clips, create_graph={graph})
return {result}"""


def _penalty(
    clips: str = "real.detach().clone().requires_grad_()",
    score: str = "score(clips).sum()",
    graph: bool = True,
    result: str = "gamma / 2 * slope.square().flatten(1).sum(dim=1).mean()",
) -> str:
    return PENALTY.format(clips=clips, score=score, graph=graph, result=result)


CRITIC = """{outside}

class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        {features}
        {real}
        {word}

    def forward(self, clips, words):
        x = {x}
        return {result}

return Critic()"""


def _critic(
    outside: str = "",
    features: str = "self.features = features",
    real: str = "self.real = nn.Linear(size, 1)",
    word: str = "self.word = nn.Embedding(num_words + 1, size, padding_idx=0)",
    x: str = "features(clips)",
    result: str = "self.real(x)[:, 0] + (x * self.word(words).sum(dim=1)).sum(dim=1)",
) -> str:
    return CRITIC.format(outside=outside, features=features, real=real, word=word, x=x, result=result)


TURN = """for clips, chance in zip({real}, {noise}):
    drawn = {drawn}
    {clear_critic}
    hinge_critic_loss({critic_scores}).backward()
    {critic_step}
{clear_generator}
loss = {loss}
loss.backward()
{generator_step}
return {result}"""


def _turn(
    real: str = "real",
    noise: str = "noise[:2]",
    drawn: str = "generator(chance).detach()",
    clear_critic: str = "critic_optimiser.zero_grad()",
    critic_scores: str = "critic(clips), critic(drawn)",
    critic_step: str = "critic_optimiser.step()",
    clear_generator: str = "generator_optimiser.zero_grad()",
    loss: str = "hinge_generator_loss(critic(generator(noise[2])))",
    generator_step: str = "generator_optimiser.step()",
    result: str = "loss",
) -> str:
    return TURN.format(
        real=real,
        noise=noise,
        drawn=drawn,
        clear_critic=clear_critic,
        critic_scores=critic_scores,
        critic_step=critic_step,
        clear_generator=clear_generator,
        loss=loss,
        generator_step=generator_step,
        result=result,
    )


WRONG = {
    "08-codes": [
        (
            "fresh content in every frame",
            _codes(content="torch.randn(num_clips, num_frames, content_size, generator=generator)"),
            "another one in every frame",
        ),
        (
            "one motion for all frames",
            _codes(
                motion="torch.randn(num_clips, 1, motion_size, generator=generator).expand(-1, num_frames, -1)",
            ),
            "the same in all frames",
        ),
        (
            "one content for all clips",
            _codes(content="torch.randn(content_size, generator=generator).expand(num_clips, num_frames, -1)"),
            "all clips have the same content",
        ),
        (
            "one motion for all clips",
            _codes(motion="torch.randn(num_frames, motion_size, generator=generator).expand(num_clips, -1, -1)"),
            "all clips have the same motion",
        ),
        (
            "content over the clips",
            _codes(content="torch.randn(num_frames, content_size, generator=generator).expand(num_clips, -1, -1)"),
            "the other way round",
        ),
        (
            "exchanged",
            "first = torch.randn(num_clips, num_frames, motion_size, generator=generator)\n"
            "last = torch.randn(num_clips, 1, content_size, generator=generator)\n"
            "return torch.cat([first, last.expand(-1, num_frames, -1)], dim=2)",
            "exchanged",
        ),
        (
            "one number for a content code",
            _codes(
                content="torch.randn(num_clips, 1, 1, generator=generator).expand(-1, num_frames, content_size)",
            ),
            "one number is repeated",
        ),
        (
            "motion summed up",
            _codes(motion="torch.randn(num_clips, num_frames, motion_size, generator=generator).cumsum(dim=1)"),
            "summed up over the frames",
        ),
        (
            "drawn evenly",
            _codes(motion="torch.rand(num_clips, num_frames, motion_size, generator=generator)"),
            "wanted 0 and 1",
        ),
        (
            "drawn evenly, with the right deviation",
            _codes(motion="(torch.rand(num_clips, num_frames, motion_size, generator=generator) * 2 - 1) * 3**0.5"),
            "as if it were drawn evenly",
        ),
        (
            "the generator begun anew",
            "generator.manual_seed(0)\n" + _codes(),
            "do not begin it anew",
        ),
        (
            "global chance",
            _codes(motion="torch.randn(num_clips, num_frames, motion_size)"),
            "nothing else",
        ),
        ("put behind one another in time", _codes(first="content[..., :2]", second="motion[..., :2]", dim=1), "shape"),
        (
            "motion that begins with the content",
            "content = torch.randn(num_clips, 1, content_size, generator=generator).expand(-1, num_frames, -1)\n"
            "motion = torch.randn(num_clips, num_frames, motion_size, generator=generator)\n"
            "motion[:, 0] = content[:, 0, :motion_size]\n"
            "return torch.cat([content, motion], dim=2)",
            "they are drawn apart",
        ),
    ],
    "08-hinge": [
        (
            "all signs",
            _hinge("F.relu(1 + real).mean()", "F.relu(1 - drawn).mean()", "F.relu(1 - wrong).mean()"),
            "all signs are exchanged",
        ),
        ("the sign of the real ones", _hinge(real="F.relu(1 + real).mean()"), "the real ones is exchanged"),
        ("the sign of the drawn ones", _hinge(drawn="F.relu(1 - drawn).mean()"), "the drawn ones is exchanged"),
        ("wrong captions as right ones", _hinge(wrong="F.relu(1 - wrong).mean()"), "counted as right ones"),
        ("not halved", _hinge(weight=""), "together they are to count as much"),
        (
            "one heap",
            "return F.relu(1 - real).mean() + F.relu(1 + torch.cat([drawn, wrong])).mean()",
            "as one heap",
        ),
        ("all halved", "return (" + _hinge()[7:] + ") / 2", "the half applies to everything"),
        ("wrong captions forgotten", "return hinge_critic_loss(real, drawn)", "wrong captions are not counted"),
        ("drawn forgotten", "return hinge_critic_loss(real, wrong)", "drawn clips are not counted"),
        ("no hinge", _hinge("(1 - real).mean()", "(1 + drawn).mean()", "(1 + wrong).mean()"), "no hinge"),
        ("no margin", _hinge("F.relu(-real).mean()", "F.relu(drawn).mean()", "F.relu(wrong).mean()"), "no margin"),
        (
            "logarithms",
            _hinge("F.softplus(-real).mean()", "F.softplus(drawn).mean()", "F.softplus(wrong).mean()"),
            "logarithmic",
        ),
        ("sums", _hinge("F.relu(1 - real).sum()", "F.relu(1 + drawn).sum()", "F.relu(1 + wrong).sum()"), "summed"),
        ("the generator's", "return hinge_generator_loss(drawn)", "the generator's loss"),
        ("a plain number", "return (" + _hinge()[7:] + ").item()", "no gradient"),
        ("detached", _hinge(wrong="F.relu(1 + wrong.detach()).mean()"), "another gradient"),
    ],
    "08-norm": [
        ("Frobenius", _norm(result="weight / matrix.norm()"), "Frobenius"),
        ("u not updated", _norm(kept="u"), "the u that was given came back"),
        ("the old u in the stretch", _norm(result="weight / (u @ matrix @ v)"), "with the old u"),
        ("exact", _norm(result="weight / torch.linalg.svdvals(matrix)[0]"), "the exact norm"),
        (
            "two rounds",
            "matrix = weight.flatten(1)\n"
            "u, v = power_iteration(matrix, u, num_steps=2)\n"
            "return weight / (u @ matrix @ v), u",
            "two rounds were taken",
        ),
        ("v kept", _norm(kept="v"), "v was returned"),
        ("u not of length 1", _norm(kept="matrix.detach() @ v"), "u is not of length 1"),
        (
            "v not of length 1",
            _norm(v="matrix.T @ u", result="weight / (new @ matrix @ v)"),
            "the normalised weight",
        ),
        (
            "each output by itself",
            _norm(result="F.normalize(weight.flatten(1), dim=1).view(weight.shape)"),
            "every output",
        ),
        ("multiplied", _norm(result="weight * (new @ matrix @ v)"), "divide by the stretch"),
        ("as it was", _norm(result="weight"), "came back as it was"),
        ("the matrix", _norm(result="matrix / (new @ matrix @ v)"), "keeps its four dimensions"),
        (
            "rows mixed up",
            _norm(matrix="weight.reshape(-1, len(weight)).T"),
            "mixed up",
        ),
        ("the stretch detached", _norm(result="weight / (new @ matrix @ v).detach()"), "through the stretch"),
        ("all detached", _norm(result="(weight / (new @ matrix @ v)).detach()"), "no gradient"),
        (
            "the gradient through the round",
            "matrix = weight.flatten(1)\n"
            "v = F.normalize(matrix.T @ u, dim=0)\n"
            "new = F.normalize(matrix @ v, dim=0)\n"
            "return weight / (new @ matrix @ v), new.detach()",
            "through the round",
        ),
        ("the weight alone", "return weight / weight.norm()", "wanted two"),
    ],
    "08-penalty": [
        ("at the drawn clips", _penalty(clips="drawn.detach().clone().requires_grad_()"), "taken at the drawn clips"),
        (
            "half-way",
            _penalty(clips="((real + drawn) / 2).detach().requires_grad_()"),
            "half-way",
        ),
        ("not squared", _penalty(result="gamma / 2 * slope.flatten(1).norm(dim=1).mean()"), "is not squared"),
        (
            "drawn to one",
            _penalty(result="gamma / 2 * (slope.flatten(1).norm(dim=1) - 1).square().mean()"),
            "drawn to 1",
        ),
        ("the mean over numbers", _penalty(result="gamma / 2 * slope.square().mean()"), "averaged over the numbers"),
        ("summed over clips", _penalty(result="gamma / 2 * slope.square().sum()"), "the clips are summed"),
        ("the mean score", _penalty(score="score(clips).mean()"), "the slope of the *mean* score"),
        (
            "gamma not halved",
            _penalty(result="gamma * slope.square().flatten(1).sum(dim=1).mean()"),
            "gamma is not halved",
        ),
        ("no gamma", _penalty(result="slope.square().flatten(1).sum(dim=1).mean()"), "the weight is missing"),
        (
            "summed, then squared",
            _penalty(result="gamma / 2 * slope.flatten(1).sum(dim=1).square().mean()"),
            "summed before they are squared",
        ),
        ("absolute", _penalty(result="gamma / 2 * slope.flatten(1).abs().sum(dim=1).mean()"), "the absolute values"),
        ("the score", "return gamma / 2 * score(real).square().mean()", "the scores are squared"),
        ("no graph", _penalty(graph=False), "create_graph"),
        (
            "the slope detached",
            _penalty(result="gamma / 2 * slope.detach().square().flatten(1).sum(1).mean()"),
            "create_graph",
        ),
        (
            "half of the slope detached",
            _penalty(result="gamma / 2 * (slope * slope.detach()).flatten(1).sum(1).mean()"),
            "another gradient comes to the critic",
        ),
        (
            "what was given is changed",
            _penalty(clips="real.requires_grad_()"),
            "the real clips that were given have been changed",
        ),
        (
            "backward",
            "clips = real.detach().clone().requires_grad_()\n"
            "score(clips).sum().backward()\n"
            "return gamma / 2 * clips.grad.square().flatten(1).sum(dim=1).mean()",
            "gradients were left in the critic",
        ),
        ("for each clip", _penalty(result="gamma / 2 * slope.square().flatten(1).sum(dim=1)"), "wanted a number"),
    ],
    "08-critic": [
        ("blind", _critic(result="self.real(x)[:, 0]"), "blind"),
        (
            "the table outside of the module",
            _critic(
                outside="word = nn.Embedding(num_words + 1, size, padding_idx=0)",
                word="pass",
                result="self.real(x)[:, 0] + (x * word(words).sum(dim=1)).sum(dim=1)",
            ),
            "left out of the optimiser",
        ),
        (
            "the table in a list",
            _critic(
                word="self.word = [nn.Embedding(num_words + 1, size, padding_idx=0)]",
                result="self.real(x)[:, 0] + (x * self.word[0](words).sum(dim=1)).sum(dim=1)",
            ),
            "left out of the optimiser",
        ),
        (
            "the table a plain tensor",
            _critic(
                word="self.word = torch.cat([torch.zeros(1, size), torch.randn(num_words, size)])",
                result="self.real(x)[:, 0] + (x * self.word[words].sum(dim=1)).sum(dim=1)",
            ),
            "left out of the optimiser",
        ),
        (
            "the table detached",
            _critic(result="self.real(x)[:, 0] + (x * self.word(words).detach().sum(dim=1)).sum(dim=1)"),
            "left out of the optimiser",
        ),
        (
            "the layer in a list",
            _critic(
                real="self.real = [nn.Linear(size, 1)]",
                result="self.real[0](x)[:, 0] + (x * self.word(words).sum(dim=1)).sum(dim=1)",
            ),
            "how real a clip looks is left out",
        ),
        ("the features in a list", _critic(features="self.features = [features]"), "the features' weights are not"),
        (
            "a number for each word",
            _critic(
                word="self.word = nn.Embedding(num_words + 1, 1, padding_idx=0)",
                result="self.real(x)[:, 0] + self.word(words).sum(dim=(1, 2))",
            ),
            "the same to every clip",
        ),
        (
            "added to the features",
            _critic(result="self.real(x + self.word(words).sum(dim=1))[:, 0]"),
            "the same to every clip",
        ),
        (
            "word 0 has a vector",
            _critic(word="self.word = nn.Embedding(num_words + 1, size)"),
            "word 0",
        ),
        (
            "words averaged",
            _critic(result="self.real(x)[:, 0] + (x * self.word(words).mean(dim=1)).sum(dim=1)"),
            "word 0 adds something",
        ),
        (
            "words that say something, averaged",
            _critic(
                result="self.real(x)[:, 0] + (x * self.word(words).sum(dim=1)).sum(dim=1) "
                "/ (words > 0).sum(dim=1).clamp(min=1)",
            ),
            "are averaged",
        ),
        (
            "the first word alone",
            _critic(result="self.real(x)[:, 0] + (x * self.word(words[:, 0])).sum(dim=1)"),
            "only the first word is read",
        ),
        (
            "the features detached",
            _critic(result="self.real(x)[:, 0] + (x.detach() * self.word(words).sum(dim=1)).sum(dim=1)"),
            "the features detached",
        ),
        (
            "products not summed to a score",
            _critic(result="self.real(x) + (x * self.word(words).sum(dim=1)).sum(dim=1, keepdim=True)"),
            "one for each clip",
        ),
        (
            "squashed",
            _critic(result="torch.sigmoid(self.real(x)[:, 0] + (x * self.word(words).sum(dim=1)).sum(dim=1))"),
            "word",
        ),
        (
            "the layer squashed",
            _critic(result="torch.tanh(2 * self.real(x)[:, 0]) + (x * self.word(words).sum(dim=1)).sum(dim=1)"),
            "without words the score is not linear",
        ),
        ("a function", "return lambda clips, words: features(clips).sum(dim=1)", "wanted a module"),
    ],
    "08-turn": [
        (
            "through detached clips",
            _turn(loss="hinge_generator_loss(critic(generator(noise[2]).detach()))"),
            "through detached clips",
        ),
        ("the critic's signs", _turn(critic_scores="critic(drawn), critic(clips)"), "the critic's signs"),
        ("the critic's signs, both", _turn(critic_scores="-critic(clips), -critic(drawn)"), "the critic's signs"),
        ("the generator's sign", _turn(loss="critic(generator(noise[2])).mean()"), "the generator's sign"),
        ("one step", _turn(real="real[:1]"), "the critic took one step"),
        ("the first noise again", _turn(noise="[noise[0], noise[0]]"), "the first noise again"),
        (
            "the critic's noise",
            _turn(loss="hinge_generator_loss(critic(generator(noise[1])))"),
            "used noise of the critic's",
        ),
        ("the first batch twice", _turn(real="[real[0], real[0]]"), "the first batch of real clips twice"),
        ("the batches exchanged", _turn(real="real[::-1]"), "in the wrong order"),
        ("the critic's gradients not cleared", _turn(clear_critic="pass"), "the critic's gradients were never cleared"),
        ("the generator's gradients not cleared", _turn(clear_generator="pass"), "the generator's gradients were not"),
        (
            "no detach, and not cleared",
            _turn(drawn="generator(chance)", clear_generator="pass"),
            "a weight",
        ),
        (
            "the critic moved, too",
            _turn(generator_step="generator_optimiser.step()\ncritic_optimiser.step()"),
            "the critic moved in the generator's step",
        ),
        (
            "the generator moved, too",
            _turn(
                drawn="generator(chance)",
                clear_critic="critic_optimiser.zero_grad()\n    generator_optimiser.zero_grad()",
                critic_step="critic_optimiser.step()\n    generator_optimiser.step()",
            ),
            "the generator moved",
        ),
        ("no step of the critic", _turn(critic_step="pass"), "a weight"),
        ("nothing", "return hinge_generator_loss(critic(generator(noise[2])))", "nothing was changed"),
        (
            "the generator first",
            "generator_optimiser.zero_grad()\n"
            "loss = hinge_generator_loss(critic(generator(noise[2])))\n"
            "loss.backward()\n"
            "generator_optimiser.step()\n" + _turn().partition("generator_optimiser")[0] + "return loss",
            "the generator moved first",
        ),
        ("nothing returned", _turn(result="None"), "what the generator lost"),
        (
            "the loss after the step",
            _turn(result="hinge_generator_loss(critic(generator(noise[2])))"),
            "what the generator lost",
        ),
    ],
}
