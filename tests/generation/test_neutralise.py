from hypothesis import given
from hypothesis import strategies as st

from generation.engine import Message
from generation.neutralise import (
    ControlTexts,
    MarkedPrompt,
    Marks,
    choose_marks,
    cut,
    mark,
    mark_outside,
    unmark,
)

TEXTS = ("<|user|>", "<|end|>", "|end|>", "<|end|><|user|>", "aa", "aab", "<s>", "x")
MARKS = Marks("\ue000", "\ue001")

fragments = st.lists(st.sampled_from([*TEXTS, "<", "|", ">", "a", "b", "end", "user", " ", "\n", "é"])).map("".join)


def test_the_longest_text_is_found_at_each_position_and_overlaps_too() -> None:
    found = list(ControlTexts(TEXTS).find("<|end|><|user|> aab"))
    assert found == [(0, 15), (1, 7), (7, 15), (16, 19)]


def test_a_single_character_is_no_control_text() -> None:
    assert list(ControlTexts(["x"]).find("xxx")) == []
    assert list(ControlTexts([]).find("<s>")) == []


@given(fragments)
def test_finding_agrees_with_looking_everywhere(text: str) -> None:
    expected = []
    for start in range(len(text)):
        lengths = [len(control) for control in TEXTS if len(control) > 1 and text.startswith(control, start)]
        if lengths:
            expected.append((start, start + max(lengths)))
    assert list(ControlTexts(TEXTS).find(text)) == expected


@given(st.lists(st.tuples(fragments, fragments), min_size=1))
def test_no_fragment_spells_a_control_text_with_a_character_from_people(parts: list[tuple[str, str]]) -> None:
    """`parts` are pairs of what a template writes and what a person wrote after it."""
    prompt = _prompt(parts)
    pieces = cut(prompt, ControlTexts(TEXTS))
    assert "".join(pieces) == prompt.text
    at = 0
    for piece in pieces:
        for start, end in _occurrences(piece):
            assert not any(start + at < b and a < end + at for a, b in prompt.spans), (pieces, prompt)
        at += len(piece)


@given(st.lists(st.tuples(fragments, st.text("yz ")), min_size=1))
def test_harmless_contents_cut_nothing(parts: list[tuple[str, str]]) -> None:
    prompt = _prompt([(own, "." + content) for own, content in parts])
    assert cut(prompt, ControlTexts(TEXTS)) == [prompt.text]


@given(st.lists(st.tuples(fragments, fragments), min_size=1))
def test_a_templates_own_control_texts_stay_whole(parts: list[tuple[str, str]]) -> None:
    prompt = _prompt([(f"<|user|>{own}" if not _touches(own) else "<|user|>", content) for own, content in parts])
    borders = {0}
    for piece in cut(prompt, ControlTexts(TEXTS)):
        borders.add(max(borders) + len(piece))
    at = 0
    for (start, end), (own, _) in zip(prompt.spans, parts, strict=True):
        text = prompt.text[at:start]
        assert text.startswith("<|user|>"), own
        assert not any(at < border < at + len("<|user|>") for border in borders)
        at = end


def _touches(text: str) -> bool:
    return bool(list(_occurrences(text)))


def _prompt(parts: list[tuple[str, str]]) -> MarkedPrompt:
    text, spans = "", []
    for own, content in parts:
        text += own
        spans.append((len(text), len(text) + len(content)))
        text += content
    return MarkedPrompt(text, tuple(spans))


def _occurrences(text: str) -> list[tuple[int, int]]:
    return [
        (start, start + len(control))
        for control in TEXTS
        if len(control) > 1
        for start in range(len(text))
        if text.startswith(control, start)
    ]


@given(st.lists(st.text(st.sampled_from("ab \n\ue000\ue001\uf8ff"))))
def test_marks_are_characters_that_no_content_holds(contents: list[str]) -> None:
    marks = choose_marks(contents)
    assert marks.start != marks.end
    assert not any(marks.start in content or marks.end in content for content in contents)


def test_marks_cannot_be_foreseen() -> None:
    assert len({choose_marks([]) for _ in range(20)}) > 15


def test_a_text_of_all_private_characters_is_still_protected() -> None:
    everything = "".join(map(chr, range(0xE000, 0xF900))) + "<s>"
    marks = choose_marks([everything])
    (marked,) = mark([Message("user", everything)], marks)
    prompt = unmark(marked.content, marks)
    assert prompt is not None
    assert len(prompt.text) == len(everything) - 2
    assert len(cut(prompt, ControlTexts(["<s>"]))) == 2


@given(st.lists(st.text()))
def test_marking_and_unmarking_gives_the_contents_back(contents: list[str]) -> None:
    marks = choose_marks(contents)
    messages = [Message("user", content) for content in contents]
    for marked in (mark(messages, marks), mark_outside(messages, marks)):
        prompt = unmark("#".join(message.content for message in marked), marks)
        assert prompt is not None
        assert prompt.text == "#".join(contents)
        spoken = {prompt.text[start:end].strip() for start, end in prompt.spans} - {""}
        assert spoken == {content.strip() for content in contents} - {""}


def test_marks_stand_where_a_template_still_strips_white_space() -> None:
    (message,) = mark([Message("user", " \n hello \n")], MARKS)
    assert message.content == " \n \ue000hello\ue001 \n"
    (message,) = mark([Message("user", " \n ")], MARKS)
    assert message.content == " \n "


def test_torn_marks_are_noticed() -> None:
    assert unmark("a\ue000b", MARKS) is None
    assert unmark("a\ue001b", MARKS) is None
    assert unmark("\ue000a\ue000b\ue001", MARKS) is None
    assert unmark("\ue000a\ue001\ue000b\ue001", MARKS) == MarkedPrompt("ab", ((0, 1), (1, 2)))
