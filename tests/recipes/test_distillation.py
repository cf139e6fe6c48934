"""A student: what it is shown, where its teacher's walks end, what of it learns, and what is kept."""

import copy

import pytest
import torch

from course.budget import generator
from course.datasets.captions import HELD_OUT, caption, indices
from course.diffusion.objective import exact_denoiser
from course.diffusion.samplers import noise_steps
from course.diffusion.schedule import Flow, diffuse
from course.models.denoiser import Condition
from course.models.dit import DiTConfig
from course.models.unet import UNetConfig
from course.recipes import distillation
from course.recipes.denoising import GUIDANCE, denoiser, generate, told
from course.recipes.distillation import (
    FEW,
    NUM_STEPS,
    SHARES,
    TIMES,
    WALK_STEPS,
    StudentRun,
    end_of_walk,
    hearing,
    lesson,
    load_student,
    student_checkpoint,
    train_student,
)
from course.recipes.text_to_clip import TEXT_SETTINGS
from course.training.loop import History

WORDS = {"num_words": 18, "max_words": 5}
SMALL = UNetConfig(**WORDS, frame_channels=8, hidden_channels=(8,), condition_size=8)


@pytest.fixture(name="teacher")
def fixture_teacher():
    torch.manual_seed(0)
    teacher = denoiser(SMALL)
    for parameter in teacher.parameters():  # an untrained one answers with zeros
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return teacher.eval()


def test_a_lesson_shows_the_noise_steps_of_the_sampler_in_their_shares():
    batch = lesson(0, 3)
    steps = noise_steps(NUM_STEPS)[:-1].tolist()
    assert [batch.noise_step.tolist().count(step) for step in steps] == list(SHARES)
    assert torch.equal(batch.clean, lesson(0, 3).clean)
    assert not torch.equal(batch.clean, lesson(1, 3).clean)
    assert batch.clean.min() == -1
    assert (batch.condition.words[:, :3] > 0).all()


def test_no_held_out_combination_is_in_a_lesson():
    held_out = indices([caption(one) for one in HELD_OUT]).tolist()
    words = [row for step in range(40) for row in lesson(0, step).condition.words.tolist()]
    assert [row for row in words if row in held_out] == []


def test_a_walk_begins_at_its_own_clip_s_noise_step(teacher):
    batch = lesson(0, 0)
    noisy = diffuse(batch.clean, batch.epsilon, batch.noise_step, Flow())
    ends = end_of_walk(teacher, noisy, batch.noise_step, batch.condition)
    for k in (0, 9, 13, 15):  # each clip by itself, its steps written out
        begin = round(batch.noise_step[k].item() * WALK_STEPS)
        z, asked = noisy[k : k + 1], batch.condition[k : k + 1]
        for step in range(begin, 0, -1):
            here = torch.full((1,), step / WALK_STEPS)
            with torch.no_grad():
                with_words, without = teacher(z, here, asked), teacher(z, here, asked.without_words())
            scale = GUIDANCE if step / WALK_STEPS > 0.3 else 1.0
            clean = (without + scale * (with_words - without)).clamp(-1, 1)
            z = clean + (step - 1) / step * (z - clean)
        assert torch.allclose(ends[k], z[0].clamp(-1, 1), atol=1e-4)


def test_a_walk_that_would_begin_between_two_steps_is_refused(teacher):
    batch = lesson(0, 0)
    with pytest.raises(ValueError, match="noise_step: wanted multiples of 1 / 16"):
        end_of_walk(teacher, batch.clean, batch.noise_step - 0.01, batch.condition)


def test_a_walk_ends_at_a_clip_where_an_answer_is_a_mean():
    """In a world of two clips, without words: the mean lies between them, the end of a walk at one of them."""
    clips = torch.tensor([-0.8, 0.8]).view(2, 1, 1, 1, 1)
    exact = exact_denoiser(clips, Flow())

    class Exact(torch.nn.Module):
        def forward(self, noisy, noise_step, condition):
            return exact(noisy, noise_step)

    z, begin = torch.linspace(-1, 1, 8).view(8, 1, 1, 1, 1), torch.full((8,), 15 / WALK_STEPS)
    ends = end_of_walk(Exact(), z, begin, Condition(words=torch.zeros(8, 5, dtype=torch.long)))
    assert (ends.abs() - 0.8).abs().max() < 0.02
    assert (ends.sign() == z.sign()).all()
    assert exact(z, begin).abs().max() < 0.2


def test_lessons_end_where_walks_end_and_are_gone_through_several_times(teacher, monkeypatch):
    asked = []

    def train(model, batches, loss_fn, config, **options):
        asked.extend([batches(0), batches(2), batches(1), batches(2 * TIMES)])
        return History()

    monkeypatch.setattr(distillation, "train", train)
    monkeypatch.setattr(distillation, "WINDOW", 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distillation, "end_of_walk", lambda *_: torch.zeros(()))
        train_student(StudentRun(seed=0, cpu_seconds=1.0), teacher)
    first, again, second, later = asked
    for batch, index in ((first, 0), (again, 0), (second, 1), (later, 2)):
        assert torch.equal(batch.clean, lesson(0, index).clean)
    assert all(batch.wanted.item() == 0 for batch in asked)


@pytest.mark.parametrize("config", [SMALL, DiTConfig(**WORDS, hidden_size=8, num_layers=1, frame_channels=8)])
def test_what_hears_is_each_part_itself_and_all_that_the_condition_enters_a_u_net_by(config):
    network = denoiser(config)
    parts = hearing(network)
    own = {id(parameter) for parameter in network.parameters()}
    assert all(id(parameter) in own for parameter in parts.parameters())
    assert any("condition" in name for name in parts)


def test_of_the_shipped_form_an_eighth_learns():
    network = denoiser(TEXT_SETTINGS["U-Net"].config)
    share = sum(p.numel() for p in hearing(network).parameters()) / sum(p.numel() for p in network.parameters())
    assert 0.1 < share < 0.15


def test_a_student_learns_with_its_hearing_alone_and_its_teacher_stays(teacher):
    before = copy.deepcopy(teacher.state_dict())
    student, history = train_student(StudentRun(seed=0, cpu_seconds=1.5), teacher)
    assert len(history.losses) > 3
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    heard = {id(parameter) for parameter in hearing(student).parameters()}
    for name, parameter in student.named_parameters():
        assert id(parameter) in heard or torch.equal(parameter, before[name]), name
    assert any(not torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_a_student_comes_nearer_to_the_ends_of_walks(teacher):
    student, _ = train_student(StudentRun(seed=0, cpu_seconds=6.0), teacher)
    batch = lesson(5, 10_000)
    noisy = diffuse(batch.clean, batch.epsilon, batch.noise_step, Flow())
    ends = end_of_walk(teacher, noisy, batch.noise_step, batch.condition)
    with torch.no_grad():
        answers = [network(noisy, batch.noise_step, batch.condition) for network in (student, teacher)]
    near, far = ((one - ends).square().mean() for one in answers)
    assert near < far


def test_a_checkpoint_is_the_student_again_and_small(teacher, tmp_path, monkeypatch):
    def metrics(network, *, num_steps, **options):
        return {"caption, all": num_steps, "caption, held out": -num_steps}

    monkeypatch.setattr(distillation, "text_metrics", metrics)
    path = tmp_path / "student.safetensors"
    run = StudentRun(seed=0, cpu_seconds=0.5)
    card = student_checkpoint(path, run, teacher, command="again")
    assert (card.recipe, card.metrics["caption, all"]) == (run.recipe, NUM_STEPS)
    assert [card.metrics[f"caption, all, teacher in {num_steps} steps"] for num_steps in (4, 50)] == [4, 50]
    loaded = load_student(path, teacher)
    kept = {name for name, value in loaded.state_dict().items() if not torch.equal(value, teacher.state_dict()[name])}
    assert kept
    clips = [
        generate(network, told(["a red circle moves left"]), (1, 8, 3, 16, 16), generator=generator(0), **FEW)
        for network in (loaded, load_student(path, teacher), teacher)
    ]
    assert torch.equal(clips[0], clips[1])
    assert not torch.equal(clips[0], clips[2])
    assert student_checkpoint(path, run, teacher, command="again") == card
    with pytest.raises(ValueError, match="the result of another training, seed"):
        student_checkpoint(path, StudentRun(seed=1, cpu_seconds=0.5), teacher, command="again")
    other = denoiser(UNetConfig(**WORDS, frame_channels=8, hidden_channels=(8,), condition_size=16))
    with pytest.raises(ValueError, match="made for another model"):
        load_student(path, other)


def test_a_student_is_asked_at_the_noise_steps_that_it_was_trained_on():
    seen = []

    def network(noisy, noise_step, condition):
        seen.append(noise_step[0].item())
        return torch.zeros_like(noisy)

    generate(network, told(["a red circle moves left"]), (1, 8, 3, 16, 16), generator=generator(0), **FEW)
    assert seen == noise_steps(NUM_STEPS)[:-1].tolist()
