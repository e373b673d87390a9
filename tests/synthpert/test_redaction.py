"""No secret is written down."""

from __future__ import annotations

import io
import logging
import string
import time
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jsonargparse
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.redaction import REDACTED, RedactFilter, redact, redact_arguments, redact_text

SECRET_NAMES = [
    "api_key", "apiKey", "OPENAI_API_KEY", "wandb.api_key", "hub_key", "token", "hf_token",
    "HF_TOKEN", "access_tokens", "secret", "client_secret", "password", "db_passwd",
    "Authorization", "credentials", "ssh-private-key",
]  # fmt: skip
PLAIN_NAMES = [
    "max_tokens", "max_new_tokens", "tokens_per_second", "supervised_tokens", "pad_token",
    "eos_token", "pad_token_id", "stop_token", "key", "prompt_key", "sort_key", "cache_key",
    "keyboard", "monkey", "secretary", "learning_rate", "tokenizer", "author",
]  # fmt: skip

WORD = string.ascii_letters + string.digits
shaped = st.one_of(
    st.text(WORD + "-_", min_size=20, max_size=60).map("sk-{}".format),
    st.text(WORD, min_size=30, max_size=40).map("hf_{}".format),
    st.text("0123456789abcdef", min_size=40, max_size=40),
    st.text(WORD, min_size=20, max_size=60).map("wandb_v1_{}".format),
    st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16).map("AKIA{}".format),
    st.text(WORD, min_size=36, max_size=36).map("ghp_{}".format),
    st.text(WORD, min_size=16, max_size=60).map("Bearer {}".format),
)
plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_characters="#"), max_size=8)
)
names = st.sampled_from(["model", "data", "options", "headers", *PLAIN_NAMES])
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def plant(config: object, value: str, name: str, way: list[int]) -> object:
    """Hide `value` as deep in `config` as `way` leads."""
    if way and isinstance(config, dict) and config:
        key = list(config)[way[0] % len(config)]
        return {**config, key: plant(config[key], value, name, way[1:])}
    if way and isinstance(config, list):
        return [*config, plant({}, value, name, way[1:])]
    return {"rest": config, name: value}


@given(nested, shaped, names, st.lists(st.integers(0, 9), max_size=4))
def test_a_value_that_looks_like_a_key_survives_nowhere(
    config: object, secret: str, name: str, way: list[int]
) -> None:
    assert secret.removeprefix("Bearer ") not in repr(redact(plant(config, secret, name, way)))


@given(
    nested,
    st.text(WORD, min_size=6, max_size=30).map("#{}".format),
    st.sampled_from(SECRET_NAMES),
    st.lists(st.integers(0, 9), max_size=4),
)
def test_whatever_stands_under_a_secret_name_survives_nowhere(
    config: object, secret: str, name: str, way: list[int]
) -> None:
    assert secret not in repr(redact(plant(config, secret, name, way)))


@given(shaped, st.text("éß .,:;=(){}\n", max_size=30), st.text("éß .,:;=(){}\n", max_size=30))
def test_a_key_in_the_middle_of_a_line_is_found(secret: str, before: str, after: str) -> None:
    line = f"{before} {secret} {after}"
    assert secret.removeprefix("Bearer ") not in redact_text(line)


@given(nested)
def test_a_configuration_without_secrets_stays_as_it_is(config: object) -> None:
    assert repr(redact(config)) == repr(config)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_plain_settings_are_shown(name: str) -> None:
    assert redact({name: "gene"}) == {name: "gene"}
    assert redact({name: 2048}) == {name: 2048}


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("value", ["short", ["one", "two"], {"value": "abc"}, b"abc"])
def test_secret_settings_are_hidden_whole(name: str, value: object) -> None:
    assert redact({name: value}) == {name: REDACTED}


@pytest.mark.parametrize("value", [None, "", True])
def test_an_unset_secret_may_be_seen_to_be_unset(value: object) -> None:
    assert redact({"api_key": value}) == {"api_key": value}


def test_a_price_a_token_is_a_number_but_a_password_may_be_one() -> None:
    assert redact({"usd_token": 0.5, "password": 1234}) == {"usd_token": 0.5, "password": REDACTED}


def test_a_commit_is_no_key() -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    config = {"revision": commit, "base": f"hub/models/snapshots/{commit}", "text": commit}
    assert redact(config) == {**config, "text": REDACTED}


def test_the_argument_is_left_as_it_was() -> None:
    config = {"a": [{"token": "x1y2z3"}]}
    redact(config)
    assert config == {"a": [{"token": "x1y2z3"}]}


@dataclass(frozen=True)
class Remote:
    host: str
    token: str | None = None


class Pair(NamedTuple):
    name: str
    password: str


@pytest.mark.parametrize("kind", [Namespace, jsonargparse.Namespace])
def test_namespaces_stay_namespaces(kind: type) -> None:
    found = redact(kind(model=kind(api_key="abc", lr=0.1)))
    assert found == kind(model=kind(api_key=REDACTED, lr=0.1))
    assert type(found) is kind


def test_dataclasses_and_tuples_are_looked_into() -> None:
    clean = Remote("here")
    assert redact(clean) is clean
    assert redact(Remote("here", "abc")) == {"host": "here", "token": REDACTED}
    assert redact((Pair("ada", "abc"), {"abc"})) == (Pair("ada", REDACTED), {"abc"})


def test_a_secret_may_be_a_key_or_a_path() -> None:
    secret = "sk-abcdefghijklmnopqrst"
    assert redact({secret: 1}) == {REDACTED: 1}
    assert redact({"file": Path("keys") / secret}) == {"file": REDACTED}
    assert redact({"file": Path("runs/tiny")}) == {"file": Path("runs/tiny")}


@pytest.mark.parametrize(
    "line",
    [
        "GET https://host/x?api_key=S3CRET&page=2",
        "https://ada:S3CRET@host/repository.git",
        'body {"password": "S3CRET"}',
        "Authorization: Basic S3CRETS3CRET",
        "header authorization=Bearer S3CRETS3CRET",
        "HF_TOKEN=S3CRET synthpert fit",
        "client_secret: 'S3CRET with spaces'",
        "-----BEGIN RSA PRIVATE KEY-----\nS3CRET\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_secrets_that_only_their_place_betrays_are_hidden(line: str) -> None:
    assert "S3CRET" not in redact_text(line)


@pytest.mark.parametrize(
    "line",
    [
        "step 500: accuracy 0.91 (majority 0.86) macro-F1 0.71 parse rate 1.00 in 12 s",
        "tokens_per_second=5123.2 max_tokens: 2048 token=7",
        "configs/tiny.yaml:12:model.lora: a 4-bit base (got null; expected LoRA settings)",
        "the task-specific disk-usage of a bearer of news",
    ],
)
def test_ordinary_lines_stay_as_they_are(line: str) -> None:
    assert redact_text(line) == line


def test_a_value_of_the_environments_own_secrets_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_API_KEY", "correct horse battery")
    monkeypatch.setenv("MAX_TOKENS", "12345678")
    assert redact_text("said correct horse battery 12345678") == f"said {REDACTED} 12345678"


def test_a_command_line_may_give_the_value_as_the_next_word() -> None:
    given = ["fit", "--model.api_key", "abc", "--hf_token=abc", "--data.key", "gene", "x"]
    assert redact_arguments(given) == [
        "fit", "--model.api_key", REDACTED, f"--hf_token={REDACTED}", "--data.key", "gene", "x",
    ]  # fmt: skip


def test_a_handler_with_the_filter_writes_no_secret_not_even_in_a_traceback() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.info("asked with %s and %s", "api_key=S3CRET", {"password": "S3CRET"})
    try:
        raise ValueError("token: S3CRET refused")
    except ValueError:
        logger.exception("failed %d times", 3)
    assert "S3CRET" not in out.getvalue()
    assert "failed 3 times" in out.getvalue()
    assert "ValueError" in out.getvalue()


@pytest.mark.parametrize(
    "piece", ["a", "a ", "a=", "://a:", "token=", "authorization:", "eyJ.", "sk-", "Bearer ", "\n"]
)
def test_a_long_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    started = time.perf_counter()
    redact_text(piece * 20_000)
    assert time.perf_counter() - started < 2.0
