"""A student: what it is shown, where its teacher's walks end, what of it learns, and what is kept."""

import copy

import pytest
import torch
from safetensors.torch import load_file

from course.budget import generator
from course.datasets.captions import HELD_OUT, caption, indices
from course.diffusion.objective import exact_denoiser
from course.diffusion.samplers import noise_steps
from course.diffusion.schedule import Flow
from course.models.denoiser import Condition
from course.models.unet import UNetConfig
from course.recipes import distillation
from course.recipes.denoising import GUIDANCE, denoiser, generate, told
from course.recipes.distillation import (
    CLIPS,
    FEW,
    MANY,
    NUM_STEPS,
    TIMES,
    WALK_STEPS,
    Lesson,
    StudentRun,
    end_of_walk,
    hearing,
    lesson,
    lesson_loss,
    load_student,
    on_its_way,
    student_checkpoint,
    train_student,
)
from course.recipes.text_to_clip import TEXT_SETTINGS
from course.training.loop import History

WORDS = {"num_words": 18, "max_words": 5}
SMALL = UNetConfig(**WORDS, frame_channels=8, hidden_channels=(8,), condition_size=8)
STEP_COSTS = 0.1


@pytest.fixture(name="teacher")
def fixture_teacher():
    torch.manual_seed(0)
    teacher = denoiser(SMALL)
    for parameter in teacher.parameters():  # an untrained one answers with zeros
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return teacher.eval()


@pytest.fixture(name="student")
def fixture_student(teacher):
    """Hear the words in another way than the teacher."""
    student = copy.deepcopy(teacher)
    for parameter in hearing(student).parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return student


@pytest.fixture(name="given")
def fixture_given(student, teacher):
    return lesson(student, teacher, seed=0, index=3)


def by_step(values):
    return values.unflatten(0, (NUM_STEPS, CLIPS))


def test_a_lesson_shows_what_the_student_sees_while_it_draws(given, student):
    assert given.noise_step.tolist() == noise_steps(NUM_STEPS)[:-1].repeat_interleave(CLIPS).tolist()
    words = by_step(given.condition.words)
    assert torch.equal(words, words[:1].expand_as(words))
    seen = []

    def watched(noisy, noise_step, condition):
        seen.append(noisy)
        return student(noisy, noise_step, condition)

    shape, asked = (CLIPS, 8, 3, 16, 16), given.condition[slice(CLIPS)]
    generate(watched, asked, shape, generator=generator(4), **FEW)
    chance = generator(4)
    mine = on_its_way(student, torch.randn(shape, generator=chance), asked, generator=chance)
    assert len(mine) == len(seen) == NUM_STEPS
    assert all(torch.equal(one, other) for one, other in zip(mine, seen, strict=True))


def test_what_is_wanted_is_where_the_teacher_ends(given, teacher):
    seen, wanted, asked = by_step(given.noisy), by_step(given.wanted), given.condition[slice(CLIPS)]
    for k, begins in ((0, 0), (1, 2), (2, 3), (3, 3)):
        level = torch.full((CLIPS,), 1 - begins / NUM_STEPS)
        assert torch.allclose(wanted[k], end_of_walk(teacher, seen[begins], level, asked), atol=1e-5)


def test_a_lesson_is_its_seed_s_and_its_student_s(given, student, teacher):
    again = lesson(student, teacher, seed=0, index=3)
    assert torch.equal(again.noisy, given.noisy)
    assert torch.equal(again.wanted, given.wanted)
    for other in (
        lesson(student, teacher, seed=1, index=3),
        lesson(student, teacher, seed=0, index=4),
        lesson(teacher, teacher, seed=0, index=3),
    ):
        assert not torch.equal(other.noisy, given.noisy)


def test_no_held_out_combination_is_in_a_lesson(monkeypatch):
    monkeypatch.setattr(distillation, "on_its_way", lambda _, noise, *__, **___: [noise] * NUM_STEPS)
    monkeypatch.setattr(distillation, "end_of_walk", lambda _, noisy, *__: noisy)
    held_out = indices([caption(one) for one in HELD_OUT]).tolist()
    words = [row for index in range(40) for row in lesson(None, None, seed=0, index=index).condition.words.tolist()]
    assert [row for row in words if row in held_out] == []
    assert len({tuple(row) for row in words}) > 60  # of the 84 that are trained


def test_the_loss_weighs_the_square_of_each_error_by_its_noise_step():
    noise_step = torch.tensor([1.0, 0.25])
    clips = torch.tensor([0.5, 0.1]).view(2, 1, 1, 1, 1).expand(2, 8, 3, 16, 16)
    given = Lesson(torch.zeros_like(clips), noise_step, told(["a red circle moves left"] * 2), torch.zeros_like(clips))
    found = lesson_loss(lambda *_: clips, given)
    assert found.item() == pytest.approx((0.5**2 / 1 + 0.1**2 / 0.25) / 2)


def test_a_walk_begins_at_its_own_clip_s_noise_step(teacher):
    noisy, noise_step = torch.randn(4, 8, 3, 16, 16), torch.tensor([0.25, 1.0, 0.5, 0.75])
    condition = told(["a red circle moves left", "a blue square stands still"] * 2)
    ends = end_of_walk(teacher, noisy, noise_step, condition)
    for k in range(4):  # each clip by itself, its steps written out
        begin = round(noise_step[k].item() * WALK_STEPS)
        z, asked = noisy[k : k + 1], condition[k : k + 1]
        for step in range(begin, 0, -1):
            here = torch.full((1,), step / WALK_STEPS)
            with torch.no_grad():
                with_words, without = teacher(z, here, asked), teacher(z, here, asked.without_words())
            scale = GUIDANCE if step / WALK_STEPS > 0.3 else 1.0
            clean = (without + scale * (with_words - without)).clamp(-1, 1)
            z = clean + (step - 1) / step * (z - clean)
        assert torch.allclose(ends[k], z[0].clamp(-1, 1), atol=1e-4)


def test_a_walk_that_would_begin_between_two_steps_is_refused(teacher):
    noisy, condition = torch.randn(1, 8, 3, 16, 16), told(["a red circle moves left"])
    with pytest.raises(ValueError, match="noise_step: wanted multiples of 1 / 16"):
        end_of_walk(teacher, noisy, torch.tensor([0.74]), condition)


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


def test_lessons_are_gone_through_several_times_and_drawn_once_by_the_average(teacher, monkeypatch):
    given, drawn, averages = [], [], []

    def train(model, batches, loss_fn, config, *, ema, **options):
        averages.append(ema.average)
        given.extend(batches(step) for step in range(2 * TIMES + 2))
        return History()

    def drawn_lesson(student, teacher, *, seed, index):
        drawn.append((student, index))
        return seed, index

    monkeypatch.setattr(distillation, "train", train)
    monkeypatch.setattr(distillation, "WINDOW", 2)
    monkeypatch.setattr(distillation, "lesson", drawn_lesson)
    train_student(StudentRun(seed=7, cpu_seconds=1.0), teacher)
    assert given == [(7, 0), (7, 1)] * TIMES + [(7, 2), (7, 3)]
    assert [index for _, index in drawn] == [0, 1, 2, 3]
    assert all(student is averages[0] for student, _ in drawn)


def test_what_hears_is_each_part_itself_and_all_that_the_condition_enters_by(teacher):
    heard = {id(parameter) for parameter in hearing(teacher).parameters()}
    by_name = {
        id(parameter)
        for name, parameter in teacher.named_parameters()
        if name.startswith("condition.") or ".from_context." in name
    }
    assert heard == by_name
    norms = [part for name, part in hearing(teacher).items() if "condition" not in name]
    noisy, noise_step = torch.randn(2, 8, 3, 16, 16), torch.tensor([0.3, 0.9])
    words = told(["a red circle moves left", "a blue square stands still"])
    for norm in norms:  # deaf: every factor and offset is a constant
        for parameter in norm.parameters():
            parameter.data.zero_()
    with torch.no_grad():
        answers = [
            teacher(noisy, level, asked) for level, asked in ((noise_step, words), (noise_step.flip(0), words[[1, 0]]))
        ]
    assert torch.equal(*answers)


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
    student, _ = train_student(StudentRun(seed=0, cpu_seconds=8.0), teacher)
    with torch.no_grad():
        far = [lesson_loss(one, lesson(one, teacher, seed=5, index=0)) for one in (student, teacher)]
    assert far[0] < far[1]


def test_a_checkpoint_is_the_student_again_and_small(teacher, tmp_path, monkeypatch):
    def metrics(network, *, num_steps, **options):
        taught = any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())
        measured.append((taught, num_steps, options))
        return {"caption, all": num_steps, "caption, held out": -num_steps}

    before, measured = copy.deepcopy(teacher.state_dict()), []

    monkeypatch.setattr(distillation, "text_metrics", metrics)
    path = tmp_path / "student.safetensors"
    run = StudentRun(seed=0, cpu_seconds=0.5)
    card = student_checkpoint(path, run, teacher, command="again")
    assert (card.recipe, card.metrics["caption, all"]) == (run.recipe, NUM_STEPS)
    assert [card.metrics[f"caption, all, teacher in {num_steps} steps"] for num_steps in (4, 50)] == [4, 50]
    asked_once = {name: value for name, value in FEW.items() if name != "num_steps"}
    assert measured == [(True, NUM_STEPS, asked_once), (False, NUM_STEPS, {}), (False, MANY, {})]
    loaded = load_student(path, teacher)
    heard = {id(parameter) for parameter in hearing(loaded).parameters()}
    changed = {name for name, value in loaded.named_parameters() if not torch.equal(value, before[name])}
    assert changed
    assert changed <= {name for name, value in loaded.named_parameters() if id(value) in heard}
    stored = load_file(path)
    assert sum(value.numel() for value in stored.values()) < sum(p.numel() for p in loaded.parameters()) / 2
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
