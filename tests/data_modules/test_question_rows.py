"""Questions dealt out, and asked otherwise than they are kept where a probe is set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tiny import attach, tiny_base, write_benchmark

from data_modules.question_rows import QuestionRows, question_batch, question_loader
from data_modules.tuples import TupleDataModule
from synthpert.errors import InputError
from synthpert.questions import KEY
from synthpert.student import Student

TABLE = pl.DataFrame(
    {"cell_line": ["k562"] * 4, "pert": list("ABCD"), "gene": ["X"] * 4, "label": [None] * 4}
)


def batches(**options: Any) -> list[dict[str, Any]]:
    return list(question_loader(TABLE, 2, **options))


def test_without_a_probe_a_batch_has_its_questions_and_their_places() -> None:
    assert [batch["index"] for batch in batches()] == [[0, 1], [2, 3]]
    assert all(set(batch) == {"index", "questions"} for batch in batches())
    assert pl.concat([batch["questions"] for batch in batches()]).equals(TABLE)


def test_with_a_probe_a_batch_says_which_and_what_its_questions_stand_for() -> None:
    (first, second) = batches(probe="swapped-perturbation")
    assert first["probe"] == "swapped-perturbation"
    assert pl.concat([first["kept"], second["kept"]]).equals(TABLE.select(KEY))
    assert (first["questions"]["pert"] != first["kept"]["pert"]).all()
    assert first["questions"].columns == TABLE.columns


def test_ranks_together_ask_what_one_asks() -> None:
    def asked(**options: Any) -> list[tuple[str, ...]]:
        found = batches(probe="masked-gene", **options)
        return [row for batch in found for row in batch["questions"].select(KEY).iter_rows()]

    dealt = asked(rank=0, world=2) + asked(rank=1, world=2)
    assert sorted(dealt) == sorted(asked())


def test_a_row_can_be_taken_by_its_number() -> None:
    rows = QuestionRows(TABLE.with_row_index("index"))
    assert len(rows) == 4
    assert question_batch([rows[2]])["questions"]["pert"].to_list() == ["C"]


def test_a_data_module_asks_its_test_split_as_the_probe_says(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    module = TupleDataModule(data=write_benchmark(tmp_path / "data"), probe="swapped-cell-line")
    attach(module, Student(base, "compact", dtype="float32"))
    module.setup("test")
    (batch,) = module.test_dataloader()
    assert batch["kept"].equals(module.evaluation_questions("test").select(KEY))
    other = {"k562": "rpe1", "rpe1": "k562"}
    assert batch["questions"]["cell_line"].to_list() == [
        other[line] for line in batch["kept"]["cell_line"]
    ]


def test_a_probe_without_another_cell_line_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to exchange it with"):
        batches(probe="swapped-cell-line")
