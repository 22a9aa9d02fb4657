"""What may not be shown: it is hidden in every message."""

from __future__ import annotations

import pytest

from configurations import GOOD, Write, refusal


@pytest.mark.feature("LP-29")
@pytest.mark.parametrize(
    "line",
    [
        "mail: smtps://me:c4nary-pw@localhost",
        "database_url: mysql://me:c4nary-pw@localhost/db",
        "database_url: postgresql://me:c4nary-pw@localhost:abc/db",
    ],
)
def test_a_message_does_not_show_a_password(write: Write, line: str) -> None:
    key = line.partition(":")[0]
    text = "".join(each for each in GOOD.splitlines(True) if key not in each)
    assert "c4nary" not in refusal(write(f"{text}{line}\n"))
