"""`synthpert preview`: what the model sees, token by token, before a GPU is rented.

The recipe's own data module and encoder make the examples, so what is shown is what `fit` trains
on. The tokenizer is loaded, the weights never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError
from tools.building import Flags, build, give_scratch_tokenizer
from tools.preview.tokens import show_example

if TYPE_CHECKING:
    from synthpert.encoding import Example
    from synthpert.questions import Question
    from synthpert.student import Student
    from tools.building import Built

# Lengths of so many examples, spread over the table, say how they are distributed.
_MEASURED: Final = 2000
_BINS: Final = 10
_BAR: Final = 40

_MEANING: Final = {
    "too_long": "longer than model.max_tokens; cut, it would lose its answer",
    "test_split": "of a perturbation of the test split",
    "other_cell_line": "not of data.cell_lines",
    "rebalanced": "left out by rebalance: equal",
    "no_grade": "the critic gave no grade that could be read",
    "grade_too_low": "of a grade that data.grades does not keep",
}


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `preview`.

    Returns:
        The exit code.

    Raises:
        InputError: If the recipe, its data or its tokenizer is wrong.
    """
    parser = Flags(
        "preview",
        "What the model sees, token by token: prompt, supervised span, lengths, dropped rows.\n"
        "Loads the tokenizer and no weights, needs no GPU.",
        "--config FILE [--config OVERLAY] [--n N] [--base NAME] [--KEY VALUE]",
        (
            "preview --config configs/tuples_cpu.yaml",
            "preview --config configs/synthpert.yaml --n 1 --base path/to/tokenizer",
        ),
    )
    parser.add_argument("--n", type=int, default=3, help="examples to show (default: 3)")
    parser.add_argument("--base", help="take the tokenizer of this base: a name or a folder")
    own, words = parser.parse_known_args(args)
    if own.n < 0:
        raise InputError("must not be negative", file="--n", got=own.n)
    preview(build(words, own.base), own.n)
    return 0


def preview(built: Built, n: int) -> None:
    """Show examples, counts, lengths and dropped rows on stdout.

    Args:
        built: What the recipe describes.
        n: How many examples to show, labels in turn.

    Raises:
        InputError: As `fit` would raise it for the data or the tokenizer.
    """
    student, data = built.student, built.data
    give_scratch_tokenizer(built)
    data.setup("fit")
    # The loader's own data set: mixtures and all, whatever the data module makes of its rows.
    examples = data.train_dataloader().loader.dataset
    places = range(0, len(examples), -(-len(examples) // _MEASURED))
    rows = dict(zip(places, examples.__getitems__(places), strict=True))
    for turn, place in enumerate(_chosen(rows, n), 1):
        question = _question(data, place)
        name = "of another data set" if question is None else " ".join(_names(question))
        title = f"Example {turn}: {name}, {_label(rows[place].label)}"
        show_example(student.encoder, rows[place].example, question, title)
    _show_lengths([row.example for row in rows.values()], len(examples), student)
    _show_rows(data)


def _chosen(rows: Mapping[int, Any], n: int) -> list[int]:
    """The first examples of each label in turn, so that all labels are seen."""
    by_label: dict[int, list[int]] = {}
    for place, row in rows.items():
        by_label.setdefault(row.label, []).append(place)
    ranked = sorted(
        (place, label, index)
        for label, found in by_label.items()
        for place, index in enumerate(found[:n])
    )
    return [index for *_, index in ranked[:n]]


def _question(data: Any, place: int) -> Question | None:  # noqa: ANN401 - duck-typed
    """The question of an example, where it is a row of the table."""
    from synthpert.questions import to_questions

    row = data.train[place : place + 1]
    return to_questions(row)[0] if len(row) else None


def _names(question: Question) -> tuple[str, str, str]:
    return question.cell_line, question.pert, question.gene


def _label(index: int) -> str:
    from synthpert.questions import LABELS

    return LABELS[index].value if 0 <= index < len(LABELS) else "no label"


def _show_lengths(examples: Sequence[Example], total: int, student: Student) -> None:
    from synthpert.display import show
    from synthpert.encoding import IGNORED

    lengths = sorted(len(example.input_ids) for example in examples)
    supervised = sum(label != IGNORED for each in examples for label in each.labels)
    low, high = lengths[0], lengths[-1]
    width = max(1, -(-(high - low + 1) // _BINS))
    counts = [0] * ((high - low) // width + 1)
    for length in lengths:
        counts[(length - low) // width] += 1
    rows = [
        (f"{low + i * width} to {min(low + (i + 1) * width - 1, high)}", count, _bar(count, counts))
        for i, count in enumerate(counts)
    ]
    mean = sum(lengths) / len(lengths)
    drawn = "all" if len(lengths) == total else f"{len(lengths):,} of"
    show(
        f"Length of {drawn} {total:,} examples",
        ("tokens", "examples", ""),
        rows,
        f"Mean {mean:,.1f}, median {lengths[len(lengths) // 2]:,}, longest {high:,} of "
        f"{student.max_tokens:,} allowed; {supervised / sum(lengths):.0%} of the tokens are "
        f"supervised (loss_on: {student.loss_on}, template: {student.template}).",
    )


def _bar(count: int, counts: Sequence[int]) -> str:
    return "█" * max(round(_BAR * count / max(counts)), count > 0)


def _show_rows(data: Any) -> None:  # noqa: ANN401 - a data module of this project or a user's
    from synthpert.display import show

    validation = 0 if data.validation is None else len(data.validation)
    dropped = {reason: count for reason, count in data.dropped.most_common() if count}
    used = [("trained on", len(data.train), ""), ("held out to validate on", validation, "")]
    if getattr(data, "mixture", None) is not None:
        mixed = data.mixture.count(len(data.train))
        why = f"{data.mixture.mix.file}: chats beside them in each epoch, not counted below"
        used.append(("mixed in", mixed, why))
    reasons = [
        (f"dropped: {reason}", count, _MEANING.get(reason, "by the gates of the keep rule"))
        for reason, count in dropped.items()
    ]
    everything = len(data.train) + validation + sum(dropped.values())
    show(
        "Rows of the data", ("rows", "count", "why"), [*used, *reasons, ("in all", everything, "")]
    )
