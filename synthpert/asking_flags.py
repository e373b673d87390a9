"""The flags of `test` and `predict` that say what is asked, how, and where the answers go.

Each is a short word for a longer key of the recipe, and the recipe may give that key itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from jsonargparse import Namespace

from synthpert.errors import InputError
from synthpert.predictions import check_suffix
from synthpert.probes import Probe

if TYPE_CHECKING:
    from pathlib import Path

    from jsonargparse import ArgumentParser

WRITER: Final = "callbacks.prediction_writer.PredictionWriter"
"""What writes predictions; a `predict` whose recipe has none gets one."""
_PRODUCT: Final = ("cell_line", "perts", "genes")


def add_flags(parser: ArgumentParser, verb: str) -> None:
    """Add the flags to the parser of a verb.

    Args:
        parser: Its parser.
        verb: `test` or `predict`.
    """

    def flag(name: str, kind: Any, text: str) -> None:  # noqa: ANN401 - a type or a union
        parser.add_argument(name, type=kind, default=None, help=text)

    if verb == "predict":
        flag("--questions", str | None, "your table: cell_line, pert, gene (.csv, .tsv, .parquet)")
        flag("--cell-line", str | None, "one or several, with commas: ask --perts x --genes there")
        flag("--perts", str | None, "perturbed genes: a symbol a line, a column pert, or an .h5ad")
        flag(
            "--genes",
            str | None,
            "measured genes: the same, column gene; or `all` of the benchmark's there",
        )
        flag(
            "--out",
            str | None,
            "the file, .parquet or .csv (default: RUN/predict/predictions.parquet); stopped, the "
            "same command goes on",
        )
    flag(
        "--mode",
        Literal["reason", "vote", "direct"] | None,
        "a thought and an answer, the vote of several, or the most probable label at once",
    )
    flag("--engine", Literal["hf", "vllm"] | None, "what answers: transformers, or vLLM on a GPU")
    flag(
        "--probe",
        Probe | None,
        "ask with names exchanged; the answers are kept under the real questions, in a file of "
        "their own",
    )


def apply_flags(settings: Any) -> None:  # noqa: ANN401 - jsonargparse's namespace
    """Put what the flags say where the recipe has it.

    Args:
        settings: What was parsed of the verb, changed in place.

    Raises:
        InputError: If flags contradict one another, or the recipe's classes know nothing of them.
    """
    if settings.get("probe"):
        _data(settings, "--probe", "probe").probe = settings.probe
    _apply_questions(settings)
    if settings.get("mode"):
        settings.model.decoding.mode = settings.mode
    if settings.get("engine"):
        settings.model.engine = settings.engine
    if settings.get("engine") == "vllm":
        # vLLM takes the GPU for itself; what is loaded here only says which adapters it gets.
        settings.trainer.accelerator = "cpu"


def add_writer(settings: Any, out: Path | None) -> None:  # noqa: ANN401
    """Let the recipe of a `predict` write its answers, to `out` if given.

    Args:
        settings: What was parsed of `predict`, changed in place.
        out: The file; None for the recipe's own choice.

    Raises:
        InputError: If predictions cannot be written under that name.
    """
    given = settings.trainer.callbacks
    callbacks = [] if given is None else list(given) if isinstance(given, list) else [given]
    own = [each for each in callbacks if each.get("class_path") == WRITER]
    if not own:
        own = [Namespace(class_path=WRITER, init_args=Namespace(path=None))]
        callbacks += own
    if out is not None:
        check_suffix(out)
        own[-1].init_args = Namespace(path=str(out))
    settings.trainer.callbacks = callbacks


def _apply_questions(settings: Any) -> None:  # noqa: ANN401
    given = [name for name in _PRODUCT if settings.get(name)]
    flags = [f"--{name.replace('_', '-')}" for name in given]
    if settings.get("questions"):
        if given:
            what = "a table holds its own cell lines, perturbations and genes"
            raise InputError(what, file="--questions", got=flags[0], expected="one or the other")
        own = _data(settings, "--questions", "questions")
        own.questions, own.product = settings.questions, None
    elif given:
        missing = [f"--{name.replace('_', '-')}" for name in _PRODUCT if name not in given]
        if missing:
            expected = "--cell-line, --perts and --genes, or --questions TABLE"
            raise InputError("not all that is needed", file=flags[0], expected=expected)
        own = _data(settings, flags[0], "product")
        lines = [name.strip() for name in settings.cell_line.split(",")]
        lists = {"cell_lines": lines, "perts": settings.perts, "genes": settings.genes}
        own.questions, own.product = None, Namespace(**lists)


def _data(settings: Any, flag: str, name: str) -> Any:  # noqa: ANN401
    """The arguments of the data module, which must know the one that a flag sets."""
    own = settings.data.init_args
    if name not in own:
        raise InputError(
            f"this data has no {name}", file=flag, got=settings.data.class_path.rpartition(".")[2]
        )
    return own
