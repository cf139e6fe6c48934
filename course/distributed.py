"""Several workers, one training: each takes its share of every batch, and all of them take the same step.

``python -m torch.distributed.run --nproc-per-node 2 -m course train NAME`` starts two workers, which are processes, on
this machine or on several. A process that was started by itself is the only worker: nothing is sent, and every function
here gives back what it was given.

All that the workers say to each other goes through one operation: ``summed``, the all-reduce. A gradient of the whole
batch is the mean of the gradients of its shares. With N workers a share is every N-th clip, and shares are put together
again by adding them up, each with zeros at the others' places. What the first worker knows is its own word plus the
others' zeros. All begin with the weights of the first and take the same steps, so that they never part.

PyTorch's own way is a wrapper around the network, ``DistributedDataParallel``. It sends a layer's gradients while those
of the layers in front of it are still being found, which hides much of the time on the wire, and its gradients are
those of ``average_gradients`` (a test compares them). It is not used here. It listens to calls of the network as a
whole, and losses here call a network's parts; it expects every weight to take part in each backward pass, and the
weights of a generator and its critics take turns, some of them with a penalty that is itself a slope (what that has led
to is told in PyTorch's issue 47562); and it would hide the one line that is to be seen.

Every worker makes the whole batch, and keeps its share: a batch is a function of seed and step, whoever takes part.
That costs each of them what it costs one, and little where the network is large.

Paper:
    Li et al. 2020 (PyTorch Distributed), arXiv 2006.15704, for what the wrapper does.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

Batch = TypeVar("Batch")
Json = TypeVar("Json")

PATIENCE = timedelta(hours=2)
"""For what a worker does alone: the first one measures what was trained, while the others wait for its word."""


@contextmanager
def workers() -> Iterator[None]:
    """Work together with the other workers inside a ``with`` block, if ``torch.distributed.run`` has started this one.

    Where each worker of a machine can have a GPU of its own, the trainings inside run on these and speak through nccl.
    Elsewhere they run on the CPU and speak through gloo.
    """
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield
        return
    gpus = torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    _meet("nccl" if gpus else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def _meet(backend: str) -> None:
    """Find the other workers.

    Addresses are left in a store of the launcher's. On one machine it outlives workers that were killed, with their
    addresses in it, and those that are started in their place must not call there.
    """
    told = os.environ
    if told.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or told["GROUP_WORLD_SIZE"] != "1":
        dist.init_process_group(backend, timeout=PATIENCE)
        return
    store = dist.TCPStore(told["MASTER_ADDR"], int(told["MASTER_PORT"]), is_master=False, timeout=PATIENCE)
    dist.init_process_group(
        backend,
        store=dist.PrefixStore(f"attempt {told['TORCHELASTIC_RESTART_COUNT']}", store),
        rank=int(told["RANK"]),
        world_size=int(told["WORLD_SIZE"]),
        timeout=PATIENCE,
    )


def num_workers() -> int:
    """Return how many workers there are: 1 outside of ``workers``."""
    return dist.get_world_size() if _together() else 1


def rank() -> int:
    """Return which of the workers this is: 0 for the first, the one that reads and writes files."""
    return dist.get_rank() if _together() else 0


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


# The one operation, and what is made of it


@torch.no_grad()
def summed(tensor: Tensor) -> Tensor:
    """Return the sum of all workers' tensors, the same to the last bit on each of them; no gradient flows through it.

    Args:
        tensor: of the same shape and type on every worker. It is left as it is.
    """
    if num_workers() == 1:
        return tensor
    total = tensor.to(_device(), copy=True, memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total.to(tensor.device)


def mean(tensor: Tensor) -> Tensor:
    """Return the mean over all workers, as of ``summed``: of the means over equal shares, the mean over the batch."""
    return tensor if num_workers() == 1 else summed(tensor) / num_workers()


@torch.no_grad()
def average_gradients(module: nn.Module) -> None:
    """Replace each gradient by its mean over all workers: that of the whole batch, if losses are means over clips.

    All gradients travel as one long vector, since each message costs time, however short it is. A loss has to reach
    the same parameters on every worker.

    Args:
        module: whose parameters have gradients.
    """
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    if num_workers() == 1 or not gradients:
        return
    whole = mean(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(gradients, whole.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


# Batches


def share(batch: Batch) -> Batch:
    """Return this worker's part of a batch: with N workers, clips rank, rank + N, rank + 2 N, ...

    So each part of a batch that is half of one kind and half of another has half of both; and where the second half
    belongs to the first, clip by clip, as in pairs of one caption, it does so in each share of an even number of clips.

    Args:
        batch: a tensor whose first dimension is that of the clips, or a tuple or a dataclass of such.

    Returns:
        The same with fewer clips, on the device that ``place`` puts networks on.

    Raises:
        ValueError: if the clips cannot be shared evenly: then a mean of means would not be the mean.
    """
    return batch if not _together() else _share(batch)


def _share(batch: Batch) -> Batch:
    if batch is None:
        return None
    if isinstance(batch, tuple):
        return tuple(_share(part) for part in batch)
    if is_dataclass(batch):
        return replace(batch, **{field.name: _share(getattr(batch, field.name)) for field in fields(batch)})
    if not isinstance(batch, Tensor):
        raise ValueError(f"batch: wanted tensors, or a tuple or a dataclass of them, to share, got {type(batch)}")
    if len(batch) % num_workers():
        raise ValueError(
            f"batch: wanted a multiple of {num_workers()} clips for {num_workers()} workers, got {len(batch)} clips"
        )
    return batch[rank() :: num_workers()].to(_device())


def gathered(tensor: Tensor) -> Tensor:
    """Put the shares of a tensor together again, on every worker: the inverse of ``share``."""
    if num_workers() == 1:
        return tensor
    whole = tensor.new_zeros(num_workers() * len(tensor), *tensor.shape[1:])
    whole[rank() :: num_workers()] = tensor
    return summed(whole)


# The first worker's word


@torch.no_grad()
def place(*modules: nn.Module) -> None:
    """Put networks where the training is to run, all workers' in the state of the first one's, with torch's own chance.

    Chance inside a network, as in the codes that a quantizer revives, is the same on every worker from then on.
    """
    if not _together():
        return
    for module in modules:
        module.to(_device())
        for tensor in module.state_dict().values():
            tensor.copy_(_first(tensor))
    torch.set_rng_state(_first(torch.get_rng_state()))


def take_back(*modules: nn.Module) -> None:
    """Put networks back on the CPU when a training of several workers has ended."""
    if _together():
        for module in modules:
            module.to("cpu")


def from_first(work: Callable[[], Json]) -> Json:
    """Let the first worker do something, such as write a file, and return what it returns on all workers.

    The files of the first worker alone count: the others may be on machines that do not see them.

    Args:
        work: returns what JSON can hold.
    """
    if num_workers() == 1:
        return work()
    return json.loads(bytes_from_first(lambda: json.dumps(work()).encode()))


def bytes_from_first(work: Callable[[], bytes]) -> bytes:
    """Let the first worker do something, such as read a file, and return the bytes that it returns on all workers."""
    if num_workers() == 1:
        return work()
    data = np.frombuffer(work() if rank() == 0 else b"", dtype=np.uint8)
    size = summed(torch.tensor(len(data))).item()
    sent = torch.zeros(size, dtype=torch.uint8)
    if rank() == 0:
        sent[:] = torch.from_numpy(data.copy())
    return summed(sent).numpy().tobytes()


def _first(tensor: Tensor) -> Tensor:
    return summed(tensor if rank() == 0 else torch.zeros_like(tensor))
