"""Reading answers: the table of spellings, the rules, and what holds for any text at all."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers import ParseStatus, parse_answer
from synthpert.answers.spelling import normalise
from synthpert.questions import LABELS, Label

NOT_DE, UP, DOWN = LABELS
TEMPLATE = "[upregulated / downregulated / not differentially expressed]"


def tagged(answer: str, thought: str = "Because.") -> str:
    return f"<think>{thought}</think><answer>{answer}</answer>"


SPELLINGS = {
    "upregulated": UP,
    "Up-regulated.": UP,
    "UPREGULATED": UP,
    "up‑regulated": UP,
    "up−regulated": UP,
    "up\nregulated": UP,
    "Up": UP,
    "up_regulated": UP,
    "“upregulated”": UP,
    "`upregulated`": UP,
    "upregulation": UP,
    "<b>upregulated</b>": UP,
    "up\u200bregulated": UP,
    "up\u00adregulated": UP,
    "ｕｐregulated": UP,
    "\\boxed{upregulated}": UP,
    "differentially expressed: upregulated": UP,
    "**DOWN**": DOWN,
    "[downregulated]": DOWN,
    "**down**regulated": DOWN,
    "2. downregulated": DOWN,
    "The gene is downregulated.": DOWN,
    "not differentially expressed": NOT_DE,
    "Not\ndifferentially   expressed.": NOT_DE,
    "not_differentially_expressed": NOT_DE,
    "not-differentially-expressed": NOT_DE,
    "not significantly differentially expressed": NOT_DE,
    "isn't differentially expressed": NOT_DE,
    "no change": NOT_DE,
    "no significant change": NOT_DE,
    "no differential expression": NOT_DE,
    "unchanged": NOT_DE,
    "not DE": NOT_DE,
    "non-DE": NOT_DE,
    "neither upregulated nor downregulated": NOT_DE,
    "neither down- nor up-regulated": NOT_DE,
    "neither up nor down": NOT_DE,
    "not&nbsp;differentially&#32;expressed": NOT_DE,
    "No, not differentially expressed": NOT_DE,
    "No. Not differentially expressed.": NOT_DE,
    "not differentially expressed since no direct link": NOT_DE,
    "not differentially expressed, because there is no known link": NOT_DE,
    "no effect": NOT_DE,
    "No, no effect.": NOT_DE,
    "not affected": NOT_DE,
    "Not changed.": NOT_DE,
    "does not change": NOT_DE,
    "It doesn't change.": NOT_DE,
    "The gene is unaffected.": NOT_DE,
    "upregulated (log2FC 1.2, p < 0.05)": UP,
    "The gene is downregulated because its activator is gone.": DOWN,
}
DENIED = (
    "Is it upregulated? No. It is not differentially expressed.",
    "Upregulated? No - not differentially expressed",
    "upregulated? no, downregulated",
    "upregulated is incorrect; downregulated",
    "Upregulated is not it. Downregulated.",
    "upregulated would be wrong, so downregulated",
    "anything but upregulated",
    "far from downregulated",
    "opposite of downregulated",
    "upregulated, nope",
    "un-upregulated",
    "de-upregulated",
    "(un)upregulated",
    "unable to be upregulated",
    "upregulated by 2.3-fold; no doubt",
    "not differentially expressed is false",
    "not differentially expressed since no, wrong",
    "No, upregulated",
    "not only upregulated but downregulated",
    "not upregulated but downregulated is wrong",
    "Not upregulated. Not downregulated.",
    "upregulated, not up",
    "upregulated: no",
    "Upregulated (not)",
    "<del>upregulated</del> downregulated",
    "upregulated ❌",
)
UNREADABLE = {
    **dict.fromkeys(DENIED, ParseStatus.NEGATED),
    "no effect is wrong": ParseStatus.UNKNOWN,
    "no effect?": ParseStatus.UNKNOWN,
    "not unaffected": ParseStatus.UNKNOWN,
    "not de-repressed": ParseStatus.UNKNOWN,
    "not upregulated": ParseStatus.NEGATED,
    "isn't upregulated": ParseStatus.NEGATED,
    "isn’t upregulated": ParseStatus.NEGATED,
    "no upregulation": ParseStatus.NEGATED,
    "not, however, upregulated": ParseStatus.NEGATED,
    "not—upregulated": ParseStatus.NEGATED,
    "non-upregulated": ParseStatus.NEGATED,
    "unlikely to be downregulated": ParseStatus.NEGATED,
    "not upregulated or downregulated": ParseStatus.NEGATED,
    "not upregulated, downregulated": ParseStatus.NEGATED,
    "not not differentially expressed": ParseStatus.NEGATED,
    "not unchanged": ParseStatus.NEGATED,
    "upregulated, not upregulated": ParseStatus.NEGATED,
    "upregulated is wrong": ParseStatus.NEGATED,
    "~~upregulated~~": ParseStatus.NEGATED,
    "≠ upregulated": ParseStatus.NEGATED,
    "upregulated or downregulated": ParseStatus.SEVERAL,
    "up- or downregulated": ParseStatus.SEVERAL,
    "up/downregulated": ParseStatus.SEVERAL,
    "upregulated-downregulated": ParseStatus.SEVERAL,
    TEMPLATE: ParseStatus.SEVERAL,
    "[upregulated / downregulated / …]": ParseStatus.SEVERAL,
    "unregulated": ParseStatus.UNKNOWN,
    "dysregulated": ParseStatus.UNKNOWN,
    "upregulate": ParseStatus.UNKNOWN,
    "uprеgulated": ParseStatus.UNKNOWN,  # a Cyrillic e
    "ṷpregulated": ParseStatus.UNKNOWN,
    "up\u0301": ParseStatus.UNKNOWN,
    "differentially expressed": ParseStatus.UNKNOWN,
    "not de novo": ParseStatus.UNKNOWN,
    "it ends up somewhere": ParseStatus.UNKNOWN,
    "(un)changed": ParseStatus.UNKNOWN,
    "I do not know": ParseStatus.ABSTAIN,
    "I don't know.": ParseStatus.ABSTAIN,
    "I do not know, maybe upregulated": ParseStatus.ABSTAIN,
    "": ParseStatus.MISSING,
}
FLAGGED = {
    "downregulated, not upregulated": DOWN,
    "not downregulated but upregulated": UP,
    "not downregulated. It is upregulated": UP,
    "downregulated rather than upregulated": DOWN,
    "Downregulated. Not upregulated: wrong direction.": DOWN,
    "downregulated but not upregulated": DOWN,
    "up, not down": UP,
    "not upregulated, i.e. not differentially expressed": NOT_DE,
}


@pytest.mark.parametrize(("spelling", "label"), SPELLINGS.items())
def test_a_spelling_of_a_label_is_that_label(spelling: str, label: Label) -> None:
    assert parse_answer(tagged(spelling)).label is label


@pytest.mark.parametrize(("text", "status"), UNREADABLE.items())
def test_an_unclear_answer_is_none_with_its_reason(text: str, status: ParseStatus) -> None:
    answer = parse_answer(tagged(text))
    assert (answer.label, answer.status) == (None, status)


@pytest.mark.parametrize(("text", "label"), FLAGGED.items())
def test_a_label_beside_a_denied_one_is_flagged(text: str, label: Label) -> None:
    answer = parse_answer(tagged(text))
    assert (answer.label, answer.status) == (label, ParseStatus.FLAGGED)


def test_a_whole_thought_is_cut_and_returned_as_it_was_written() -> None:
    answer = parse_answer("<think>\n It's **not**  upregulated. \n</think>\n<answer>up</answer>")
    assert answer.reasoning == "It's **not**  upregulated."
    assert answer.label is UP


def test_a_completion_may_start_inside_the_thought() -> None:
    answer = parse_answer("\nBecause B.\n</think>\n\n<answer>downregulated</answer>")
    assert (answer.label, answer.reasoning) == (DOWN, "Because B.")


def test_a_text_without_a_thought_has_no_reasoning() -> None:
    assert parse_answer("<answer>downregulated</answer>").reasoning == ""


def test_a_tag_inside_the_thought_is_no_answer() -> None:
    assert parse_answer("<think><answer>up</answer></think>").status is ParseStatus.MISSING
    assert parse_answer(tagged("up", "First <answer>down</answer>?")).label is UP


def test_a_thought_that_quotes_the_think_tags_ends_at_the_last_one() -> None:
    text = "Use <think> </think> and <answer>down</answer>. </think><answer>up</answer>"
    answer = parse_answer(text)
    assert answer.label is UP
    assert answer.reasoning == "Use <think> </think> and <answer>down</answer>."


def test_a_thought_after_the_answer_is_cut_too() -> None:
    assert (
        parse_answer("<think>a</think><answer>up</answer><think><answer>down</answer>").label is UP
    )


@pytest.mark.parametrize(
    "text",
    [
        "&lt;think&gt;Why&lt;/think&gt;&lt;answer&gt;upregulated&lt;/answer&gt;",
        "<THINK>Why< /think ><Answer> upregulated < / answer>",
        "<thinking>Why</thinking>**<answer>**upregulated**<\\/answer>**",
    ],
)
def test_tags_may_be_escaped_spaced_and_in_capitals(text: str) -> None:
    answer = parse_answer(text)
    assert (answer.label, answer.reasoning) == (UP, "Why")


def test_a_thought_in_disguised_tags_is_cut() -> None:
    assert parse_answer("＜think＞<answer>up</answer>＜/think＞<answer>down</answer>").label is DOWN


def test_html_is_unescaped_only_once() -> None:
    assert parse_answer("&amp;lt;answer&amp;gt;" * 9 + "up").label is None


def test_an_echoed_template_gives_way_to_the_next_tag() -> None:
    text = f"<answer> {TEMPLATE} </answer> So: <answer>downregulated</answer>"
    assert parse_answer(text).label is DOWN
    assert parse_answer(text.replace("</answer>", "", 1)).label is DOWN


def test_quoted_empty_tags_give_way_to_the_next_tag() -> None:
    assert parse_answer("In <answer> </answer> tags: <answer>up</answer>").label is UP


@pytest.mark.parametrize(
    "second",
    [
        *["downregulated", "not upregulated", "I do not know", "upregulated or downregulated"],
        *["No, wrong", "anything but downregulated", "downregulated, not upregulated"],
    ],
)
def test_two_tags_that_differ_conflict(second: str) -> None:
    answer = parse_answer(f"<answer>upregulated</answer><answer>{second}</answer>")
    assert (answer.label, answer.status) == (None, ParseStatus.CONFLICT)


def test_two_tags_that_agree_are_one_answer() -> None:
    assert parse_answer("<answer>up</answer> <answer>Up-regulated</answer>").status == "ok"


def test_a_missing_closing_tag_is_accepted_where_generation_stopped_by_itself() -> None:
    assert parse_answer("Why.</think><answer>upregulated", "stop").label is UP


def test_a_missing_closing_tag_at_the_length_limit_is_truncated() -> None:
    answer = parse_answer("Why.</think><answer>upregulated", "length")
    assert (answer.label, answer.status) == (None, ParseStatus.TRUNCATED)


def test_a_thought_cut_by_the_length_limit_is_truncated() -> None:
    answer = parse_answer("<think>It is upregulated by", "length")
    assert (answer.status, answer.reasoning) == (ParseStatus.TRUNCATED, "It is upregulated by")


def test_a_complete_answer_at_the_length_limit_counts() -> None:
    assert parse_answer(tagged("upregulated") + "<answer>do", "length").label is UP


def test_a_long_text_after_an_unclosed_tag_is_no_answer() -> None:
    answer = parse_answer("<answer>upregulated" + " because of this" * 20)
    assert (answer.label, answer.status) == (None, ParseStatus.UNCLOSED)


@pytest.mark.parametrize(
    "text", ["unchanged", " Upregulated.\n", "</think>\ndownregulated</answer>"]
)
def test_a_short_text_without_tags_is_a_bare_answer(text: str) -> None:
    assert parse_answer(text).label is not None


def test_a_long_text_without_tags_is_missing() -> None:
    answer = parse_answer("The pathway matters here. " * 9 + "It is upregulated.")
    assert (answer.label, answer.status) == (None, ParseStatus.MISSING)


WORDS = [
    *[label.value for label in LABELS],
    *["unchanged", "no change", "up", "down", "Up-regulated", "not DE", "I do not know"],
    *["neither upregulated nor downregulated", "dysregulated", TEMPLATE],
    *["not", "no", "isn't", "never", "but", "or", ",", ".", "/", "rather than", "—", "‑", "\u200b"],
    *["<think>", "</think>", "<answer>", "</answer>", "&lt;answer&gt;", "**", " ", "\n", "\u0301"],
]
TEXTS = st.one_of(
    st.text(st.characters(codec=None)),
    st.lists(st.sampled_from(WORDS)).map(" ".join),
    st.lists(st.sampled_from(WORDS)).map("".join),
)
PHRASES = {
    NOT_DE: (
        "not differentially expressed", "not-differentially", "unchanged", "no change", "not de",
        "non-de", "neither up", "neither down", "no effect", "affected", "not change",
    ),
    UP: ("up",),
    DOWN: ("down",),
}  # fmt: skip


@given(text=TEXTS, finish_reason=st.sampled_from(["stop", "length"]))
def test_any_text_gives_a_label_that_stands_in_it_or_none_and_why(
    text: str, finish_reason: str
) -> None:
    answer = parse_answer(text, finish_reason)
    assert (answer.label is not None) == (answer.status in (ParseStatus.OK, ParseStatus.FLAGGED))
    assert answer.reasoning in text
    if answer.label is not None:
        assert any(phrase in normalise(text) for phrase in PHRASES[answer.label])


@given(
    negator=st.sampled_from(["not", "no", "Not", "isn't", "never", "cannot be", "unlikely"]),
    filler=st.sampled_from(
        ["", "significantly", "really", "likely to be", "*", ",", "\u200b", ":"]
    ),
    label=st.sampled_from(LABELS),
    end=st.sampled_from(["", ".", " in these cells", "!"]),
)
def test_a_negated_label_is_never_the_answer(
    negator: str, filler: str, label: Label, end: str
) -> None:
    answer = parse_answer(tagged(f"{negator} {filler} {label}{end}"))
    assert answer.label is None


NEGATORS = (
    *["nope", "wrong", "is incorrect", "not", "never", "isn't", "cannot be", "is false", "untrue"],
    *["anything but", "far from", "the opposite of", "unable to be", "instead of", "rather than"],
    *["?", "? no", "nay", "no", "non", "un", "≠", "fails to be", "is not it", "would be wrong"],
)
DENYING = st.lists(st.sampled_from([*NEGATORS, "is it", "it is", "but"]), max_size=3).map(" ".join)
MARKS = st.sampled_from([" ", ", ", ". ", "; ", ": ", " - ", "\n"])


@given(
    before=DENYING, after=DENYING, certain=st.sampled_from(NEGATORS), left=st.booleans(),
    marks=st.tuples(MARKS, MARKS), label=st.sampled_from([UP, DOWN]), repeat=st.booleans(),
)  # fmt: skip
def test_a_label_among_negators_is_never_the_answer(
    before: str,
    after: str,
    certain: str,
    left: bool,
    marks: tuple[str, str],
    label: Label,
    repeat: bool,
) -> None:
    before, after = (f"{before} {certain}", after) if left else (before, f"{certain} {after}")
    text = f"{before}{marks[0]}{label}{marks[1]}{after}" + f" {label}" * repeat
    assert parse_answer(tagged(text)).label is None


@given(
    first=st.sampled_from([UP, DOWN]), denying=st.sampled_from(NEGATORS), mark=MARKS,
    other=st.sampled_from(LABELS),
)  # fmt: skip
def test_a_first_label_that_may_be_denied_comes_only_with_a_flag(
    first: Label, denying: str, mark: str, other: Label
) -> None:
    answer = parse_answer(tagged(f"{first}{mark}{denying} {other}"))
    if answer.label is not None:
        assert (answer.label, answer.status) == (first, ParseStatus.FLAGGED)
        assert denying in ("not", "isn't", "rather than", "instead of")


@given(
    label=st.sampled_from(LABELS),
    case=st.sampled_from([str.lower, str.upper, str.title]),
    dash=st.sampled_from(["", "-", "\u2011", "\u2013", " ", "\n", "\u200b", "- "]),
    wrap=st.sampled_from(["{}", "**{}**", "'{}'", "“{}”", "[{}]", "`{}`", "\n{}\n", "_{}_", "{}."]),
    zero_width=st.sampled_from(["", "\u200b", "\ufeff", "\u2060"]),
    frame=st.sampled_from(["{}", "<answer>{}</answer>", "Why</think>\n<answer> {} </answer>"]),
)
def test_every_rendering_of_a_label_is_read_back(
    label: Label, case: object, dash: str, wrap: str, zero_width: str, frame: str
) -> None:
    assert callable(case)
    text = case(label.value).replace("REG", f"{dash}REG").replace("reg", f"{dash}reg")
    text = text.replace(" ", f"{zero_width} ").replace("d", f"{zero_width}d")
    assert parse_answer(frame.format(wrap.format(text))).label is label


NASTY = [
    *[
        "<",
        "<answer>",
        "</answer>",
        "<answer>up",
        "<think>",
        "</think>",
        "<think>a</think>b</think>",
    ],
    *[" ", "\u200b", "\u0301\u0323", "&", "&#", "&lt;", "ﷺ", "not ", "up ", "up---", "neither up "],
    *["not up or ", "no significant ", "~~", "< ", ". up", "un-up ", "a a ", "V-", "since no "],
    *["the ", "is ", "it is not ", "no, ", "? "],
]


@pytest.mark.parametrize("piece", NASTY)
@pytest.mark.parametrize("frame", ["{}", "<answer>{}</answer>", "<think>{}</think>{}"])
def test_a_hundred_kilobytes_of_anything_are_read_in_no_time(piece: str, frame: str) -> None:
    text = frame.format(*[piece * (100_000 // len(piece))] * frame.count("{}"))
    start = time.process_time()
    parse_answer(text)
    assert time.process_time() - start < 1  # quadratic would be minutes; linear is 0.05


def test_a_number_of_many_digits_in_an_entity_does_not_raise() -> None:
    assert parse_answer("&#" + "9" * 5000 + ";").label is None


def test_many_different_tags_are_no_answer() -> None:
    text = "".join(f"<answer>up {number}</answer>" for number in range(200))
    assert parse_answer(text).status is ParseStatus.CONFLICT
