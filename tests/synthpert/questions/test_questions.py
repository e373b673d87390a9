"""Reading PerturbQA: what comes out, and the one line for everything that is wrong."""

from __future__ import annotations

import gzip
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert.errors import InputError
from synthpert.questions import (
    CELL_LINES,
    LABEL_DTYPE,
    LABELS,
    Label,
    Question,
    find_data,
    read_questions,
    to_questions,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER = "pert,gene,label,split\n"
DE = f"{HEADER}AAMP,NA,0,train\nAAMP,TRUE,1,train\nGATA1,1E5,1,test\nGATA1,HBB,0,test\n"
DIR = f"{HEADER}AAMP,TRUE,1,train\nGATA1,1E5,0,test\n"


def write(
    folder: Path, de: str | bytes = DE, direction: str | bytes = DIR, line: str = "k562"
) -> Path:
    for task, content in (("de", de), ("dir", direction)):
        data = content.encode() if isinstance(content, str) else content
        (folder / f"{line}-{task}.csv").write_bytes(data)
    return folder


def refusal(folder: Path, cell_lines: list[str] | None = None) -> str:
    """The error of reading `folder`, without the folder's own path."""
    with pytest.raises(InputError) as caught:
        read_questions(folder, cell_lines)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{folder}/", "")


def test_both_files_become_one_labelled_table(tmp_path: Path) -> None:
    table = read_questions(write(tmp_path))
    assert table.rows() == [
        ("k562", "AAMP", "NA", "not differentially expressed", "train"),
        ("k562", "AAMP", "TRUE", "upregulated", "train"),
        ("k562", "GATA1", "1E5", "downregulated", "test"),
        ("k562", "GATA1", "HBB", "not differentially expressed", "test"),
    ]
    assert table.schema["label"] == LABEL_DTYPE


@pytest.mark.parametrize("name", ["NA", "NaN", "nan", "null", "None", "1E5", "inf", "-", "7SK"])
def test_a_gene_with_an_awkward_name_stays_text(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"{HEADER}{name},HBB,0,train\nAAMP,{name},0,test\n", HEADER)
    table = read_questions(tmp_path)
    assert (table["pert"][0], table["gene"][1]) == (name, name)


def test_labels_have_one_order_everywhere() -> None:
    assert LABELS == (Label.NOT_DE, Label.UP, Label.DOWN)
    assert list(LABEL_DTYPE.categories) == list(LABELS)


def test_rows_become_questions_in_order(tmp_path: Path) -> None:
    questions = to_questions(read_questions(write(tmp_path)))
    assert questions[1] == Question("k562", "AAMP", "TRUE")
    assert len(questions) == 4


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: "\ufeff" + text, "byte order mark"),
        (lambda text: text.replace("\n", "\r\n"), "CRLF"),
        (lambda text: text.replace("\n", "\r"), "CR"),
        (lambda text: text.rstrip("\n"), "no last line end"),
        (lambda text: text + "\n\n", "empty lines at the end"),
        (lambda text: text.replace("AAMP", '"AAMP"'), "quotes"),
    ],
)
def test_harmless_differences_are_read(
    tmp_path: Path, change: Callable[[str], str], what: str
) -> None:
    expected = read_questions(write(tmp_path))
    assert read_questions(write(tmp_path, change(DE), change(DIR))).equals(expected), what


def test_gzipped_files_are_read_in_place_of_plain_ones(tmp_path: Path) -> None:
    for task, text in (("de", DE), ("dir", DIR)):
        (tmp_path / f"k562-{task}.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert read_questions(tmp_path).height == 4


def test_a_line_without_any_expressed_gene_needs_no_direction(tmp_path: Path) -> None:
    assert read_questions(write(tmp_path, f"{HEADER}A,B,0,train\n", HEADER)).height == 1


def test_gene_sets_are_never_a_cell_line(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, line="k562_set")
    assert read_questions(tmp_path)["cell_line"].unique().to_list() == ["k562"]
    assert "unknown cell line (got 'k562_set'; expected one of k562)" in refusal(
        tmp_path, ["k562_set"]
    )


def test_cell_lines_come_in_the_order_asked_for(tmp_path: Path) -> None:
    for line in ("zr751", *CELL_LINES):
        write(tmp_path, line=line)
    everything = read_questions(tmp_path)["cell_line"].unique(maintain_order=True).to_list()
    asked = read_questions(tmp_path, ["rpe1", "k562"])["cell_line"].unique(maintain_order=True)
    assert everything == [*CELL_LINES, "zr751"]
    assert asked.to_list() == ["rpe1", "k562"]


def test_an_unknown_cell_line_lists_those_present(tmp_path: Path) -> None:
    write(tmp_path, line="rpe1")
    assert refusal(write(tmp_path), ["hela"]).endswith(
        "unknown cell line (got 'hela'; expected one of k562, rpe1)"
    )


WRONG_DE = {
    "missing column": (
        DE.replace("label", "lable"),
        "k562-de.csv:1:label: column is missing (got 'pert, gene, lable, split'; "
        "expected pert, gene, label, split)",
    ),
    "column twice": (
        DE.replace("split\n", "split,gene\n", 1),
        "k562-de.csv:1:gene: column stands twice (expected each name once)",
    ),
    "label": (
        DE.replace("HBB,0", "HBB,2"),
        "k562-de.csv:5:label: unknown label (got '2'; expected 0 or 1)",
    ),
    "empty label": (
        DE.replace("HBB,0", "HBB,"),
        "k562-de.csv:5:label: unknown label (got ''; expected 0 or 1)",
    ),
    "split": (
        DE.replace("HBB,0,test", "HBB,0,valid"),
        "k562-de.csv:5:split: unknown split (got 'valid'; expected train or test)",
    ),
    "no direction": (
        DE.replace("HBB,0", "HBB,1"),
        "k562-de.csv:5:label: differentially expressed, but no such pair in k562-dir.csv "
        "(got '1'; expected its direction)",
    ),
    "repeated": (
        DE + "AAMP,NA,0,train\n",
        "k562-de.csv:6:gene: pair repeats row 2 (got 'AAMP, NA'; expected each pair once)",
    ),
    "contradiction": (
        DE + "AAMP,NA,1,train\n",
        "k562-de.csv:6:gene: pair contradicts row 2 (got 'AAMP, NA'; expected each pair once)",
    ),
    "empty gene": (
        DE.replace("HBB", ""),
        "k562-de.csv:5:gene: gene is empty (got ''; expected a name)",
    ),
    "quoted empty": (
        DE.replace("HBB", '""'),
        "k562-de.csv:5:gene: gene is empty (got ''; expected a name)",
    ),
    "empty pert": (
        DE.replace("GATA1,HBB", ",HBB"),
        "k562-de.csv:5:pert: pert is empty (got ''; expected a name)",
    ),
    "blank gene": (
        DE.replace("HBB", "  "),
        "k562-de.csv:5:gene: gene is empty (got ' '; expected a name)",
    ),
    "white space": (
        DE.replace("HBB", "HBB "),
        "k562-de.csv:5:gene: white space around the name (got 'HBB '; expected 'HBB')",
    ),
    "NUL": (DE.replace("HBB", "H\0B"), "k562-de.csv:5:gene: NUL byte (expected text)"),
    "tabs": (
        DE.replace(",", "\t"),
        "k562-de.csv:1: wrong delimiter (got 'tabs'; expected commas)",
    ),
    "semicolons": (
        DE.replace(",", ";"),
        "k562-de.csv:1: wrong delimiter (got 'semicolons'; expected commas)",
    ),
    "short row": (
        DE.replace("HBB,0,test", "HBB,0"),
        "k562-de.csv:5: ragged row (got '3 values'; expected 4, as in the header)",
    ),
    "long row": (
        DE.replace("NA,0,train", "NA,0,train,x"),
        "k562-de.csv:2: ragged row (got '5 values'; expected 4, as in the header)",
    ),
    "long and short rows that cancel out": (
        DE.replace("NA,0,train", "NA,0,train,x").replace("HBB,0,test", "HBB,0"),
        "k562-de.csv:2: ragged row (got '5 values'; expected 4, as in the header)",
    ),
    "empty line between rows": (
        DE.replace("AAMP,TRUE", "\nAAMP,TRUE"),
        "k562-de.csv:3: ragged row (got '0 values'; expected 4, as in the header)",
    ),
    "open quote": (
        DE.replace("HBB", '"HBB'),
        "k562-de.csv:5: broken quoting: unexpected end of data (expected every quote closed)",
    ),
    "Latin-1": (
        DE.encode().replace(b"HBB", b"H\xe4B"),
        "k562-de.csv:5:gene: not UTF-8 text (got b'\\xe4'; expected UTF-8)",
    ),
    "UTF-16": (
        DE.encode("utf-16"),
        "k562-de.csv:1: UTF-16 text (expected UTF-8: save it as `CSV UTF-8`)",
    ),
    "empty file": ("", "k562-de.csv: file is empty (expected a header and rows)"),
    "blank file": (" \n\n", "k562-de.csv: file is empty (expected a header and rows)"),
    "header only": (HEADER, "k562-de.csv: table has no rows"),
    "truncated gzip": (gzip.compress(DE.encode())[:-12], "k562-de.csv: gzip file is truncated"),
}


@pytest.mark.parametrize(("content", "message"), WRONG_DE.values(), ids=WRONG_DE)
def test_a_wrong_de_file_is_refused_with_its_place(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    assert refusal(write(tmp_path, content)) == message


WRONG_DIR = {
    "no DE row": (
        DIR + "GATA1,HBD,1,test\n",
        "k562-dir.csv:4:gene: pair has no row in the -de file (got 'HBD'; expected one)",
    ),
    "DE label 0": (
        DIR + "GATA1,HBB,1,test\n",
        "k562-dir.csv:4:label: pair is not differentially expressed in the -de file "
        "(got '1'; expected label 1 there)",
    ),
    "other split": (
        DIR.replace("1E5,0,test", "1E5,0,train"),
        "k562-dir.csv:3:split: split differs from the -de file "
        "(got 'train'; expected the same in both files)",
    ),
    "label": (
        DIR.replace("1E5,0", "1E5,-1"),
        "k562-dir.csv:3:label: unknown label (got '-1'; expected 0 or 1)",
    ),
    "contradiction": (
        DIR + "AAMP,TRUE,0,train\n",
        "k562-dir.csv:4:gene: pair contradicts row 2 (got 'AAMP, TRUE'; expected each pair once)",
    ),
}


@pytest.mark.parametrize(("content", "message"), WRONG_DIR.values(), ids=WRONG_DIR)
def test_a_wrong_dir_file_is_refused_with_its_place(
    tmp_path: Path, content: str, message: str
) -> None:
    assert refusal(write(tmp_path, direction=content)) == message


DATES = [
    "1-Mar", "Mar-1", "MAR-01", "2-Sep", "Sep-2", "1-Dec", "1-Mar-21", "Mar-2021", "2021-03-01",
    "3/1/2021", "01.03.2021", "2021-03-01 00:00:00", "1. Mrz", "44256", "43891.0",
    "Mar-1-2020", "3/1", "3/1/2020", "Mar 1 2020",
]  # fmt: skip


@pytest.mark.parametrize("date", DATES)
def test_a_gene_turned_into_a_date_is_refused(tmp_path: Path, date: str) -> None:
    assert refusal(write(tmp_path, DE.replace("HBB", date))) == (
        f"k562-de.csv:5:gene: gene turned into a date by a spreadsheet (got '{date}'; "
        "expected a gene symbol, such as MARCHF1)"
    )


@pytest.mark.parametrize("number", ["2.31E+13", "2.31e+19", "2E+13", "2.31E13"])
def test_a_gene_turned_into_a_number_is_refused(tmp_path: Path, number: str) -> None:
    assert refusal(write(tmp_path, DE.replace("HBB", number))) == (
        f"k562-de.csv:5:gene: gene turned into a number by a spreadsheet (got '{number}'; "
        "expected a gene symbol, such as MARCHF1)"
    )


@pytest.mark.parametrize(
    "gene",
    [
        "2310009E13",
        "2310009E13Rik",
        "MARCH1",
        "MARCHF1",
        "SEPT2",
        "SEPTIN2",
        "DEC1",
        "MARC1",
        "NKX2-1",
        "H1-2",
        "AC118549.1",
        "MT-ND1",
        "OCT4",
    ],
)
def test_a_gene_that_only_looks_like_a_date_is_read(tmp_path: Path, gene: str) -> None:
    assert read_questions(write(tmp_path, DE.replace("HBB", gene)))["gene"][3] == gene


def test_a_missing_dir_file_is_named(tmp_path: Path) -> None:
    (write(tmp_path) / "k562-dir.csv").unlink()
    assert (
        refusal(tmp_path)
        == "k562-dir.csv: no such file (expected one for each cell line, as shipped)"
    )


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (write(tmp_path) / "k562-de.csv").unlink()
    (tmp_path / "k562-de.csv").mkdir()
    assert refusal(tmp_path) == "k562-de.csv: is a folder (expected a file)"


def test_a_file_that_is_no_gzip_is_refused(tmp_path: Path) -> None:
    (write(tmp_path) / "k562-de.csv").rename(tmp_path / "k562-de.csv.gz")
    assert refusal(tmp_path).startswith("k562-de.csv.gz: not a sound gzip file: ")


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(DE.encode()))
    packed[-6] ^= 255
    assert refusal(write(tmp_path, bytes(packed))).startswith(
        "k562-de.csv: not a sound gzip file: "
    )


def test_a_missing_folder_a_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "no cell line in this folder" in refusal(tmp_path)
    (tmp_path / "file").touch()
    assert "is a file" in refusal(tmp_path / "file")


def test_no_cell_line_at_all_is_refused(tmp_path: Path) -> None:
    assert "no cell line asked for (expected one of k562)" in refusal(write(tmp_path), [])


def test_the_folder_asked_for_comes_first_then_the_variable_then_data_then_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "synthpert.questions")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTHPERT_DATA", raising=False)
    folders = [tmp_path / "data" / "perturbqa", tmp_path / "somewhere", tmp_path / "mine"]
    found = [find_data().name]
    read_questions()
    for folder, asked in zip(folders, [None, None, "mine"], strict=True):
        folder.mkdir(parents=True)
        write(folder)
        if folder.name == "somewhere":
            monkeypatch.setenv("SYNTHPERT_DATA", "somewhere")
        found.append(str(find_data(asked)))
        read_questions(asked)
    assert found == ["sample", "data/perturbqa", "somewhere", "mine"]
    reasons = [record.message.partition("(")[2] for record in caplog.records]
    assert reasons == ["the bundled sample)", "./data/perturbqa)", "$SYNTHPERT_DATA)", "as asked)"]


def test_nothing_is_logged_of_a_folder_that_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "synthpert.questions")
    refusal(tmp_path / "nowhere")
    refusal(write(tmp_path, HEADER))
    assert caplog.messages == []


DAMAGE = [b",", b'"', b"\n", b"\r", b"\0", b"\xff", b"", b" ", b"1-Mar", b";", b"\xef\xbb\xbf"]


@settings(deadline=None)  # a busy machine is no failure
@given(st.data())
def test_any_damage_gives_a_table_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    in_de = data.draw(st.booleans())
    file = bytearray((DE if in_de else DIR).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(file)))
        stop = data.draw(st.integers(start, min(start + 5, len(file))))
        damage = st.sampled_from(
            [b",", b'"', b"\n", b"\r", b"\0", b"\xff", b"", b" ", b"1-Mar", b";"]
        )
        file[start:stop] = data.draw(damage | st.binary(max_size=4))
    folder = tmp_path_factory.mktemp("damaged")
    write(folder, bytes(file)) if in_de else write(folder, direction=bytes(file))
    try:
        outcome = str(read_questions(folder).null_count().sum_horizontal().item())
    except InputError as error:
        outcome = str(error)
    assert outcome == "0" or outcome.startswith(f"{folder}/k562-")
    assert "\n" not in outcome
