"""Settings of the roles as which sections run are found, although the examination runs as another role."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from examining import found, only
from instances import Instance
from jobcron.queue.health import Health
from paths import APPS

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

SECTIONS = "[act]\nsource_interface: fooapp.IActJobSource\ndbuser: foo_runner\n"


@pytest.fixture
def running(well: Instance) -> Iterator[Instance]:
    """Return an instance whose section runs as another role."""
    well.configure(sections=SECTIONS)
    assert found(well) == []
    yield well
    well.query("ALTER ROLE foo_runner RESET ALL")  # it belongs to the server


def alter(instance: Instance, statement: str) -> None:
    """Change a setting by a statement in which DATABASE stands for the instance's."""
    name = instance.database.engine.url.database
    with instance.database.begin() as connection:
        connection.execute(text(statement.replace("DATABASE", f"DATABASE {name}")))


@pytest.mark.feature("N-08")
@pytest.mark.parametrize(
    ("statement", "check", "health", "told"),
    [
        ("ROLE foo_runner SET statement_timeout = '5s'", "timeouts", Health.WARNING, "statement_timeout is 5s"),
        ("ROLE foo_runner IN DATABASE SET lock_timeout = 100", "timeouts", Health.WARNING, "lock_timeout is 100"),
        (
            "ROLE foo_runner SET default_transaction_read_only = true",
            "read-only",
            Health.CRITICAL,
            "default_transaction_read_only is true",
        ),
        (
            "ROLE foo_runner SET default_transaction_isolation = 'serializable'",
            "isolation",
            Health.WARNING,
            "default_transaction_isolation is serializable",
        ),
    ],
)
def test_a_setting_of_a_sections_role_is_found(
    running: Instance, statement: str, check: str, health: Health, told: str
) -> None:
    alter(running, f"ALTER {statement}")
    finding = only(running)
    assert (finding.check, finding.health) == (check, health)
    assert finding.text.startswith(f"{told} for the role foo_runner: ")
    assert finding.remedy.startswith("ALTER ROLE foo_runner")


def test_a_limit_that_is_none_and_a_role_of_no_section_are_no_findings(running: Instance) -> None:
    alter(running, "ALTER ROLE foo_runner SET statement_timeout = '0s'")
    alter(running, "ALTER ROLE foo_runner SET default_transaction_isolation = 'read committed'")
    alter(running, "ALTER ROLE foo_runner SET default_transaction_read_only = no")
    assert found(running) == []
    alter(running, "ALTER ROLE foo_runner SET statement_timeout = '5s'")
    running.configure(sections=SECTIONS.replace("dbuser: foo_runner\n", ""))
    assert found(running) == []


def test_the_nearest_setting_decides(running: Instance) -> None:
    alter(running, "ALTER ROLE foo_runner SET statement_timeout = '5s'")
    alter(running, "ALTER ROLE foo_runner IN DATABASE SET statement_timeout = 0")
    assert found(running) == []


def test_a_setting_of_the_database_is_told_once_and_also_if_only_the_examination_is_spared(
    running: Instance,
) -> None:
    alter(running, "ALTER DATABASE SET statement_timeout = '5s'")
    running.database.close()
    assert only(running).text.startswith("statement_timeout is 5000 ms for this role or database")
    ((me,),) = running.query("SELECT current_user")
    try:
        alter(running, f"ALTER ROLE {me} IN DATABASE SET statement_timeout = 0")
        running.database.close()
        assert only(running).text.startswith("statement_timeout is 5s for the role foo_runner")
    finally:
        alter(running, f"ALTER ROLE {me} IN DATABASE RESET ALL")


def test_rights_that_a_sections_role_lacks_are_found(running: Instance) -> None:
    running.configure(f"security_cfg: {APPS / 'security.cfg'}", sections=SECTIONS)
    assert found(running) == []
    running.query("REVOKE SELECT ON foo_job FROM foo_runner")
    finding = only(running)
    assert (finding.check, finding.health, finding.remedy) == ("sections", Health.CRITICAL, "jobcron grant")
    assert "the role foo_runner may not SELECT foo_job" in finding.text


def test_a_role_that_no_file_names_is_measured_by_what_running_jobs_needs(
    running: Instance, stranger: str
) -> None:
    running.configure(sections=SECTIONS.replace("foo_runner", stranger))
    finding = only(running)
    assert (finding.check, finding.health) == ("sections", Health.CRITICAL)
    assert f"section act: the role {stranger}, which no security.cfg names, lacks " in finding.text
    assert "rights that running jobs needs (those of jobcron_runner): " in finding.text
    assert finding.remedy.startswith(f"a section [{stranger}] with type = user and groups = jobcron_runner in ")
    running.query(f"GRANT jobcron_runner TO {stranger}")  # by hand, as somebody may who uses no such file
    assert found(running) == []


def test_a_role_outside_the_group_of_runners_is_told_the_group(running: Instance, stranger: str) -> None:
    (running.path / "roles.cfg").write_text(f"[{stranger}]\ntype = user\ngroups = jobcron_reader\n")
    running.query(f"GRANT jobcron_reader TO {stranger}")
    running.configure(f"security_cfg: {running.path}/roles.cfg", sections=SECTIONS.replace("foo_runner", stranger))
    finding = only(running)
    assert f"section act: the role {stranger} lacks " in finding.text
    assert finding.remedy == (
        f"groups = jobcron_runner in {running.path}/roles.cfg: section [{stranger}], then jobcron grant"
    )
