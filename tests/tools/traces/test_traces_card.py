"""The data card: a README that the hub reads, with figures, and settings that make it again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from synthpert.traces import TRACE_SCHEMA
from tools.traces.export import card_page
from tools.traces.export.card import Usage, write_card
from tools.traces.recipe import Recipe
from tools.traces.settings import Model, Settings, read_settings
from tools.traces.status.funnel import Group

COUNTS = {
    Group("k562", "upregulated"): Counter(kept=2, wrong_answer=1, not_answered=4),
    Group("rpe1", "downregulated"): Counter(grade_too_low=3),
}
USAGE = {("teacher", "a/b"): Usage(6, 60, 1200, None, 6)}
TRACES = pl.DataFrame(
    [dict.fromkeys(TRACE_SCHEMA) | {"grade": grade} for grade in ("excellent", "good")],
    schema=TRACE_SCHEMA,
)


def card(folder: Path, **changes: Any) -> str:
    settings = replace(
        Settings(out=folder / "traces.parquet", also="messages,csv", seed=7), **changes
    )
    path = write_card(settings, Recipe.of(settings), TRACES, COUNTS, USAGE)
    assert path == folder / "traces.card.md"
    return path.read_text(encoding="utf-8")


def test_the_header_is_what_the_hub_reads(tmp_path: Path) -> None:
    _, header, _ = card(tmp_path).split("---\n", 2)
    facts = yaml.safe_load(header)
    assert (facts["license"], facts["license_link"]) == ("other", "LICENSE.txt")
    assert facts["size_categories"] == ["n<1K"]
    assert [each["data_files"][0]["path"] for each in facts["configs"]] == [
        "traces.parquet", "traces.messages.jsonl",
    ]  # fmt: skip


def test_counts_reasons_grades_tokens_and_versions_are_told(tmp_path: Path) -> None:
    text = card(tmp_path, grades="excellent,good")
    for line in (
        "| k562 | upregulated | 3 | 3 | 2 | 2 | 2 |",
        "| all | all | 6 | 6 | 5 | 5 | 2 |",
        "Not counted: 4 without a reply.",
        "| grade_too_low | kept | 3 | 0 | 0 | 3 |",
        "| good | 1 |",
        "| teacher | a/b | 6 | 60 | 1,200 | – | 6 |",
        f"| polars | {pl.__version__} |",
        "Kept grades: excellent, good",
    ):
        assert line in text


def test_the_settings_in_the_card_are_those_of_the_run(tmp_path: Path) -> None:
    critics = [Model("c/d"), Model("e/f", {"top_p": 0.5})]
    teacher = Model("a/b", {"temperature": 1}, "openai")
    text = card(tmp_path, teacher=teacher, critics=critics, questions=5, label_blind=True)
    (tmp_path / "again.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    again = read_settings("make", ["--config", str(tmp_path / "again.yaml")])
    assert again == Settings(
        teacher=teacher, critics=critics, questions=5, label_blind=True, seed=7
    )
    assert "was not told the outcome" in text


def test_no_address_and_no_folder_is_published(tmp_path: Path) -> None:
    server = Model("a/b", {"api_base": "http://secret-host:8000", "timeout": 5})
    (tmp_path / "private").mkdir()
    own = tmp_path / "private" / "own.yaml"
    own.write_bytes((Path("configs/prompts/paper.yaml")).read_bytes())
    text = card(tmp_path, teacher=server, prompts=str(own))
    assert "secret-host" not in text
    assert "private" not in text
    assert "`own.yaml`, id `own-" in text


def test_without_critics_no_grade_is_told(tmp_path: Path) -> None:
    settings = Settings(out=tmp_path / "t.parquet", critics=[])
    traces = TRACES.with_columns(grade=pl.lit(None, TRACE_SCHEMA["grade"]))
    text = write_card(settings, Recipe.of(settings), traces, COUNTS, {}).read_text(encoding="utf-8")
    assert "none was asked for" in text
    assert "| grade |" not in text


@pytest.mark.parametrize("form", ["messages", "csv"])
def test_a_form_that_is_not_written_is_not_told_of(tmp_path: Path, form: str) -> None:
    text = card(tmp_path, also=form)
    assert ("dataset_info.json" in text) == (form == "messages")
    assert ("traces.paper.csv" in text) == (form == "csv")


def test_a_bar_in_a_models_name_does_not_break_the_table(tmp_path: Path) -> None:
    assert "| teacher | a/b\\|c |" in card(tmp_path, teacher=Model("a/b|c"))


def test_every_name_in_the_page_is_filled(tmp_path: Path) -> None:
    assert "{{" in card_page.PAGE
    assert "{{" not in card(tmp_path)
    assert "{%" not in card(tmp_path)
