"""Fuzzing: configurations, payloads, names, redaction; 2,000 examples of each in ``make test``."""

from __future__ import annotations

import json
import logging
import os
import string
import tempfile
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobcron import ConfigurationError, InvalidJobData
from jobcron.jobs.arguments.encoding import decode, encode
from jobcron.jobs.arguments.json_data import check
from jobcron.reports.logs import Formatter
from jobcron.settings.reading import read
from jobcron.settings.secrets import HIDDEN, Redactor, storable
from jobcron.settings.settings import SECTION_NAME, Settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 100_000 if os.environ.get("JOBCRON_CHAOS") else 1_000))

many = settings(
    max_examples=EXAMPLES, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)

KEYS = [
    "database_url", "application", "state_dir", "mail", "activity_interval", "crash_limit", "oops_level",
    "source_interface", "dbuser", "batch_size", "schedule", "keep_failed", "alert_waiting", "extends", "nonsense",
]  # fmt: skip

line = st.one_of(
    st.builds("[{}]".format, st.sampled_from(["jobcron", "meta", "do_foo", "DEFAULT", "../x", "a]b", ""])),
    st.builds(
        "{}{}{}".format, st.sampled_from(KEYS), st.sampled_from([": ", "=", ":", " "]), st.text(max_size=30)
    ),
    st.text(max_size=40),
)

GOOD = "[jobcron]\ndatabase_url: sqlite:////tmp/x.db\nstate_dir: /tmp/x\n"


@pytest.mark.feature("LP-29")
@pytest.mark.timeout(20_000)
def test_any_configuration_is_settings_or_a_mistake_that_names_the_file() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobcron.conf"

        @many
        @given(st.lists(line, max_size=12), st.booleans())
        def any_text(lines: list[str], is_nearly_good: bool) -> None:
            text = (GOOD if is_nearly_good else "") + "\n".join(lines)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            try:
                found, _ = read(str(path))
            except ConfigurationError as error:
                said = str(error)
            else:
                said = folder
                assert isinstance(found, Settings)
                assert all(SECTION_NAME.fullmatch(name) for name in found.sections)
            assert folder in said, said

        any_text()


NO_SESSION: Any = None
"""What is decoded here refers to no object."""

values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**200), 2**200),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
        st.binary(max_size=20),
        st.dates(),
        st.datetimes(timezones=st.sampled_from([None, UTC])),
        st.decimals(allow_nan=False, allow_infinity=False),
        st.uuids(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.text("ab$c", max_size=5), inner, max_size=4),
    ),
    max_leaves=12,
)


@many
@given(values)
@pytest.mark.timeout(20_000)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    encoded = encode(value, "it")
    check({"it": encoded}, "data")
    assert decode(json.loads(json.dumps(encoded)), NO_SESSION) == value


hostile = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["$datetime", "$Decimal", "$UUID", "$bytes", "$tuple", "$enum", "$object", "$dict", "x"]
            ),
            inner,
            max_size=2,
        ),
    ),
    max_leaves=10,
)


@many
@given(hostile)
@pytest.mark.timeout(20_000)
def test_whatever_stands_in_a_row_is_a_value_or_refused(data: Any) -> None:
    with suppress(InvalidJobData, LookupError):
        decode(data, NO_SESSION)


SECRET = "Tr0ub4dor&3"


@many
@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["", "password=", "://me:", "token: ", '"']))
@pytest.mark.timeout(20_000)
def test_a_secret_survives_in_no_text_around_it(before: str, after: str, introduction: str) -> None:
    redactor = Redactor([SECRET])
    found = redactor.text(f"{before}{introduction}{SECRET}{after}")
    assert SECRET not in found
    assert HIDDEN in found


@many
@given(st.recursive(st.one_of(st.text(max_size=20), st.integers(), st.binary(max_size=5)), st.lists, max_leaves=8))
@pytest.mark.timeout(20_000)
def test_whatever_a_report_is_given_it_can_be_written(value: Any) -> None:
    shown = Redactor([SECRET]).value({"password": SECRET, "value": value, SECRET: value})
    assert SECRET not in storable(json.dumps(shown, ensure_ascii=False, default=str))


@many
@given(st.text(st.characters(), max_size=60))
@pytest.mark.timeout(20_000)
def test_a_line_of_the_log_never_commands_a_terminal(message: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%s", (message,), None)
    shown = Formatter("%(message)s").format(record)
    assert not {c for c in shown if c < " " and c != "\t"} | ({c for c in shown if "\x7f" <= c <= "\x9f"})


@many
@given(st.text(string.printable, max_size=70))
@pytest.mark.timeout(20_000)
def test_names_that_may_meet_a_path_stay_in_their_folder(name: str) -> None:
    if SECTION_NAME.fullmatch(name):
        assert os.path.basename(name) == name
        assert name not in (".", "..")
        assert len(name) <= 64
