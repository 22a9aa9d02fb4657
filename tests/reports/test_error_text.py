"""The text of an error: one line and a traceback, without secrets, of any length."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from jobcron.reports.error_text import MAX_LINE, MAX_TRACEBACK, ErrorText
from jobcron.settings.secrets import Redactor

REDACTOR = Redactor(["hush-hush"])


def text_of(error: BaseException) -> ErrorText:
    """Return the text of an error that was raised."""
    try:
        raise error
    except BaseException as raised:
        return ErrorText.of(raised, REDACTOR)


def test_an_error_has_a_kind_a_line_and_a_traceback() -> None:
    text = text_of(ValueError("two\n  lines"))
    assert (text.kind, text.line, str(text)) == ("ValueError", "two lines", "ValueError: two lines")
    assert text.traceback.startswith("Traceback (most recent call last)")
    assert text.traceback.endswith("ValueError: two\n  lines\n")


def test_an_error_without_a_message_is_its_kind() -> None:
    text = text_of(KeyboardInterrupt())
    assert (text.line, str(text)) == ("", "KeyboardInterrupt")


def test_secrets_are_in_neither() -> None:
    text = text_of(ValueError("it is hush-hush and password=geheim1"))
    for said in (text.line, text.traceback):
        assert "hush-hush" not in said
        assert "geheim1" not in said


def test_long_texts_lose_their_middle() -> None:
    text = text_of(ValueError("x" * 100_000))
    assert len(text.line) <= MAX_LINE + 10
    assert len(text.traceback) <= MAX_TRACEBACK + 10


def test_an_error_that_cannot_be_printed_has_a_text_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise SystemExit(1)

    text = text_of(Mute())
    assert text.kind == "Mute"
    assert "Mute" in text.line
    assert "Mute" in text.traceback


def test_what_no_database_stores_is_replaced() -> None:
    text = text_of(ValueError("nul \0 and half \ud800 a pair"))
    text.line.encode()
    assert "\0" not in text.line
    assert "\0" not in text.traceback


def test_a_text_stays_as_it_was_made() -> None:
    error = ValueError("before")
    text = text_of(error)
    error.args = ("after",)
    assert text.line == "before"
    with pytest.raises(FrozenInstanceError):
        text.line = "other"  # type: ignore[misc]
