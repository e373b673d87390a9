"""More than one device: which of Lightning's strategies keep our promises, and sharded weights.

DDP copies the student to every device. `ModelParallelStrategy` makes a mesh of devices and leaves
the cutting to the model: PyTorch's FSDP2 here, block by block. A transformer block is gathered when
it computes and let go of after it, so a device holds one block and its share of the others. FSDP2
cuts weight by weight, so a block may mix a frozen bfloat16 base with float32 adapters; FSDP1
(`FSDPStrategy`) flattens a block into one tensor of one type, and clips no gradients by norm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import (
    DDPStrategy,
    DeepSpeedStrategy,
    ModelParallelStrategy,
    SingleDeviceStrategy,
    Strategy,
)
from torch import Tensor, nn

from synthpert.errors import InputError

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from transformers import PreTrainedModel

_WAKE = "_wake_shards"


class Sharded(ModelParallelStrategy):
    """FSDP2 over all devices of all machines, with the checkpoints of one device.

    Lightning's own would gather the whole base for a checkpoint, hand one over only after it has
    loaded it, and number the optimiser's states differently from other strategies: going on from
    one of those, it loses them without a word.

    Args:
        process_group_backend: `nccl` or `gloo`; null takes what suits the device.
    """

    def __init__(self, process_group_backend: str | None = None) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
            process_group_backend=process_group_backend,
        )

    def setup_environment(self) -> None:
        """Let every device of every machine hold a share."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Lightning hands over the optimiser's states once the student has seen whose they are."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The trained weights, whole, on rank 0; a joint act."""
        assert self.lightning_module is not None
        named = self.lightning_module.named_parameters()
        whole_ones = (
            (n, _kept(w.detach(), self.is_global_zero)) for n, w in named if w.requires_grad
        )
        return {name: weight for name, weight in whole_ones if weight is not None}

    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint as any strategy does: checked, and nothing in place yet."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path, weights_only=weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Put the trained weights in place, each rank its share."""
        assert self.lightning_module is not None
        weights = dict(self.lightning_module.named_parameters())
        with torch.no_grad():
            for name, value in checkpoint["state_dict"].items():
                weights[name].copy_(_share(value, weights[name]))

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:  # noqa: ANN401
        """The states of an optimiser, whole, numbered as that of one device; a joint act."""
        if isinstance(optimizer, LightningOptimizer):
            optimizer = optimizer.optimizer
        found: dict[str, Any] = optimizer.state_dict()
        states = {
            number: {name: _kept(value, self.is_global_zero) for name, value in state.items()}
            for number, state in found["state"].items()
        }
        return {**found, "state": states}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Give each rank its share of the optimisers' states."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            numbers = [number for group in saved["param_groups"] for number in group["params"]]
            of = dict(zip(numbers, weights, strict=True))
            states = {
                number: {name: _share(value, of[number]) for name, value in state.items()}
                for number, state in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": states})


class Gathering(L.Callback):
    """Gathers a sharded student where ranks compute different numbers of batches.

    To gather a block is a joint act of all ranks; in validation and in answering, each has batches
    and tokens of its own. There the whole student is gathered once beforehand.
    """

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather the student."""
        gather(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let go of it."""
        scatter(pl_module)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather the student; nothing else follows."""
        gather(pl_module)

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather the student; nothing else follows."""
        gather(pl_module)


def callbacks_of(strategy: Strategy) -> list[L.Callback]:
    """The callbacks that a strategy needs.

    Raises:
        InputError: As `refuse_others`.
    """
    refuse_others(strategy)
    return [Gathering()] if isinstance(strategy, Sharded) else []


def refuse_others(strategy: Strategy) -> None:
    """Refuse a strategy that does not keep our promises, before it starts a process.

    Raises:
        InputError: If the loss would not be that of one process, or a checkpoint not that of the
            trained weights alone; or if a launcher has started another number of processes than
            the strategy expects, and they would wait for one another without end.
    """
    known = isinstance(strategy, SingleDeviceStrategy | DDPStrategy | Sharded)
    if not known or isinstance(strategy, DeepSpeedStrategy):
        raise InputError(
            "this strategy divides the loss or writes checkpoints its own way",
            column="trainer.strategy",
            got=type(strategy).__name__,
            expected="auto, ddp, or that of configs/strategies/fsdp.yaml",
        )
    if isinstance(strategy, DDPStrategy | Sharded) and strategy.cluster_environment:
        devices, nodes = strategy.num_processes, strategy.num_nodes
        try:
            strategy.cluster_environment.validate_settings(num_devices=devices, num_nodes=nodes)
        except ValueError as error:
            raise InputError(str(error), column="trainer.devices") from None


def shard(student: nn.Module, model: PreTrainedModel, strategy: Strategy | None) -> None:
    """Spread a student's weights over the devices of `Sharded`; nothing for other strategies.

    Args:
        student: What is spread, changed in place; its `token_loss` computes with all of it.
        model: The transformers model in it, whose blocks are gathered one at a time. What lies in
            no block (embeddings, output layer) is gathered for a whole step.
        strategy: The trainer's; None without a trainer.

    Raises:
        InputError: If the weights are packed.
    """
    if not isinstance(strategy, Sharded):
        return
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    if getattr(model, "quantization_method", None) is not None:
        raise InputError("packed weights are not sharded", column="model.quantize", expected="null")
    mesh = strategy.device_mesh["data_parallel"]
    names = set(model._no_split_modules or ())
    blocks = [part for part in model.modules() if type(part).__name__ in names]
    for part in (*blocks, student):
        fully_shard(part, mesh=mesh)
    setattr(student, _WAKE, lambda: None)
    for method in ("token_loss", _WAKE):
        register_fsdp_forward_method(student, method)


def gather(module: nn.Module) -> None:
    """Gather a sharded module on every rank until `scatter`: a joint act, nothing for others."""
    if not hasattr(module, _WAKE):
        return
    # FSDP takes for the root whichever part computes first, so the root does something before.
    getattr(module, _WAKE)()
    for part in _parts(module):
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()


def scatter(module: nn.Module) -> None:
    """Let go of what `gather` gathered."""
    for part in _parts(module) if hasattr(module, _WAKE) else []:
        part.reshard()
        # The root's weights are wanted again at once, by the backward pass.
        part.set_reshard_after_forward(part is not module, recurse=False)


@contextmanager
def gathered(module: nn.Module) -> Iterator[None]:
    """The whole module on every rank, to answer with; a joint act."""
    gather(module)
    try:
        yield
    finally:
        scatter(module)


def whole(tensor: Tensor) -> Tensor:
    """A tensor as one, where it may be spread over ranks: a joint act then."""
    full = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()


def _kept(value: Any, keep: bool) -> Any:  # noqa: ANN401 - states hold plain numbers too
    """A value of a checkpoint, whole and on the CPU; None where this rank does not keep it."""
    full = whole(value) if isinstance(value, Tensor) else value
    if not keep:
        return None
    return full.cpu() if isinstance(full, Tensor) else full


def _share(value: Any, weight: Tensor) -> Any:  # noqa: ANN401
    """This rank's share of a whole value that belongs to a weight; step counts have none."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(weight, DTensor) or not isinstance(value, Tensor) or value.dim() == 0:
        return value
    on_device = value.to(weight.device)
    # Every rank has read the same file: nobody needs to send anything.
    return distribute_tensor(on_device, weight.device_mesh, weight.placements, src_data_rank=None)


def _parts(module: nn.Module) -> list[FSDPModule]:
    from torch.distributed.fsdp import FSDPModule

    return [part for part in module.modules() if isinstance(part, FSDPModule)]
