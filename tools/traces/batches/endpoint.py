"""A provider's files and batches, through LiteLLM: one request at a time, patient with troubles.

Nothing here writes to the journal. LiteLLM's and the client's own retries are off: a request to
create a batch that is silently sent again makes a second batch, and both are billed.
"""

from __future__ import annotations

import logging
import tempfile
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from synthpert.errors import InputError, StoppedError
from tools.traces.batches.look import Look, read_look
from tools.traces.batches.parts import MOST_REQUESTS
from tools.traces.engines.engine import FailedError, RefusedError
from tools.traces.engines.providers import connection, load, model_facts
from tools.traces.engines.troubles import error_line, sorted_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenacity.stop import stop_base

    from tools.traces.journal.records import BatchRecord
    from tools.traces.settings import Model

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Those for which LiteLLM has all six calls and passes files on in OpenAI's form.
PROVIDERS = ("openai", "azure", "hosted_vllm", "litellm_proxy")
_URL = "/v1/chat/completions"
# As Azure documents it; the batch itself has the usual one, which LiteLLM asks for.
_LINE_URLS = {"azure": "/chat/completions"}
# The entry of a batch's metadata that says which of ours it is.
_OUR_NAME = "synthpert"
# HTTP: no such thing, no such method.
_NOT_THERE = (404, 405, 501)
_ATTEMPTS = 6
# Seconds. A batch is over after a day, so nobody who looks at it need be patient for longer.
_A_DAY = 26 * 3600.0
_LONGEST_BACKOFF = 300.0
# Seconds by which the provider's clock may be behind ours.
_CLOCKS_DIFFER = 3600.0
_PAGE = 100


class GoneError(Exception):
    """The provider knows no such batch or file."""


class Endpoint:
    """The batch endpoint of one model.

    Args:
        model: The model.
        backoff: Seconds, the bound of the first random wait after a trouble; it doubles.

    Attributes:
        price: What it charges.
        name: The model's name as the provider knows it.
        url: What a line of a file gives as its address.
        most: Requests that a batch may hold; less than the provider says where that is too much.
        is_full: Whether the provider takes no more until one of its batches is over.
        failed_in_a_row: How many batches have failed as a whole, one after another.

    Raises:
        InputError: If LiteLLM has no batch endpoint for its provider, or it cannot be asked.
    """

    def __init__(self, model: Model, backoff: float) -> None:
        self.model = model
        facts = model_facts(model)
        if facts.provider not in PROVIDERS:
            raise _no_batches(model, facts.provider)
        self.price = facts.price
        self.name = facts.name
        self.url = _LINE_URLS.get(facts.provider, _URL)
        self._litellm = load()
        self._to = connection(model) | {"custom_llm_provider": facts.provider, "max_retries": 0}
        self.most = MOST_REQUESTS
        self.is_full = False
        self.failed_in_a_row = 0
        self._is_checked = False
        self._jitter = wait_random_exponential(multiplier=backoff, max=_LONGEST_BACKOFF)

    async def upload(self, file: IO[bytes], name: str) -> str:
        """Send a file of requests; returns the provider's name of it.

        Args:
            file: The requests; read from its beginning, in pieces.
            name: What it is called there.
        """

        async def once() -> str:
            file.seek(0)
            told = await self._do("acreate_file", file=(name, file), purpose="batch")
            return str(told.id)

        return await self._patiently(once)

    async def create(self, record: BatchRecord, input_file: str, *, is_new: bool) -> str:
        """Start a batch; returns the provider's name of it.

        Args:
            record: Ours.
            input_file: What `upload` returned.
            is_new: Whether it cannot have been started before; else it is looked for first.
        """
        may_be_there = not is_new

        async def once() -> str:
            nonlocal may_be_there
            if may_be_there and (found := await self._find(record)):
                return found
            may_be_there = True
            told = await self._do(
                "acreate_batch",
                completion_window="24h",
                endpoint=_URL,
                input_file_id=input_file,
                metadata={_OUR_NAME: record.id},
            )
            return str(told.id)

        return await self._patiently(once)

    async def find(self, record: BatchRecord) -> str | None:
        """Look for a batch that was started, perhaps, when a run was killed.

        Args:
            record: Ours.

        Returns:
            The provider's name of it, or None if there is no such batch.
        """
        return await self._patiently(lambda: self._find(record))

    async def look(self, name: str) -> Look:
        """Look at a batch; a provider that cannot be reached is waited for.

        Args:
            name: The provider's name of it.

        Raises:
            GoneError: If the provider does not know it.
        """
        told = await self._patiently(lambda: self._retrieve(name), stop_after_delay(_A_DAY))
        return read_look(told)

    async def cancel(self, name: str) -> None:
        """Ask for a batch to be cancelled, once.

        Args:
            name: The provider's name of it.

        Raises:
            FailedError: If the trouble looks passing, or the batch is over already.
            RefusedError: If the provider will not.
            GoneError: If the provider does not know it.
        """
        await self._do("acancel_batch", batch_id=name)

    async def download(self, name: str) -> IO[bytes]:
        """Fetch a file.

        Args:
            name: The provider's name of it.

        Returns:
            A temporary file, at its beginning.

        Raises:
            GoneError: If the provider does not know it.
        """
        return await self._patiently(lambda: self._download(name))

    async def _download(self, name: str) -> IO[bytes]:
        import httpx

        told = await self._do("afile_content", file_id=name, stream=True)
        file: IO[bytes] = tempfile.TemporaryFile()
        try:
            if hasattr(told, "stream_iterator"):
                async for piece in told.stream_iterator:
                    file.write(piece)
            else:  # not all providers give a file in pieces
                file.write(told.content)
        except httpx.HTTPError as error:
            file.close()
            raise FailedError(f"a download broke off: {error}") from None
        file.seek(0)
        return file

    async def _retrieve(self, name: str) -> Any:  # noqa: ANN401  (a type of LiteLLM's)
        # LiteLLM would download the output of a batch that is over, to log its cost.
        quiet = {"batch_ignore_default_logging": True}
        return await self._do("aretrieve_batch", batch_id=name, litellm_metadata=quiet)

    async def _find(self, record: BatchRecord) -> str | None:
        since = datetime.fromisoformat(record.at).timestamp() - _CLOCKS_DIFFER
        after = None
        while True:
            page = await self._do("alist_batches", limit=_PAGE, after=after)
            for each in page.data or []:
                is_named = (each.metadata or {}).get(_OUR_NAME) == record.id
                if is_named or (record.input_file and each.input_file_id == record.input_file):
                    return str(each.id)
            # The newest come first.
            if not page.data or page.data[-1].created_at < since:
                return None
            if not getattr(page, "has_more", False):
                return None
            after = page.data[-1].id

    async def check(self) -> None:
        """See, once, that there is a batch endpoint at all and that the key is accepted.

        Raises:
            InputError: If the server has none.
            StoppedError: If the key is not accepted, or the provider cannot be reached.
        """
        if self._is_checked:
            return
        try:
            await self._patiently(lambda: self._do("alist_batches", limit=1))
            self._is_checked = True
        except (GoneError, RefusedError):
            raise _no_batches(self.model, "this server") from None

    async def _do(self, name: str, **how: Any) -> Any:  # noqa: ANN401  (types of LiteLLM's)
        import openai

        try:
            return await getattr(self._litellm, name)(**how, **self._to)
        except openai.OpenAIError as error:
            if getattr(error, "status_code", 0) in _NOT_THERE:
                raise GoneError(error_line(self.model, str(error))) from None
            raise sorted_error(self.model, error) from None
        except (AttributeError, TypeError, ValueError) as error:
            # A proxy's page instead of JSON is handed on as it is by the client.
            raise FailedError(f"this is no answer of a batch endpoint: {error}") from None

    async def _patiently(
        self, once: Callable[[], Awaitable[T]], stop: stop_base | None = None
    ) -> T:
        async def asked() -> T:  # tenacity does not await what a lambda returns
            return await once()

        retrying = AsyncRetrying(
            stop=stop or stop_after_attempt(_ATTEMPTS),
            retry=retry_if_exception_type(FailedError),
            wait=self._wait,
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            return await retrying(asked)
        except FailedError as error:
            raise StoppedError(f"{self.model.model}: the batch endpoint: {error}") from None

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked_for = error.retry_after if isinstance(error, FailedError) else 0.0
        return asked_for + float(self._jitter(state))

    def _tell(self, state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome:
            logger.warning("%s: asked again: %s", self.model.model, state.outcome.exception())


def _no_batches(model: Model, where: str) -> InputError:
    return InputError(
        f"no batch endpoint at {where}",
        file="traces",
        column="batch",
        got=model.model,
        expected=f"a model of {', '.join(PROVIDERS)}; or no --batch",
    )
