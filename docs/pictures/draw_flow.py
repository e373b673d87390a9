"""Draws `flow.svg`: `python docs/pictures/draw_flow.py`. A test holds that the file is its output.

The picture reads by itself, light and dark, and within a page of the site, whose style sheet sets
the four colours. It has a title and a description for those who do not see it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

FILE = Path(__file__).with_name("flow.svg")
WIDTH, HEIGHT = 960, 560
TITLE = "How it flows: from questions to traces, to a student, to predictions, to scores"
DESCRIPTION = (
    "Four rows. Teach: questions of PerturbQA go to a teacher, who explains the outcome, and to "
    "critics, who grade it; a journal keeps every reply, and what is right and well graded becomes "
    "the file traces. Train: traces, or raw tuples, train the student with LoRA; a run folder has "
    "checkpoints and adapters. Answer: the student by test, predict or serve, any model by ask, a "
    "baseline, or another program by convert write the file predictions. Read: score, report and "
    "hits read nothing but predictions."
)
STYLE = """\
.flow { --ink: #1b2a2f; --line: #5b7178; --box: #f3f6f6; --file: #cfe9e4; font-family: sans-serif; }
@media (prefers-color-scheme: dark) {
  .flow { --ink: #e4ecee; --line: #93a8ae; --box: #2a3338; --file: #17514a; }
}
.flow text { fill: var(--ink); }
.flow .name { font-size: 15px; font-weight: 600; }
.flow .told { font-size: 12px; }
.flow .row { font-size: 13px; font-weight: 600; letter-spacing: .04em; }
.flow rect { fill: var(--box); stroke: var(--line); }
.flow .file rect { fill: var(--file); stroke-width: 2; }
.flow path { fill: none; stroke: var(--line); stroke-width: 1.5; }
.flow marker path { fill: var(--line); stroke: none; }
"""


class Box(NamedTuple):
    """One box.

    Args:
        x: Left edge.
        y: Upper edge.
        name: In bold.
        told: Lines below it.
        width: Of the box.
        file: Whether it is a file that is handed over.
    """

    x: int
    y: int
    name: str
    told: tuple[str, ...]
    width: int = 150
    file: bool = False

    @property
    def height(self) -> int:
        """As high as its lines."""
        return 34 + 16 * len(self.told)


ROWS = {"Teach": 30, "Train": 170, "Answer": 310, "Read": 450}
BOXES = (
    Box(90, 20, "questions", ("PerturbQA: cell line,", "perturbation, gene")),
    Box(300, 20, "teacher", ("explains the outcome", "or predicts it")),
    Box(510, 20, "critics", ("grade the", "explanation")),
    Box(720, 20, "journal", ("keeps every reply;", "gates say why not"), 200),
    Box(720, 160, "traces.parquet", ("right, clean, well graded", "reasoning, answer"), 200, True),
    Box(420, 160, "fit", ("LoRA on reasoning and", "answer, or raw tuples"), 190),
    Box(90, 160, "run folder", ("checkpoints, adapters,", "metrics, configuration"), 190),
    Box(90, 300, "test, predict, serve", ("the student answers", "with probabilities"), 190),
    Box(300, 300, "ask", ("any language", "model"), 110),
    Box(430, 300, "baseline", ("priors, neighbours,", "trees, networks"), 130),
    Box(580, 300, "convert", ("predicted", "expression"), 110),
    Box(720, 300, "yours", ("a program that", "writes the file"), 200),
    Box(90, 440, "predictions.parquet", ("answer, probabilities,", "reasoning, record"), 230, True),
    Box(400, 440, "score", ("every metric,", "intervals, leakage"), 140),
    Box(570, 440, "report", ("one page to mail,", "the paper's tables"), 140),
    Box(740, 440, "hits", ("top genes, heat map,", "pathways"), 180),
)  # fmt: skip
ARROWS = (
    "M240 53H294", "M450 53H504", "M660 53H714", "M820 86V154",  # questions to traces
    "M720 193H616", "M420 193H286", "M185 226V294",  # traces to answers
    "M165 86V112H515V154",  # raw tuples
    "M185 366V434",
    "M355 366V400H205V434", "M495 366V400H205V434", "M635 366V400H205V434", "M820 366V400H205V434",
    "M320 473H394", "M355 473V532H640V512", "M355 473V532H830V512",
)  # fmt: skip


def draw() -> str:
    """The picture, as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'role="img" aria-labelledby="flow-title flow-told">',
        f'<title id="flow-title">{escape(TITLE)}</title>',
        f'<desc id="flow-told">{escape(DESCRIPTION)}</desc>',
        f"<style>\n{STYLE}</style>",
        '<defs><marker id="flow-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8Z"/></marker></defs>',
    ]
    parts += [f'<path d="{arrow}" marker-end="url(#flow-tip)"/>' for arrow in ARROWS]
    parts += [f'<text class="row" x="8" y="{y + 30}">{name}</text>' for name, y in ROWS.items()]
    parts += [_box(box) for box in BOXES]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(box: Box) -> str:
    middle = box.x + box.width // 2
    lines = [f'<text class="name" x="{middle}" y="{box.y + 22}">{escape(box.name)}</text>']
    for number, line in enumerate(box.told, 1):
        y = box.y + 24 + 16 * number
        lines.append(f'<text class="told" x="{middle}" y="{y}">{escape(line)}</text>')
    place = f'x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}"'
    kind = ' class="file"' if box.file else ""
    return f'<g{kind} text-anchor="middle"><rect {place} rx="8"/>{"".join(lines)}</g>'


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
