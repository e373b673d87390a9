"""The fenced blocks of a Markdown page, and what each is: commands, a file, an output, data."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt
from repository import ROOT

Kind = Literal["commands", "file", "output", "error", "data", "unknown"]
SHELLS = ("", "sh", "bash", "console")
DATA = ("yaml", "json", "python", "csv", "text", "toml", "xml")
# What a line of commands may begin with. A block in a shell's language that begins with anything
# else is `unknown`, and a test fails: it is an output that should say ```text, or a new program.
PROGRAMS = (
    *("synthpert", "python", "make", "pip", "mkdocs", "sbatch", "srun", "torchrun", "vllm", "curl"),
    *("hf", "wandb", ".venv/bin/pre-commit"),
    *("export", "unset", "cd", "mkdir", "cat", "printf", "cp", "rm", "head", "tail", "sha256sum"),
    *("eval", "source", "."),
)
_FENCE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: The page's path from the top of the repository.
        line: The line of its first fence.
        language: The first word after the fence.
        title: What `title="…"` says: a file's name, or that it is what the commands above print:
            `output`, or the `error` that they end in.
        text: What stands in it.
    """

    page: str
    line: int
    language: str
    title: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def kind(self) -> Kind:
        """What the block is."""
        if self.title in ("output", "error"):
            return self.title
        if self.title is not None:
            return "file"
        if self.language in SHELLS:
            return "commands" if self._begins_with_a_program() else "unknown"
        return "data" if self.language in DATA else "unknown"

    @property
    def script(self) -> str:
        """The commands as bash reads them: without the prompts and outputs of a console."""
        lines = self.text.splitlines()
        if self.language == "console" and any(line.startswith("$ ") for line in lines):
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return "\n".join(lines) + "\n"

    def _begins_with_a_program(self) -> bool:
        for line in self.script.splitlines():
            words = line.split()
            while words and re.fullmatch(r"\w+=\S*", words[0]):
                words.pop(0)  # PYTHONPATH=. python …
            if words and not words[0].startswith("#"):
                return words[0] in PROGRAMS
        return False


def pages() -> list[str]:
    """Every page a reader sees, from the top of the repository; the front page first."""
    found = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", "CONTRIBUTING.md", *found]


def read(page: str, root: Path = ROOT) -> list[Block]:
    """Read the fenced blocks of a page, in order.

    Raises:
        ValueError: If there is a fence that Markdown does not take for one, such as one within an
            indented paragraph: its commands would be left out.
    """
    text = (root / page).read_text(encoding="utf-8")
    tokens = [token for token in MarkdownIt().parse(text) if token.type == "fence"]
    inside = sum(len(_FENCE.findall(token.content)) for token in tokens)
    if len(_FENCE.findall(text)) != 2 * len(tokens) + inside:
        raise ValueError(f"{page}: a fence that opens no block, or is not closed")
    return [_block(page, token.info, token.content, (token.map or [0])[0] + 1) for token in tokens]


def _block(page: str, info: str, text: str, line: int) -> Block:
    title = _TITLE.search(info)
    language = info.split()[0] if info.strip() and not info.strip().startswith("title=") else ""
    return Block(page, line, language, title and title[1], text)


def words_of(line: str) -> list[str]:
    """The words of one command line, as a shell splits them."""
    return shlex.split(line, comments=True)
