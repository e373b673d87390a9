"""Tables of vectors: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from worlds import NOT_DE, UP, questions

from synthpert.errors import InputError
from tools.baseline.materials import Materials
from tools.baseline.vectors import genept, read_vectors

VECTORS = np.array([[1, 2.5], [3, -1]], np.float32)


def write(folder: Path, kind: str) -> Path:
    path = folder / f"vectors.{kind}"
    table = pl.DataFrame({"gene": ["NA", "TP53"], "a": VECTORS[:, 0], "b": VECTORS[:, 1]})
    if kind == "npz":
        np.savez(path, genes=table["gene"].to_numpy().astype(str), vectors=VECTORS)
    elif kind == "list.parquet":
        table.select("gene", v=pl.concat_list("a", "b")).write_parquet(path)
    elif kind == "parquet":
        table.write_parquet(path)
    else:
        table.write_csv(path, separator="\t" if kind == "tsv" else ",")
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "list.parquet", "npz"])
def test_a_table_of_any_kind_is_read(kind: str, tmp_path: Path) -> None:
    genes, vectors = read_vectors(write(tmp_path, kind))
    assert genes == ["NA", "TP53"]
    np.testing.assert_array_equal(vectors, VECTORS)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("v.csv", "gene,a\nA,x\n", "not numbers"),
        ("v.csv", "gene,a\nA,1\nA,2\n", "gene stands there twice"),
        ("v.csv", "gene,a\nA,nan\n", "not a number"),
        ("v.csv", "gene\nA\n", "not one vector a gene"),
        ("v.json", "{}", "no table of vectors"),
        ("v.npz", "no archive", "cannot be read"),
        ("v.parquet", "no parquet", "cannot be read"),
    ],
)
def test_a_broken_table_is_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_vectors(tmp_path / name)


def test_an_archive_with_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", genes=np.array(["A"], object), vectors=VECTORS[:1])
    with pytest.raises(InputError, match="cannot be read"):
        read_vectors(tmp_path / "v.npz")


def test_long_vectors_are_reduced_and_a_missing_one_is_the_mean(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "long.npz"
    generator = np.random.default_rng(0)
    genes = [f"G{number}" for number in range(200)]
    np.savez(path, genes=genes, vectors=generator.random((200, 300), np.float32))
    train = questions(*(("k", f"G{i}", f"G{i + 1}", UP if i % 2 else NOT_DE) for i in range(50)))
    table = genept(train, questions(("k", "UNKNOWN", "G3", UP)), Materials(vectors=path))
    assert "no vector for 1 of" in caplog.text
    assert table["p_down"][0] == 0


def test_vectors_under_another_symbol_are_found_by_a_table_of_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "names.tsv").write_text("symbol\tsynonyms\nG3\tOLD3\n")
    rows = "\n".join(f"G{i},{i % 5},{i % 3}" for i in range(51) if i != 3)
    (tmp_path / "v.csv").write_text(f"gene,a,b\n{rows}\nOLD3,3,0\n")
    train = questions(*(("k", f"G{i}", f"G{i + 1}", UP if i % 2 else NOT_DE) for i in range(50)))
    plain = Materials(vectors=tmp_path / "v.csv")
    named = Materials(vectors=tmp_path / "v.csv", aliases=tmp_path / "names.tsv")
    asked = questions(("k", "G9", "G3", UP))
    with caplog.at_level("INFO"):
        assert not genept(train, asked, plain).equals(genept(train, asked, named))
    assert "1 renamed" in caplog.text
