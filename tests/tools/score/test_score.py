"""The verb `score`: tables, score.json and every way in which a file can be refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, roc_auc_score

from synthpert.errors import InputError
from synthpert.predictions import write_predictions
from synthpert.questions import LABELS, read_questions, split_questions
from tools.baseline import REFERENCES, answer
from tools.score import main, write_json

SAMPLE = Path(__file__).parents[3] / "synthpert" / "sample"


def score(*args: str | Path, rounds: int = 0) -> None:
    assert main([*map(str, args), "--data", str(SAMPLE), "--rounds", str(rounds)]) == 0


@pytest.fixture(scope="module")
def prior() -> pl.DataFrame:
    return answer("gene-prior", *split_questions(read_questions(SAMPLE)))


@pytest.fixture
def file(tmp_path: Path, prior: pl.DataFrame) -> Path:
    path = tmp_path / "mine.parquet"
    write_predictions(prior, path)
    return path


@pytest.fixture
def scores(file: Path) -> dict[str, Any]:
    score(file, "--json", file.with_name("score.json"))
    return json.loads(file.with_name("score.json").read_text())


def test_the_json_has_the_agreed_form(scores: dict[str, Any]) -> None:
    assert set(scores) == {"files", "reference_rows", "comparisons"}
    mine = scores["files"]["mine"]
    assert set(mine) == {
        *("cells", "all", "protocol", "leakage", "strata", "by_train_rows", "by_facts"),
        *("confusion", "calibration", "retention", "record"),
    }
    assert list(mine["cells"]) == ["k562", "rpe1", "hepg2", "jurkat"]
    assert set(mine["all"]) == {
        *("n", "coverage", "unparsed", "de_auroc", "direction_auroc", "three_class")
    }
    assert set(mine["all"]["de_auroc"]) == {
        *("per_gene", "pooled", "per_perturbation", "n_genes", "n_rows")
    }
    assert set(mine["all"]["three_class"]) == {
        *("accuracy", "balanced_accuracy", "macro_f1", "mcc", "brier", "ece"),
        *("not_de", "up", "down"),
    }
    assert mine["protocol"]["intervals"] is False
    assert mine["protocol"]["soft"] is True
    assert mine["leakage"]["all"]["rows"] == mine["all"]["n"]


def test_the_reference_rows_are_computed_here(scores: dict[str, Any]) -> None:
    assert list(scores["reference_rows"]) == list(REFERENCES)
    assert scores["reference_rows"]["gene-prior"]["all"] == scores["files"]["mine"]["all"]


def test_every_figure_has_its_interval(file: Path) -> None:
    score(file, "--json", file.with_name("score.json"), rounds=50)
    mine = json.loads(file.with_name("score.json").read_text())["files"]["mine"]
    for block in (mine["all"], mine["cells"]["rpe1"], mine["strata"]["seen in another line"]):
        for name in ("per_gene", "pooled", "per_perturbation"):
            assert set(block["de_auroc"][name]) == {"value", "low", "high"}
        accuracy = block["three_class"]["accuracy"]
        assert accuracy["low"] < accuracy["value"] < accuracy["high"]
        assert set(block["three_class"]["up"]["f1"]) == {"value", "low", "high"}
        assert isinstance(block["n"], int)
    assert mine["protocol"]["intervals"]["rounds"] == 50


def test_the_strata_are_all_of_the_questions(scores: dict[str, Any]) -> None:
    mine = scores["files"]["mine"]
    for part in ("strata", "by_train_rows", "by_facts"):
        assert sum(block["n"] for block in mine[part].values()) == mine["all"]["n"]


def test_confusion_calibration_and_abstention_count_the_same_rows(scores: dict[str, Any]) -> None:
    mine = scores["files"]["mine"]
    n, accuracy = mine["all"]["n"], mine["all"]["three_class"]["accuracy"]
    assert sum(map(sum, mine["confusion"]["all"])) == n
    assert sum(bin_["n"] for bin_ in mine["calibration"]["all"]) == n
    assert mine["retention"]["all"][0]["accuracy"] == pytest.approx(accuracy, abs=1e-12)


def test_the_figures_equal_scikit_learn(scores: dict[str, Any], prior: pl.DataFrame) -> None:
    labels, answers = prior["label"].to_list(), prior["answer"].to_list()
    three = scores["files"]["mine"]["all"]["three_class"]
    assert three["accuracy"] == pytest.approx(accuracy_score(labels, answers), abs=1e-12)
    assert three["mcc"] == pytest.approx(matthews_corrcoef(labels, answers), abs=1e-12)
    expected = f1_score(labels, answers, average="macro", zero_division=0)
    assert three["macro_f1"] == pytest.approx(expected, abs=1e-12)
    for (line,), rows in prior.group_by("cell_line"):
        de = rows["label"] != LABELS[0].value
        expected = roc_auc_score(de, 1 - rows["p_not_de"])
        block = scores["files"]["mine"]["cells"][line]["de_auroc"]
        assert block["pooled"] == pytest.approx(expected, abs=1e-12)


def test_every_auroc_has_its_name(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(file)
    out = capsys.readouterr().out
    assert "| system | per gene (official) | pooled | per perturbation | genes counted |" in out
    assert "**AUROC of differential expression (default split)**" in out
    assert "**AUROC of direction (default split)**" in out


def test_the_references_strata_and_leakage_stand_in_the_output(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score(file)
    out = capsys.readouterr().out
    assert out.count("\n| majority (reference) |") == 5  # three tables and two strata
    assert "| mine | seen in another line |" in out
    assert "| mine | unseen anywhere |" in out
    assert "| mine | majority (reference) |" in out
    assert "**Leakage" in out


def test_intervals_stand_behind_the_figures(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(file, rounds=20)
    out = capsys.readouterr().out
    assert re.search(r"\| mine \| 0\.5000 \[0\.500, 0\.500\] \| 0\.\d{4} \[0\.\d{3}, ", out)
    assert "20 bootstrap rounds over perturbations" in out


def test_per_cell_adds_a_row_for_each_cell_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score(file, "--per-cell")
    assert capsys.readouterr().out.count("\n| mine | jurkat |") == 3


def test_details_show_classes_calibration_and_how_well_genes_are_known(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score(file, "--details")
    out = capsys.readouterr().out
    for title in ("Each class", "Calibration", "Confusion", "Accuracy were", "its train rows"):
        assert title in out
    assert "| mine | not DE |" in out


def test_the_papers_protocol_is_named_in_every_title(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score(file, "--protocol", "synthpert", "--json", file.with_name("score.json"))
    titles = re.findall(r"\*\*(.+)\*\*", capsys.readouterr().out)
    assert sum("SynthPert paper's protocol" in title for title in titles) == len(titles) - 1
    paper = json.loads(file.with_name("score.json").read_text())["files"]["mine"]
    assert set(paper["synthpert_protocol"]["k562"]["de_auroc"]["pooled"]) == {"mean", "sd"}


def test_systems_that_were_made_otherwise_are_told_first(
    tmp_path: Path, prior: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, samples in (("a", 1), ("b", 3)):
        write_predictions(prior, tmp_path / f"{name}.parquet", {"decoding": {"samples": samples}})
    score(tmp_path / "a.parquet", tmp_path / "b.parquet")
    out = capsys.readouterr().out
    told = out.index("a and b were not made alike: decoding.samples 1 | 3")
    assert told < out.index("**Differences")


def test_several_seeds_are_one_system_with_a_spread(
    tmp_path: Path, prior: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        wrong = pl.int_range(pl.len()) < 100 * seed
        answer_ = pl.when(wrong).then(None).otherwise(pl.col("answer")).alias("answer")
        write_predictions(prior.with_columns(answer_), tmp_path / f"s{seed}.parquet")
    score(f"ours={tmp_path}/s*.parquet", "--json", tmp_path / "score.json", rounds=10)
    assert re.search(r"\| ours \(mean of 3 seeds\) \| .* ± 0\.\d{4} \|", capsys.readouterr().out)
    ours = json.loads((tmp_path / "score.json").read_text())["files"]["ours"]
    assert len(ours["seeds"]["files"]) == 3
    assert ours["seeds"]["sd"]["all"]["three_class.accuracy"] > 0.01
    assert ours["all"]["coverage"] == 1
    assert ours["all"]["unparsed"] == 100


def test_a_file_named_as_a_reference_row_is_not_called_one(
    tmp_path: Path, prior: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    write_predictions(prior, tmp_path / "majority.parquet")
    score(tmp_path / "majority.parquet")
    assert "| majority | majority (reference) |" in capsys.readouterr().out


def test_some_of_the_questions_are_scored_alone_by_everybody(
    tmp_path: Path, prior: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    write_predictions(prior[::3], tmp_path / "some.parquet")
    write_predictions(prior, tmp_path / "all.parquet")
    files = [tmp_path / f"{name}.parquet" for name in ("some", "all")]
    score(*files, "--questions", files[0], "--json", tmp_path / "score.json")
    found = json.loads((tmp_path / "score.json").read_text())
    blocks = [found["files"][name]["all"] for name in ("some", "all")]
    assert blocks[0] == blocks[1] == found["reference_rows"]["gene-prior"]["all"]
    assert blocks[0]["n"] == len(prior[::3])
    assert blocks[0]["coverage"] == 1
    out = capsys.readouterr().out
    assert out.startswith(f"Scored on {len(prior[::3]):,} of the {len(prior):,} test questions")
    assert f"(default split, {len(prior[::3]):,} of its {len(prior):,} questions)" in out


def test_a_table_of_other_questions_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("cell_line,pert,gene\nk562,AAA,BBB\n")
    with pytest.raises(InputError, match=r"q\.csv:2:gene: not a question of this split's test set"):
        score(file, "--questions", tmp_path / "q.csv")


def test_predictions_made_for_another_split_are_told_first(
    tmp_path: Path, prior: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    write_predictions(prior, tmp_path / "a.parquet", {"split": "default"})
    write_predictions(prior, tmp_path / "b.parquet", {"questions": {"split": "strict"}})
    score(tmp_path / "a.parquet", tmp_path / "b.parquet", "--split", "strict")
    out = capsys.readouterr().out
    assert out.startswith("a was made for the split default, not strict")
    assert "b was made for" not in out


def test_seeds_that_differ_in_more_than_the_seed_are_told(
    tmp_path: Path, prior: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, model in enumerate(("m", "m", "n")):
        record = {"seed": seed, "model": model, "run": str(seed)}
        write_predictions(prior, tmp_path / f"s{seed}.parquet", record)
    score(f"ours={tmp_path}/s?.parquet")
    assert "The files of ours are no seeds of one system: they differ in model." in (
        capsys.readouterr().out
    )
    score(f"ours={tmp_path}/s[01].parquet")
    assert "no seeds" not in capsys.readouterr().out


def test_hard_answers_are_named(
    tmp_path: Path, prior: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    write_predictions(prior.select("cell_line", "pert", "gene", "answer"), tmp_path / "hard.csv")
    score(tmp_path / "hard.csv", "--json", tmp_path / "score.json")
    assert "one operating point: hard." in capsys.readouterr().out
    protocol = json.loads((tmp_path / "score.json").read_text())["files"]["hard"]["protocol"]
    assert protocol["soft"] is False


def test_a_file_with_half_of_the_questions_has_half_the_coverage(
    tmp_path: Path, prior: pl.DataFrame
) -> None:
    write_predictions(prior[: len(prior) // 2], tmp_path / "half.csv")
    score(tmp_path / "half.csv", "--json", tmp_path / "score.json")
    block = json.loads((tmp_path / "score.json").read_text())["files"]["half"]["all"]
    assert block["n"] == len(prior)
    assert block["coverage"] == pytest.approx(0.5, abs=1e-3)
    assert block["three_class"]["accuracy"] < 0.5


def test_a_held_out_line_is_scored_on_all_of_its_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = split_questions(read_questions(SAMPLE), "held_out:rpe1")
    write_predictions(answer("majority", train, test), tmp_path / "m.parquet")
    score(tmp_path / "m.parquet", "--split", "held_out:rpe1")
    assert f"| m | {len(test):,} | 1.0000 |" in capsys.readouterr().out


def test_a_question_of_the_train_split_is_refused(tmp_path: Path) -> None:
    train, _ = split_questions(read_questions(SAMPLE))
    write_predictions(answer("majority", train, train[:1]), tmp_path / "p.csv")
    with pytest.raises(InputError, match=r"p\.csv:2: not a question of this split's test set"):
        score(tmp_path / "p.csv")


def test_a_repeated_question_is_refused(tmp_path: Path, prior: pl.DataFrame) -> None:
    write_predictions(pl.concat([prior[:2], prior[:1]]), tmp_path / "p.csv")
    with pytest.raises(InputError, match=r"p\.csv:4: question stands there twice"):
        score(tmp_path / "p.csv")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        score(tmp_path / "p.csv")


def test_an_empty_file_of_predictions_is_refused(tmp_path: Path, prior: pl.DataFrame) -> None:
    write_predictions(prior.clear(), tmp_path / "p.csv")
    with pytest.raises(InputError, match=r"p\.csv: no rows"):
        score(tmp_path / "p.csv")


def test_no_file_is_refused() -> None:
    with pytest.raises(InputError, match="files"):
        main([])


def test_scores_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_json({}, tmp_path / "file" / "score.json")
