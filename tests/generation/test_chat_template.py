import pytest

from generation.chat_template import ChatTemplate, TemplateFailedError, is_template

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


def render(source: str | None, messages: list[dict[str, str]] | None = None) -> str:
    return ChatTemplate(source, bos="<s>", eos="</s>").render(HELLO if messages is None else messages)


def test_messages_tokens_and_the_generation_prompt_are_there() -> None:
    source = "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m.content }}{{ eos_token }}{% endfor %}"
    assert render(source + "{% if add_generation_prompt %}>{% endif %}") == "<s>[system]Be brief.</s>[user]Hi</s>>"


def test_blocks_leave_no_lines_behind_and_loops_may_break() -> None:
    stop = "  {% if m.role == 'user' %}\n{% break %}\n  {% endif %}\n"
    source = "{% for m in messages %}\n" + stop + "{{ m.content }}\n{% endfor %}\n"
    assert render(source) == "Be brief.\n"


def test_a_file_without_a_template_speaks_chatml() -> None:
    assert render(None) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_json_is_not_escaped_and_the_date_can_be_told() -> None:
    assert render("{{ {'a': '<é>'} | tojson }}") == '{"a": "<é>"}'
    assert int(render("{{ strftime_now('%Y') }}")) >= 2026


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('no system role') }}",
        "{{ messages[7]['content'] }}",
        "{{ 'a' + 1 }}",
        "{{ nobody.knows }}",
        "{{ 1 // 0 }}",
    ],
)
def test_a_template_that_refuses_or_stumbles_fails_in_one_way(source: str) -> None:
    with pytest.raises(TemplateFailedError):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ raise_exception.__globals__['json'] }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{% for x in range(10 ** 9) %}{% endfor %}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_reaches_nothing_but_its_messages(source: str) -> None:
    with pytest.raises(TemplateFailedError):
        render(source)


def test_what_is_no_template_is_told_beforehand() -> None:
    assert is_template(None)
    assert is_template("{{ messages }}")
    assert not is_template("{% if %}")
