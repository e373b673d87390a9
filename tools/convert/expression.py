"""Predicted expression of single cells (.h5ad) as changes against the control cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from synthpert.errors import InputError
from synthpert.tables import check_file
from tools.convert.changes import CHANGE, LINE_COLUMNS, PERT_COLUMNS, find_column

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CONTROLS: Final = (
    *("control", "ctrl", "non-targeting", "nontargeting", "non_targeting", "nt", "unperturbed"),
)
_SYMBOL_COLUMNS: Final = ("gene_name", "gene_symbol", "gene_symbols", "symbol", "feature_name")
_OBS_COLUMNS: Final = (*PERT_COLUMNS, "gene", "target")
_AND: Final = "+"


def read_expression(
    path: Path,
    line: str | None,
    pert_column: str | None = None,
    gene_column: str | None = None,
    control: str | None = None,
    *,
    changes: bool = False,
) -> pl.DataFrame:
    """Read predicted expression and subtract the mean of the control cells.

    GEARS writes `GENE+ctrl`, scGPT the same, State `target_gene` with `non-targeting` cells. A
    combination of two genes is none of the benchmark's perturbations and is left out.

    Args:
        path: AnnData: cells (or pseudobulks) in rows, log-normalised values in X.
        line: The cell line of all rows; None where obs has a column of it.
        pert_column: Of obs, if under no usual name.
        gene_column: Of var, if the symbols are neither its index nor under a usual name.
        control: What control cells are called, if by no usual name.
        changes: X holds changes already, and no control cell is needed.

    Returns:
        Columns cell_line, pert, gene (String) and `change` (Float64, null where X has no number):
        the mean over the perturbation's cells less that over the control cells of the cell line.

    Raises:
        InputError: If anndata is not installed, the file cannot be read, a column or the control
            cells are missing, or a gene stands there twice.
    """
    data = _open(path)
    columns = [str(name) for name in data.obs.columns]
    pert = find_column(columns, _OBS_COLUMNS, pert_column, path)
    if pert is None:
        expected = " | ".join(_OBS_COLUMNS)
        got = ", ".join(columns[:9])
        raise InputError(
            "no perturbation in obs (--pert-column)", file=path, got=got, expected=expected
        )
    lines = find_column(columns, LINE_COLUMNS, None, path)
    if line is None and lines is None:
        raise InputError("of which cell line", file=path, expected="CELL=FILE, or obs cell_line")
    cells = pl.DataFrame(
        {
            "cell_line": [line] * data.n_obs if line else list(map(str, data.obs[lines])),
            "pert": [_plain(str(name), control) for name in data.obs[pert]],
        }
    )
    genes = _genes(data, gene_column, path)
    parts = [
        _of_line(name, cells, data.X, genes, path, changes=changes)
        for name in cells["cell_line"].unique(maintain_order=True)
    ]
    return pl.concat(parts)


def _open(path: Path) -> Any:  # noqa: ANN401 - anndata is an extra
    check_file(path)
    try:
        import anndata
    except ImportError:
        what = "anndata is not installed: pip install 'synthpert[h5ad]'"
        raise InputError(what, file=path) from None
    try:
        return anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"not a sound .h5ad file: {told}", file=path) from None


def _plain(name: str, control: str | None) -> str:
    """The one gene that is perturbed; "" for control cells, and A+B for two genes."""
    names = {control} if control is not None else set(CONTROLS)
    if name in names or (control is None and name.lower() in names):
        return ""
    parts = [part for part in name.split(_AND) if part.lower() not in CONTROLS]
    return _AND.join(parts)


def _genes(data: Any, asked: str | None, path: Path) -> list[str]:  # noqa: ANN401
    columns = [str(name) for name in data.var.columns]
    column = find_column(columns, _SYMBOL_COLUMNS, asked, path)
    genes = list(map(str, data.var_names if column is None else data.var[column]))
    repeated = pl.Series(genes).is_duplicated().arg_true()
    if len(repeated):
        got = genes[repeated[0]]
        raise InputError("gene stands there twice", file=path, column="var", got=got)
    return genes


def _of_line(
    line: str,
    cells: pl.DataFrame,
    values: Any,  # noqa: ANN401 - an array, dense or sparse
    genes: list[str],
    path: Path,
    *,
    changes: bool,
) -> pl.DataFrame:
    rows = (cells["cell_line"] == line).arg_true().to_numpy()
    perts = cells["pert"][rows]
    names = perts.unique().sort().to_list()
    means = _means(values[rows], perts.to_numpy(), names)
    if not changes:
        if "" not in names:
            got = ", ".join(names[:5])
            what = f"no control cell of {line} (--control, or --changes)"
            raise InputError(what, file=path, got=got, expected=" | ".join(CONTROLS))
        means = means - means[names.index("")]
    kept = [i for i, name in enumerate(names) if name and _AND not in name]
    return pl.DataFrame(
        {
            "cell_line": pl.Series([line] * (len(kept) * len(genes)), dtype=pl.String),
            "pert": pl.Series(np.repeat([names[i] for i in kept], len(genes)), dtype=pl.String),
            "gene": pl.Series(genes * len(kept), dtype=pl.String),
            CHANGE: pl.Series(means[kept].ravel(), dtype=pl.Float64, nan_to_null=True),
        }
    )


def _means(values: Any, perts: NDArray[Any], names: list[str]) -> NDArray[np.float64]:  # noqa: ANN401
    """The mean of each perturbation's rows, (perturbations, genes)."""
    from scipy.sparse import csr_array

    place = np.searchsorted(names, perts)
    n = np.bincount(place, minlength=len(names))
    mean = csr_array((1 / n[place], (place, np.arange(len(perts)))), shape=(len(names), len(perts)))
    found = mean @ values
    dense = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
    return np.asarray(dense, np.float64)
