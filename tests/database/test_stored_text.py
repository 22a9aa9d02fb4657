"""Text in the form that the database can hold."""

from __future__ import annotations

from instances import Instance
from jobcron.database.stored_text import MAX_STORED, held, plain


def test_a_text_is_stored_as_it_is_where_the_database_can_hold_it(instance: Instance) -> None:
    with instance.database.begin() as connection:
        assert held(connection, "ärger: 10 €, 漢字") == "ärger: 10 €, 漢字"
        assert held(connection, "a\0b\ud800") == "a\\x00b\\ud800"
        assert plain(connection, "ä€\0") == "\\xe4\\u20ac\\x00"


def test_a_text_that_no_row_should_have_is_cut_in_the_middle(instance: Instance) -> None:
    with instance.database.begin() as connection:
        for form in (held, plain):
            text = form(connection, "a" * 5_000_000 + "end")
            assert len(text) < MAX_STORED + 10
            assert text.endswith("end")


def test_what_the_encoding_has_not_is_escaped(narrow: Instance) -> None:
    with narrow.database.begin() as connection:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        expected = {
            "LATIN1": "ä \\u20ac \\u6f22",
            "SQL_ASCII": "\\xe4 \\u20ac \\u6f22",
            "EUC_JP": "ä \\u20ac 漢",
        }
        text = held(connection, "ä € 漢")
        assert text == expected[str(encoding)]
        assert connection.exec_driver_sql("SELECT %(text)s::text", {"text": text}).scalar() == text
