"""Parts of the page that stand on more than one of its tabs."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr
import polars as pl

from tools.serve import drawing, history

_MOST_LINES: Final = 20
_MOST_ROWS: Final = 200  # of a history; the file has all


def panel(name: str, value: str = "") -> gr.HTML:
    """HTML of `tools.serve.drawing`, in which every value is escaped.

    Args:
        name: Of the element.
        value: The HTML.
    """
    return gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=None)


class Full:
    """The parts that show one question in full.

    Args:
        name: What the names of the elements begin with.
        later: Whether they show nothing until they are given a question.
    """

    def __init__(self, name: str, *, later: bool = False) -> None:
        # By the style sheet: what Gradio makes visible may miss values that come with it.
        with gr.Row(elem_classes=["sp-full", "sp-later"] if later else "sp-full"):
            with gr.Column(min_width=300):
                text = gr.Textbox(
                    label="What the student writes",
                    lines=8,
                    max_lines=_MOST_LINES,
                    interactive=False,
                    buttons=["copy"],
                    elem_id=f"{name}-text",
                )
                traces = panel(f"{name}-traces")
            with gr.Column(min_width=300):
                answer = panel(f"{name}-answer")
                known = panel(f"{name}-known")
        self.parts = [text, traces, answer, known]


class Answers:
    """A table of answers, of which one can be read in full.

    Args:
        name: What the names of the elements begin with.
    """

    def __init__(self, name: str) -> None:
        self.table = gr.State(history.empty())
        self.shown = panel(name)
        self.choice = gr.Dropdown(
            [],
            value=None,
            label="Read one in full",
            num_choices_shown=100,
            elem_id=f"{name}-choice",
        )
        self.full = Full(f"{name}-one", later=True)
        self.parts = [self.table, self.shown, self.choice, *self.full.parts]

    def update(self, table: pl.DataFrame, *, newest: bool = False) -> dict[Any, Any]:
        """What the parts are to show.

        Args:
            table: Predictions.
            newest: Whether to begin with the last ones.
        """
        order = list(range(len(table)))
        if newest:
            order = order[::-1][:_MOST_ROWS]
        rows = [table.row(number, named=True) for number in order]
        names = [f"{row['pert']} → {row['gene']} in {row['cell_line']}" for row in rows]
        choice = gr.update(choices=list(zip(names, order, strict=True)), value=None)
        return {
            self.table: table,
            self.shown: drawing.answers(rows, len(table)),
            self.choice: choice,
            **dict.fromkeys(self.full.parts, ""),
        }
