"""The verb `hits`: its files, what it says, and every way in which it refuses."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from screens import DOWN, SAME, UP, read, run, screen

from synthpert.errors import InputError
from synthpert.predictions import write_predictions
from synthpert.questions import read_questions, split_questions
from tools.baseline import answer
from tools.hits import main
from tools.hits.screen import OURS, progress_bars
from tools.hits.summary import Summary

SAMPLE = Path(__file__).parents[3] / "synthpert" / "sample"


def hard(table: pl.DataFrame) -> pl.DataFrame:
    return table.drop("p_not_de", "p_up", "p_down")


def test_top_genes_stand_by_probability(tmp_path: Path) -> None:
    hits = read(run(tmp_path, screen(), "--top", 2) / "hits.csv")
    first = hits.filter(pl.col("pert") == "P0")
    assert first["direction"].to_list() == ["up", "up", "down", "down"]
    assert first["gene"].to_list() == ["A0", "A1", "B0", "B1"]
    assert first["rank"].to_list() == ["1", "2", "1", "2"]
    assert first["probability"].to_list() == ["0.9", "0.8", "0.85", "0.75"]


def test_the_readme_names_every_file(tmp_path: Path) -> None:
    out = run(tmp_path, screen())
    names = {"hits.csv", "heatmap.csv", "heatmap.png", "heatmap.svg", "README.md"}
    names |= {"pathways.csv", "pathways.png", "pathways.svg"}
    assert {path.name for path in out.iterdir()} == names
    readme = (out / "README.md").read_text()
    assert all(name.partition(".")[0] in readme for name in names - {"README.md"})
    assert "screen.parquet" in readme


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in run(tmp_path, screen()).iterdir()}
    assert {path.name: path.read_bytes() for path in run(tmp_path, screen()).iterdir()} == first


def test_files_of_an_earlier_run_go_and_others_stay(tmp_path: Path) -> None:
    both = pl.concat([screen(), screen(cell_line="rpe1")])
    out = run(tmp_path, both)
    assert (out / "heatmap-rpe1.svg").exists()
    for name in ("notes.txt", "heatmap-mine.png", "pathways-notes.csv"):
        (out / name).write_text("mine")
    run(tmp_path, both, "--cell-line", "rpe1")
    assert not (out / "heatmap-rpe1.svg").exists()
    assert (out / "heatmap.svg").exists()
    for name in ("notes.txt", "heatmap-mine.png", "pathways-notes.csv"):
        assert (out / name).read_text() == "mine"
    assert not OURS.fullmatch("notes.txt")


def test_an_input_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    screen().write_csv("hits.csv")
    before = Path("hits.csv").read_bytes()
    with pytest.raises(InputError, match=r"hits\.csv: would be written over"):
        main(["hits.csv", "--out", "."])
    assert Path("hits.csv").read_bytes() == before


def test_a_folder_with_a_readme_of_its_own_is_left_alone(tmp_path: Path) -> None:
    screen().write_parquet(tmp_path / "p.parquet")
    (tmp_path / "README.md").write_text("# Run a")
    with pytest.raises(InputError, match=r"another --out, such as .*/hits"):
        main([str(tmp_path / "p.parquet"), "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "p.parquet"]


def test_a_name_that_a_spreadsheet_would_run_is_text(tmp_path: Path) -> None:
    odd = screen().with_columns(pl.col("gene").replace("A0", "=A0"))
    out = run(tmp_path, odd)
    assert "'=A0" in (out / "hits.csv").read_text()
    assert ",=A0" not in (out / "heatmap.csv").read_text()


def test_the_sample_baseline_is_read_with_the_bundled_gene_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTHPERT_KNOWLEDGE", raising=False)
    train, test = split_questions(read_questions(SAMPLE))
    write_predictions(answer("gene-prior", train, test), tmp_path / "prior.parquet")
    main(["prior.parquet", "--cell-line", "k562"])
    told = capsys.readouterr().out
    assert "yours with --gmt): 849 gene sets" in told
    assert "listed up right" in told
    assert "430 of 2,220 rows are of the names chosen" in told


def test_hard_answers_share_a_rank_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hits = read(run(tmp_path, hard(screen(1))) / "hits.csv")
    assert set(hits["rank"]) == {"1"}
    assert hits["gene"].to_list() == ["A0", "A1", "A2", "B0", "B1", "B2"]
    assert "every probability is 0 or 1" in capsys.readouterr().out


def test_an_unread_answer_is_counted_and_in_no_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unread = pl.col("gene") == "A0"
    table = screen(1).with_columns(answer=pl.when(~unread).then("answer"))
    out = run(tmp_path, table)
    assert "1 of 20 answers could not be read" in capsys.readouterr().out
    assert "A0" not in read(out / "hits.csv")["gene"]
    assert set(read(out / "pathways.csv")["background"]) == {"19"}


def test_a_threshold_calls_by_probability(tmp_path: Path) -> None:
    hits = read(run(tmp_path, screen(1), "--threshold", 0.82) / "hits.csv")
    assert set(hits.filter(pl.col("called") == "true")["gene"]) == {"A0", "B0"}


def test_nothing_called_is_said_and_draws_no_pathways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(tmp_path, screen().with_columns(answer=pl.lit(SAME)))
    told = capsys.readouterr().out
    assert "No gene is called up or down" in told
    assert "no pathway picture" in told
    assert read(out / "pathways.csv").is_empty()
    assert not (out / "pathways.png").exists()


def test_top_genes_can_be_tested_where_nothing_is_called(tmp_path: Path) -> None:
    table = screen(1).with_columns(answer=pl.lit(SAME))
    out = run(tmp_path, table, "--genes", "top", "--top", 3)
    rows = read(out / "pathways.csv").filter(pl.col("gene_set") == "ribosome")
    assert rows["genes"].to_list() == ["A0;A1;A2"]
    assert (out / "pathways.png").exists()


def test_no_change_at_all_gives_tables_without_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(tmp_path, hard(screen().with_columns(answer=pl.lit(SAME))))
    assert read(out / "hits.csv").is_empty()
    assert "no heat map" in capsys.readouterr().out
    assert {path.suffix for path in out.iterdir()} == {".csv", ".md"}


@pytest.mark.parametrize("kept", [pl.col("pert") == "P0", pl.col("gene") == "A0"])
def test_one_perturbation_or_one_gene_is_enough(tmp_path: Path, kept: pl.Expr) -> None:
    out = run(tmp_path, screen().filter(kept))
    assert (out / "heatmap.png").stat().st_size > 1000


def test_labels_stand_beside_the_genes_listed(tmp_path: Path) -> None:
    label = pl.when(pl.col("gene") == "A0").then(pl.lit(UP)).otherwise(pl.lit(DOWN))
    out = run(tmp_path, screen(1).with_columns(label=label), "--top", 2)
    assert read(out / "hits.csv")["label"].to_list() == [UP, DOWN, DOWN, DOWN]
    assert "0.5000 | 1.0000" in (out / "README.md").read_text()


def test_perturbations_are_chosen_by_a_file_of_names(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("P1\nP2\n")
    out = run(tmp_path, screen(), "--perts", tmp_path / "names.txt")
    assert set(read(out / "hits.csv")["pert"]) == {"P1", "P2"}


def test_several_files_are_parts_of_one_screen(tmp_path: Path) -> None:
    write_predictions(screen(cell_line="rpe1"), tmp_path / "other.csv")
    out = run(tmp_path, screen(), "--cell-line", "k562,rpe1", others=[tmp_path / "other.csv"])
    assert set(read(out / "hits.csv")["cell_line"]) == {"k562", "rpe1"}


def test_help_loads_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--shown_genes" in capsys.readouterr().out


def test_nothing_is_shown_where_stderr_is_no_terminal() -> None:
    with progress_bars() as progress:
        assert progress.disable
    assert Summary.__doc__


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--top", 0), "--top: out of range (got 0; expected 1 or more)"),
        (("--shown-genes", 9999), "--shown-genes: out of range (got 9999; expected 1 to 2,000)"),
        (("--threshold", 1.5), "--threshold: out of range"),
        (("--perts", ","), "--perts: names nothing"),
        (("--perts", "p1"), "(got 'p1'; expected one of 3; did you mean 'P1'?)"),
        (("--cell-line", "k526"), "did you mean 'k562'?"),
        (("--max-size", 1), "no gene set of at most 1 genes"),
    ],
)
def test_a_wrong_flag_is_one_line(tmp_path: Path, flags: tuple[object, ...], told: str) -> None:
    with pytest.raises(InputError) as error:
        run(tmp_path, screen(), *flags)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "hits.csv").exists()


def test_a_question_in_two_files_is_refused(tmp_path: Path) -> None:
    write_predictions(screen(1).reverse(), tmp_path / "other.csv")
    with pytest.raises(InputError, match=r"other.csv:21: question stands there twice .* row 2 of"):
        run(tmp_path, screen(), others=[tmp_path / "other.csv"])
    assert list((tmp_path / "out").iterdir()) == []


def test_gene_sets_of_other_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the genes asked .*got 'ENSG1'.* A0"):
        run(tmp_path, screen(), gmt="set\t\tENSG1\tENSG2\tENSG3\n")


def test_a_broken_gene_set_file_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sets.gmt:2: no gene set"):
        run(tmp_path, screen(), gmt="one\t\tA0\nno tabs here\n")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="out: cannot be written"):
        run(tmp_path, screen())
