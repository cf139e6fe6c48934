"""Finished models: the same weights come back, whatever is wrong is said, and no pickle is ever opened."""

import hashlib
import json
import os
import pickle
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from course.models.recurrent import RecurrentConfig, RecurrentModel
from course.training import checkpoint
from course.training.checkpoint import Card, load, read_card, rounded, save

CONFIG = RecurrentConfig(num_channels=1, size=4, hidden_size=5, output_size=3)
CARD = Card(
    recipe="tiny",
    command="python -m course train tiny",
    config=asdict(CONFIG),
    seed=3,
    data="clips of nothing, seed 3",
    num_steps=7,
    cpu_seconds=1.5,
    metrics={"accuracy": 0.25, "clips": 4},
)


def make(config):
    return RecurrentModel(RecurrentConfig(**config))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return RecurrentModel(CONFIG)


@pytest.fixture
def path(tmp_path, model):
    """Return a checkpoint."""
    path = tmp_path / "tiny.safetensors"
    save(path, model, card=CARD)
    return path


def refuse(path, *words, error=ValueError):
    """Check that loading fails with one line that says these words."""
    with pytest.raises(error) as caught:
        load(path, make)
    assert "\n" not in str(caught.value)
    for word in (path.stem, *words):
        assert word in str(caught.value)


def put(path, data):
    """Write other bytes, with a card that vouches for them."""
    path.write_bytes(data)
    card = read_card(path)
    text = json.dumps(asdict(replace(card, sha256=hashlib.sha256(data).hexdigest())))
    path.with_suffix(".json").write_text(text, encoding="utf-8")


def test_weights_come_back_bit_for_bit_and_chance_is_left_alone(path, model):
    state = torch.random.get_rng_state()
    loaded = load(path, make)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not loaded.training
    assert loaded.config == CONFIG
    for name, wanted in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], wanted)
        assert loaded.state_dict()[name].dtype == wanted.dtype
    clips = torch.rand(2, 3, 1, 4, 4)
    assert torch.equal(loaded(clips), model(clips))


def test_the_card_says_what_was_saved_and_can_be_read_by_people(path, model):
    card = read_card(path)
    assert card == replace(CARD, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    lines = path.with_suffix(".json").read_text(encoding="utf-8").splitlines()
    assert '  "command": "python -m course train tiny",' in lines
    assert save(path, model, card=CARD) == card  # the same model gives the same bytes
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_types_views_buffers_and_shared_weights_are_kept(tmp_path):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.short = nn.Parameter(torch.rand(3, 4).to(torch.bfloat16))
            self.turned = nn.Parameter(torch.rand(4, 3).t())
            self.tied = self.short
            self.register_buffer("count", torch.tensor(2**40))
            self.register_buffer("mask", torch.tensor([True, False]))
            self.register_buffer("nothing", torch.empty(0, 2))

    odd, path = Odd(), tmp_path / "deep" / "odd.safetensors"
    save(path, odd, card=CARD)
    loaded = load(path, lambda _: Odd())
    assert loaded.tied is loaded.short
    for name, wanted in odd.state_dict().items():
        assert loaded.state_dict()[name].dtype == wanted.dtype
        assert torch.equal(loaded.state_dict()[name], wanted)


@pytest.mark.parametrize(("bits", "size", "exact"), [(16, 0.7, 1e-3), (8, 0.75, 1 / 127)])
def test_fewer_bits_less_room(bits, size, exact, path, model, tmp_path):
    small = tmp_path / "small.safetensors"
    save(small, model, card=CARD, bits=bits)
    loaded = load(small, make).state_dict()
    assert small.stat().st_size < size * path.stat().st_size
    told = rounded(model.state_dict(), bits)
    for name, wanted in model.state_dict().items():
        assert torch.equal(loaded[name], told[name])
        assert loaded[name].dtype == wanted.dtype
        rows = wanted.flatten(1) if wanted.ndim > 1 else wanted[:, None]
        error = (loaded[name] - wanted).view(rows.shape).abs().amax(dim=1)
        assert (error <= exact * rows.abs().amax(dim=1) + 1e-6).all()
    save(tmp_path / "again.safetensors", load(small, make), card=CARD, bits=bits)
    assert (tmp_path / "again.safetensors").read_bytes() == small.read_bytes()


def test_eight_bits_by_hand():
    told = rounded({"weight": torch.tensor([[1.27, -0.634], [0.0, 0.0]]), "bias": torch.tensor([1.0])}, 8)
    assert torch.allclose(told["weight"], torch.tensor([[1.27, -0.63], [0.0, 0.0]]), atol=1e-3)
    assert torch.equal(told["bias"], torch.tensor([1.0]))
    with pytest.raises(ValueError, match="bits: wanted 32, 16 or 8, got 4"):
        rounded({}, 4)


# What is wrong is said


def test_missing_files(path):
    path.with_suffix(".json").rename(path.with_name("elsewhere.json"))
    refuse(path, "tiny.json", "there is none", error=FileNotFoundError)
    path.unlink()
    refuse(path, "tiny.safetensors", "there is none", error=FileNotFoundError)


@pytest.mark.parametrize("place", [0, 9, 200, -1])
def test_one_damaged_bit(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    refuse(path, "damaged", "wanted a sha256 of", "python -m course train tiny")


@pytest.mark.parametrize("length", [0, 5, 100, -4])
def test_truncated(path, length):
    data = path.read_bytes()[:length]
    path.write_bytes(data)
    refuse(path, "damaged", f"of {len(data)} bytes")
    put(path, data)  # also when the card agrees
    refuse(path, "wanted a safetensors file", f"got {len(data)} bytes")


def test_a_kill_between_weights_and_card_cannot_pass_for_a_checkpoint(path, model, monkeypatch):
    with torch.no_grad():
        model.answer.bias += 1
    write = checkpoint._write

    def killed(place, data):
        if place.suffix == ".json":
            raise KeyboardInterrupt
        write(place, data)

    monkeypatch.setattr(checkpoint, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        save(path, model, card=CARD)
    refuse(path, "not the file of its card")


def test_a_pickle_is_refused_and_never_opened(path, tmp_path):
    sprung = tmp_path / "sprung"

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(sprung),)

    torch.save({"weights": Trap()}, tmp_path / "saved.pt")
    for data in (pickle.dumps(Trap()), (tmp_path / "saved.pt").read_bytes()):
        path.write_bytes(data)
        refuse(path, "damaged")
        put(path, data)
        refuse(path, "wanted a safetensors file", repr(data[:8]))
        path.with_suffix(".json").write_bytes(data)
        refuse(path, "wanted the card of a checkpoint")
        save(path, make(CARD.config), card=CARD)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap()))  # the trap works
    assert sprung.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer.bias": None}, "answer.bias: wanted float32 (3,), got nothing"),
        ({"extra": torch.zeros(2)}, "extra: wanted nothing, got float32 (2,)"),
        ({"answer.bias": torch.zeros(4)}, "answer.bias: wanted float32 (3,), got float32 (4,)"),
        ({"answer.bias": torch.zeros(3, dtype=torch.float64)}, "wanted float32 (3,), got float64 (3,)"),
        ({"answer.bias": torch.tensor([0.0, float("nan"), 0.0])}, "answer.bias: wanted finite numbers, got nan"),
        ({"answer.bias": torch.tensor([0.0, 0.0, float("-inf")])}, "answer.bias: wanted finite numbers, got -inf"),
    ],
)
def test_weights_that_do_not_fit(path, model, change, words):
    weights = {name: tensor for name, tensor in (model.state_dict() | change).items() if tensor is not None}
    save_file(weights, path)
    put(path, path.read_bytes())
    refuse(path, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config": {"cell": "gru"}}, "wanted the config of this model, got {'cell': 'gru'}"),
        ({"config": {**CARD.config, "cell": "Mamba"}}, "cell: wanted one of"),
        ({"config": {**CARD.config, "width": 3}}, "width"),
        ({"config": {**CARD.config, "hidden_size": 6}}, "made for another model"),
        ({"seed": "3"}, "seed: wanted int, got '3'"),
        ({"seed": True}, "seed: wanted int, got True"),
        ({"metrics": None}, "metrics: wanted dict, got None"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_card_that_does_not_fit(path, change, words):
    place = path.with_suffix(".json")
    place.write_text(json.dumps(json.loads(place.read_text(encoding="utf-8")) | change), encoding="utf-8")
    refuse(path, words)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"3", b"\xff\xfe", b"[" * 100_000, b'{"recipe": "tiny"}'])
def test_a_card_that_is_none(path, text):
    path.with_suffix(".json").write_bytes(text)
    refuse(path, "tiny.json: wanted the card of a checkpoint")


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (replace(CARD, metrics={"loss": float("nan")}), "what JSON can hold"),
        (replace(CARD, config={"cell": object()}), "what JSON can hold"),
    ],
)
def test_a_card_that_cannot_be_written_is_refused_before_anything_is(path, model, card, words):
    before = path.read_bytes()
    with torch.no_grad():
        model.answer.bias += 1
    with pytest.raises(ValueError, match=words):
        save(path, model, card=card)
    assert path.read_bytes() == before
    load(path, make)


def test_weights_that_are_no_numbers_are_not_saved(path, model):
    before = path.read_bytes()
    with torch.no_grad():
        model.answer.bias[1] = float("nan")
    with pytest.raises(ValueError, match=r"answer\.bias: wanted finite numbers, got nan"):
        save(path, model, card=CARD)
    assert path.read_bytes() == before


def test_another_ending_is_refused(tmp_path, model):
    for call in (lambda path: save(path, model, card=CARD), read_card):
        with pytest.raises(ValueError, match=r"wanted a path that ends in \.safetensors, got .*tiny\.pt"):
            call(tmp_path / "tiny.pt")
    assert list(tmp_path.iterdir()) == []


# Atomic writing


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_what_was_there(path, model, monkeypatch, broken):
    before = {entry.name: entry.read_bytes() for entry in path.parent.iterdir()}

    def fails(*_):
        raise OSError("no space left on device")

    with torch.no_grad():
        model.answer.bias += 1
    monkeypatch.setattr(broken, fails)
    with pytest.raises(OSError, match="no space left"):
        save(path, model, card=CARD)
    assert {entry.name: entry.read_bytes() for entry in path.parent.iterdir()} == before


def test_all_bytes_are_on_the_disk_before_the_file_takes_its_place(tmp_path, monkeypatch):
    path, events = tmp_path / "file", []
    fsync, move = os.fsync, type(path).replace

    def watched_fsync(file):
        events.append(("fsync", os.fstat(file).st_size, path.exists()))
        fsync(file)

    def watched_move(part, target):
        events.append(("move", part.parent.parent == target.parent, target))
        return move(part, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(type(path), "replace", watched_move)
    checkpoint._write(path, b"12345")
    assert events == [("fsync", 5, False), ("move", True, path)]
    assert path.read_bytes() == b"12345"
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
