"""`synthpert check`: is a recipe well-formed, and is what it names there; in seconds."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from synthpert.errors import InputError

if TYPE_CHECKING:
    from tools.check.draft import Draft
    from tools.check.findings import Findings

log = logging.getLogger(__name__)

HELP: Final = """\
usage: synthpert check CONFIG [CONFIG ...] [--KEY VALUE ...]

Is a recipe well-formed, and is what it names there? One line if so; else one line an error, with
file, line and key, and exit code 2. Reads the data, the traces and the tokenizer; loads no weights,
needs no GPU and no network, and asks nobody.

Several files are merged in their order, and flags overlay them, as for `synthpert fit`. What a
file is, is told by its keys: a recipe of fit, test and predict; settings of `traces` or of `ask`;
a prompt set.

examples:
  synthpert check configs/tuples_cpu.yaml
  synthpert check configs/synthpert.yaml configs/splits/strict.yaml --run runs/strict \\
      --data.init_args.traces traces.parquet
  synthpert check configs/traces_paper.yaml --questions 0.05
  synthpert check mine.yaml --import-from mylab

options:
  --help  show this text
  --run   the run's directory: is there room for its checkpoints
"""


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `check`.

    Returns:
        The exit code: 0 if all is well, else 2.

    Raises:
        InputError: If no file is named.
    """
    from tools.check.draft import Draft, split_words

    if any(word in ("-h", "--help") for word in args):
        sys.stdout.write(HELP)
        return 0
    files, flags = split_words(args)
    if not files:
        raise InputError("no recipe", file="synthpert check", expected="configs/NAME.yaml")
    found = check(Draft(files, flags))
    for line in found.lines():
        log.error("%s", line)
    if found.errors:
        return InputError.exit_code
    sys.stdout.write(f"ok: {'; '.join(found.facts)}\n")
    return 0


def check(draft: Draft) -> Findings:
    """Check YAMLs and flags.

    Args:
        draft: What is to be checked; what is found wrong is taken out of it.

    Returns:
        The errors; without any, the facts.
    """
    from tools.check.findings import Findings
    from tools.check.kinds import kind_of

    found = Findings(draft)
    for error in draft.read():
        found.add(error)
    if found.errors:
        return found
    names = [word.partition("=")[0][2:] for word in draft.flags if word.startswith("--")]
    if not draft.keys and not names:
        found.add(InputError("holds nothing", file=draft.files[-1], expected="a recipe"))
        return found
    with _in_silence():
        _check(found, kind_of(draft.keys, names))
    return found


def _check(found: Findings, kind: str) -> None:
    if kind in ("recipe", "overlay"):
        from tools.check.recipe import check_recipe

        check_recipe(found, overlay=kind == "overlay")
    elif kind == "prompts":
        from tools.check.asked import check_prompts

        check_prompts(found)
    else:
        from tools.check.asked import check_settings

        check_settings(found, kind)


@contextmanager
def _in_silence() -> Iterator[None]:
    """Keep what is logged on the way out of a verdict of one line."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
