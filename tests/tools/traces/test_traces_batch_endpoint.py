"""A provider's batches one request at a time, and the results of one batch."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, TypeVar

import pytest
from batch_stub import BatchStub, Plan, Trouble

from synthpert.errors import StoppedError
from synthpert.questions import Label, Question
from tools.traces.asking.money import Price
from tools.traces.batches.endpoint import Endpoint, GoneError
from tools.traces.batches.look import Look, read_look
from tools.traces.batches.progress import live_line
from tools.traces.batches.results import Results
from tools.traces.batches.sending import OpenBatches
from tools.traces.journal import BatchRecord, Call, Journal, Reading
from tools.traces.settings import Model

T = TypeVar("T")
LINE = b'{"custom_id": "k", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'


def record(name: str = "ours", **facts: Any) -> BatchRecord:
    return BatchRecord(name, "teacher", "openai/stub", 3, at=datetime.now(UTC).isoformat(), **facts)


def ask(stub: BatchStub, what: Callable[[Endpoint], Awaitable[T]]) -> T:
    of = Model("openai/stub", {"api_base": stub.base}, input_price=1.0, output_price=1.0)
    endpoint = Endpoint(of, 0.01)

    async def asked() -> T:
        return await what(endpoint)

    try:
        return asyncio.run(asked())
    finally:
        # LiteLLM makes a client for each call; one that is dropped later would try to close itself
        # in the loop of another test.
        gc.collect()


async def started(endpoint: Endpoint, name: str) -> str:
    file = await endpoint.upload(io.BytesIO(LINE), f"{name}.jsonl")
    return await endpoint.create(record(name), file, is_new=True)


def test_a_batch_is_found_by_our_name_behind_many_others() -> None:
    async def what(endpoint: Endpoint) -> tuple[str, str | None, str | None]:
        first = await started(endpoint, "ours")
        for i in range(6):
            await started(endpoint, f"another {i}")
        return first, await endpoint.find(record()), await endpoint.find(record("nobody's"))

    with BatchStub() as stub:
        first, found, none = ask(stub, what)
    assert (found, none) == (first, None)


def test_a_batch_is_found_by_its_file_where_the_provider_keeps_no_names() -> None:
    async def what(endpoint: Endpoint) -> str | None:
        await started(endpoint, "a name that is lost")
        return await endpoint.find(record(input_file="file-0"))

    with BatchStub() as stub:
        assert ask(stub, what) == "batch_0"


def test_an_old_batch_is_not_looked_for_for_ever() -> None:
    async def what(endpoint: Endpoint) -> str | None:
        for i in range(6):
            await started(endpoint, str(i))
        for batch in stub.batches.values():
            batch.facts["created_at"] = 1
        return await endpoint.find(record())

    with BatchStub() as stub:
        assert ask(stub, what) is None
        assert stub.log.count("GET", "/batches") == 1


def test_a_batch_that_is_there_is_not_created_again() -> None:
    async def what(endpoint: Endpoint) -> str:
        await started(endpoint, "ours")
        return await endpoint.create(record(), "file-0", is_new=False)

    with BatchStub() as stub:
        assert ask(stub, what) == "batch_0"
        assert len(stub.batches) == 1


def test_looking_at_a_batch_that_is_over_fetches_nothing_else() -> None:
    async def what(endpoint: Endpoint) -> Look:
        look = await endpoint.look(await started(endpoint, "ours"))
        await asyncio.sleep(0.2)
        return look

    with BatchStub(Plan("failed", message="not so")) as stub:
        look = ask(stub, what)
        assert stub.log.count("GET", "/files") == 0
    assert (look.is_final, look.code, look.words) == (True, "invalid", "not so")


def test_what_the_provider_does_not_know_is_said_at_once() -> None:
    with BatchStub() as stub:
        with pytest.raises(GoneError):
            ask(stub, lambda endpoint: endpoint.look("batch_9"))
        with pytest.raises(GoneError):
            ask(stub, lambda endpoint: endpoint.download("file-9"))
        assert len(stub.log.requests) == 2


def test_a_provider_that_cannot_be_reached_stops_the_run() -> None:
    with BatchStub(troubles=(Trouble("POST", "/files", 503, times=99),)) as stub:
        with pytest.raises(StoppedError, match="the batch endpoint: "):
            ask(stub, lambda endpoint: endpoint.upload(io.BytesIO(LINE), "a.jsonl"))
        assert stub.log.count("POST", "/files") == 6


def test_a_look_reads_what_litellm_gives() -> None:
    counts = SimpleNamespace(total=9, completed=4, failed=1)
    told = SimpleNamespace(
        id="b", status="expired", created_at=100, expired_at=160, errors=None,
        output_file_id=None, error_file_id="e", request_counts=counts,
    )  # fmt: skip
    look = read_look(told)
    assert (look.total, look.finished, look.seconds) == (9, 5, 60.0)
    # Four replies, and no file of them yet.
    assert look.lacks_output


class Killed(io.BytesIO):
    """A file in whose second line the process is killed."""

    def __next__(self) -> bytes:
        if self.tell() > 0:
            raise SystemExit(137)
        return super().__next__()


class Files:
    """The part of an endpoint that results are taken from."""

    price = Price(1e-6, 1e-6)
    model = Model("openai/stub")

    def __init__(self, lines: list[dict[str, Any]], file: type[io.BytesIO] = io.BytesIO) -> None:
        self._raw = "".join(json.dumps(line) + "\n" for line in lines).encode()
        self._file = file

    async def download(self, name: str) -> IO[bytes]:
        return self._file(self._raw)


def test_results_that_a_kill_left_half_taken_are_taken_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.traces.batches.results._TOGETHER", 1)
    about = Question("k562", "P", "G")
    calls = [Call("teacher", about, Label.UP, i, Files.model, [], "p") for i in range(3)]
    choice = {"message": {"content": "up"}, "finish_reason": "stop"}
    good = {"status_code": 200, "body": {"choices": [choice]}}
    lines = [{"custom_id": each.key, "response": good} for each in calls]
    look = Look("b", "completed", completed=3, output_file="o")
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        journal.open_batch(record(), [(each, 0.5) for each in calls])
        results = Results(journal, lambda call, reply: Reading(call.role))
        broken: Any = Files(lines, Killed)
        with pytest.raises(SystemExit):
            asyncio.run(results.take(record(), look, broken))
        assert [row["state"] for row in journal.rows()] == ["answered", "sent", "sent"]
        whole: Any = Files(lines)
        asyncio.run(results.take(record(), look, whole))
        assert [row["state"] for row in journal.rows()] == ["answered"] * 3
    assert results.told == "3 answered"


def test_a_record_of_which_the_provider_knows_nothing_is_released(tmp_path: Path) -> None:
    call = Call("teacher", Question("k562", "P", "G"), Label.UP, 0, Files.model, [], "p")
    with BatchStub() as stub, Journal(tmp_path / "j.sqlite", write=True) as journal:
        journal.open_batch(record(), [(call, 0.5)])

        async def what(endpoint: Endpoint) -> None:
            how = OpenBatches(journal, {"a": endpoint}, lambda *_: Reading(""), poll=0.01)
            async with how as batches:
                await batches.adopt()
                assert len(batches) == 0
                assert batches.takes(call)

        ask(stub, what)
        assert [row["state"] for row in journal.rows()] == ["lost"]
        # It was never sent, so it costs nothing.
        assert journal.spent() == 0.0


def test_the_live_line_is_a_line_of_the_log_where_there_is_no_terminal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("tools.traces.batches.progress._LOG_EVERY", -1.0)

    async def shown(journal: Journal) -> None:
        async with OpenBatches(journal, {}, lambda *_: Reading(""), poll=1.0) as batches:
            with live_line(journal, batches, lambda: 7):
                await asyncio.sleep(0.05)

    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        asyncio.run(shown(journal))
    assert "requests 0 of 0: kept 7, 0 batches open, US$ 0.00" in caplog.text
