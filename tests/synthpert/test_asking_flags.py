"""Short flags for longer keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonargparse import Namespace

from synthpert.asking_flags import WRITER, add_writer, apply_flags
from synthpert.errors import InputError


def settings(**flags: Any) -> Namespace:
    given = Namespace(questions=None, product=None, probe=None)
    return Namespace(
        data=Namespace(class_path="data_modules.tuples.TupleDataModule", init_args=given),
        model=Namespace(decoding=Namespace(mode="reason"), engine="hf"),
        trainer=Namespace(accelerator="auto", callbacks=None),
        **flags,
    )


def test_each_flag_sets_its_key() -> None:
    made = settings(mode="direct", engine="vllm", questions="mine.csv", probe="masked-gene")
    apply_flags(made)
    assert (made.model.decoding.mode, made.model.engine) == ("direct", "vllm")
    assert made.trainer.accelerator == "cpu"
    assert made.data.init_args == Namespace(questions="mine.csv", product=None, probe="masked-gene")


def test_three_flags_make_a_product_in_place_of_the_recipes_table() -> None:
    made = settings(cell_line="k562, rpe1", perts="p.txt", genes="all")
    made.data.init_args.questions = "recipe.csv"
    apply_flags(made)
    product = Namespace(cell_lines=["k562", "rpe1"], perts="p.txt", genes="all")
    assert (made.data.init_args.questions, made.data.init_args.product) == (None, product)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"questions": "t.csv", "cell_line": "k562"}, "one or the other"),
        ({"perts": "p.txt", "genes": "all"}, "--cell-line, --perts and --genes"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        apply_flags(settings(**flags))


def test_data_that_knows_no_questions_is_told() -> None:
    made = settings(questions="t.csv")
    del made.data.init_args["questions"]
    with pytest.raises(InputError, match=r"this data has no questions.*TupleDataModule"):
        apply_flags(made)


def test_the_answers_are_always_written() -> None:
    made = settings()
    add_writer(made, None)
    assert [each.class_path for each in made.trainer.callbacks] == [WRITER]
    add_writer(made, Path("mine.csv"))
    assert [each.init_args.path for each in made.trainer.callbacks] == ["mine.csv"]


def test_a_name_that_no_answer_can_have_is_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"\.parquet or \.csv"):
        add_writer(settings(), Path("mine.xlsx"))
