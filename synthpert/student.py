"""The student: a causal language model that learns to reason from traces.

Any Hugging Face causal language model, by name or folder; LoRA by PEFT on a bfloat16 (or 4-bit)
base, or full fine-tuning. Weights are built in `configure_model`, so a configuration of an 8B model
is instantiated and checked without them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lightning as L
import torch
from torch import Tensor

from synthpert import bases, layouts, sharding
from synthpert.answering import answer
from synthpert.checkpoints import state as checkpoints
from synthpert.chunked import sum_over_supervised
from synthpert.encoding import Encoder, LossOn, Template
from synthpert.errors import InputError
from synthpert.generation import Decoding, Engine, engines
from synthpert.losses import CrossEntropy, TokenLoss
from synthpert.optimisation import adamw, warmed_up
from synthpert.prompts import load_prompts
from synthpert.prompts.evidence import Evidence
from synthpert.questions import Label, to_questions
from synthpert.scratch import Scratch

if TYPE_CHECKING:
    import polars as pl
    from transformers import PreTrainedModel

    from synthpert.questions import Question

log = logging.getLogger(__name__)


class Student(L.LightningModule):
    """Fine-tunes a base model on examples and answers questions with it.

    A batch is a dict of `input_ids` and `labels` (B, T) int64, right-padded, `lengths`,
    `answer_start` and `label` (B,) int64, as `data_modules.batching.collate` makes it.

    Args:
        base: Name or folder of a Hugging Face causal language model.
        prompts: Name of a prompt set, or the path of a YAML file.
        max_tokens: Longer examples are dropped and counted, never cut.
        loss_on: Tokens trained on: the completion, everything, or the answer alone.
        template: `own`, or `as_shipped` to send completions through the chat template.
        lora: The adapters; null for full fine-tuning.
        quantize: `4bit` loads the base in NF4 by bitsandbytes; needs `lora`.
        dtype: Type of the base's weights. Adapters and optimiser states are float32 always.
        loss: Loss of the supervised tokens, by `class_path`; cross entropy if null.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Decoupled weight decay of AdamW.
        warmup_steps: Optimiser steps of linear warm-up.
        schedule: What follows the warm-up: `linear` decay to zero, or `constant`.
        gradient_checkpointing: Recompute activations in the backward pass to save memory.
        layout: `flattened` trains without padding, `auto` does where the model can, or `padded`.
        decoding: How completions are decoded when questions are answered.
        scratch: If given, a base that does not exist yet is made from nothing in this size.
        evidence: What a prompt set with the slot `{evidence}` lists; others leave it alone.
        engine: What answers: `hf` the live model, `vllm` that program (for test and predict).
    """

    def __init__(
        self,
        base: str,
        prompts: str = "paper",
        max_tokens: int = 2048,
        loss_on: LossOn = "completion",
        template: Template = "own",
        lora: bases.Lora | None = None,
        quantize: Literal["4bit"] | None = None,
        dtype: Literal["bfloat16", "float32"] = "bfloat16",
        loss: TokenLoss | None = None,
        learning_rate: float = 1e-4,
        weight_decay: float = 0.0,
        warmup_steps: int = 5,
        schedule: Literal["linear", "constant"] = "linear",
        gradient_checkpointing: bool = False,
        layout: layouts.Layout = "auto",
        decoding: Decoding = Decoding(),  # noqa: B008 - frozen
        scratch: Scratch | None = None,
        evidence: Evidence = Evidence(),  # noqa: B008 - frozen
        engine: engines.EngineName = "hf",
    ) -> None:
        super().__init__()
        if quantize and lora is None:
            raise InputError("a 4-bit base cannot be trained itself", column="model.lora")
        for name, value in (("learning_rate", learning_rate), ("max_tokens", max_tokens)):
            if value <= 0:
                raise InputError("must be above 0", column=f"model.{name}", got=value)
        self.base, self.lora, self.quantize, self.dtype_name = base, lora, quantize, dtype
        self.prompts = load_prompts(prompts, evidence)
        self.max_tokens, self.loss_on, self.template = max_tokens, loss_on, template
        self.loss = loss or CrossEntropy()
        self.learning_rate, self.weight_decay, self.scratch = learning_rate, weight_decay, scratch
        self.warmup_steps, self.schedule, self.layout = warmup_steps, schedule, layout
        self.gradient_checkpointing, self.decoding = gradient_checkpointing, decoding
        self.network: torch.nn.Module | None = None
        self.engine_name = engine
        self.engine: Engine | None = None
        # The frozen base is not saved, so `on_load_checkpoint` checks the keys instead.
        self.strict_loading = False
        self._step_loss: list[Tensor] = []
        self._step_tokens: list[Tensor] = []
        self._step_random: dict[str, Any] | None = None

    @cached_property
    def encoder(self) -> Encoder:
        """The renderer of this student's tokenizer and prompt set; loads the tokenizer."""
        tokenizer = bases.load_tokenizer(self.base)
        return Encoder(tokenizer, self.prompts, self.max_tokens, self.loss_on, self.template)

    @property
    def causal_lm(self) -> PreTrainedModel:
        """The transformers model with the adapters in place."""
        network: Any = self.network
        if network is None:
            raise RuntimeError("configure_model has not run yet")
        model: PreTrainedModel = getattr(network, "get_base_model", lambda: network)()
        return model

    def prepare_data(self) -> None:
        """Make the base from nothing where `scratch` asks for one; once a node."""
        # To answer, the base is there already, and the checkpoint says whether it is the one.
        answers = self.trainer.testing or self.trainer.predicting
        if self.scratch is None or (answers and Path(self.base).exists()):
            return
        data: Any = getattr(self.trainer, "datamodule", None)
        if not hasattr(data, "texts"):
            raise InputError("a model from nothing takes its words from the data", column="data")
        bases.ensure_scratch(Path(self.base), self.scratch, data.texts(self.prompts))

    def configure_callbacks(self) -> list[L.Callback]:
        """What the trainer's strategy needs; a strategy that keeps no promise is refused."""
        return sharding.callbacks_of(self.trainer.strategy)

    def configure_model(self) -> None:
        """Load the base, put the adapters on it, choose how the loss is computed."""
        if self.network is not None:
            return
        engines.refuse(self)
        device = self._trainer.strategy.root_device if self._trainer else torch.device("cpu")
        form = (self.base, self.dtype_name, self.quantize, self.lora)
        self.network = bases.load_network(*form, device)
        if self.gradient_checkpointing:
            self.causal_lm.gradient_checkpointing_enable({"use_reentrant": False})
        self.engine = engines.build(self)
        self._head_is_last = bases.head_is_last(self.causal_lm)
        self._flattened = layouts.choose(self.causal_lm, self.layout)
        log.info("%s: %s", self.name, bases.count_of(self))
        sharding.shard(self, self.causal_lm, getattr(self._trainer, "strategy", None))

    def on_fit_start(self) -> None:
        """Hold the types that training relies on: trained weights and optimiser in float32."""
        bases.refuse_narrow(self)

    def on_train_start(self) -> None:
        """Put the network in train mode: `from_pretrained` leaves it in eval, and Lightning too.

        The random states are those of the checkpoint, so that dropout goes on as it would have.
        """
        assert self.network is not None
        self.network.train()
        checkpoints.open_next_epoch(self.trainer.fit_loop)
        self._step_loss.clear()
        self._step_tokens.clear()
        if self._step_random is not None:
            checkpoints.restore_random_states(self._step_random, self.device)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Note the random states at the start of an optimiser step, where a resumed run begins."""
        if batch_idx % self.trainer.accumulate_grad_batches == 0:
            self._step_random = checkpoints.random_states(self.device)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Sum the loss over the supervised tokens of a micro-batch.

        Returns:
            A scalar whose gradient, after Lightning's division by micro-batches and ranks, is that
            of the sum; `on_before_optimizer_step` divides by the tokens of the whole step.
        """
        total, count = self.token_loss(batch)
        self._step_loss.append(total.detach())
        self._step_tokens.append(count)
        return total * (self.trainer.accumulate_grad_batches * self.trainer.world_size)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the supervised tokens of all micro-batches and ranks."""
        parts = (self._step_loss, self._step_tokens)
        sums = torch.stack([torch.stack(part).double().sum() for part in parts])
        loss, tokens = self.trainer.strategy.reduce(sums, reduce_op="sum")
        tokens = tokens.where(tokens > 0, 1.0)
        for part in parts:
            part.clear()
        self._step_random = None
        grads = [p.grad for p in self.parameters() if p.grad is not None]
        torch._foreach_mul_(grads, 1.0 / float(tokens))
        norm = sharding.whole(torch.nn.utils.get_total_norm(grads))
        facts = {"train_loss": (loss / tokens).float(), "grad_norm": norm}
        self.log_dict(facts, on_step=True, on_epoch=False, prog_bar=True)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Log the mean loss a supervised token over the whole validation set."""
        total, count = self.token_loss(batch)
        mean = total / count.where(count > 0, 1.0)
        self.log("val_loss", mean, batch_size=int(count), sync_dist=True, prog_bar=True)

    def token_loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Sum the loss over the supervised tokens of a batch, and count them."""
        flat = self._flattened and (self.layout == "flattened" or layouts.pays(batch))
        return sum_over_supervised(self.causal_lm, batch, self.loss, self._head_is_last, flat)

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - one of Lightning's eight forms
        """AdamW over the trained weights, linear warm-up, then the schedule."""
        plus = self.lora.plus if self.lora else None
        # Lightning clips no gradients of a fused optimiser under mixed precision.
        fused = self.trainer.precision == "32-true"
        optimizer = adamw(self, self.learning_rate, self.weight_decay, plus=plus, fused=fused)
        scheduler = warmed_up(
            optimizer,
            self.schedule,
            self.warmup_steps,
            lambda: self.trainer.estimated_stepping_batches,
        )
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, pl.DataFrame]:
        """Answer the table `batch["questions"]`; `predictions` holds a row each."""
        table = batch["questions"]
        known = table["label"] if "label" in table.columns else [None] * len(table)
        labels = [None if label is None else Label(label) for label in known]
        return {"predictions": self.predictions(to_questions(table), labels)}

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, pl.DataFrame]:
        """Answer a batch of questions, as `test_step` does."""
        return self.test_step(batch, batch_idx)

    def predictions(
        self,
        questions: Sequence[Question],
        labels: Sequence[Label | None],
        *,
        probabilities: bool = True,
    ) -> pl.DataFrame:
        """Answer questions as `decoding` says.

        Args:
            questions: N questions.
            labels: What is known of their outcome, copied into the table.
            probabilities: Whether to score the three labels after the model's own reasoning.

        Returns:
            N rows of `PREDICTION_SCHEMA`, in order; the model's mode and the random state are as
            they were.
        """
        assert self.engine is not None
        parts = (self.engine, self.encoder, questions, labels, self.decoding)
        return answer(*parts, probabilities=probabilities, model=self.name)

    @property
    def name(self) -> str:
        """The base's name and whether it carries adapters."""
        return Path(self.base).name + ("+lora" if self.lora else "")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was trained and what it was trained on; the base is not ours to copy."""
        checkpoints.keep_trained(self, checkpoint, self._identity)
        checkpoint["terms"] = checkpoints.terms(self)
        own = self._step_random or checkpoints.random_states(self.device)
        checkpoint["random_states"] = checkpoints.of_all_ranks(own)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another base, other adapters or, to train on, another prompt set.

        Raises:
            InputError: Which of these differs, or that the engine cannot have it.
        """
        engines.refuse_whole(self)
        to_train = bool(self.trainer.training)
        checkpoints.refuse_another(self, checkpoint, self._identity, to_train)
        if to_train and "loops" in checkpoint:
            checkpoints.go_on(checkpoint, checkpoints.terms(self))
            found = checkpoint.get("random_states")
            self._step_random = checkpoints.of_rank(found, self.global_rank)

    @cached_property
    def _identity(self) -> dict[str, str]:
        return {
            "base": bases.identity(self.base, self.causal_lm, self.encoder.tokenizer),
            "lora": str(self.lora),
            "prompt_id": self.prompts.prompt_id,
        }
