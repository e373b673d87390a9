"""Keeps secrets out of what is written down: configurations, command lines, log lines.

Keys of an account come from the environment only. Should one get into a configuration all the
same, every sink passes what it writes through here first. Nothing heavy is imported, so the front
door can guard its log lines with it.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

REDACTED = "<redacted>"

# Words that make a setting's name secret wherever they stand in it.
_SECRET_WORDS = frozenset(
    "password passwords passwd passphrase secret secrets credential credentials authorization "
    "apikey apikeys".split()
)
_OWNERS = frozenset("api access auth refresh bearer client private encryption signing".split())
# `sort_key` names a column and `pad_token` a piece of text: the word before the last tells.
_NO_SECRET_BEFORE = {
    "key": frozenset(
        "cache column dict foreign group index join metric monitor partition primary prompt public "
        "question row sort state trace".split()
    ),
    "token": frozenset(
        "answer bos cls end eos image mask max min pad per prompt sep special start stop think unk "
        "first last next new".split()
    ),
}
_HASH_WORDS = frozenset("commit revision sha sha1 checksum digest hash fingerprint".split())

# Weights & Biases before 2025; a model's folder in the Hugging Face cache is named by its commit.
_HEX_KEY = re.compile(r"(?<![0-9a-zA-Z])(?<!snapshots/)[0-9a-fA-F]{40}(?![0-9a-zA-Z])")
_VALUES = re.compile(
    r"""(?<![A-Za-z0-9])(?:
        sk-[A-Za-z0-9_-]{12,}                    # OpenAI, Anthropic, OpenRouter
      | hf_[A-Za-z0-9]{12,}                      # Hugging Face
      | wandb_v[0-9]+_[A-Za-z0-9_-]{8,}          # Weights & Biases since 2025
      | (?:AKIA|ASIA)[A-Z0-9]{12,}               # AWS
      | AIza[A-Za-z0-9_-]{30,}                   # Google
      | gh[oprsu]_[A-Za-z0-9]{16,} | github_pat_[A-Za-z0-9_]{16,}
      | glpat-[A-Za-z0-9_-]{16,} | xox[abeoprs]-[A-Za-z0-9-]{8,}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*     # JSON web token
    )""",
    re.VERBOSE,
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"',;<>]{8,}")
_HEADER = re.compile(
    r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:basic|token|digest)\s+)[^\s\"',;]+"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_USER_INFO = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")
# Possessive quantifiers: a long word is scanned once, not once from each of its letters.
_NAMED = re.compile(r"""(?<![\w.-])([\w.-]++)["']?\s*+[:=]\s*+""")
_VALUE = re.compile(r""""[^"\n]*"|'[^'\n]*'|[^\s"',;&{}\[\]()]+""")

Config = TypeVar("Config")


def redact(config: Config) -> Config:
    """Copy a configuration with its secrets replaced by `<redacted>`.

    A value goes when the name it stands under is that of a secret (`api_key`, `HF_TOKEN`,
    `password`, `authorization`, any `..._key`; not `max_tokens`, `pad_token` or `sort_key`), or
    where a text looks like one (`sk-...`, `hf_...`, 40 hexadecimal digits, `Bearer ...`) or holds
    the value of such a variable of the environment. Under `revision`, `commit` and the like 40
    hexadecimal digits may stand.

    Args:
        config: Any nesting of mappings, namespaces, dataclasses, sequences and values.

    Returns:
        The same nesting; the argument is left as it was. A dataclass that held a secret comes back
        as a dict.
    """
    return cast("Config", _redact(config, ""))


def redact_text(text: str, *, hashes: bool = False) -> str:
    """Replace whatever looks like a secret in a text, such as a log line.

    Args:
        text: Any text.
        hashes: Whether 40 hexadecimal digits may stand (a commit, not a key).
    """
    for value in _secrets_of_environment():
        text = text.replace(value, REDACTED)
    text = _PRIVATE_KEY.sub(REDACTED, text)
    text = _VALUES.sub(REDACTED, text)
    text = text if hashes else _HEX_KEY.sub(REDACTED, text)
    text = _BEARER.sub(rf"\1{REDACTED}", text)
    text = _HEADER.sub(rf"\1{REDACTED}", text)
    text = _USER_INFO.sub(rf"\1{REDACTED}", text)
    return _redact_assigned(text)


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """Redact a command line, where a value may follow its flag as a word of its own."""
    flags = ["", *(each.lstrip("-") if each.startswith("--") else "" for each in arguments)]
    return [
        REDACTED if not each.startswith("--") and _is_secret(flag, each) else redact_text(each)
        for flag, each in zip(flags[:-1], arguments, strict=True)
    ]


class RedactFilter(logging.Filter):
    """Redacts log lines, tracebacks included. Add it to a handler, so that all loggers pass it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place and let it through."""
        record.msg, record.args = redact_text(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            # A formatter takes this text where it stands, and formats anew only where it does not
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact_text(record.exc_text)
        return True


def _redact(value: object, name: str) -> object:
    if _is_secret(name, value):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value, hashes=bool(_HASH_WORDS & set(_words(name))))
    if isinstance(value, bytes):
        return redact_text(value.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    if isinstance(value, os.PathLike):
        text = os.fsdecode(value)
        return value if redact_text(text, hashes=True) == text else REDACTED
    return _redact_inside(value, name)


def _redact_inside(value: object, name: str) -> object:
    """Redact what a container holds; a list's items stand under the list's own name."""
    if isinstance(value, Mapping):
        return {_redact(key, ""): _redact(each, str(key)) for key, each in value.items()}
    if isinstance(value, argparse.Namespace):
        return type(value)(**{key: _redact(each, key) for key, each in vars(value).items()})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        clean = {key: _redact(each, key) for key, each in fields.items()}
        return value if clean == fields else clean
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        named = cast("Any", value)
        return named._make(_redact(getattr(named, key), key) for key in named._fields)
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(_redact(each, name) for each in value)
    return value


def _is_secret(name: str, value: object) -> bool:
    """Whether `value` must not be shown under `name`."""
    kind = _kind(name)
    if not kind or value is None or isinstance(value, bool) or value in ("", REDACTED):
        return False
    # A number under `..._token` is a price or a count; under `password` it is the password.
    return kind == "always" or not isinstance(value, (int, float))


@lru_cache(4096)
def _kind(name: str) -> str:
    """`always`, `unless number`, or nothing where the name is not that of a secret."""
    words = _words(name)
    before, last = ["", "", *words][-2:]
    if _SECRET_WORDS & set(words):
        return "always"
    if last in ("key", "keys", "token", "tokens") and before in _OWNERS:
        return "always"
    if last == "token" or (last == "key" and before):
        return "" if before in _NO_SECRET_BEFORE[last] else "unless number"
    return ""


@lru_cache(4096)
def _words(name: str) -> list[str]:
    """`wandbApiKey`, `WANDB_API_KEY`, `model.wandb-api-key` -> words in lower case."""
    last = name.rsplit(".", 1)[-1]
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", last)
    return re.findall(r"[a-z]+[0-9]*|[0-9]+", spaced.lower())


def _redact_assigned(text: str) -> str:
    """Redact `api_key=...`, `"token": "..."` and the like."""
    parts: list[str] = []
    done = 0
    for named in _NAMED.finditer(text):
        kind = _kind(named[1])
        if not kind or named.end() < done:
            continue
        value = _VALUE.match(text, named.end())
        bare = value[0].strip("\"'") if value else ""
        if value and _is_secret(named[1], bare) and (kind == "always" or not _is_number(bare)):
            parts += [text[done : value.start()], REDACTED]
            done = value.end()
    return "".join([*parts, text[done:]])


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit() or text.lower() in ("none", "null", "true", "false")


def _secrets_of_environment() -> list[str]:
    """The values of the environment's own secrets, the longest first."""
    found = {value for name, value in os.environ.items() if len(value) >= 8 and _kind(name)}
    return sorted(found, key=len, reverse=True)
