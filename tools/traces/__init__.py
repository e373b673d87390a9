"""The verb `traces`: a teacher explains the train questions' outcomes, critics grade it.

Every reply is paid for once: it goes to a journal at once, and all else (`traces.parquet`, the
counts) is computed from the journal, at no cost and as often as one likes.
"""

from __future__ import annotations

import difflib
import importlib.util
from typing import TYPE_CHECKING

from rich.console import Console

from synthpert.errors import InputError

if TYPE_CHECKING:
    from tools.traces.settings import Settings

_VERBS = {
    "plan": "count calls, tokens and US$ before anything is asked; needs no key and no network",
    "make": "ask what is not in the journal yet, then export; the same command resumes",
    "status": "count what the journal holds: the funnel from sent to kept, tokens, cost",
    "export": "write the kept traces from the journal; asks nobody",
    "cancel": "cancel the batches that are under way, and take what they have finished",
    "factuality": "have a judge mark every clause of the thoughts TRUE, FALSE or UNSURE",
}
_EXAMPLES = """
  synthpert traces plan --config configs/traces.yaml --questions 0.15
  synthpert traces make --config configs/traces.yaml --questions 200
  synthpert traces status --config configs/traces.yaml
  synthpert traces export --config configs/traces.yaml --grades excellent,good
  synthpert traces factuality predictions.parquet --judge.model openai/gpt-5.6-terra --budget 5
"""


def main(args: list[str]) -> int:
    """Run `traces plan`, `make`, `status`, `export`, `cancel` or `factuality`.

    Args:
        args: The command line after `traces`.

    Returns:
        The exit code.

    Raises:
        InputError: If the verb, a flag or what it names is wrong.
        StoppedError: If a run of `make` ended early; the same command goes on.
    """
    verb, rest = (args[0], args[1:]) if args else ("--help", [])
    if verb in ("-h", "--help"):
        lines = [f"  {name:<12}{line}" for name, line in _VERBS.items()]
        text = "usage: synthpert traces VERB [--config FILE] [flags]\n\n" + "\n".join(lines)
        Console().print(text + "\n" + _EXAMPLES, markup=False, highlight=False, soft_wrap=True)
        return 0
    if verb not in _VERBS:
        close = difflib.get_close_matches(verb, _VERBS, n=1)
        hint = f"did you mean {close[0]}? one of " if close else "one of "
        raise InputError(
            "unknown verb", file="synthpert traces", got=verb, expected=hint + ", ".join(_VERBS)
        )
    if verb == "factuality":
        from tools.traces.factuality import main as factuality

        return factuality(rest)
    # After the verb is known: these bring polars and more.
    from tools.traces.settings import read_settings

    _run(verb, read_settings(verb, rest))
    return 0


def _need_packages() -> None:
    for package in ("litellm", "openai", "tenacity", "aiolimiter"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{package} is not installed: pip install 'synthpert[teacher]'")


def _run(verb: str, settings: Settings) -> None:
    if verb in ("plan", "make", "cancel"):
        _need_packages()
    if verb == "plan":
        from tools.traces.plan import plan

        plan(settings)
    elif verb == "make":
        from tools.traces.make import make

        make(settings)
    elif verb == "cancel":
        from tools.traces.batches import cancel
        from tools.traces.journal import Journal

        with Journal(settings.journal, write=True) as journal:
            cancel(journal, [settings.teacher, *settings.critics])
    else:
        _read(verb, settings)


def _read(verb: str, settings: Settings) -> None:
    from tools.traces.journal import Journal

    with Journal(settings.journal) as journal:
        if verb == "status":
            from tools.traces.status import status

            status(settings, journal)
        else:
            from tools.traces.draw import draw
            from tools.traces.export import export
            from tools.traces.recipe import Recipe

            export(settings, journal, Recipe.of(settings), draw(settings))
