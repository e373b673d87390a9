"""What the page embeds: a stratified sample, packed, within its budgets."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from synthpert.questions import LABEL_DTYPE, LABELS
from tools.report import rows
from tools.report.rows import LONGEST_TEXT, outcome, pack, stratified


def unpack(packed: str) -> Any:  # noqa: ANN401
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def table(n: int = 60) -> pl.DataFrame:
    labels = [LABELS[i % 3].value for i in range(n)]
    answers = [None if i % 10 == 9 else LABELS[i % 2].value for i in range(n)]
    return pl.DataFrame(
        {
            "cell_line": ["k562" if i % 2 else "rpe1" for i in range(n)],
            "pert": [f"P{i // 7}" for i in range(n)],
            "gene": [f"G{i}" for i in range(n)],
            "label": pl.Series(labels, dtype=LABEL_DTYPE),
            "answer": pl.Series(answers, dtype=LABEL_DTYPE),
            "p_not_de": [0.5] * n,
            "p_up": [0.25] * n,
            "p_down": [0.25] * n,
            "found": [i != 9 for i in range(n)],
        }
    )


def texts(asked: pl.DataFrame, text: str = "because") -> pl.DataFrame:
    return asked.select("cell_line", "pert", "gene").with_columns(
        reasoning=pl.lit(text) + pl.col("gene"),
        response=pl.lit(None, pl.String),
        parse_status=pl.lit("ok"),
        finish_reason=pl.lit("stop"),
    )


def test_every_stratum_gives_the_same_number_as_far_as_it_goes() -> None:
    kind = np.repeat([0, 1, 2], [1000, 50, 3])
    drawn = stratified([kind], 63)
    assert np.bincount(kind[drawn]).tolist() == [30, 30, 3]


def test_a_larger_sample_keeps_the_smaller_one() -> None:
    kind = np.arange(500) % 7
    assert set(stratified([kind], 40)) < set(stratified([kind], 90))
    assert stratified([kind], 40).tolist() == stratified([kind], 40).tolist()


def test_the_columns_come_back_as_they_were() -> None:
    asked = table()
    told = unpack(pack({"mine": asked}, {"prior": asked}, {}).columns)
    assert told["n"] == 60
    genes = [told["gene"]["names"][i] for i in told["gene"]["at"]]
    assert genes == asked["gene"].to_list()
    mine = told["systems"][0]
    assert mine["name"] == "mine"
    assert mine["up"] == [250] * 60
    assert mine["answer"][:2] == "01"
    assert mine["answer"][9] == "3"
    assert told["references"][0]["name"] == "prior"


def test_outcomes_tell_unread_from_absent() -> None:
    found = outcome(table())
    assert found[0] == 0
    assert found[2] == 1
    assert found[9] == 3
    assert found[19] == 2


def test_texts_stand_at_their_question() -> None:
    asked = table(250)
    packed = pack({"mine": asked}, {}, {"mine": texts(asked)})
    places = unpack(packed.columns)["text"]
    pages = [each for page in packed.pages for each in unpack(page)]
    assert packed.texts == len(places) == len(pages) == 250
    assert [page[0]["reasoning"] for page in pages] == [f"becauseG{row}" for row in places]


def test_a_second_system_may_have_written_of_other_questions() -> None:
    asked = table()
    some = {"one": texts(asked[:3]), "two": texts(asked[2:5], "since")}
    packed = pack({"one": asked, "two": asked}, {}, some)
    pages = [each for page in packed.pages for each in unpack(page)]
    assert [[text is not None for text in page] for page in pages] == [
        *([[True, False]] * 2),
        [True, True],
        *([[False, True]] * 2),
    ]


def test_a_long_text_is_cut_and_its_length_told() -> None:
    asked = table(1)
    packed = pack({"mine": asked}, {}, {"mine": texts(asked, "x" * 9000)})
    told = unpack(packed.pages[0])[0][0]
    assert len(told["reasoning"]) == LONGEST_TEXT
    assert told["cut"] == {"reasoning": 9002}


def test_rows_and_texts_are_fewer_where_the_budget_is_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "ROW_BUDGET", 1500)
    monkeypatch.setattr(rows, "TEXT_BUDGET", 400)
    asked = table(400)
    packed = pack({"mine": asked}, {}, {"mine": texts(asked)})
    assert len(packed.columns) <= 1700
    assert 0 < packed.rows < 400
    assert 0 < packed.texts < packed.rows
    assert sum(map(len, packed.pages)) <= 400


def test_a_file_without_reasoning_has_no_page() -> None:
    packed = pack({"mine": table()}, {}, {})
    assert packed.pages == []
    assert packed.texts == 0
