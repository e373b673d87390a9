"""The data card: what the traces are, who made them of what, and how to make them again."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
import yaml

import synthpert
from synthpert.files import whole_file
from synthpert.questions import LABELS
from tools.traces.export.card_page import PAGE
from tools.traces.export.formats import beside
from tools.traces.export.hub import LICENCE
from tools.traces.settings import Model
from tools.traces.status.funnel import KEPT, STAGES, Group, lost_before, merge, stages
from tools.traces.walk import NOT_ANSWERED

if TYPE_CHECKING:
    import polars as pl

    from tools.traces.recipe import Recipe
    from tools.traces.settings import Settings

_LIBRARIES: Final = ("polars", "litellm", "openai")
# The settings that decide what the traces are; the others say where they lie and how fast.
_DECIDING: Final = (
    *("questions", "split", "cell_lines", "balance", "seed", "samples", "prompts", "label_blind"),
    *("teacher", "critics", "grades", "least_words"),
)
_REACHED: Final = STAGES[1:]
_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
_LARGEST: Final = "100K<n<1M"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the replies of one model in one role took.

    Attributes:
        replies: How many.
        prompt_tokens: Of those whose provider said.
        completion_tokens: Likewise.
        cost: US dollars, of those whose price is known.
        no_price: How many have none.
    """

    replies: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    no_price: int = 0


def write_card(
    settings: Settings,
    recipe: Recipe,
    traces: pl.DataFrame,
    counts: Mapping[Group, Counter[str]],
    usage: Mapping[tuple[str, str], Usage],
) -> Path:
    """Write the card beside the traces, in the form of a data set's README on the hub.

    Args:
        settings: What was asked for.
        recipe: Prompts and models.
        traces: The kept ones.
        counts: How many samples ended where; those without a reply are told apart.
        usage: By role and model.

    Returns:
        The file.

    Raises:
        InputError: If it cannot be written.
    """
    versions = _versions()
    waiting = merge(counts)[NOT_ANSWERED]
    counts = {
        group: Counter({reason: n for reason, n in count.items() if reason != NOT_ANSWERED})
        for group, count in counts.items()
    }
    facts = {
        "header": yaml.safe_dump(_header(settings, len(traces)), sort_keys=False),
        "title": settings.out.stem,
        "kept": len(traces),
        "blind": settings.label_blind,
        "versions": versions,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "models": _models(recipe),
        "prompts": Path(settings.prompts).name,
        "prompt_id": recipe.prompts.prompt_id,
        "funnel": _funnel(counts),
        "waiting": waiting,
        "rejected": _rejected(counts),
        "graded": _graded(traces),
        "grades": ", ".join(recipe.grades),
        "least_words": settings.least_words,
        "usage": _usage(usage),
        "file": settings.out.name,
        "files": {form: beside(settings.out, form).name for form in ("messages", "csv")},
        "also": settings.also_written,
        "rebuild": yaml.safe_dump(_rebuild(settings), sort_keys=False, allow_unicode=True),
        "versioned": [("", "version"), *versions.items()],
        "licence": LICENCE,
        "table": _table,
    }
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    path = beside(settings.out, "card")
    with whole_file(path) as place:
        place.write_text(page.from_string(PAGE).render(facts), encoding="utf-8")
    return path


def _header(settings: Settings, kept: int) -> dict[str, Any]:
    files = {"default": settings.out.name}
    if "messages" in settings.also_written:
        files["messages"] = beside(settings.out, "messages").name
    return {
        "pretty_name": f"SynthPert traces: {settings.out.stem}",
        "language": ["en"],
        "license": "other",
        "license_name": "genentech-non-commercial-1.0",
        "license_link": LICENCE,
        "task_categories": ["text-generation"],
        "tags": ["biology", "perturbation", "gene-expression", "reasoning", "synthetic"],
        "size_categories": [next((name for size, name in _SIZES if kept < size), _LARGEST)],
        "configs": [
            {"config_name": name, "data_files": [{"split": "train", "path": file}]}
            for name, file in files.items()
        ],
    }


def _models(recipe: Recipe) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [("role", "model", "engine", "parameters")]
    for role, model in [
        ("teacher", recipe.teacher),
        *(("critic", each) for each in recipe.critics),
    ]:
        told = ", ".join(f"{name}: {value}" for name, value in _told(model).items())
        rows.append((role, model.model, model.engine, told or None))
    return rows


def _funnel(counts: Mapping[Group, Counter[str]]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [("cell line", "label", *_REACHED)]
    for group, count in counts.items():
        rows.append((*group, *map(stages(count).get, _REACHED)))
    return [*rows, ("all", "all", *map(stages(merge(counts)).get, _REACHED))]


def _rejected(counts: Mapping[Group, Counter[str]]) -> list[tuple[object, ...]]:
    by_label = {label: merge(counts, label=label) for label in LABELS}
    found = [each for each in merge(counts).most_common() if each[0] != KEPT]
    rows: list[tuple[object, ...]] = [("not kept because", "lost before", "all", *LABELS)]
    for reason, total in found:
        rows.append(
            (reason, lost_before(reason), total, *(each[reason] for each in by_label.values()))
        )
    return rows if found else []


def _graded(traces: pl.DataFrame) -> list[tuple[object, ...]]:
    grades = Counter(grade for grade in traces["grade"] if grade is not None)
    return [("grade", "kept traces"), *grades.most_common()] if grades else []


def _usage(usage: Mapping[tuple[str, str], Usage]) -> list[tuple[object, ...]]:
    header = ("role", "model", "replies", "tokens in", "tokens out", "cost, US$", "no price")
    rows = [
        (*who, *(getattr(each, item.name) for item in fields(Usage)))
        for who, each in sorted(usage.items())
    ]
    return [header, *rows]


def _rebuild(settings: Settings) -> dict[str, Any]:
    found = {name: getattr(settings, name) for name in _DECIDING}
    # A folder of the author's is nobody else's.
    found["prompts"] = Path(settings.prompts).name
    found["teacher"] = _as_yaml(settings.teacher)
    found["critics"] = [_as_yaml(critic) for critic in settings.critics]
    return found


def _as_yaml(model: Model) -> dict[str, Any]:
    changed = {
        name: value for name, value in asdict(model).items() if value != getattr(Model(), name)
    }
    changed |= {"model": model.model, "parameters": _told(model)}
    return {name: changed[name] for name in ("model", "parameters", "engine") if name in changed}


def _told(model: Model) -> dict[str, Any]:
    # Where a server stands is not for the public.
    return {name: v for name, v in model.told.items() if name not in ("api_base", "base_url")}


def _versions() -> dict[str, str]:
    found = {"synthpert": synthpert.__version__, "Python": platform.python_version()}
    present = {each.name.lower() for each in metadata.distributions() if each.name}
    return found | {name: metadata.version(name) for name in _LIBRARIES if name in present}


def _table(rows: list[tuple[object, ...]]) -> str:
    """GitHub Markdown; the first row is the header."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    texts.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in texts) + "\n"


def _cell(cell: object) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:,.4f}"
    text = f"{cell:,}" if isinstance(cell, int) else " ".join(str(cell).split())
    return text.replace("|", "\\|")
