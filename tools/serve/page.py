"""The page: its parts, and what each of them does. Nothing here knows of the student's weights."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import gradio as gr
import polars as pl

from synthpert.redaction import redact_text
from tools.serve import drawing, history
from tools.serve.desk import TROUBLES, ListView, View
from tools.serve.parts import Answers, Full, panel
from tools.serve.pasted import MOST_CHARACTERS, MOST_QUESTIONS
from tools.serve.sessions import Stops

if TYPE_CHECKING:
    from tools.serve.desk import Desk

log = logging.getLogger(__name__)

_MODES: Final = (
    ("reason: a thought, then the answer", "reason"),
    ("vote: several thoughts, the answer of most", "vote"),
    ("direct: no thought, at once", "direct"),
)
# No endpoint is offered to programs, one question is asked at a time, and the others wait in line.
_ASKING: Final[dict[str, Any]] = {
    "concurrency_limit": 1,
    "concurrency_id": "student",
    "api_visibility": "private",
    "show_progress": "hidden",
}
_QUICK: Final[dict[str, Any]] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "queue": False,
}


class Page:
    """The page of a student.

    Args:
        desk: What it asks.
        name: Of the run.
        facts: What the head of the page says of it.
        about: What the last tab says of it.
        record: How the answers come about, for the file to download.
        folder: Where files to download are made; it goes with the page.
    """

    def __init__(
        self,
        desk: Desk,
        name: str,
        facts: Sequence[tuple[str, str]],
        about: Sequence[tuple[str, Any]],
        record: dict[str, Any],
        folder: TemporaryDirectory[str],
    ) -> None:
        self.desk, self.record, self.folder = desk, record, folder
        self.stops = Stops()
        with gr.Blocks(title=f"SynthPert: {name}", analytics_enabled=False) as self.blocks:
            panel("head", drawing.header(name, facts))
            with gr.Tab("Ask"):
                self._one()
            with gr.Tab("List"):
                self._many()
            with gr.Tab("History"):
                self._past()
            with gr.Tab("About"):
                panel("about", drawing.about(about))
            self._wire()
        self.blocks.queue(max_size=50, api_open=False)

    def _one(self) -> None:
        benchmark = self.desk.benchmark
        examples = benchmark.examples()
        first = examples[0]
        with gr.Row():
            self.cell_line = gr.Dropdown(
                benchmark.cell_lines, value=first.cell_line, label="Cell line", elem_id="cell-line"
            )
            free: dict[str, Any] = {
                "allow_custom_value": True,
                "filterable": True,
                "num_choices_shown": 50,
            }
            self.pert = gr.Dropdown(
                benchmark.perts, value=first.pert, label="Knocked down", elem_id="pert", **free
            )
            self.gene = gr.Dropdown(
                benchmark.genes, value=first.gene, label="Measured gene", elem_id="gene", **free
            )
        self.mode = gr.Radio(_MODES, value="reason", label="Mode", elem_id="mode")
        with gr.Row(elem_classes="sp-buttons"):
            self.ask = gr.Button("Ask", variant="primary", min_width=120, elem_id="ask")
            self.stop = gr.Button("Stop", interactive=False, min_width=120, elem_id="stop")
        gr.Examples(
            [[each.cell_line, each.pert, each.gene] for each in examples],
            [self.cell_line, self.pert, self.gene],
            label="Examples, of the test split",
            example_labels=[f"{x.pert} → {x.gene} in {x.cell_line}" for x in examples],
            api_visibility="private",
        )
        self.status = panel("status", drawing.status("Nothing asked yet."))
        self.full = Full("one")

    def _many(self) -> None:
        self.list = gr.Textbox(
            label="Questions, one a line",
            info="Cell line, perturbation, gene, such as: k562, AARS, A2M. Commas, tabs or spaces "
            f"between; a header may say another order. At most {MOST_QUESTIONS:,} lines.",
            lines=8,
            max_lines=20,
            max_length=MOST_CHARACTERS,
            elem_id="list",
        )
        self.list_mode = gr.Radio(_MODES, value="direct", label="Mode", elem_id="list-mode")
        with gr.Row(elem_classes="sp-buttons"):
            self.ask_list = gr.Button(
                "Ask all", variant="primary", min_width=120, elem_id="ask-list"
            )
            self.stop_list = gr.Button(
                "Stop", interactive=False, min_width=120, elem_id="stop-list"
            )
        self.list_status = panel("list-status", drawing.status("Nothing asked yet."))
        self.problems = panel("problems")
        self.results = Answers("results")

    def _past(self) -> None:
        panel("kept", drawing.status("This session alone; of a question asked again, the newest."))
        with gr.Row(elem_classes="sp-buttons"):
            self.download = gr.DownloadButton(
                "Download predictions.csv", interactive=False, elem_id="download"
            )
        self.past = Answers("past")

    def _wire(self) -> None:
        kept = [*self.past.parts, self.download]
        shown = [self.status, *self.full.parts]
        gr.on(
            [self.ask.click],
            self._ask,
            [self.cell_line, self.pert, self.gene, self.mode, self.past.table],
            [self.stop, *shown, *kept],
            **_ASKING,
        )
        self.ask_list.click(
            self._ask_list,
            [self.list, self.list_mode, self.past.table],
            [self.stop_list, self.list_status, self.problems, *self.results.parts, *kept],
            **_ASKING,
        )
        for button in (self.stop, self.stop_list):
            button.click(self._stop, None, button, **_QUICK)
        for answers in (self.results, self.past):
            parts = [answers.table, answers.choice]
            answers.choice.input(self._choose, parts, answers.full.parts, **_QUICK)
        self.blocks.unload(self._leave)

    def _ask(
        self,
        cell_line: str,
        pert: str,
        gene: str,
        mode: str,
        past: pl.DataFrame,
        request: gr.Request,
    ) -> Iterator[dict[Any, Any]]:
        stop = self.stops.begin(str(request.session_hash))
        yield {self.stop: gr.update(interactive=True)}
        try:
            for view in self.desk.one((cell_line, pert, gene), mode, stop):
                yield self._shown(view) | self._kept(past, view.table, request)
        except TROUBLES as error:
            yield {self.status: _trouble(error)} | dict.fromkeys(self.full.parts, "")
        finally:
            self.stops.stop(str(request.session_hash))
        yield {self.stop: gr.update(interactive=False)}

    def _ask_list(
        self, text: str, mode: str, past: pl.DataFrame, request: gr.Request
    ) -> Iterator[dict[Any, Any]]:
        stop = self.stops.begin(str(request.session_hash))
        yield {
            self.stop_list: gr.update(interactive=True),
            self.problems: "",
            **self.results.update(history.empty()),
        }
        try:
            for view in self.desk.many(text, mode, stop):
                yield self._listed(view) | self._kept(past, view.table, request)
        except TROUBLES as error:
            yield {self.list_status: _trouble(error)}
        finally:
            self.stops.stop(str(request.session_hash))
        yield {self.stop_list: gr.update(interactive=False)}

    def _shown(self, view: View) -> dict[Any, Any]:
        values = (view.text, view.traces, view.answer, view.known)
        parts = zip(self.full.parts, values, strict=True)
        changed = {part: value for part, value in parts if value is not None}
        return {self.status: drawing.status(view.status), **changed}

    def _listed(self, view: ListView) -> dict[Any, Any]:
        shown = {self.list_status: drawing.status(view.status), self.problems: view.problems}
        if view.table is None:
            return shown
        return {**shown, **self.results.update(view.table)}

    def _kept(
        self, past: pl.DataFrame, table: pl.DataFrame | None, request: gr.Request
    ) -> dict[Any, Any]:
        if table is None:
            return {}
        kept = history.add(past, table)
        path = history.write(kept, self._folder_of(request), self.record)
        offer = gr.update(value=str(path), interactive=True)
        return {**self.past.update(kept, newest=True), self.download: offer}

    def _choose(self, table: pl.DataFrame, number: object) -> list[str]:
        if not isinstance(number, int) or not 0 <= number < len(table):
            return [""] * 4
        view = self.desk.shown(table.row(number, named=True))
        return [part or "" for part in (view.text, view.traces, view.answer, view.known)]

    def _stop(self, request: gr.Request) -> dict[str, Any]:
        self.stops.stop(str(request.session_hash))
        return gr.update(interactive=False)

    def _leave(self, request: gr.Request) -> None:
        self.stops.stop(str(request.session_hash))
        shutil.rmtree(self._folder_of(request), ignore_errors=True)

    def _folder_of(self, request: gr.Request) -> Path:
        # The browser chose the session's name: it may be no part of a path.
        session = sha256(str(request.session_hash).encode()).hexdigest()[:32]
        return Path(self.folder.name) / session


def _trouble(error: Exception) -> str:
    """An error as the one line of the page."""
    line = " ".join(redact_text(str(error)).split()) or type(error).__name__
    log.warning("%s", line)
    return drawing.status(line, "error")
