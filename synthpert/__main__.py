"""The front door: one table of verbs, in the order of the work.

A verb's module is imported only when that verb is called, so `--help` answers at once.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said before anything of a newer Python is imported
    sys.stderr.write(
        "synthpert: this Python is too old "
        f"(got {sys.version_info[0]}.{sys.version_info[1]}; expected 3.11 or 3.12: "
        "python3.11 -m venv .venv, and install SynthPert there)\n"
    )
    sys.exit(2)

import importlib
import importlib.util
import logging
import os
from pathlib import Path

from synthpert import __version__, ranks
from synthpert.commands import shipped
from synthpert.errors import InputError, StoppedError
from synthpert.redaction import RedactFilter, redact_text
from synthpert.verbs import VERBS

SIBLINGS = ("callbacks", "data_modules", "tools")
INTERRUPTED = 130
READER_LEFT = 141

logger = logging.getLogger(__name__)


def help_text() -> str:
    """Return the front door's help: usage, the table of verbs, the exit codes."""
    rows = [f"  {verb.name:<10} {verb.line}\n{'':13}synthpert {verb.example}" for verb in VERBS]
    return "\n".join(
        [
            "usage: synthpert [--help] [--version] [--debug] VERB ...",
            "",
            "Teach a language model to reason about cell perturbations.",
            "",
            "verbs, in the order of the work (synthpert VERB --help tells more):",
            *rows,
            "",
            "options, before the verb:",
            "  --help     show this text",
            "  --version  show the version",
            "  --debug    show the traceback of an error",
            "",
            "exit codes: 0 done; 2 wrong input; 3 stopped on purpose, the same command resumes;",
            "130 interrupted and 143 terminated, with the state saved.",
            "",
        ]
    )


def main(args: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        args: The command line after `synthpert`; None takes it from `sys.argv`.

    Returns:
        The exit code: 0 done, 2 wrong input, 3 stopped on purpose, 130 interrupted, 141 when
        the reader of our output has gone.
    """
    rest = list(sys.argv[1:] if args is None else args)
    # `--debug` is taken out only where it stands before the verb: after it, it is the verb's.
    options = []
    while rest and rest[0].startswith("-"):
        options.append(rest.pop(0))
    handler = _start_logging()
    try:
        code = _dispatch([option for option in options if option != "--debug"], rest)
        sys.stdout.flush()
    except (InputError, StoppedError) as error:
        if "--debug" in options:
            logger.error("the error's traceback", exc_info=True)
        if ranks.tells():
            sys.stderr.write(f"{_one_line(error)}\n")
        code = error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = INTERRUPTED
    except BrokenPipeError:
        if not _reader_left():
            raise
        # The interpreter flushes stdout once more on its way out, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = READER_LEFT
    except SystemExit as stop:
        code = _exit_code(stop)
    finally:
        logging.getLogger().removeHandler(handler)
    return code


def _dispatch(options: list[str], rest: list[str]) -> int:
    """Do what the options before the verb ask, or else what the verb does."""
    if options and options[0] not in ("-h", "--help", "--version"):
        raise InputError(
            "unknown option", file="synthpert", got=options[0], expected=_near(options[0])
        )
    if options[:1] == ["--version"]:
        sys.stdout.write(f"synthpert {__version__}\n")
        return 0
    if options or not rest:
        sys.stdout.write(help_text())
        return 0
    verb = next((verb for verb in VERBS if verb.name == rest[0]), None)
    if verb is None:
        raise InputError("unknown verb", file="synthpert", got=rest[0], expected=_near(rest[0]))
    # `doctor` shows what is hidden, unless it is itself.
    _refuse_hidden_packages(("tools",) if verb.name == "doctor" else SIBLINGS)
    if verb.keeps_name:
        _refuse_busy_run(rest)
    module = importlib.import_module(verb.module)
    if verb.name != "recipes":
        # Its words may name a copy that is to be made.
        rest = [shipped(word) for word in rest]
    return module.main(rest if verb.keeps_name else rest[1:]) or 0


def _refuse_busy_run(words: list[str]) -> None:
    """Refuse a run that another process is at work in, before the seconds that imports take."""
    from synthpert import run_record
    from synthpert.parse_errors import values

    for run in values(words, "--run")[-1:] if ranks.is_first() else ():
        run_record.refuse_busy(Path(run))


def _near(word: str) -> str:
    """Say which verb or option may have been meant."""
    import difflib

    names = ["--help", "--version", "--debug"]
    if not word.startswith("-"):
        names = [verb.name for verb in VERBS]
    near = difflib.get_close_matches(word, names, n=1)
    listed = ", ".join(names)
    return f"one of {listed}" + (f"; did you mean {near[0]!r}?" if near else "")


def _refuse_hidden_packages(names: tuple[str, ...]) -> None:
    """Refuse to run where a folder of the caller's hides one of our packages.

    `python -m` puts the current folder first on the import path, and `tools` is a common name.
    """
    home = Path(__file__).resolve().parents[1]
    for name in names:
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec is not None else None
        if origin is not None and Path(origin).resolve().parents[1] != home:
            raise InputError(
                f"this file hides SynthPert's package {name!r}: use the command `synthpert`, "
                "or start from another folder",
                file=origin,
            )


def _start_logging() -> logging.Handler:
    """Send our own messages from INFO up, and everybody's warnings, to stderr as plain text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(RedactFilter())
    logging.getLogger().addHandler(handler)
    for name in ("synthpert", *SIBLINGS):
        logging.getLogger(name).setLevel(logging.INFO)
    return handler


def _one_line(error: Exception) -> str:
    text = redact_text(str(error))
    return " ".join(text.split())


def _reader_left() -> bool:
    """Tell whether whoever read our stdout has closed it (`synthpert ... | head`)."""
    import select

    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _exit_code(stop: SystemExit) -> int:
    """Translate what a verb gave to `sys.exit` (nothing, a code or a message) to a code."""
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    sys.stderr.write(f"{stop.code}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
