"""Inputs that no text file of a repository can hold: other bytes, other sizes, other kinds."""

from __future__ import annotations

import ctypes
import gzip
import os
from pathlib import Path

import yaml
from cli_recipe import recipe
from tiny import tiny_base

HEADER = "cell_line,pert,gene\n"
QUESTIONS = f"{HEADER}k562,ATF7IP2,ACTG1\nk562,ATF7IP2,ALYREF\n"


def nul(path: Path) -> None:
    """A zero byte within a gene, as a program leaves it that writes strings of fixed length."""
    path.write_bytes(QUESTIONS.encode().replace(b"ALYREF", b"ALY\0REF"))


def byte_order_mark(path: Path) -> None:
    """What Excel saves as `CSV UTF-8`."""
    path.write_bytes(b"\xef\xbb\xbf" + QUESTIONS.encode())


def utf_16(path: Path) -> None:
    """What Excel saves as `Unicode text`."""
    path.write_bytes(QUESTIONS.encode("utf-16"))


def latin_1(path: Path) -> None:
    """A note of a European spreadsheet."""
    path.write_bytes("cell_line,pert,gene,note\nk562,ATF7IP2,ACTG1,Müller\n".encode("latin-1"))


def mixed_line_ends(path: Path) -> None:
    """A file that was edited on two systems."""
    first, second, third = QUESTIONS.splitlines()
    path.write_bytes(f"{first}\r\n{second}\n{third}\r\n".encode())


def ten_megabytes(path: Path) -> None:
    """A cell that a quote, opened and closed far below, made of half a file."""
    path.write_text(f"{HEADER}k562,ATF7IP2,{'ACGT' * 2_500_000}\n")


def deep_json(path: Path) -> None:
    """An object whose reasoning is 5,000 arrays within one another."""
    known = '"cell_line": "k562", "pert": "ATF7IP2", "gene": "ACTG1", "label": "upregulated"'
    deep = "[" * 5000 + "]" * 5000
    path.write_text(f'{{{known}, "answer": "upregulated", "reasoning": {deep}}}\n')


def truncated_gzip(path: Path) -> None:
    """A download that was cut off."""
    path.write_bytes(gzip.compress(QUESTIONS.encode() * 100)[:-20])


def directory(path: Path) -> None:
    """A folder of the name."""
    path.mkdir()


def missing(path: Path) -> None:
    """Nothing: the path is wrong."""


def no_permission(path: Path) -> None:
    """A file of somebody else's."""
    path.write_text(QUESTIONS)
    path.chmod(0o000)


def broken_link(path: Path) -> None:
    """A link to a disk that is not mounted."""
    path.symlink_to(path.with_name("unmounted") / path.name)


def heed_permissions() -> None:
    """Let permission bits hold for root too; called in a child before its program begins.

    The capabilities that pass them by are taken from what the program may ever have
    (capabilities(7): PR_CAPBSET_DROP is 24, CAP_DAC_OVERRIDE 1, CAP_DAC_READ_SEARCH 2). Another
    user would do, but might not be let in where Python is installed.
    """
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2):
            libc.prctl(24, capability, 0, 0, 0)


def another_base(path: Path) -> None:
    """A base model that the run's student was not trained on."""
    tiny_base(path)


def misspelt_key(path: Path) -> None:
    """A recipe with two letters exchanged."""
    _recipe(path, "learning_rate:", "learnign_rate:")


def wrong_type(path: Path) -> None:
    """A recipe with a number in words."""
    _recipe(path, "batch_size: 8", "batch_size: eight")


def broken_yaml(path: Path) -> None:
    """A recipe with a list that is not closed."""
    _recipe(path, "- k562", "- [k562")


def _recipe(path: Path, old: str, new: str) -> None:
    text = yaml.safe_dump(recipe(), sort_keys=False)
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
