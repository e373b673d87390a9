"""Small real parts, built on the spot: tokenizers with the templates that matter, a tiny Llama."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthpert.scratch import Scratch, make_base, split_words

if TYPE_CHECKING:
    import lightning as L
    from transformers import PreTrainedTokenizerFast

R1_TEMPLATE = Path(__file__).parent / "data" / "deepseek_r1_distill_llama.jinja"
CHATML_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REASONING = "AARS loads alanine.\nIts loss  stalls k562 ribosomes."


def byte_tokenizer(
    special: list[str], template: str, bos: str | None, eos: str, pad: str | None = None
) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer, one id a byte, with special tokens and a chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={x: i for i, x in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(word, special=True) for word in special])
    # R1-distill registers the thought's tags as added but not special tokens.
    core.add_tokens([AddedToken(word, special=False) for word in ("<think>", "</think>")])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=bos, eos_token=eos, pad_token=pad or eos
    )
    tokenizer.chat_template = template
    return tokenizer


def r1_tokenizer() -> PreTrainedTokenizerFast:
    """The shape of R1-distill's: template, BOS, and padding that is the end of sequence."""
    bos, eos = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
    special = [bos, eos, "<｜User｜>", "<｜Assistant｜>"]
    return byte_tokenizer(special, R1_TEMPLATE.read_text(encoding="utf-8"), bos, eos)


def chatml_tokenizer() -> PreTrainedTokenizerFast:
    """The shape of Qwen's: ChatML and no BOS."""
    return byte_tokenizer(["<|im_start|>", "<|im_end|>"], CHATML_TEMPLATE, None, "<|im_end|>")


def tiny_base(folder: Path, *, opens_thought: bool = False, width: int = 16, seed: int = 0) -> str:
    """A folder with an untrained two-layer Llama whose words are those of a few questions."""
    texts = [
        "k562 AARS A2M",
        " AARS A2M NA",
        "unchanged",
        "upregulated",
        "downregulated",
        "<answer>not differentially expressed</answer>",
        "<think>\n</think>\n",
        REASONING,
    ]
    size = Scratch(
        hidden_size=width,
        layers=2,
        heads=2,
        intermediate_size=2 * width,
        max_positions=1024,
        opens_thought=opens_thought,
        seed=seed,
    )
    make_base(folder, size, split_words(texts))
    return str(folder)


def write_benchmark(
    folder: Path,
    train: int = 12,
    test: int = 3,
    genes: int = 4,
    cell_lines: tuple[str, ...] = ("k562", "rpe1"),
) -> Path:
    """PerturbQA in small: every perturbation with every gene, labels in turn, two cell lines.

    Perturbations P0, P1, ... of the train split, T0, T1, ... of the test split; in the second line
    the last of the train split is one of its test split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for line, cell_line in enumerate(cell_lines):
        perts = [f"P{i}" for i in range(train)] + [f"T{i}" for i in range(test)]
        rows = [(pert, f"G{j}", i + j + line) for i, pert in enumerate(perts) for j in range(genes)]
        moved = {f"P{train - 1}"} if line else set()
        de, direction = ["pert,gene,label,split"], ["pert,gene,label,split"]
        for pert, gene, turn in rows:
            split = "test" if pert.startswith("T") or pert in moved else "train"
            de.append(f"{pert},{gene},{int(turn % 3 > 0)},{split}")
            if turn % 3:
                direction.append(f"{pert},{gene},{turn % 3 - 1},{split}")
        for task, lines in (("de", de), ("dir", direction)):
            (folder / f"{cell_line}-{task}.csv").write_text("\n".join(lines) + "\n")
    return folder


def quiet_trainer(*callbacks: L.Callback, **options: object) -> L.Trainer:
    """A trainer on the CPU that writes nothing."""
    import lightning as L

    settings = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": any("Checkpoint" in type(each).__name__ for each in callbacks),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "callbacks": list(callbacks),
        **options,
    }
    return L.Trainer(**settings)


def attach(module: L.LightningDataModule, student: L.LightningModule) -> None:
    """Give a data module the trainer and the student that a fit would give it."""
    module.trainer = quiet_trainer()
    module.trainer.strategy.connect(student)
