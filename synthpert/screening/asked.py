"""What a screen asks: a table of the user's, a product of lists, or the test split."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Protocol

import polars as pl

from synthpert.errors import InputError
from synthpert.files import sha256
from synthpert.screening.blocks import Blocks, ProductBlocks, StagedBlocks, TableBlocks
from synthpert.screening.product import Lists, Product, read_lists
from synthpert.screening.staging import stage_table
from synthpert.text_chunks import check_file

_LISTS = "lists.json"


class Asked(Protocol):
    """Questions that are put aside once, and then read by the number of their block."""

    def identity(self) -> dict[str, str]:
        """What tells these questions from others, as plain text."""
        ...

    def stage(self, folder: Path, part_size: int) -> int:
        """Put the questions aside, so that an edit of their files changes nothing.

        Args:
            folder: Where; not there yet.
            part_size: Questions of a block.

        Returns:
            How many questions there are.

        Raises:
            InputError: If they cannot be read, or one is not sound.
        """
        ...

    def blocks(self, folder: Path, part_size: int) -> Blocks:
        """The questions put aside in `folder`."""
        ...


class AskedTable:
    """The questions of a user's table.

    Args:
        path: As `read_table` takes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def identity(self) -> dict[str, str]:
        """The SHA-256 of the file."""
        check_file(self.path)
        try:
            digest = sha256(self.path)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=self.path) from None
        return {"kind": "table", "sha256": digest}

    def stage(self, folder: Path, part_size: int) -> int:
        """Write the table's shards."""
        return stage_table(self.path, folder, part_size)

    def blocks(self, folder: Path, part_size: int) -> Blocks:
        """The shards' blocks."""
        return StagedBlocks(folder, part_size)


class AskedProduct:
    """The questions of a product.

    Args:
        product: The lists.
        data: The benchmark's folder, for `genes: all`.
    """

    def __init__(self, product: Product, data: Path | None) -> None:
        self.lists = read_lists(product, data)

    def identity(self) -> dict[str, str]:
        """The SHA-256 of all names."""
        return {"kind": "product", "sha256": hashlib.sha256(self._text().encode()).hexdigest()}

    def stage(self, folder: Path, part_size: int) -> int:
        """Write the names down."""
        folder.mkdir(parents=True)
        (folder / _LISTS).write_text(self._text(), encoding="utf-8")
        return sum(each.questions for each in self.lists)

    def blocks(self, folder: Path, part_size: int) -> Blocks:
        """Blocks of the names that were written down."""
        lists = json.loads((folder / _LISTS).read_text(encoding="utf-8"))
        return ProductBlocks([Lists(*each) for each in lists], part_size)

    def _text(self) -> str:
        return json.dumps(self.lists)


class AskedRows:
    """The questions of a table in memory, such as the test split.

    Args:
        table: cell_line, pert, gene and label.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table

    def identity(self) -> dict[str, str]:
        """The SHA-256 of the questions, in their order."""
        text = self.table.write_csv(separator="\t")
        return {"kind": "rows", "sha256": hashlib.sha256(text.encode()).hexdigest()}

    def stage(self, folder: Path, part_size: int) -> int:
        """Nothing to put aside: whoever starts again has the same rows."""
        folder.mkdir(parents=True)
        return self.table.height

    def blocks(self, folder: Path, part_size: int) -> Blocks:
        """The table's blocks."""
        return TableBlocks(self.table, part_size)
