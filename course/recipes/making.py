"""Make a checkpoint: train, measure, keep with its card; what is there already is not made again."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from torch import nn

from course import distributed
from course.training.checkpoint import Card, Resume, read_card, rounded, save
from course.training.loop import History

BITS = 8
"""Of each weight that is kept. Metrics are those of the weights as they are kept."""


def make_checkpoint(
    path: Path,
    *,
    recipe: str,
    seed: int,
    config: Mapping[str, object],
    data: str,
    command: str,
    train: Callable[[Resume], tuple[nn.Module, History]],
    measure: Callable[[nn.Module], dict[str, float]],
) -> Card:
    """Train and test a model, and keep it with its card, with few bits for each number, unless it is there.

    The state of the training is kept beside it until it is finished, so that one that was interrupted goes on. With
    several workers (``course.distributed``) all train, and the first alone looks at files, measures and writes.

    Args:
        path: of the weights, NAME.safetensors.
        recipe: the name, and all that the training depends on beside the seed and the form of the model.
        seed: of the weights and of the data.
        config: of the model, as ``dataclasses.asdict`` gives it.
        data: what it is trained on, in words.
        command: what makes the checkpoint again.
        train: from where the state is kept to the model and what its training went through.
        measure: from the model, as it is kept, to its metrics.

    Returns:
        The card.

    Raises:
        ValueError: if a file that is there is damaged, or is another training's.
    """
    config = json.loads(json.dumps(dict(config)))  # as a card brings it back
    about = {"recipe": recipe, "seed": seed, "config": config}
    resume = Resume(path=path.with_suffix(".state.safetensors"), run=about)
    made = distributed.from_first(lambda: path.exists() and path.with_suffix(".json").exists())
    if made:  # both: a kill may have come between the two
        card = Card(**distributed.from_first(lambda: asdict(read_card(path))))
        for name, wanted in about.items():
            if getattr(card, name) != wanted:
                raise ValueError(
                    f"{path}: the result of another training, {name}: wanted {wanted!r}, got {getattr(card, name)!r}; "
                    "delete it to train anew"
                )
    else:
        model, history = train(resume)

        def keep() -> dict[str, object]:
            model.load_state_dict(rounded(model.state_dict(), BITS))
            card = Card(
                **about,
                command=command,
                data=data,
                num_steps=len(history.losses),
                cpu_seconds=history.cpu_seconds,
                metrics=measure(model),
            )
            return asdict(save(path, model, card=card, bits=BITS))

        card = Card(**distributed.from_first(keep))
    distributed.from_first(resume.discard)
    return card


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write rows to a file, whole or not at all; of several workers the first does it."""
    if distributed.rank() > 0:
        return
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    part = path.with_suffix(".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(text.getvalue(), encoding="utf-8")
    part.replace(path)


def file_name(words: str) -> str:
    """Make the name of a file of weights of what a training is called."""
    return re.sub("[^a-z0-9.]+", "_", words.lower()).replace(".", "p") + ".safetensors"
