"""How fast and how often right `offline/knowledge` is, with how much evidence.

    python benchmarks/knowledge_teacher.py [--knowledge DIR] [--data DIR] [--questions 2000]

Four draws: train and test questions, in natural shares and with equal numbers of the three labels.
For each: questions a minute of teacher and critic together (prompts and parsers included, journal
and engine not), the share that is right label-blind, the share of excellent grades when told, and
clauses with a source a thought. Test questions are looked at for these figures only. Then
`traces make` end to end over train questions: draw, engine, journal and export included.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from synthpert.answers import Grade, parse_answer, parse_grade
from synthpert.knowledge import Knowledge, TrainOutcomes
from synthpert.prompts import PromptSet, load_prompts
from synthpert.questions import LABELS, Label, read_questions, split_questions, to_questions
from synthpert.traces.gates import gate
from tools.traces.engines import offline
from tools.traces.make import make
from tools.traces.offline.knowledge import KnowledgeTeacher
from tools.traces.settings import Model, Settings


def draw(table: pl.DataFrame, count: int, *, balanced: bool) -> pl.DataFrame:
    """Questions in natural shares, or equal numbers of the labels; shuffled, seeded."""
    if not balanced:
        return table.sample(count, seed=0)
    each = (table.filter(pl.col("label") == label.value) for label in LABELS)
    parts = [part.sample(-(-count // len(LABELS)), seed=0) for part in each]
    return pl.concat(parts).sample(count, shuffle=True, seed=0)


def measure(teacher: KnowledgeTeacher, prompts: PromptSet, table: pl.DataFrame) -> list[str]:
    """One row of the result."""
    pairs = list(zip(to_questions(table), map(Label, table["label"]), strict=True))
    grades: Counter[Grade | None] = Counter()
    passed = sources = words = 0
    start = time.perf_counter(), time.process_time()
    for question, label in pairs:
        text = teacher.reply(prompts.generator_messages(question, label))
        answer = parse_answer(text)
        judged = teacher.reply(prompts.critic_messages(question, answer.reasoning))
        grades[parse_grade(judged).grade] += 1
        passed += gate(answer, question, label, answer.reasoning, text) is None
        sources += answer.reasoning.count("[")
        words += len(answer.reasoning.split())
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    right: Counter[Label] = Counter()
    unknown = 0
    for question, label in pairs:
        found = parse_answer(teacher.reply(prompts.predictor_messages(question))).label
        right[label] += found is label
        unknown += found is None
    asked = Counter(label for _, label in pairs)
    return [
        f"{60 * len(pairs) / wall:,.0f}",
        f"{1000 * cpu / len(pairs):.2f}",
        f"{right.total() / len(pairs):.3f}",
        " / ".join(f"{right[label] / max(asked[label], 1):.2f}" for label in LABELS),
        f"{unknown / len(pairs):.3f}",
        f"{grades[Grade.EXCELLENT] / len(pairs):.3f}",
        f"{passed / len(pairs):.3f}",
        f"{sources / len(pairs):.1f}",
        f"{words / len(pairs):.0f}",
    ]


def make_traces(teacher: KnowledgeTeacher, args: argparse.Namespace) -> str:
    """`traces make` with this teacher as its own critic, in a folder that is removed again."""
    offline.bind("offline/knowledge", teacher.reply)
    model = Model("offline/knowledge")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            questions=args.questions,
            data=args.data,
            knowledge=args.knowledge,
            teacher=model,
            critics=[model],
            journal=Path(folder) / "journal.sqlite",
            out=Path(folder) / "traces.parquet",
        )
        start = time.perf_counter(), time.process_time()
        make(settings)
        wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    return (
        f"traces make, {args.questions:,} questions: {60 * args.questions / wall:,.0f} a minute, "
        f"{1000 * cpu / args.questions:.2f} CPU ms a question"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--knowledge", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--questions", type=int, default=2000)
    args = parser.parse_args()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    knowledge = Knowledge.read(args.knowledge)
    loaded = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    parts = dict(zip(("train", "test"), split_questions(read_questions(args.data)), strict=True))
    teacher = KnowledgeTeacher(knowledge, TrainOutcomes(parts["train"]))
    prompts = load_prompts("paper")
    print(f"knowledge {knowledge.fingerprint}: {loaded:.1f} s, {grown:.0f} MB to load")
    columns = (
        "draw, questions a minute, CPU ms, right label-blind, of not DE / up / down, unknown, "
        "excellent when told, past the gates, sources, words"
    )
    table = Table(*columns.split(", "))
    for name, part in parts.items():
        for balanced in (False, True):
            asked = draw(part, min(args.questions, part.height), balanced=balanced)
            title = f"{name}, {'balanced' if balanced else 'natural'}"
            table.add_row(title, *measure(teacher, prompts, asked))
    Console(width=160).print(table)
    print(make_traces(teacher, args))


if __name__ == "__main__":
    main()
