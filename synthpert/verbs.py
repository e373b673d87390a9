"""The table of verbs, in the order of the work, which the front door reads."""

from __future__ import annotations

from typing import Final, NamedTuple


class Verb(NamedTuple):
    """One line of the table.

    Args:
        name: What is typed after `synthpert`.
        module: Where its `main(args)` is.
        line: What it does, in one line.
        example: A command line that works, without the leading `synthpert`.
        keeps_name: Whether `main` is given the name too, because it serves several verbs.
    """

    name: str
    module: str
    line: str
    example: str
    keeps_name: bool = False


VERBS: Final = (
    Verb(
        "doctor",
        "tools.doctor",
        "is this machine fit: versions, GPU, disk, keys; a remedy for each fault",
        "doctor",
    ),
    Verb(
        "recipes",
        "tools.recipes",
        "the shipped recipes: list them, read one, copy one",
        "recipes ls",
    ),
    Verb(
        "check",
        "tools.check",
        "is a recipe well-formed, and is what it names there; in seconds",
        "check configs/tuples_cpu.yaml",
    ),
    Verb("data", "tools.data", "download the benchmark; audit its leakage", "data audit"),
    Verb(
        "traces",
        "tools.traces",
        "let a teacher explain the training questions and a critic grade it",
        "traces make --config configs/traces.yaml",
    ),
    Verb(
        "preview",
        "tools.preview",
        "what the model sees, token by token; dropped rows, lengths",
        "preview --config configs/tuples_cpu.yaml",
    ),
    Verb(
        "estimate",
        "tools.estimate",
        "tokens, FLOPs, hours and memory of a recipe on a GPU",
        "estimate --config configs/synthpert.yaml --gpu A100",
    ),
    Verb(
        "fit",
        "synthpert.cli",
        "train a student on traces or on raw tuples",
        "fit --config configs/tiny.yaml --run runs/tiny",
        keeps_name=True,
    ),
    Verb(
        "validate",
        "synthpert.cli",
        "the loss of a checkpoint on the validation traces",
        "validate --config configs/tiny.yaml --run runs/tiny --ckpt_path last",
        keeps_name=True,
    ),
    Verb(
        "test",
        "synthpert.cli",
        "answer the test questions: predictions and their scores",
        "test --config configs/tiny.yaml --run runs/tiny --ckpt_path last",
        keeps_name=True,
    ),
    Verb(
        "predict",
        "synthpert.cli",
        "answer questions of your own: predictions",
        "predict --config configs/tiny.yaml --run runs/tiny --ckpt_path last",
        keeps_name=True,
    ),
    Verb(
        "hits",
        "tools.hits",
        "predictions as a biologist reads them: top genes, heat map, pathways",
        "hits predictions-gene-prior.parquet --out hits",
    ),
    Verb(
        "serve",
        "tools.serve",
        "a local page that asks a trained student",
        "serve --run runs/tiny",
    ),
    Verb(
        "ask",
        "tools.ask",
        "put the test questions to any language model: predictions",
        "ask --model offline/knowledge --questions 500",
    ),
    Verb(
        "baseline",
        "tools.baseline",
        "answer the test questions with a baseline: predictions",
        "baseline gene-prior --out predictions-gene-prior.parquet",
    ),
    Verb(
        "convert",
        "tools.convert",
        "predicted expression of other programs (GEARS, scGPT, State): predictions",
        "convert k562=gears.h5ad --out predictions-gears.parquet",
    ),
    Verb(
        "score",
        "tools.score",
        "every metric of the benchmark for one or more prediction files",
        "score predictions-gene-prior.parquet",
    ),
    Verb(
        "report",
        "tools.report",
        "one page to mail: figures, curves, predictions; or the tables of the paper",
        "report predictions-gene-prior.parquet",
    ),
    Verb(
        "export",
        "tools.export",
        "a trained student for other programs: adapters or a merged model, with a card",
        "export --run runs/synthpert --out export/adapter",
    ),
    Verb(
        "completion",
        "tools.completion",
        "completion of verbs and flags for bash, zsh or tcsh",
        "completion bash",
    ),
)
