"""The text format of Prometheus: whatever is written is read as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from jobcron.reports._prometheus_text import Family, exposition, parse

names = st.from_regex("[a-z][a-z_]{0,8}", fullmatch=True).filter(lambda name: name != "le")  # a bucket's bound


labels = st.dictionaries(names, st.text(st.characters(codec="utf-8")), max_size=3)


@pytest.mark.feature("LP-33")
@given(
    st.dictionaries(
        labels.map(lambda found: tuple(found.items())), st.floats(allow_nan=False, allow_infinity=False)
    )
)
def test_whatever_is_written_is_read_as_it_was(values: dict[Any, float]) -> None:
    samples = {("some_total", found): value for found, value in values.items()}
    text = exposition([Family("some_total", "counter", "Something.")], samples)
    assert parse(text) == samples
    families = text_string_to_metric_families(text)
    read = [(tuple(s.labels.items()), s.value) for family in families for s in family.samples]
    assert sorted(read) == sorted((found, value) for (_, found), value in samples.items())
