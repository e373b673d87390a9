"""`report --paper`: published rows beside ours, never two protocols in one comparison."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.predictions import write_predictions
from synthpert.questions import read_questions, split_questions
from tools.baseline import answer
from tools.report import main, paper_figures, paper_files
from tools.report.paper import write_tables
from tools.report.paper_rows import (
    PAPER,
    PER_GENE,
    POOLED,
    PUBLISHED,
    auroc_rows,
    class_rows,
    published,
)

SAMPLE = Path(__file__).parents[3] / "synthpert" / "sample"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of the sample, with a file for the default split and one for RPE1 held out."""
    folder = tmp_path_factory.mktemp("paper")
    questions = read_questions(SAMPLE)
    for name, split in (("mine", "default"), ("apart", "held_out:rpe1")):
        train, test = split_questions(questions, split)
        write_predictions(answer("gene-prior", train, test), folder / f"{name}.parquet")
    files = [str(folder / "mine.parquet"), str(folder / "apart.parquet")]
    args = ["--paper", *files, "--data", str(SAMPLE), "--rounds", "5", "--out", str(folder / "t")]
    assert main(args) == 0
    return folder / "t"


def test_five_tables_and_two_figures_are_written(tables: Path) -> None:
    assert {path.name for path in tables.iterdir()} == {
        *(f"{name}.csv" for name in paper_files.TITLES),
        *(f"{name}.{kind}" for name in list(paper_files.TITLES)[:2] for kind in ("png", "svg")),
        "tables.md",
    }
    assert (tables / "table1_de_auroc.png").read_bytes().startswith(b"\x89PNG")


def test_every_auroc_stands_under_its_protocol(tables: Path) -> None:
    table = pl.read_csv(tables / "table1_de_auroc.csv")
    told = dict(table.filter(pl.col("origin") == PUBLISHED).select("system", "protocol").rows())
    assert told["SUMMER"] == PER_GENE
    assert told["SYNTHPERT"] == told["LLM + SFT ON DATA"] == PAPER
    assert told["PHYSICAL"] == POOLED
    mine = table.filter(pl.col("system") == "mine")
    assert set(mine["protocol"]) == {PER_GENE, PAPER, POOLED}


def test_a_part_of_the_benchmark_is_compared_with_nothing_published(tables: Path) -> None:
    table = pl.read_csv(tables / "table2_direction_auroc.csv")
    ours = table.filter(pl.col("origin") != PUBLISHED)
    assert ours["comparable"].unique().to_list() == [
        "not comparable: not the benchmark as published"
    ]
    assert "is not the benchmark as published" in (tables / "tables.md").read_text()


def test_a_file_on_rpe1_alone_goes_to_table_4(tables: Path) -> None:
    three = pl.read_csv(tables / "table3_three_class.csv")["system"].to_list()
    four = pl.read_csv(tables / "table4_rpe1_held_out.csv")["system"].to_list()
    assert "mine" in three
    assert "mine" not in four
    assert "apart" in four
    assert "SYNTHPERT" in three
    assert "majority" in four


def test_the_counts_stand_beside_the_published_ones(tables: Path) -> None:
    counts = pl.read_csv(tables / "table5_counts.csv")
    row = counts.filter((pl.col("task") == "de") & (pl.col("cell_line") == "total"))
    assert row["rows"][0] == len(read_questions(SAMPLE))
    assert row["published"][0] == 614_479


def test_the_published_numbers_name_their_source() -> None:
    told = published()
    assert "not reproduced" in told["source"]
    assert told["table1_de_auroc"]["SYNTHPERT"]["jurkat"] == 0.79
    assert set(told["table5_counts"]) == {"direction", "de"}


def test_the_whole_benchmark_is_comparable_within_the_official_protocol() -> None:
    block = {"de_auroc": {"per_gene": 0.6, "pooled": 0.9}}
    spread = {"k562": {"de_auroc": {"pooled": {"mean": 0.7, "sd": 0.1}}}}
    ours = [("mine", "ours", {"k562": block}, spread)]
    rows = auroc_rows({"GAT": {"k562": 0.55}}, "de_auroc", ours, whole=True)
    assert [(row.protocol, row.comparable.split(":")[0]) for row in rows] == [
        (PER_GENE, "yes"),
        (PER_GENE, "yes"),
        (PAPER, "not comparable"),
        (POOLED, "not comparable"),
    ]
    assert rows[2].figures["k562"].low == pytest.approx(0.6)


def test_class_rows_say_which_rows_were_scored() -> None:
    told = published()["table3_three_class_default_split"]
    rows = class_rows(told, "subsets", [("mine", "ours", {"three_class": told["SYNTHPERT"]})])
    assert [row.protocol for row in rows] == ["subsets"] * 4 + ["every test row"]
    assert rows[-1].figures == rows[-2].figures


def test_a_file_on_other_questions_is_refused(tmp_path: Path) -> None:
    train, _ = split_questions(read_questions(SAMPLE))
    write_predictions(answer("majority", train, train[:3]), tmp_path / "p.csv")
    with pytest.raises(InputError, match="neither the default test split nor RPE1 held out"):
        write_tables(
            [str(tmp_path / "p.csv")], tmp_path, data=str(SAMPLE), knowledge=None, rounds=0
        )


def test_tables_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        paper_figures.draw_aurocs(tmp_path / "taken" / "figure", "T", [], ["k562"])
    with pytest.raises(InputError, match="cannot be written"):
        paper_files.write_text(tmp_path / "taken" / "tables.md", "x")
