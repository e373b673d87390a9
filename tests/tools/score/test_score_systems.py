"""What systems are called, which files are theirs, and how two of them differ."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from synthpert.aliases import Aliases
from synthpert.errors import InputError
from synthpert.knowledge.sources import NameTable
from synthpert.predictions import write_predictions
from synthpert.questions import LABEL_DTYPE, LABELS
from tools.score.asked import asked_alone, find_cautions
from tools.score.cells import text
from tools.score.comparing import compare, differing
from tools.score.details import show_paper
from tools.score.scorer import Scorer
from tools.score.scoring import score_files
from tools.score.systems import System, lay_beside, name_files, name_systems, read_system
from tools.score.tables import show_leakage

QUESTIONS = pl.DataFrame(
    {
        "cell_line": ["k562"] * 6,
        "pert": ["P", "P", "P", "Q", "Q", "Q"],
        "gene": ["A", "B", "C", "A", "B", "C"],
        "label": pl.Series([LABELS[i] for i in (0, 1, 2, 1, 2, 0)], dtype=LABEL_DTYPE),
    }
)


def system(name: str, numbers: tuple[int, ...]) -> System:
    answers = pl.Series("answer", [LABELS[i] for i in numbers], dtype=LABEL_DTYPE)
    p = [
        pl.Series(f"p_{key}", [float(n == i) for n in numbers])
        for i, key in enumerate(("not_de", "up", "down"))
    ]
    return System(name, [QUESTIONS.with_columns(answers, *p, found=pl.lit(True))], [Path(name)])


def test_files_are_named_by_stem_or_by_folder_and_stem() -> None:
    assert list(name_files(["a/p.parquet", "b/p.csv", "b/q.csv.gz"])) == ["a/p", "b/p", "q"]


def test_the_predictions_of_a_run_are_called_as_the_run_is() -> None:
    assert list(name_files(["runs/ours/predictions.parquet", "q.csv"])) == ["ours", "q"]


def test_the_same_file_twice_is_refused() -> None:
    with pytest.raises(InputError, match="same name"):
        name_files(["a/p.csv", "a/p.csv"])


def test_a_pattern_is_one_system_and_keeps_its_place(tmp_path: Path) -> None:
    for name in ("s1", "s0"):
        (tmp_path / f"{name}.csv").touch()
    found = name_systems([f"ours={tmp_path}/s*.csv", "other.csv"])
    assert list(found) == ["ours", "other"]
    assert [path.name for path in found["ours"]] == ["s0.csv", "s1.csv"]
    assert list(name_systems([f"{tmp_path}/s*.csv"])) == [f"{tmp_path}/s*.csv"]


def test_a_file_may_be_given_a_name() -> None:
    assert name_systems(["ours=runs/p.csv"]) == {"ours": [Path("runs/p.csv")]}


def test_a_file_with_an_equals_sign_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "lr=0.1.csv").touch()
    assert list(name_systems([f"{tmp_path}/lr=0.1.csv"])) == ["lr=0.1"]


def test_a_pattern_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file of this pattern"):
        name_systems([f"ours={tmp_path}/*.csv"])


def test_two_systems_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="two systems have the same name"):
        name_systems(["a=x.csv", "a=y.csv"])


def test_records_are_compared_by_their_parts() -> None:
    one = {"model": "m", "run": "x", "decoding": {"temperature": 0, "top_p": 1}}
    other = {"model": "m", "run": "y", "decoding": {"temperature": 1, "top_p": 1}, "seed": 3}
    assert differing(one, other) == {"decoding.temperature": [0, 1], "seed": [None, 3]}


def test_the_record_of_several_seeds_lists_what_differs() -> None:
    seeds = System("s", [], records=[{"seed": 0, "model": "m"}, {"seed": 1, "model": "m"}])
    assert seeds.record == {"seed": [0, 1], "model": "m"}


def test_every_pair_is_compared_and_each_system_with_each_reference() -> None:
    systems = [system("a", (0, 1, 2, 1, 2, 0)), system("b", (0, 1, 2, 1, 2, 1))]
    below = system("r", (0,) * 6)
    below.paths = []
    scorer = Scorer(QUESTIONS, 40, 0)
    for each in (*systems, below):
        scorer.score(each)
    pairs = compare(systems, [below])
    assert [(pair["one"], pair["other"]) for pair in pairs] == [("a", "b"), ("a", "r"), ("b", "r")]
    accuracy = pairs[0]["figures"]["three_class.accuracy"]
    assert accuracy["difference"] == pytest.approx(1 / 6)
    assert 0 < accuracy["low"] < accuracy["high"]
    assert accuracy["p"] == pytest.approx(2 / 41)


def test_a_single_perturbation_has_no_interval() -> None:
    mine = system("a", (0, 1, 2, 1, 2, 1))
    scorer = Scorer(QUESTIONS, 20, 0)
    first = scorer.score_parts(mine, "strata", {"P": QUESTIONS["pert"] == "P"})["P"]
    assert first["three_class"]["accuracy"] == {"value": 1.0, "low": None, "high": None}
    scorer.score(mine)
    accuracy = mine.blocks["all"]["three_class"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]


def test_the_questions_of_a_table_are_marked_in_the_order_of_the_test(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    QUESTIONS[[4, 1]].write_csv(path)
    assert asked_alone(QUESTIONS, path).to_list() == [False, True, False, False, True, False]


def test_a_file_of_few_answers_is_told_of_with_the_way_out() -> None:
    few = system("few", (0, 1, 2, 0, 1, 2))
    few.tables[0] = few.table.with_columns(found=pl.int_range(6) < 2)
    (told,) = find_cautions([few], "default", 6, 6)
    assert told.startswith("few answers 2 of 6 questions")
    assert "--questions" in told


def test_nothing_amiss_is_no_caution() -> None:
    alike = [{"split": "default", "seed": seed, "run": str(seed)} for seed in range(2)]
    both = [System("a", [], records=alike), System("b", [], records=[{}]), System("c", [])]
    assert find_cautions(both, "default", 6, 6) == []


def test_a_stratum_without_rows_is_left_out() -> None:
    mine = system("a", (0, 1, 2, 1, 2, 0))
    masks = {"all": pl.Series([True] * 6), "none": pl.Series([False] * 6)}
    assert list(Scorer(QUESTIONS, 5, 0).score_parts(mine, "strata", masks)) == ["all"]


def test_aliases_are_resolved_before_the_questions_are_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    rows = QUESTIONS.with_columns(pl.col("gene").replace({"A": "ALPHA"}), answer=pl.col("label"))
    write_predictions(rows, path)
    with pytest.raises(InputError, match=r"p\.csv:2: not a question"):
        lay_beside(read_system("p", [path]), QUESTIONS)
    names = pl.DataFrame({"symbol": ["ALPHA"], "full_name": [None]})
    synonyms = pl.DataFrame({"synonym": ["A"], "symbol": ["ALPHA"]})
    aliases = Aliases(NameTable("names", names, synonyms))
    read = read_system("p", [path])
    lay_beside(read, QUESTIONS, aliases)
    assert read.table["found"].all()


def test_a_figure_that_does_not_exist_has_an_empty_cell() -> None:
    assert text({"value": None, "low": None, "high": None}) is None
    assert text({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.5000 [0.250, 0.750]"


def test_negative_rounds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rounds: negative"):
        score_files([str(tmp_path / "p.csv")], rounds=-1)
    assert callable(show_paper)
    assert callable(show_leakage)


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("rounds", 10**6)])
def test_a_number_out_of_reach_is_refused(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(InputError, match=f"{name}: (negative|too large)"):
        score_files([str(tmp_path / "p.csv")], **{name: value})
