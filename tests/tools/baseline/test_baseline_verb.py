"""The verb `baseline`: its flags, its file and every way in which it refuses."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from worlds import SAMPLE, P

from synthpert.errors import InputError
from synthpert.predictions import read_predictions
from synthpert.predictions.records import read_record
from synthpert.questions import read_questions, split_questions
from synthpert.scoring import answer_questions, score_cells
from tools.baseline import BASELINES, REFERENCES, answer, main, references

QUICK = sorted(set(BASELINES) - {"gat", "genept", "knn-gb"})


@pytest.mark.parametrize("name", QUICK)
def test_every_quick_baseline_answers_the_sample(name: str) -> None:
    table = answer(name, *split_questions(read_questions(SAMPLE)))
    assert table.select((pl.sum_horizontal(P) - 1).abs().max()).item() < 1e-12


@pytest.mark.parametrize("name", ["majority", "class-frequency", "gene-prior"])
def test_per_gene_auroc_is_one_half_by_construction(name: str) -> None:
    train, test = split_questions(read_questions(SAMPLE))
    scores = score_cells(answer_questions(test, answer(name, train, test)))
    for block in (scores["all"], *scores["cells"].values()):
        assert block["de_auroc"]["per_gene"] == 0.5


def test_the_sample_has_every_reference() -> None:
    assert tuple(references(*split_questions(read_questions(SAMPLE)))) == REFERENCES


def test_the_verb_writes_predictions_for_every_test_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "prior.parquet"
    assert main(["gene-prior", "--data", str(SAMPLE), "--out", str(out)]) == 0
    table = read_predictions(out)
    test = split_questions(read_questions(SAMPLE))[1]
    assert table.select("cell_line", "pert", "gene").equals(test.select(table.columns[:3]))
    assert table["model"].unique().to_list() == ["baseline/gene-prior"]
    assert capsys.readouterr().out == f"{out}: {len(test):,} predictions by gene-prior\n"


def test_without_out_it_writes_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["majority", "--data", str(SAMPLE), "--split", "held_out:rpe1"])
    table = read_predictions(tmp_path / "predictions-majority.parquet")
    assert table["cell_line"].unique().to_list() == ["rpe1"]


def test_several_files_follow_their_flag(tmp_path: Path) -> None:
    files = [str(tmp_path / f"{name}.csv") for name in ("majority", "knn")]
    for file in files:
        main([Path(file).stem, "--data", str(SAMPLE), "--out", file])
    out = tmp_path / "both.parquet"
    main(["stack", "--files", *files, "--data", str(SAMPLE), "--out", str(out)])
    assert len(read_predictions(out)) == len(read_predictions(files[0]))


def test_help_lists_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    # Lines are broken at hyphens too.
    out = "".join(capsys.readouterr().out.split())
    assert all(f"`{name}`" in out for name in BASELINES)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'gene-prior'"):
        main(["geneprior", "--data", str(SAMPLE)])


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(InputError, match="unknown split"):
        main(["majority", "--data", str(SAMPLE), "--split", "random"])


@pytest.mark.parametrize("flag", ["edges", "vectors", "files", "aliases"])
def test_a_file_that_would_not_be_read_is_refused(flag: str) -> None:
    with pytest.raises(InputError, match=f"does not use --{flag}"):
        main(["majority", "--data", str(SAMPLE), f"--{flag}", "some.csv"])


def test_genept_without_vectors_is_refused() -> None:
    with pytest.raises(InputError, match="--vectors: genept needs vectors"):
        main(["genept", "--data", str(SAMPLE)])


def test_the_file_says_by_what_and_for_which_split_it_was_made(tmp_path: Path) -> None:
    out = tmp_path / "m.csv"
    main(["majority", "--data", str(SAMPLE), "--split", "strict", "--out", str(out)])
    record = read_record(out)
    assert (record["model"], record["split"]) == ("baseline/majority", "strict")


def test_a_file_of_another_kind_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="written by suffix"):
        main(["knn", "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "m.txt")])
