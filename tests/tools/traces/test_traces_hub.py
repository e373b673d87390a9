"""Pushing to the hub: a server on this machine in its place, real requests, no token anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from hub_stub import TOKEN, Hub

from synthpert.errors import InputError, StoppedError
from tools.traces.export.hub import push, read_token


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", made.address)
    # Other tests need no network; this one's is on this machine.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def made(tmp_path: Path) -> tuple[list[Path], Path]:
    traces, card = tmp_path / "traces.parquet", tmp_path / "traces.card.md"
    traces.write_bytes(b"PAR1")
    card.write_text("---\nlicense: other\n---\n# Traces\n")
    (tmp_path / "journal.sqlite").write_text("not for the public")
    return [traces], card


def test_the_files_the_card_and_the_licence_are_pushed_and_nothing_else(
    hub: Hub, made: tuple[list[Path], Path]
) -> None:
    address = push("ada/traces", *made)
    assert address == f"{hub.address}/datasets/ada/traces"
    assert set(hub.files) == {"traces.parquet", "README.md", "LICENSE.txt"}
    assert hub.files["traces.parquet"] == b"PAR1"
    assert b"# Traces" in hub.files["README.md"]
    assert b"Genentech" in hub.files["LICENSE.txt"]


def test_a_new_data_set_is_private(hub: Hub, made: tuple[list[Path], Path]) -> None:
    push("ada/traces", *made)
    assert hub.asked["type"] == "dataset"
    assert hub.asked.get("visibility") == "private" or hub.asked.get("private") is True


def test_the_token_goes_to_the_hub_and_into_no_file(
    hub: Hub, made: tuple[list[Path], Path]
) -> None:
    push("ada/traces", *made)
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert not any(TOKEN.encode() in content for content in hub.files.values())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_one_line_without_the_token(
    hub: Hub, made: tuple[list[Path], Path], status: int
) -> None:
    hub.status = status
    with pytest.raises(StoppedError, match="ada/traces: not pushed: ") as caught:
        push("ada/traces", *made)
    assert hub.tokens
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("told", [{}, {"url": None}, []])
def test_an_answer_that_is_not_the_hubs_is_one_line(
    hub: Hub, made: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch, told: object
) -> None:
    monkeypatch.setattr(hub, "answer", lambda *_: told)
    with pytest.raises(StoppedError, match="ada/traces: not pushed: ") as caught:
        push("ada/traces", *made)
    assert "\n" not in str(caught.value)


def test_without_a_token_nothing_is_sent(
    hub: Hub, made: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", " ")
    with pytest.raises(InputError, match="the hub wants a token"):
        push("ada/traces", *made)
    assert not hub.tokens


def test_a_token_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert read_token() == TOKEN
