"""What a GPU can do at best: arithmetic, memory and the speed of that memory, by its name.

From NVIDIA's data sheets. FLOP/s are those of dense bfloat16 products: the Hopper and later sheets
print figures with sparsity, twice these. The PCIe and NVL forms are slower chips.
"""

from __future__ import annotations

from typing import NamedTuple

from synthpert.errors import InputError


def refuse_absent_gpu(accelerator: object, command: str) -> None:
    """Refuse a recipe for a GPU where there is none, before anything is written or loaded.

    Args:
        accelerator: What `trainer.accelerator` says.
        command: For the error, such as `synthpert fit`.

    Raises:
        InputError: If a GPU is asked for by name and torch sees none.
    """
    if accelerator not in ("gpu", "cuda"):
        return
    import torch

    on_a_mac = accelerator == "gpu" and torch.backends.mps.is_available()
    if not torch.cuda.is_available() and not on_a_mac:
        raise InputError(
            "torch sees no GPU",
            file=command,
            column="trainer.accelerator",
            got=str(accelerator),
            expected="a machine with one (`synthpert doctor` tells what is amiss here), or a "
            "recipe that needs none, such as configs/tuples_cpu.yaml",
        )


class Gpu(NamedTuple):
    """One card.

    Args:
        name: As it is typed.
        flops: Dense bfloat16 FLOP/s.
        memory: Bytes, as sold (1 GB is 1e9 bytes).
        bandwidth: Bytes of that memory read a second.
    """

    name: str
    flops: float
    memory: float
    bandwidth: float


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("A100", 312e12, 80e9, 2.039e12),
        Gpu("A100-40GB", 312e12, 40e9, 1.555e12),
        Gpu("H100", 989e12, 80e9, 3.35e12),
        Gpu("H100-PCIe", 756e12, 80e9, 2.0e12),
        Gpu("H100-NVL", 835e12, 94e9, 3.9e12),
        Gpu("H200", 989e12, 141e9, 4.8e12),
        Gpu("H200-NVL", 835e12, 141e9, 4.8e12),
        Gpu("L40S", 362e12, 48e9, 0.864e12),
        Gpu("L4", 121e12, 24e9, 0.3e12),
        Gpu("A10", 125e12, 24e9, 0.6e12),
    )
}
"""The known cards, by name."""


def find_gpu(name: str) -> Gpu:
    """Find a card by its name, in whatever case, with hyphens or spaces.

    Raises:
        InputError: If it is not in the table.
    """
    wanted = name.casefold().replace(" ", "-")
    for gpu in GPUS.values():
        if gpu.name.casefold() == wanted:
            return gpu
    raise InputError("unknown GPU", file="--gpu", got=name, expected=f"one of {', '.join(GPUS)}")
