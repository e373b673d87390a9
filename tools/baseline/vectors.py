"""Any table of vectors for genes: GenePT's text embeddings, a protein model's, one's own."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from synthpert.aliases import read_aliases
from synthpert.errors import InputError
from synthpert.tables import check_file, read_text_table
from tools.baseline.linear import probabilities
from tools.baseline.materials import shown
from tools.baseline.rows import Rows, numbered, predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.baseline.materials import Materials

logger = logging.getLogger(__name__)

DIMENSIONS: Final = 128
"""Longer vectors are reduced to so many principal components: GenePT's have 1,536."""
_EXPECTED: Final = (
    "a gene and its numbers in each row (.csv, .tsv, .parquet), or arrays genes and vectors (.npz)"
)


def genept(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """Logistic regression on the vectors of the two genes, one model for each cell line.

    GenePT (Chen and Zou 2024) as PerturbQA (Wu et al., ICLR 2025) has it: scikit-learn's
    `LogisticRegression` with its defaults on concat(pert, gene). A gene without a vector has the
    mean of all. A cell line without train rows is answered by a model of all others.
    """
    if materials.vectors is None:
        raise InputError("genept needs vectors of genes", file="--vectors", expected=_EXPECTED)
    rows, asked = numbered(train, test)
    table, names = read_vectors(materials.vectors), (rows.perts, rows.genes)
    if materials.aliases is not None:
        table = _renamed(table[0], {*names[0], *names[1]}, materials), table[1]
    perts, genes = (_aligned(materials.vectors, *table, each) for each in names)
    answers = np.zeros((len(asked), 3))
    lines = np.unique(asked.line).tolist()
    for line in shown(lines, "models", len(lines)):
        own = rows.line == line
        known = rows.where(own) if own.any() else rows
        mine = asked.line == line
        answers[mine] = _fit(known, asked.where(mine), perts, genes)
    return predictions(test, answers)


def _fit(
    known: Rows, asked: Rows, perts: NDArray[np.float32], genes: NDArray[np.float32]
) -> NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(known.label)) == 1:
        return known.shares()[asked.line]
    model = LogisticRegression(max_iter=1000)
    model.fit(np.hstack([perts[known.pert], genes[known.gene]]), known.label)
    return probabilities(model, np.hstack([perts[asked.pert], genes[asked.gene]]))


def read_vectors(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Read vectors of genes.

    Args:
        path: .csv or .tsv (plain or .gz) with the gene in the first column and a number in each
            other; .parquet likewise, or with one column of lists; .npz with `genes` and `vectors`.

    Returns:
        The genes, and (genes, dimensions).

    Raises:
        InputError: If it is none of these, or a gene stands twice or without a number.
    """
    check_file(path)
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix == ".npz":
        genes, vectors = _read_arrays(path)
    elif suffix in (".csv", ".tsv", ".parquet"):
        genes, vectors = _read_table(path, suffix)
    else:
        raise InputError("no table of vectors", file=path, got=suffix, expected=_EXPECTED)
    if vectors.ndim != 2 or len(genes) != len(vectors) or not vectors.size:
        raise InputError("not one vector a gene", file=path, got=vectors.shape, expected=_EXPECTED)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise InputError("not a number", file=path, got=genes[row], expected="finite numbers")
    twice = pl.Series(genes).filter(pl.Series(genes).is_duplicated())
    if len(twice):
        raise InputError("gene stands there twice", file=path, got=twice[0])
    return genes, vectors


def _read_arrays(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [str(gene) for gene in arrays["genes"]], arrays["vectors"].astype(np.float32)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot be read: {error}", file=path, expected=_EXPECTED) from None


def _read_table(path: Path, suffix: str) -> tuple[list[str], NDArray[np.float32]]:
    if suffix == ".parquet":
        try:
            table = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"cannot be read: {error}", file=path, expected=_EXPECTED) from None
    else:
        table = read_text_table(path, [], "," if suffix == ".csv" else "\t")
    first, *others = table.columns
    try:
        if len(others) == 1 and isinstance(table[others[0]].dtype, pl.List | pl.Array):
            rows = table[others[0]].cast(pl.List(pl.Float32)).to_list()
            vectors = np.array(rows, np.float32)
        else:
            vectors = table.select(pl.col(others).cast(pl.Float32)).to_numpy()
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        told = str(error).splitlines()[0]
        raise InputError(f"not numbers: {told}", file=path, expected=_EXPECTED) from None
    return table[first].cast(pl.String).to_list(), vectors


def _renamed(genes: list[str], known: set[str], materials: Materials) -> list[str]:
    """The genes of the vectors as the benchmark writes them, where a table leaves one reading."""
    assert materials.aliases is not None
    found = read_aliases(materials.aliases).resolve(genes, known)
    logger.info("%s: symbols: %s", materials.vectors, found)
    return [found.renamed.get(gene, gene) for gene in genes]


def _aligned(
    path: Path, genes: list[str], vectors: NDArray[np.float32], names: tuple[str, ...]
) -> NDArray[np.float32]:
    """(names, dimensions), centred, so that a gene without a vector is the mean one: 0."""
    from sklearn.decomposition import PCA

    vectors = vectors - vectors.mean(axis=0)
    if vectors.shape[1] > DIMENSIONS and len(vectors) > DIMENSIONS:
        vectors = PCA(DIMENSIONS, svd_solver="randomized", random_state=0).fit_transform(vectors)
    place = {gene: number for number, gene in enumerate(genes)}
    at = np.array([place.get(name, -1) for name in names], np.int64)
    if (at < 0).any():
        logger.warning("%s: no vector for %d of %d genes", path, (at < 0).sum(), len(at))
    padded = np.vstack([vectors, np.zeros_like(vectors[:1])])
    found: NDArray[np.float32] = padded[at].astype(np.float32)
    return found
