"""The race: every family is trained in the CPU time that it is given, judged on held-out captions, and trained once."""

import csv

import pytest

from course import benchmark
from course.recipes import families
from course.recipes.families import AUTOENCODER_SHARE, FAMILIES, enter
from course.training.checkpoint import read_card

SECONDS = 0.8


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("race")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_its_cpu_time_and_no_more(family, folder):
    ways = list(FAMILIES[family].ways)[:2]
    entries = enter(family, seed=0, cpu_minutes=SECONDS / 60, folder=folder / family, num_each=1, ways=ways)
    assert [entry.way for entry in entries] == ways
    for entry in entries:
        assert 0 <= entry.numbers["caption"] <= entry.numbers["valid"] <= 1
        assert entry.numbers["CPU seconds a clip"] > 0
    cards = [read_card(path) for path in (folder / family).glob("*.safetensors")]
    assert sum(card.cpu_seconds for card in cards) == pytest.approx(SECONDS, rel=0.8)  # whole steps, each in its own
    assert not any(card.metrics for card in cards)  # they are judged by how they draw, here


def test_what_is_finished_is_not_trained_again(folder, monkeypatch):
    first = enter("GAN", seed=0, cpu_minutes=SECONDS / 60, folder=folder / "GAN", num_each=1)
    monkeypatch.setattr("course.recipes.gan.train_gan", lambda *_, **__: pytest.fail("trained again"))
    again = enter("GAN", seed=0, cpu_minutes=SECONDS / 60, folder=folder / "GAN", num_each=1)
    rates = [{k: v for k, v in e.numbers.items() if not k.startswith("CPU")} for e in (*first, *again)]
    assert rates[0] == rates[1]


def test_shares_of_the_cpu_time_add_up(monkeypatch, folder):
    """The cascade's four networks share what another family has for one."""
    given = []

    def noted(run, folder):
        given.append(run.cpu_seconds)

    monkeypatch.setattr(families, "_denoiser", noted)
    FAMILIES["cascade"].train(0, 100.0, folder)
    assert len(given) == 4
    assert sum(given) == pytest.approx(100.0)
    assert 0 < AUTOENCODER_SHARE < 1


def test_ways_are_chosen_by_name_and_a_wrong_family_is_named(folder):
    (one,) = enter(
        "diffusion", seed=0, cpu_minutes=SECONDS / 60, folder=folder / "diffusion", num_each=1, ways=["2 steps"]
    )
    assert one.way == "2 steps"
    with pytest.raises(ValueError, match="family: wanted one of GAN, tokens, diffusion, cascade, got 'VAE'"):
        enter("VAE", seed=0, cpu_minutes=1.0, folder=folder)


def test_the_table_and_the_record(folder, tmp_path):
    record = tmp_path / "race.csv"
    text = benchmark.families(
        cpu_minutes=[SECONDS / 60], num_seeds=1, folder=folder / "GAN", models=["GAN"], record=record
    )
    assert "one pass" in text
    with record.open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["family"], row["draws"], row["seed"]) == ("GAN", "8 frames of 16 x 16", "0")
    assert f"{float(row['caption']):.3f}" in text
