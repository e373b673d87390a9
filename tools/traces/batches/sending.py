"""Batches under way: sent, found again after a kill, looked at until they are over.

The order of what is written down makes it safe to kill a run anywhere: first our record of a batch
with all its calls, then the name of the uploaded file, then the provider's name of the batch. So
none is sent or paid for twice; a record of which the provider knows nothing is released, and its
calls are asked again.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from synthpert.errors import StoppedError
from tools.traces.batches.endpoint import Endpoint, GoneError
from tools.traces.batches.results import Results
from tools.traces.engines.engine import FailedError, RefusedError
from tools.traces.journal.records import BatchRecord, BatchState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tools.traces.batches.look import Look
    from tools.traces.batches.parts import Part
    from tools.traces.batches.results import Ended
    from tools.traces.journal import Journal
    from tools.traces.journal.records import Call, Reading, Reply

logger = logging.getLogger(__name__)

# How often the files of a batch that is over are waited for.
_LATE_LOOKS = 10
# So many batches that fail as a whole, one after another, are no accident.
_MOST_FAILED = 2


class OpenBatches:
    """The batches of one run; an asynchronous context manager that stops looking at its end.

    Args:
        journal: Open for writing.
        endpoints: By `Model.identity`.
        read: How a reply reads, for the journal.
        poll: Seconds between two looks at a batch.
        cancels: Whether every batch is to be cancelled.

    Attributes:
        results: What has come of the calls.
        ended: How many batches have come to their end.
    """

    def __init__(
        self,
        journal: Journal,
        endpoints: Mapping[str, Endpoint],
        read: Callable[[Call, Reply], Reading],
        *,
        poll: float,
        cancels: bool = False,
    ) -> None:
        self.results = Results(journal, read)
        self.ended = 0
        self._journal = journal
        self._endpoints = endpoints
        self._poll = poll
        self._cancels = cancels
        self._keys: set[str] = set()
        self._watchers: dict[asyncio.Task[None], Endpoint] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._next_looks: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._watchers)

    @property
    def progress(self) -> tuple[int, int]:
        """Requests that are done, and all of them, in the batches of this run."""
        counts = list(self._counts.values())
        return sum(done for done, _ in counts), sum(total for _, total in counts)

    @property
    def next_look(self) -> float:
        """Seconds until a batch is looked at."""
        return max(0.0, min(self._next_looks.values(), default=0.0) - time.monotonic())

    def takes(self, call: Call) -> bool:
        """Whether a call may be sent now.

        Args:
            call: It is not taken if it is under way, or has failed too often in this run.
        """
        return call.key not in self._keys and not self.results.has_given_up(call.key)

    def is_full(self, endpoint: Endpoint) -> bool:
        """Whether a provider takes no more until one of its batches is over.

        Args:
            endpoint: The provider's.
        """
        return endpoint.is_full and endpoint in self._watchers.values()

    async def adopt(self) -> None:
        """Find out what has become of the batches of earlier runs, and go on with them."""
        by_name = {each.model.model: each for each in reversed([*self._endpoints.values()])}
        for record in self._journal.batches(open_only=True):
            endpoint = by_name.get(record.model)
            if endpoint is None:
                told = "batch %s stays open: it asks %s, which this command does not"
                logger.warning(told, record.id, record.model)
                continue
            self._keys |= self._journal.batch_rows(record.id).keys()
            name = record.provider_id or await self._find(record, endpoint)
            if name is None:
                self._release(record, "it never reached the provider")
            else:
                self._submitted(record, name, endpoint)

    async def send(self, part: Part, endpoint: Endpoint) -> None:
        """Send a part as one batch.

        Args:
            part: Its calls.
            endpoint: Of its model.

        Raises:
            StoppedError: If the provider does not take it.
        """
        await endpoint.check()
        at = datetime.now(UTC).isoformat()
        size = len(part.keys)
        record = BatchRecord(uuid.uuid4().hex, part.role, part.model.model, size, at=at)
        self._journal.open_batch(record, part.calls())
        self._keys |= part.keys
        try:
            file = await endpoint.upload(part.file, f"{record.id}.jsonl")
            self._journal.update_batch(record.id, state=BatchState.UPLOADED, input_file=file)
            name = await endpoint.create(record, file, is_new=True)
        except (RefusedError, GoneError) as error:
            self._release(record, str(error))
            line = f"{part.model.model}: the provider does not take the batch: {error}"
            raise StoppedError(line) from None
        self._submitted(record, name, endpoint)

    async def one_ends(self) -> None:
        """Wait until the results of a batch have been taken.

        Raises:
            StoppedError: If the provider cannot be asked any more, or fails batches as a whole.
        """
        done, _ = await asyncio.wait(self._watchers, return_when=asyncio.FIRST_COMPLETED)
        for watcher in done:
            del self._watchers[watcher]
        for watcher in done:
            watcher.result()

    async def _find(self, record: BatchRecord, endpoint: Endpoint) -> str | None:
        await endpoint.check()
        if record.input_file is None or self._cancels:
            return await endpoint.find(record)
        try:
            return await endpoint.create(record, record.input_file, is_new=False)
        except (RefusedError, GoneError) as error:
            logger.warning("batch %s cannot be started: %s", record.id, error)
            return None

    def _submitted(self, record: BatchRecord, name: str, endpoint: Endpoint) -> None:
        if record.provider_id is None:
            self._journal.update_batch(record.id, state=BatchState.SUBMITTED, provider_id=name)
        self._counts[record.id] = (0, record.requests)
        watcher = asyncio.create_task(self._follow(record, name, endpoint))
        self._watchers[watcher] = endpoint

    async def _follow(self, record: BatchRecord, name: str, endpoint: Endpoint) -> None:
        """Look at a batch until it is over, then take its results."""
        try:
            look = await self._until_over(record, name, endpoint)
            endpoint.is_full = False
            ended = await self.results.take(record, look, endpoint)
        except GoneError:
            if not self._cancels:
                line = f"{record.model}: the provider knows no batch {name}, or not its files"
                hint = "is the key of the same account? `synthpert traces cancel` gives it up"
                raise StoppedError(f"{line}: {hint}") from None
            self._release(record, "the provider knows nothing of it", may_be_billed=True)
            return
        finally:
            self._next_looks.pop(record.id, None)
        self._journal.update_batch(record.id, state=BatchState.DONE, error=look.words or None)
        self._counts[record.id] = (record.requests, record.requests)
        self._keys -= ended.keys
        self.ended += 1
        logger.info("batch %s of %s is over; so far %s", name, record.model, self.results.told)
        if not self._cancels:
            self._judge(ended)

    async def _until_over(self, record: BatchRecord, name: str, endpoint: Endpoint) -> Look:
        late = 0
        while True:
            look = await endpoint.look(name)
            self._counts[record.id] = (look.finished, record.requests)
            if look.is_final and (not look.lacks_output or late == _LATE_LOOKS):
                return look
            late += look.is_final
            if self._cancels and not look.is_ending:
                await self._cancel(name, endpoint)
            self._next_looks[record.id] = time.monotonic() + self._poll
            await asyncio.sleep(self._poll)

    async def _cancel(self, name: str, endpoint: Endpoint) -> None:
        try:
            await endpoint.cancel(name)
        except (FailedError, RefusedError) as error:
            # It may have ended in the meantime: the next look tells.
            logger.warning("batch %s is not cancelled yet: %s", name, error)

    def _judge(self, ended: Ended) -> None:
        """What the end of a batch says of the next ones."""
        endpoint, size = ended.endpoint, ended.record.requests
        if self.results.stopped is not None:
            raise self.results.stopped
        if ended.look.status != "failed":
            endpoint.failed_in_a_row = 0
            return
        if ended.is_too_much:
            # The watcher that has come here still counts.
            endpoint.is_full = list(self._watchers.values()).count(endpoint) > 1
            endpoint.most = max(1, size // 2)
            if size > 1 or endpoint.is_full:
                return
        endpoint.failed_in_a_row += 1
        if ended.is_too_much or endpoint.failed_in_a_row >= _MOST_FAILED:
            raise StoppedError(f"{ended.record.model}: {ended.why}")

    def _release(self, record: BatchRecord, why: str, *, may_be_billed: bool = False) -> None:
        rows = self._journal.batch_rows(record.id)
        self.results.lose(rows, why, may_be_billed=may_be_billed)
        self._journal.update_batch(record.id, state=BatchState.RELEASED, error=why)
        self._keys -= rows.keys()
        self.ended += 1
