"""Student and data module as `fit` would build them from a recipe, on the CPU and without weights.

What `preview`, `estimate` and `export` have in common: the words of `fit` after their own flags,
YAMLs, overlays and `--KEY VALUE` alike, so that they speak of the very run that `fit` would start.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from synthpert.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from synthpert.student import Student

# Whatever the recipe trains on, this machine only looks at it.
_HERE = {
    "trainer.accelerator": "cpu",
    "trainer.devices": "1",
    "trainer.num_nodes": "1",
    "trainer.strategy": "auto",
    "trainer.precision": "32-true",
    "trainer.logger": "false",
    "watch.mode": "disabled",
}
_CONFIG = ("--config", "-c")
_WANTED: ContextVar[bool] = ContextVar("wanted", default=False)
# What a run's own config.yaml holds beside a recipe.
_OF_THE_RUN = ("ckpt_path", "run", "weights_only")
_EXAMPLES = """
examples:
{examples}

Everything else is as for `synthpert fit`: overlays by another --config, values by --KEY VALUE.
"""


@dataclass(frozen=True)
class Built:
    """What a recipe describes.

    Attributes:
        student: The student, attached to a trainer on the CPU; no weights are loaded.
        data: The data module, attached likewise, not set up yet.
        trainer: Lightning's trainer, whose limits and callbacks are the recipe's.
        devices: GPUs that the recipe trains on, all machines together.
        precision: The trainer's precision in the recipe.
    """

    student: Student
    data: Any
    trainer: Any
    devices: int
    precision: str


class Flags(argparse.ArgumentParser):
    """A verb's own flags; what is no flag of its own is left to the recipe.

    Args:
        verb: The word typed after `synthpert`.
        does: What it does, shown by `--help`.
        usage: Its flags in one line.
        examples: Command lines that work, without the leading `synthpert`.
    """

    def __init__(self, verb: str, does: str, usage: str, examples: Sequence[str]) -> None:
        lines = "\n".join(f"  synthpert {each}" for each in examples)
        super().__init__(
            prog=f"synthpert {verb}",
            usage=f"synthpert {verb} {usage}",
            description=does,
            epilog=_EXAMPLES.format(examples=lines),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401
        """Parse as argparse does; where `flags_of` is at work, give it this parser instead."""
        if _WANTED.get():
            raise _Seen(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            InputError: Always, in one line.
        """
        raise InputError(message, file=self.prog)


class _Seen(Exception):
    """Carries a parser out of its verb."""


def flags_of(verb: Callable[[], object]) -> Flags:
    """The parser of a verb, which is called for it and stops where it would parse.

    Args:
        verb: Calls the verb's `main`.

    Raises:
        RuntimeError: If the verb has no flags of this kind.
    """
    token = _WANTED.set(True)
    try:
        verb()
    except _Seen as seen:
        found: Flags = seen.args[0]
        return found
    finally:
        _WANTED.reset(token)
    raise RuntimeError("the verb parses nothing")


def build(words: Sequence[str], base: str | None = None) -> Built:
    """Build what a recipe describes, as `fit` would, without weights.

    Args:
        words: The command line of `fit` after its verb.
        base: Takes the place of the recipe's base: a name or a folder.

    Returns:
        Student, data module and trainer, attached to one another.

    Raises:
        InputError: If the command line or a YAML is wrong.
    """
    from synthpert.cli import cli
    from synthpert.importing import allow_imports
    from synthpert.watching import quieten

    if not any(word.partition("=")[0] in _CONFIG for word in words):
        raise InputError("no recipe", file="--config", expected="--config configs/NAME.yaml")
    allow_imports(words)
    quieten()
    with _as_recipes(words) as asked:
        flags = ["--model.base", base] if base else []
        here = [word for key, value in _HERE.items() for word in (f"--{key}", value)]
        made = cli([*asked, *flags, *here], run=False)
        theirs = made.parser.parse_args([*asked, *flags]).trainer
    made.trainer.strategy.connect(made.model)
    made.model.trainer = made.datamodule.trainer = made.trainer
    devices = _count(theirs.devices) * int(theirs.num_nodes)
    return Built(made.model, made.datamodule, made.trainer, devices, str(theirs.precision))


def give_scratch_tokenizer(built: Built) -> None:
    """Give a student whose base is to be made from nothing the tokenizer that `fit` would make.

    Nothing is written, and no weights are made. Any other student is left alone.

    Args:
        built: Student and data module, whose texts give the words.

    Raises:
        InputError: If a folder with another model is in the way, as `fit` would say.
    """
    from synthpert import scratch
    from synthpert.encoding import Encoder

    student = built.student
    if student.scratch is None:
        return
    words = scratch.split_words(built.data.texts(student.prompts))
    folder = Path(student.base)
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and not scratch.is_current(folder, student.scratch, words):
        raise InputError(
            "the folder holds another model, which fit will not write over",
            file=folder,
            column="model.base",
            expected="an empty place, or the model of the same data and size; delete it to rebuild",
        )
    tokenizer = scratch.tokenizer_of(student.scratch, words)
    options = (student.max_tokens, student.loss_on, student.template)
    student.encoder = Encoder(tokenizer, student.prompts, *options)


def _count(devices: object) -> int:
    """How many devices a trainer's `devices` are, as far as it says; `auto` is taken as one."""
    if isinstance(devices, list):
        return len(devices)
    text = str(devices)
    return max(1, int(text)) if text.lstrip("-").isdigit() else max(1, text.count(",") + 1)


@contextmanager
def _as_recipes(words: Sequence[str]) -> Iterator[list[str]]:
    """The words with a run's config.yaml in place of which stands its recipe alone."""
    import yaml

    with tempfile.TemporaryDirectory() as folder:
        found = []
        for number, word in enumerate(words):
            flag, equals, name = word.partition("=") if word.startswith("-") else ("", "", word)
            given = {flag, words[max(number - 1, 0)]} & set(_CONFIG)
            path = Path(name)
            if given and path.name == "config.yaml" and path.is_file():
                recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
                if isinstance(recipe, dict) and "ckpt_path" in recipe:
                    kept = {key: recipe[key] for key in recipe if key not in _OF_THE_RUN}
                    path = Path(folder) / f"{number}-config.yaml"
                    path.write_text(yaml.safe_dump(kept, sort_keys=False), encoding="utf-8")
                    word = f"{flag}{equals}{path}"
            found.append(word)
        yield found
