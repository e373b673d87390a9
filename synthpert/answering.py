"""Questions to predictions: generate, parse, score the three labels, vote over samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl
import torch
from torch import Tensor

from synthpert.answers import Answer, parse_answer
from synthpert.generation.sampling import seed_of
from synthpert.predictions import PREDICTION_SCHEMA
from synthpert.questions import LABELS, Label, Question

if TYPE_CHECKING:
    from synthpert.encoding import Encoder
    from synthpert.generation import Completion, Decoding, Engine


def answer(
    engine: Engine,
    encoder: Encoder,
    questions: Sequence[Question],
    labels: Sequence[Label | None],
    decoding: Decoding,
    *,
    probabilities: bool,
    model: str,
) -> pl.DataFrame:
    """Answer questions in the mode of `decoding`.

    Args:
        engine: Completes prompts, and scores continuations of them.
        encoder: Renders them, and reads completions back.
        questions: N questions.
        labels: What is known of their outcome, copied into the table.
        decoding: With several samples the answer is their vote and the probabilities their mean.
        probabilities: Whether to score the three labels after the model's own reasoning; without a
            thought (`direct`) the scores are the answer, and are always there.
        model: Name written into the table.

    Returns:
        N rows of `PREDICTION_SCHEMA`, in order. An answer that cannot be read is null, and so are
        its probabilities.
    """
    if decoding.mode == "direct":
        rows = _without_thought(engine, encoder, questions, labels, decoding)
        return _table(rows, encoder, decoding, model)
    prompts, stop = encoder.prompt_ids(questions), stop_text(encoder)
    rounds = [
        # Seeds 0 and 1 share no sample, as the sums of seed and sample would.
        engine.complete(prompts, decoding, stop, seed_of(decoding.seed, [sample]))
        for sample in range(decoding.samples)
    ]
    parts = (engine, encoder, questions, labels, rounds, decoding)
    return read_completions(*parts, probabilities=probabilities, model=model)


def stop_text(encoder: Encoder) -> str:
    """The text that ends a completion; empty where only the end of the sequence does."""
    # Only a closing tag says that the answer is over: a full stop also ends sentences before it.
    suffix = encoder.prompts.answer_suffix
    return suffix if suffix.startswith("</") else ""


def read_completions(
    engine: Engine,
    encoder: Encoder,
    questions: Sequence[Question],
    labels: Sequence[Label | None],
    rounds: Sequence[Sequence[Completion]],
    decoding: Decoding,
    *,
    probabilities: bool,
    model: str,
) -> pl.DataFrame:
    """Make predictions of completions that are there already, whoever wrote them.

    Args:
        engine: Scores the labels; not asked for completions.
        encoder: That which rendered the prompts.
        questions: N questions.
        labels: What is known of their outcome, copied into the table.
        rounds: K samples, each of N completions of `encoder.prompt_ids(questions)`.
        decoding: How they were written.
        probabilities: Whether to score the three labels after each completion's reasoning.
        model: Name written into the table.

    Returns:
        N rows as `answer` makes them; `n_samples` is K.
    """
    prompts = encoder.prompt_ids(questions) if probabilities else []
    read = []
    for completions in rounds:
        texts = [encoder.decode(each.ids) for each in completions]
        answers = [
            parse_answer(text, each.finish_reason)
            for text, each in zip(texts, completions, strict=True)
        ]
        shares = torch.full((len(questions), len(LABELS)), float("nan"), dtype=torch.float64)
        if probabilities:
            shares = _shares(engine, encoder, prompts, completions, texts, answers, decoding)
        read.append((completions, texts, answers, shares))
    rows = []
    for i, (question, label) in enumerate(zip(questions, labels, strict=True)):
        samples = [(c[i], t[i], a[i]) for c, t, a, _ in read]
        votes = torch.stack([shares[i] for *_, shares in read])
        rows.append(_row(question, label, samples, votes))
    return _table(rows, encoder, decoding, model, len(rounds))


def _table(
    rows: list[dict[str, object]],
    encoder: Encoder,
    decoding: Decoding,
    model: str,
    samples: int = 1,
) -> pl.DataFrame:
    fixed = {
        "n_samples": samples,
        "mode": decoding.mode,
        "model": model,
        "prompt_id": encoder.prompts.prompt_id,
        "seed": decoding.seed,
        "run": None,
    }
    return pl.DataFrame([{**row, **fixed} for row in rows], schema=PREDICTION_SCHEMA)


def _without_thought(
    engine: Engine,
    encoder: Encoder,
    questions: Sequence[Question],
    labels: Sequence[Label | None],
    decoding: Decoding,
) -> list[dict[str, object]]:
    """Rows of the most probable answers right after the prompts; nothing is written or read."""
    offered = [i for i, each in enumerate(LABELS) if each in encoder.prompts.labels]
    texts = [encoder.completion_text(LABELS[i]) for i in offered]
    choices = [_until_over(encoder, ids) for ids in encoder.text_ids(texts)]
    shares = torch.zeros((len(questions), len(LABELS)), dtype=torch.float64)
    if questions:
        prompts = encoder.prompt_ids(questions)
        every = [choices] * len(prompts)
        shares[:, offered] = engine.choice_probabilities(prompts, every, decoding.batch_size)
    rows = []
    for question, label, found in zip(questions, labels, shares.tolist(), strict=True):
        # A tie goes to the earlier of LABELS.
        best = LABELS[max(offered, key=lambda i, found=found: (found[i], -i))]  # type: ignore[misc]
        rows.append(_facts(question, label, best, found))
    return rows


def _facts(
    question: Question, label: Label | None, answer: Label | None, shares: Sequence[float | None]
) -> dict[str, object]:
    not_de, up, down = shares
    return {
        "cell_line": question.cell_line,
        "pert": question.pert,
        "gene": question.gene,
        "label": label,
        "answer": answer,
        "p_not_de": not_de,
        "p_up": up,
        "p_down": down,
    }


def _row(
    question: Question,
    label: Label | None,
    samples: list[tuple[Completion, str, Answer]],
    shares: Tensor,
) -> dict[str, object]:
    """One prediction: the vote of the samples, and the first sample that agrees with it."""
    read = ~shares.isnan().any(1)
    mean = shares[read].mean(0).tolist() if bool(read.any()) else [None] * len(LABELS)
    given = [parsed.label for *_, parsed in samples if parsed.label is not None]
    # A tie goes to the label with the higher mean probability, then to the earlier of LABELS.
    rank = {each: (given.count(each), mean[i] or 0.0, -i) for i, each in enumerate(LABELS)}
    vote = max(rank, key=lambda each: rank[each]) if given else None
    completion, text, parsed = next(
        sample for sample in samples if vote is None or sample[2].label == vote
    )
    return _facts(question, label, vote, mean) | {
        "reasoning": parsed.reasoning,
        "response": text,
        "parse_status": str(parsed.status),
        "finish_reason": completion.finish_reason,
    }


def _shares(
    engine: Engine,
    encoder: Encoder,
    prompts: list[list[int]],
    completions: Sequence[Completion],
    texts: list[str],
    answers: list[Answer],
    decoding: Decoding,
) -> Tensor:
    """Probabilities of the three labels in place of each answer: (N, 3), NaN where unread.

    The context of a label is the prompt and the model's own reasoning; a label's probability is
    that of its whole answer, opening tag to closing tag, scaled over the labels. The tag that all
    of them share weighs nothing, and is part of it only because a tokenizer may join the tag's end
    to the label's beginning. A label the prompt set cannot answer has probability 0.
    """
    shares = torch.full((len(prompts), len(LABELS)), float("nan"), dtype=torch.float64)
    offered = [i for i, label in enumerate(LABELS) if label in encoder.prompts.labels]
    rows = [i for i, each in enumerate(answers) if each.label is not None]
    contexts, choices = [], []
    known: dict[str, list[list[int]]] = {}
    for row in rows:
        head, rest = _before_answer(encoder, completions[row].ids, texts[row])
        if rest not in known:
            known[rest] = [_choice_ids(encoder, rest, LABELS[i]) for i in offered]
        contexts.append([*prompts[row], *head])
        choices.append(known[rest])
    if rows:
        shares[rows] = 0.0
        found = engine.choice_probabilities(contexts, choices, decoding.batch_size)
        shares[torch.tensor(rows)[:, None], torch.tensor(offered)] = found
    return shares


def _before_answer(encoder: Encoder, ids: list[int], text: str) -> tuple[list[int], str]:
    """Split a completion at its answer: the ids before it, and text a token shares with it."""
    cut = _answer_start(text, encoder.prompts.answer_prefix)
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high + 1) // 2
        if len(encoder.decode(ids[:middle])) <= cut:
            low = middle
        else:
            high = middle - 1
    return ids[:low], text[len(encoder.decode(ids[:low])) : cut]


def _answer_start(text: str, prefix: str) -> int:
    """Where the last opening tag begins; without tags, where the text after the thought does."""
    tags = list(re.finditer(re.escape(prefix), text, re.IGNORECASE)) if prefix else []
    if tags:
        return tags[-1].start()
    thoughts = list(re.finditer(r"</think>\s*", text, re.IGNORECASE))
    return thoughts[-1].end() if thoughts else 0


def _choice_ids(encoder: Encoder, rest: str, label: Label) -> list[int]:
    return _until_over(encoder, encoder.text_ids([rest + encoder.prompts.answer_text(label)])[0])


def _until_over(encoder: Encoder, ids: list[int]) -> list[int]:
    # Without a closing tag only the end of the sequence says that the label is complete.
    return ids if encoder.prompts.answer_suffix else [*ids, encoder.tokenizer.eos_token_id]
