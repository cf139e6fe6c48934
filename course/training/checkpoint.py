"""Checkpoints: a finished model with its card, and a training in progress, to go on after it was killed.

Tensors are kept as safetensors, everything else as JSON. Nothing is unpickled, ever: a pickle may run any program when
it is opened. A file is written in a folder beside its place and then moved there, so that a reader finds the old one
or the new one, whole.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from glob import escape
from pathlib import Path
from types import ModuleType

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from course import distributed

# A finished model


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is to be known about a trained model; it lies beside the weights, as JSON.

    Attributes:
        recipe: the name under which it is trained.
        command: what makes it again.
        config: of the model, as ``dataclasses.asdict`` gives it.
        seed: of the weights and of the data.
        data: what it was trained on, in words.
        num_steps: of the training.
        cpu_seconds: that the training took, all threads and all workers together.
        metrics: what was measured afterwards.
        sha256: of the file of weights; ``save`` fills it in.
    """

    recipe: str
    command: str
    config: dict[str, object]
    seed: int
    data: str
    num_steps: int
    cpu_seconds: float
    metrics: dict[str, float]
    sha256: str = ""

    def __post_init__(self) -> None:
        """Check the types: a card may come from anywhere."""
        for entry in fields(self):
            value, kind = getattr(self, entry.name), getattr(entry.type, "__origin__", entry.type)
            if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
                raise ValueError(f"{entry.name}: wanted {kind.__name__}, got {value!r}")


def save(path: Path, model: nn.Module, *, card: Card, bits: int = 32) -> Card:
    """Save a trained model, and its card beside it: NAME.safetensors and NAME.json.

    Args:
        path: of the weights; what is there is replaced.
        model: its parameters and persistent buffers are saved, in the types that they have.
        card: without the sha256.
        bits: of each number, 32, 16 or 8; ``load`` gives back what ``rounded`` says.

    Returns:
        The card as it was written.

    Raises:
        ValueError: if a weight is not a finite number, the card is more than JSON can hold, or the path ends otherwise.
    """
    tensors, place = _on_cpu(model.state_dict()), _card_path(path)
    _expect_finite(path, tensors)
    tensors = _packed(tensors, bits)
    _expect_finite(path, tensors)
    weights = to_bytes(tensors)
    card = replace(card, sha256=hashlib.sha256(weights).hexdigest())
    text = json.dumps(_as_json(asdict(card)), indent=2, ensure_ascii=False) + "\n"
    # A kill between the two leaves a pair that load refuses: it cannot pass for a checkpoint.
    _write(path, weights)
    _write(place, text.encode())
    return card


def rounded(tensors: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """Return weights as they come back from a file with so many bits for each number.

    With 16 bits about three digits are left of each number of 32. With 8 bits a row of a matrix (what makes one output)
    becomes whole numbers from -127 to 127 and one factor for all of them; vectors keep 16 bits.
    """
    return _unpacked(_packed(tensors, bits))


def _packed(tensors: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    if bits not in (8, 16, 32):
        raise ValueError(f"bits: wanted 32, 16 or 8, got {bits!r}")
    packed = {}
    for name, tensor in tensors.items():
        if bits == 32 or tensor.dtype != torch.float32:
            packed[name] = tensor
        elif bits == 16 or tensor.ndim < 2:
            packed[name] = tensor.half()
        else:
            rows = tensor.flatten(1)
            factor = (rows.abs().amax(dim=1, keepdim=True) / 127).half()  # (rows, 1)
            whole = (rows / factor.float().clamp(min=1e-30)).round().clamp(-127, 127)
            packed[name] = whole.to(torch.int8).view(tensor.shape)
            packed[_FACTOR + name] = factor[:, 0]
    return packed


def _unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tensors = {name: t.float() if t.dtype == torch.float16 else t for name, t in tensors.items()}
    factors = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_FACTOR)}
    for name, factor in factors.items():
        whole = tensors.get(name.removeprefix(_FACTOR))
        if whole is None or whole.dtype != torch.int8 or whole.shape[:1] != factor.shape:
            raise ValueError(f"{name}: wanted whole numbers of 8 bits for these factors, got {_form(whole)}")
        tensors[name.removeprefix(_FACTOR)] = whole * factor.view(-1, *[1] * (whole.ndim - 1))
    return tensors


_FACTOR = "factor of "


def load(path: Path, make: Callable[[dict[str, object]], nn.Module]) -> nn.Module:
    """Load a trained model for use, in evaluation mode.

    Args:
        path: of the weights, NAME.safetensors; the card is beside it.
        make: from the card's config to an untrained model, such as
            ``lambda config: RecurrentModel(RecurrentConfig(**config))``.

    Raises:
        FileNotFoundError: if the weights or the card are missing.
        ValueError: if the file is damaged, is no safetensors file, holds weights of another model, or holds a number
            that is not finite. Numbers of 16 and of 8 bits are made numbers of 32.
    """
    data, card = _read(path), read_card(path)
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise ValueError(
            f"{path}: damaged, or not the file of its card: wanted a sha256 of {card.sha256[:12]}..., "
            f"got {found[:12]}... of {len(data)} bytes; to make it again: {card.command}"
        )
    tensors, _ = _parse(path, data)
    try:
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, and thrown away
            model = make(card.config)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{_card_path(path)}: wanted the config of this model, got {card.config}: {error}") from error
    try:
        tensors = _unpacked(tensors)
    except ValueError as error:
        raise ValueError(f"{path}: damaged: {error}") from None
    _expect_forms(path, tensors, model.state_dict())
    _expect_finite(path, tensors)
    model.load_state_dict(tensors)
    return model.eval()


def read_card(path: Path) -> Card:
    """Return the card of a checkpoint.

    Args:
        path: of the weights, NAME.safetensors.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is not a card.
    """
    place = _card_path(path)
    try:
        return Card(**json.loads(_read(place)))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{place}: wanted the card of a checkpoint, got something else: {error}") from None


def _card_path(path: Path) -> Path:
    if path.suffix != ".safetensors":
        raise ValueError(f"wanted a path that ends in .safetensors, got {path}")
    return path.with_suffix(".json")


# A training in progress


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Where a training keeps its state, so that it can go on after it was killed.

    Attributes:
        path: of the file, NAME.safetensors.
        run: what makes this training different from others, such as its recipe and seed, in words and numbers: a state
            that was saved with anything else is refused.
        every_seconds: CPU seconds of training between two saves; what was done since the last is done again.
    """

    path: Path
    run: Mapping[str, object] = field(default_factory=dict)
    every_seconds: float = 30.0

    def discard(self) -> None:
        """Delete the state, with what killed writers left: for when the finished model is saved."""
        self.path.unlink(missing_ok=True)
        for left in self.path.parent.glob(f".{escape(self.path.name)}.*"):
            shutil.rmtree(left, ignore_errors=True)


def save_state(
    path: Path,
    *,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    history: Mapping[str, float | Sequence[float]],
    run: Mapping[str, object],
) -> None:
    """Save all that the next step of a training depends on, with the state of torch's own random generators.

    Args:
        path: of the file; what is there is replaced.
        modules: what is trained, and averages of it, each under a name.
        optimisers: each under a name; such as keep only tensors, like AdamW.
        history: what the training went through so far, in numbers.
        run: which training it is; more than JSON can hold is refused.
    """
    tensors = _named("history", {name: torch.tensor(value, dtype=torch.float64) for name, value in history.items()})
    for part, module in modules.items():
        tensors |= _named(part, module.state_dict())
    for part, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= _named(f"{part}/{index}", state)
    for device in _devices(modules):
        tensors[f"random/{device}"] = _random(device).get_rng_state()
    tensors = _on_cpu(tensors)
    about = json.dumps(_as_json(_surroundings(modules) | dict(run)))
    _write(path, to_bytes(tensors, metadata={"run": about, "sha256": _digest(tensors, about)}))


def load_state(
    path: Path,
    *,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    run: Mapping[str, object],
) -> dict[str, float | list[float]]:
    """Bring modules, optimisers and torch's own random generators into the state that was saved.

    Args:
        path: of the file; of several workers (``course.distributed``) the first reads it for all.
        modules: of the same names and forms as were saved.
        optimisers: of the same names, over the same parameters in the same order.
        run: as it was saved.

    Returns:
        The history, as it was saved.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if the file is damaged, is no state, or is that of another training, of another version of torch,
            or of another number of threads: these change the last bits. Nothing was changed then. Another number of
            workers changes them too, and is let in.
    """
    tensors, metadata = _parse(path, distributed.bytes_from_first(lambda: _read(path)))
    if metadata.get("sha256") != _digest(tensors, metadata.get("run", "")):
        raise ValueError(f"{path}: wanted the state of a training, got a damaged one or another file; {_ANEW}")
    came, wanted = json.loads(metadata["run"]), _as_json(_surroundings(modules) | dict(run))
    if came.pop("num_workers", 1) != wanted.pop("num_workers"):  # each has its own number of threads
        del came["num_threads"], wanted["num_threads"]
    _expect_run(path, came, wanted)
    kept: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        kept.setdefault(part, {})[rest] = tensor
    for part, module in modules.items():
        _expect_forms(path, _named(part, kept.get(part, {})), _named(part, module.state_dict()))
    states = {
        part: _optimiser_state(path, part, optimiser, kept.get(part, {})) for part, optimiser in optimisers.items()
    }
    for part, module in modules.items():
        module.load_state_dict(kept[part])
    for part, optimiser in optimisers.items():
        optimiser.load_state_dict({"state": states[part], "param_groups": optimiser.state_dict()["param_groups"]})
    for device, state in kept["random"].items():
        _random(device).set_rng_state(state)
    return {name: tensor.tolist() for name, tensor in kept.get("history", {}).items()}


_ANEW = "delete it to train from the beginning"


def _optimiser_state(
    path: Path, part: str, optimiser: torch.optim.Optimizer, kept: Mapping[str, Tensor]
) -> dict[int, dict[str, Tensor]]:
    """Return an optimiser's state by the number of the parameter, laid out in memory as the parameter is."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in sorted(kept.items()):
        index, _, entry = name.partition("/")
        parameter = parameters[int(index)] if int(index) < len(parameters) else torch.empty(0)
        if tensor.ndim:  # the count of steps is a scalar, the rest has the form of the parameter
            _expect_forms(path, {f"{part}/{name}": tensor}, {f"{part}/{name}": parameter})
            tensor = torch.empty_like(parameter).copy_(tensor)
        states.setdefault(int(index), {})[entry] = tensor.clone()
    return states


def _devices(modules: Mapping[str, nn.Module]) -> list[str]:
    """Return the kinds of devices whose random generators a training may use."""
    return sorted({"cpu"} | {tensor.device.type for module in modules.values() for tensor in module.parameters()})


def _random(device: str) -> ModuleType:
    """Return the module that keeps the state of a device's random generator."""
    return torch if device == "cpu" else torch.get_device_module(device)


def _surroundings(modules: Mapping[str, nn.Module]) -> dict[str, object]:
    """Return what else decides the last bits of a step."""
    return {
        "torch": torch.__version__,
        "num_threads": torch.get_num_threads(),
        "num_workers": distributed.num_workers(),
        "devices": _devices(modules),
    }


def _expect_run(path: Path, came: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Raise unless two descriptions of a training are the same."""
    came, wanted = _flat(came), _flat(wanted)
    for name in sorted(came.keys() | wanted.keys()):
        forms = [json.dumps(some[name]) if name in some else "nothing" for some in (wanted, came)]
        if forms[0] != forms[1]:
            raise ValueError(
                f"{path}: the state of another training, {name}: wanted {forms[0]}, got {forms[1]}; "
                f"train as it was begun, or {_ANEW}"
            )


def _flat(value: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Return the entries of nested dictionaries, each under the names that lead to it."""
    entries: dict[str, object] = {}
    for name, entry in value.items():
        entries |= _flat(entry, f"{above}{name}: ") if isinstance(entry, dict) else {f"{above}{name}": entry}
    return entries


# Files


def _named(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}/{name}": tensor for name, tensor in tensors.items()}


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy each tensor: safetensors holds neither views nor weights that two layers share."""
    return {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def _as_json(value: Mapping[str, object]) -> dict[str, object]:
    """Return what comes back when a value is written as JSON and read again."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"wanted what JSON can hold, got {value}: {error}") from None


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {_form(tensor)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write a file in one piece: a kill at any moment leaves the old one, or the new one, at its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        part = Path(folder) / path.name
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could move an empty file there
        part.replace(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: wanted a file of a checkpoint, there is none") from None


def _parse(path: Path, data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file."""
    try:
        tensors = from_bytes(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path}: wanted a safetensors file, got {len(data)} bytes that begin with {data[:8]!r}: {error}"
        ) from None
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return tensors, header.get("__metadata__") or {}


def _form(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _expect_forms(path: Path, came: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise unless there are tensors of the names, shapes and types wanted, and no others."""
    for name in sorted(came.keys() | wanted.keys()):
        wanted_form, form = (_form(some[name]) if name in some else "nothing" for some in (wanted, came))
        if form != wanted_form:
            raise ValueError(f"{path}: made for another model, {name}: wanted {wanted_form}, got {form}")


def _expect_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            bad = tensor[~tensor.isfinite()][0].item()
            raise ValueError(f"{path}: {name}: wanted finite numbers, got {bad} among them")
