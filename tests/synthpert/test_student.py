"""The student: its loss over a whole step, its adapters and types, what a checkpoint holds."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
import torch
from tiny import REASONING, quiet_trainer, tiny_base
from transformers.utils import ModelOutput

from data_modules.batching import LabelledExample, collate
from synthpert import bases
from synthpert.errors import InputError
from synthpert.losses import CrossEntropy, Supervised, TokenLoss
from synthpert.prompts.evidence import Evidence
from synthpert.questions import LABELS, Label, Question
from synthpert.scratch import Scratch
from synthpert.student import Student

LORA = bases.Lora(r=4, alpha=4, targets=("q_proj", "v_proj", "down_proj"))
GENES = ("A2M", "NA", "HLA-A", "AARS", "TP53", "MYC", "B2M", "GAPDH")
TEXTS = (REASONING, None, "So.", None, REASONING * 3, "Loss of it.", None, REASONING)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("student") / "base")


def make(base: str, **options: object) -> Student:
    settings = {"base": base, "prompts": "compact", "dtype": "float32", **options}
    student = Student(**settings)  # type: ignore[arg-type]
    student.configure_model()
    return student


def rows(student: Student) -> list[LabelledExample]:
    questions = [Question("k562", "AARS", gene) for gene in GENES]
    labels = [LABELS[i % 3] for i in range(len(GENES))]
    made = student.encoder.examples(questions, labels, TEXTS)
    return [LabelledExample(x, LABELS.index(y)) for x, y in zip(made, labels, strict=True)]


def batch(student: Student, part: slice = slice(None)) -> dict[str, torch.Tensor]:
    return collate(rows(student)[part], student.encoder.tokenizer.pad_token_id)


def test_padded_batch_has_the_loss_of_its_examples_one_by_one(base: str) -> None:
    student = make(base)
    together, count = student.token_loss(batch(student))
    apart = [student.token_loss(batch(student, slice(i, i + 1))) for i in range(len(GENES))]
    torch.testing.assert_close(together, sum(total for total, _ in apart), rtol=1e-5, atol=1e-5)
    assert int(count) == sum(int(n) for _, n in apart)


def test_loss_is_that_of_the_models_own_logits(base: str) -> None:
    student = make(base)
    data = batch(student)
    logits = student.causal_lm(input_ids=data["input_ids"]).logits[:, :-1]
    expected = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), data["labels"][:, 1:].flatten(), reduction="sum"
    )
    torch.testing.assert_close(student.token_loss(data)[0], expected, check_dtype=False)


def test_chunked_loss_equals_the_whole(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    student = make(base)
    data = batch(student)
    whole, _ = student.token_loss(data)
    whole.backward()
    expected = [p.grad.clone() for p in student.parameters()]
    student.zero_grad()
    monkeypatch.setattr("synthpert.chunked.LOGITS_AT_ONCE", 7 * student.causal_lm.vocab_size)
    chunked, _ = student.token_loss(data)
    chunked.backward()
    torch.testing.assert_close(chunked, whole)
    for p, grad in zip(student.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, grad)


def test_a_model_that_scales_its_logits_is_trained_on_them(base: str) -> None:
    student = make(base)
    forward = student.causal_lm.forward

    def capped(*args: object, **options: object) -> ModelOutput:
        out = forward(*args, **options)
        out.logits = 0.1 * torch.tanh(out.logits)
        return out

    student.causal_lm.forward = capped
    assert not bases.head_is_last(student.causal_lm)
    student._head_is_last = False
    data = batch(student)
    targets = data["labels"][:, 1:].flatten()
    logits = capped(input_ids=data["input_ids"]).logits[:, :-1].flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    torch.testing.assert_close(student.token_loss(data)[0], expected, check_dtype=False)


def fit(base: str, sizes: list[int], accumulate: int) -> tuple[list[float], dict]:
    """Losses and weights after steps over the same eight examples in micro-batches."""
    torch.manual_seed(0)
    student = make(base, learning_rate=1e-2, warmup_steps=0, schedule="constant")
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    batches = [batch(student, slice(a, a + n)) for a, n in zip(starts, sizes, strict=True)]
    losses: list[float] = []

    class Losses(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *rest: object) -> None:
            losses.append(float(trainer.callback_metrics.get("train_loss", 0.0)))

    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=3,
        accumulate_grad_batches=accumulate,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Losses()],
    )
    trainer.fit(student, torch.utils.data.DataLoader(batches, batch_size=None))
    return losses[accumulate - 1 :: accumulate], dict(student.named_parameters())


def test_micro_batches_do_not_change_the_step(base: str) -> None:
    whole, weights = fit(base, [8], 1)
    split, same = fit(base, [1, 3, 2, 2], 4)
    assert split == pytest.approx(whole, abs=1e-6)
    for name, p in weights.items():
        torch.testing.assert_close(p, same[name], rtol=0, atol=1e-6)


def test_lora_trains_only_adapters_and_in_float32(base: str) -> None:
    student = make(base, lora=LORA, dtype="bfloat16")
    trained = {name: p.dtype for name, p in student.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert set(trained.values()) == {torch.float32}
    frozen = {p.dtype for p in student.parameters() if not p.requires_grad}
    assert torch.bfloat16 in frozen


def test_four_bit_base_is_trained_through_on_a_cpu(tmp_path: Path) -> None:
    # Wide enough for a block of 64 weights to have one scale.
    base = tiny_base(tmp_path / "wide", width=64)
    student = make(base, lora=LORA, quantize="4bit", dtype="bfloat16")
    assert any("Params4bit" in type(p).__name__ for p in student.parameters())
    student.train()
    total, _ = student.token_loss(batch(student))
    total.backward()
    grads = [p.grad for p in student.parameters() if p.requires_grad]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)


def test_four_bit_base_without_adapters_is_refused() -> None:
    with pytest.raises(InputError, match="4-bit base cannot be trained"):
        Student("any", quantize="4bit")


def test_unknown_layers_for_the_adapters_are_refused(base: str) -> None:
    with pytest.raises(InputError, match=r"model\.lora\.targets"):
        make(base, lora=bases.Lora(targets=("nowhere",)))


def test_missing_base_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.base: cannot load") as error:
        make(str(tmp_path / "nothing"))
    assert "\n" not in str(error.value)


def test_student_is_built_without_weights() -> None:
    student = Student("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", lora=bases.Lora())
    assert student.network is None
    assert not list(student.parameters())


def test_trained_weights_in_bfloat16_are_refused(base: str) -> None:
    with pytest.raises(InputError, match="not float32"):
        make(base, dtype="bfloat16").on_fit_start()


def test_network_is_in_train_mode_when_training_starts(base: str) -> None:
    student = make(base)
    student.trainer = quiet_trainer()
    assert not student.network.training
    student.on_train_start()
    assert all(module.training for module in student.network.modules())


def test_class_of_the_users_own_is_the_loss(base: str) -> None:
    class Doubled(TokenLoss):
        def forward(self, logits: torch.Tensor, supervised: Supervised) -> torch.Tensor:
            return 2 * CrossEntropy()(logits, supervised)

    plain, doubled = make(base), make(base, loss=Doubled())
    data = batch(plain)
    torch.testing.assert_close(doubled.token_loss(data)[0], 2 * plain.token_loss(data)[0])


def test_loss_is_told_which_tokens_are_the_answer_and_of_which_label(base: str) -> None:
    seen = []

    class Spy(CrossEntropy):
        def forward(self, logits: torch.Tensor, supervised: Supervised) -> torch.Tensor:
            seen.append(supervised)
            return super().forward(logits, supervised)

    student = make(base, loss=Spy())
    student.token_loss(batch(student, slice(0, 1)))
    words = student.encoder.tokenizer.convert_ids_to_tokens(seen[0].targets[seen[0].in_answer])
    assert words == ["unchanged", "<|end|>"]
    assert seen[0].label.tolist() == [0] * len(seen[0].targets)


def test_predictions_come_in_order_with_probabilities(base: str) -> None:
    student = make(base)
    questions = [Question("k562", "AARS", gene) for gene in GENES]
    table = student.predictions(questions, [Label.UP] * len(GENES))
    assert table["gene"].to_list() == list(GENES)
    read = table.filter(table["answer"].is_not_null())
    sums = read.select("p_not_de", "p_up", "p_down").sum_horizontal()
    assert sums.to_list() == pytest.approx([1.0] * len(read))


def checkpoint_of(student: Student) -> dict:
    saved = {"state_dict": student.state_dict()}
    student.on_save_checkpoint(saved)
    return saved


@pytest.fixture
def attached(base: str) -> Student:
    student = make(base, lora=LORA)
    student.trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    student.trainer.training = True
    return student


def test_checkpoint_holds_adapters_only(attached: Student) -> None:
    assert all("lora_" in key for key in checkpoint_of(attached)["state_dict"])


def test_checkpoint_names_its_prompt_set_and_base(attached: Student) -> None:
    identity = checkpoint_of(attached)["student"]
    assert identity["prompt_id"] == attached.prompts.prompt_id
    assert Path(attached.base).name in identity["base"]


def test_own_checkpoint_is_accepted(attached: Student) -> None:
    attached.on_load_checkpoint(checkpoint_of(attached))


@pytest.mark.parametrize("key", ["base", "lora", "prompt_id"])
def test_checkpoint_of_another_student_is_refused(attached: Student, key: str) -> None:
    saved = checkpoint_of(attached)
    saved["student"][key] = "another"
    with pytest.raises(InputError, match=f"{key}: the checkpoint is of another student"):
        attached.on_load_checkpoint(saved)


def test_checkpoint_that_lacks_an_adapter_is_refused(attached: Student) -> None:
    saved = checkpoint_of(attached)
    missing = saved["state_dict"].popitem()[0]
    with pytest.raises(InputError, match=missing):
        attached.on_load_checkpoint(saved)


def test_checkpoint_trained_with_other_evidence_is_refused(base: str, tmp_path: Path) -> None:
    saved, prompts = {}, {}
    for name in ("Ribosome", "Proteasome"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sets.gmt").write_text(f"{name}\tx\tAARS\tA2M\n")
        student = make(base, prompts="short_context", evidence=Evidence(tmp_path / name))
        student.trainer = quiet_trainer()
        student.trainer.training = True
        saved[name], prompts[name] = checkpoint_of(student), student
    prompts["Ribosome"].on_load_checkpoint(saved["Ribosome"])
    with pytest.raises(InputError, match="prompt_id: the checkpoint is of another student"):
        prompts["Ribosome"].on_load_checkpoint(saved["Proteasome"])


def test_another_prompt_set_may_be_asked(attached: Student) -> None:
    saved = checkpoint_of(attached)
    saved["student"]["prompt_id"] = "another"
    attached.trainer.testing = True
    attached.on_load_checkpoint(saved)


def test_linear_schedule_of_an_endless_fit_is_refused(base: str) -> None:
    student = make(base)
    trainer = quiet_trainer(max_epochs=-1)
    loader = torch.utils.data.DataLoader([batch(student)], batch_size=None)
    with pytest.raises(InputError, match="a linear schedule needs an end"):
        trainer.fit(student, loader)


def test_model_from_nothing_without_texts_is_refused(base: str) -> None:
    student = make(base, scratch=Scratch())
    student.trainer = quiet_trainer()
    with pytest.raises(InputError, match="takes its words from the data"):
        student.prepare_data()


def test_step_that_an_interrupt_cut_short_weighs_nothing_in_the_next_fit(base: str) -> None:
    student = make(base)
    student.trainer = quiet_trainer()
    student._step_loss.append(torch.tensor(99.0))
    student._step_tokens.append(torch.tensor(99))
    student.on_train_start()
    assert not student._step_loss
    assert not student._step_tokens


def test_step_is_divided_by_its_tokens_before_it_is_clipped(base: str) -> None:
    student = make(base, learning_rate=1e-12)
    norms: list[float] = []

    class Norms(L.Callback):
        def on_before_zero_grad(
            self, trainer: L.Trainer, module: L.LightningModule, *rest: object
        ) -> None:
            grads = [p.grad for p in module.parameters() if p.grad is not None]
            if grads:
                norms.append(float(torch.nn.utils.get_total_norm(grads)))

    trainer = quiet_trainer(Norms(), max_steps=2, max_epochs=-1, gradient_clip_val=1e-3)
    trainer.fit(student, torch.utils.data.DataLoader([batch(student)], batch_size=None))
    assert norms[-1] == pytest.approx(1e-3, rel=1e-3)
    assert float(trainer.callback_metrics["grad_norm"]) > 1e-3


def test_checkpoint_holds_the_random_states(attached: Student) -> None:
    (states,) = checkpoint_of(attached)["random_states"]
    assert set(states) == {"python", "numpy", "torch", "cuda"}


def test_checkpoint_of_the_same_base_under_another_path_is_accepted(
    attached: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoint_of(attached)
    monkeypatch.chdir(Path(attached.base).parent)
    attached.base = Path(attached.base).name
    attached.on_load_checkpoint(saved)


def test_adapters_train_under_mixed_precision_with_clipping(base: str) -> None:
    student = make(base, lora=LORA, dtype="bfloat16")
    before = {name: p.clone() for name, p in student.named_parameters() if p.requires_grad}
    trainer = L.Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        gradient_clip_val=1.0,
        max_steps=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(student, torch.utils.data.DataLoader([batch(student)] * 2, batch_size=None))
    after = dict(student.named_parameters())
    assert any(not torch.equal(p, after[name]) for name, p in before.items())


@pytest.mark.parametrize("name", ["learning_rate", "max_tokens"])
def test_number_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"model\.{name}: must be above 0 \(got -1\)"):
        Student("any", **{name: -1})  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("r", 0), ("dropout", 1.0)])
def test_adapters_that_make_no_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"model\.lora\.{name}: not a"):
        bases.Lora(**{name: value})  # type: ignore[arg-type]
