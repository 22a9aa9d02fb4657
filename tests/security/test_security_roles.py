"""Database roles: each may do what its jobs need, and nothing else (LP-13)."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.orm import Session

import fooapp
from codehost.history import History
from codehost.model import Repository
from instances import SECTIONS, Instance
from jobcron import Database, JobStatus, load_settings
from jobcron.database.roles import rights_of, roles_of
from paths import APPS, ROOT

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def limited(instance: Instance) -> Instance:
    """Return an instance that names the file of roles."""
    instance.configure(f"security_cfg: {APPS / 'security.cfg'}")
    return instance


def as_role(instance: Instance, role: str, statement: str) -> str | None:
    """Execute a statement as a role and undo it; return the code of the error, or None."""
    engine = create_engine(instance.database.engine.url.set(username=role))
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    except Exception as error:
        return str(getattr(getattr(error, "orig", None), "pgcode", error))
    finally:
        engine.dispose()
    return None


def differences(instance: Instance) -> list[str]:
    """Return what roles may do and should not, or should and may not, by asking PostgreSQL for each thing."""
    roles = roles_of(load_settings(str(instance.path)))
    wrong = []

    def compare(role: str, thing: str, has: bool, should: bool) -> None:
        if has != should:
            wrong.append(f"{role} {thing}: {has}")

    for name in roles:
        rights = rights_of(roles, name)
        for table, verb, has in instance.query(TABLES, role=name):
            compare(name, f"{verb} {table}", has, verb in rights.get(table, ()))
        for table, verb, has in instance.query(COLUMNS, role=name):
            compare(name, f"{verb} a column of {table}", has, verb in rights.get(table, ()))
        for sequence, table, has_usage, has_more in instance.query(SEQUENCES, role=name):
            compare(name, f"USAGE {sequence}", has_usage, "INSERT" in rights.get(table, ()))
            compare(name, f"SELECT, UPDATE {sequence}", has_more, False)
        for thing, has in instance.query(ELSE, role=name):
            compare(name, thing, has, False)
        groups = {group for (group,) in instance.query(GROUPS, role=name)}
        compare(name, f"groups {groups}", groups == {*roles[name].groups}, True)
    return wrong


TABLES = """
SELECT relname, verb, has_table_privilege(:role, pg_class.oid, verb)
FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS verb
WHERE relnamespace = ANY(ARRAY[to_regnamespace('public'), to_regnamespace('other')]) AND relkind IN ('r', 'v')
"""

COLUMNS = """
SELECT relname, verb, has_any_column_privilege(:role, pg_class.oid, verb)
FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS verb
WHERE relnamespace = ANY(ARRAY[to_regnamespace('public'), to_regnamespace('other')]) AND relkind IN ('r', 'v')
"""

SEQUENCES = """
SELECT sequence.relname, owner.relname, has_sequence_privilege(:role, sequence.oid, 'USAGE'),
    has_sequence_privilege(:role, sequence.oid, 'SELECT') OR has_sequence_privilege(:role, sequence.oid, 'UPDATE')
FROM pg_class AS sequence JOIN pg_depend ON objid = sequence.oid AND deptype IN ('a', 'i')
JOIN pg_class AS owner ON owner.oid = refobjid
WHERE sequence.relkind = 'S' AND sequence.relnamespace = to_regnamespace('public')
"""

ELSE = """
SELECT 'CREATE in ' || nspname, has_schema_privilege(:role, pg_namespace.oid, 'CREATE') FROM pg_namespace
UNION ALL SELECT 'USAGE of other', has_schema_privilege(:role, oid, 'USAGE')
    FROM pg_namespace WHERE nspname = 'other'
UNION ALL SELECT 'CREATE in the database', has_database_privilege(:role, current_database(), 'CREATE')
UNION ALL SELECT 'attributes', rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
    FROM pg_roles WHERE rolname = :role
UNION ALL SELECT 'tables to come', true FROM pg_default_acl, aclexplode(defaclacl) AS acl
    WHERE acl.grantee = CAST(:role AS regrole)
UNION ALL SELECT 'letting others in', true FROM pg_auth_members
    WHERE member = CAST(:role AS regrole) AND admin_option
"""

GROUPS = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = CAST(:role AS regrole)"


@pytest.mark.feature("LP-13")
@on_postgresql
@pytest.mark.parametrize("file", ["tests/apps/security.cfg", "examples/codehost/security.cfg"])
def test_every_role_may_do_with_every_table_what_the_files_say_and_nothing_else(
    instance: Instance, file: str
) -> None:
    instance.configure(f"security_cfg: {ROOT / file}")
    if file.startswith("examples"):
        assert History.metadata is Repository.metadata
        Repository.metadata.create_all(instance.database.engine)
        instance.command("grant")
    places = "SELECT tablename, schemaname FROM pg_tables UNION SELECT viewname, schemaname FROM pg_views"
    tables = {name for name, schema in instance.query(places) if schema == "public"}
    roles = roles_of(load_settings(str(instance.path)))
    assert {"jobcron_job", "jobcron_event"} < tables
    assert {right.table for role in roles.values() for right in role.rights} <= tables
    assert len(roles) == 8
    assert differences(instance) == []


@pytest.mark.feature("LP-13")
@on_postgresql
def test_the_whole_life_of_jobs_needs_no_more_than_the_group_of_runners(limited: Instance) -> None:
    good = limited.act(("write", "a"), ("checkpoint", ""), ("progress", 50), ("write", "b"))
    retried, failing = limited.act(("raise", "retry")), limited.act(("raise", "value"))
    suspended, left_behind = limited.act(("raise", "suspend")), limited.act(("write", "c"))
    limited.query(
        "UPDATE jobcron_job SET status = 1, lease_token = 1, attempt_count = 1, lease_expires = date_created "
        "WHERE id = :id",
        id=left_behind,
    )
    limited.end_lease(left_behind)
    expired = limited.act(("write", "d"))
    limited.query("UPDATE jobcron_job SET expires_at = date_created WHERE id = :id", id=expired)
    _, err = limited.command("run", "act")
    limited.make_due()
    err += limited.command("run", "act")[1]
    assert "Traceback" not in err
    assert [limited.row(job).status.name for job in (good, retried, failing, suspended, left_behind, expired)] == [
        "COMPLETED",
        "FAILED",
        "FAILED",
        "SUSPENDED",
        "COMPLETED",
        "EXPIRED",
    ]
    assert limited.query("SELECT name, completed FROM jobcron_run") == [("act", 2), ("act", 0)]


@pytest.mark.feature("LP-13", "LP-19")
@on_postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM foo",
        "UPDATE ledger SET note = 'x'",
        "DELETE FROM jobcron_job",
        "DROP TABLE foo",
        "TRUNCATE foo",
    ],
)
def test_a_job_that_touches_anything_else_fails_with_a_report_and_changes_nothing(
    limited: Instance, statement: str
) -> None:
    job, after = limited.act(("write", "mine"), ("sql", statement)), limited.act(("write", "next"))
    limited.command("run", "act")
    assert limited.row(job).status is JobStatus.FAILED
    assert limited.row(after).status is JobStatus.COMPLETED
    assert [note for *_, note in limited.ledger()] == ["next"]
    assert len(limited.oopses()) == 1
    assert "InsufficientPrivilege" in str(limited.row(job).log)
    assert limited.query("SELECT count(*) FROM foo") == [(2,)]


@pytest.mark.feature("LP-08", "LP-13")
@on_postgresql
def test_who_creates_jobs_can_move_them_by_hand_and_cannot_run_or_remove_them(limited: Instance) -> None:
    engine = create_engine(limited.database.engine.url.set(username="foo_site"))
    with Session(engine) as session:
        foo = fooapp.Foo(name="mine")
        session.add(foo)
        job = fooapp.DoFooJob.create(foo, session=session)
        again = fooapp.DoFooJob.acquire(foo, session=session)
        assert again == job
        job.suspend()
        job.resume()
        session.commit()
    engine.dispose()
    assert as_role(limited, "foo_site", "DELETE FROM jobcron_job") == "42501"
    assert as_role(limited, "foo_site", "INSERT INTO ledger (job, attempt) VALUES (1, 1)") == "42501"
    limited.command("run", "do_foo")
    assert limited.rows()[0].status is JobStatus.COMPLETED


@pytest.mark.feature("LP-13", "LP-27", "LP-31")
@on_postgresql
def test_watching_and_pruning_have_roles_of_their_own(limited: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    limited.act(("write", "x"))
    limited.command("run", "act")
    limited.query(
        "UPDATE jobcron_job SET date_finished = date_finished - interval '99 days', "
        "date_created = date_created - interval '99 days'"
    )
    url = limited.database.engine.url
    watcher = url.set(username="foo_watcher").render_as_string(hide_password=False)
    out, _ = limited.command("check-runs", "act", extra_env={"JOBCRON_DATABASE_URL": watcher})
    assert out.startswith("JOBCRON OK")
    limited.command("prune", extra_env={"JOBCRON_DATABASE_URL": watcher}, expect=1)
    assert len(limited.rows()) == 1
    pruner = url.set(username="foo_pruner").render_as_string(hide_password=False)
    limited.command("prune", extra_env={"JOBCRON_DATABASE_URL": pruner})
    assert limited.rows() == []


@pytest.mark.feature("LP-13")
@on_postgresql
def test_granting_again_changes_nothing_and_takes_away_what_is_too_much(limited: Instance) -> None:
    for statement in (
        "GRANT ALL ON foo TO foo_watcher",
        "GRANT UPDATE (name) ON foo TO foo_watcher",
        "GRANT ALL ON SEQUENCE foo_id_seq TO foo_watcher",
        "GRANT CREATE ON SCHEMA public TO foo_watcher",
        "CREATE SCHEMA other CREATE TABLE secrets (id integer, word text)",
        "GRANT USAGE ON SCHEMA other TO foo_watcher",
        "GRANT SELECT (word) ON other.secrets TO foo_watcher",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO foo_watcher",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA other GRANT USAGE ON SEQUENCES TO foo_watcher",
        "GRANT jobcron_runner, pg_read_all_data TO foo_watcher",
        "GRANT jobcron_reader TO foo_watcher WITH ADMIN OPTION",
        "ALTER ROLE foo_watcher CREATEROLE CREATEDB BYPASSRLS REPLICATION",
    ):
        limited.query(statement)
    database = limited.database.engine.url.database
    limited.query(f'GRANT CREATE ON DATABASE "{database}" TO foo_watcher')
    try:
        printed, _ = limited.command("grant", "--dry-run")
        assert 'REVOKE "jobcron_runner" FROM "foo_watcher";' in printed
        assert 'ALTER ROLE "foo_watcher" NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;' in printed
        assert as_role(limited, "foo_watcher", "DELETE FROM foo") is None  # it was only printed
    finally:
        for _ in range(2):
            out, err = limited.command("grant")
            assert (out, err) == ("8 roles have the rights that they need, and no others.\n", "")
            assert differences(limited) == []
    assert as_role(limited, "foo_watcher", "SELECT * FROM foo") == "42501"
    assert as_role(limited, "foo_watcher", "UPDATE foo SET name = 'x'") == "42501"
    assert as_role(limited, "foo_watcher", "SELECT * FROM jobcron_job") is None


@pytest.mark.feature("LP-13")
@on_postgresql
def test_what_everybody_may_do_is_told_and_is_not_called_nothing(limited: Instance) -> None:
    limited.query("GRANT CREATE ON SCHEMA public TO PUBLIC")
    limited.query("GRANT DELETE ON foo TO PUBLIC")
    out, _ = limited.command("grant")
    assert 'To end it: REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;\n' in out
    assert 'To end it: REVOKE DELETE ON TABLE "public"."foo" FROM PUBLIC;\n' in out
    assert out.endswith("\n8 roles have the rights that they need, and no others except those of PUBLIC.\n")


@pytest.mark.feature("LP-13")
@on_postgresql
@pytest.mark.parametrize("form", ["before @", "in the query"])
def test_a_sections_role_connects_wherever_the_url_names_its_own_user(limited: Instance, form: str) -> None:
    owner = str(make_url(limited.url).username)
    url = make_url(limited.url).set(password="of the owner")
    if form == "in the query":
        query = {**url.query, "user": owner, "password": "of the owner"}
        url = URL.create(url.drivername, None, None, url.host, url.port, url.database, query)
    for user in (None, "foo_runner"):
        database = Database(url.render_as_string(hide_password=False), user)
        with database.begin() as connection:
            assert connection.scalar(text("SELECT current_user")) == (user or owner)
        arguments = database.engine.dialect.create_connect_args(database.engine.url)
        assert ("of the owner" in str(arguments)) == (user is None)
        database.close()


@pytest.mark.feature("LP-13", "LP-29")
@on_postgresql
def test_a_role_that_is_not_there_is_named_with_its_section(limited: Instance) -> None:
    limited.configure(sections=SECTIONS.replace("dbuser: foo_runner", "dbuser: nobody_at_all", 1))
    _, err = limited.command("run", "do_foo", expect=1)
    assert "section [do_foo], key dbuser, role nobody_at_all: cannot connect to the database" in err
    assert 'role "nobody_at_all" does not exist' in err
    assert "Traceback" not in err
    out, _ = limited.command("check-config", expect=1)
    assert "section [do_foo], key dbuser" in out


@pytest.mark.feature("LP-13", "LP-29")
@on_postgresql
def test_a_role_without_rights_is_told_to_be_granted_them(limited: Instance) -> None:
    limited.configure(sections=SECTIONS.replace("dbuser: foo_runner", "dbuser: foo_watcher"))
    job = limited.act(("write", "x"))
    _, err = limited.command("run", "act", expect=2)
    assert "section [act], key dbuser, role foo_watcher: expected a role that may use jobcron's tables" in err
    assert "`jobcron grant` gives it the rights" in err
    assert "Traceback" not in err
    assert (limited.row(job).status, limited.row(job).attempt_count) == (JobStatus.WAITING, 0)


@pytest.mark.feature("LP-13", "LP-29")
@on_postgresql
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[r]\nfoo = SELECT\n", "section [r], key type: expected user or group, got: nothing"),
        (
            "[r]\ntype = user\nfoo = LOOK\n",
            "section [r], key foo: expected some of SELECT, INSERT, UPDATE, DELETE",
        ),
        (
            "[r]\ntype = user\nnowhere = SELECT\n",
            "section [r], key nowhere: expected a table of the database's schema",
        ),
        ("[r]\ntype = user\ngroups = x\n", "section [r], key groups: expected groups of "),
        ("[a]\ntype = group\ngroups = b\n[b]\ntype = group\ngroups = a\n", "a group cannot be in itself"),
        ("[r;DROP]\ntype = user\n", "expected a letter, then letters, digits, _ and -"),
        ('[r]\ntype = user\nfoo"; DROP TABLE foo; -- = SELECT\n', "expected the name of a table, or schema.table"),
        ("[jobcron_runner]\ntype = group\n", "section [jobcron_runner]: expected another name"),
        ("[postgres]\ntype = user\n", "expected a role whose rights can be limited, this one is a superuser"),
        ("[r]\ntype = user\n[r]\ntype = user\n", "section 'r' already exists"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(limited: Instance, content: str, said: str) -> None:
    path = limited.path / "mine.cfg"
    path.write_text(content)
    limited.configure(f"security_cfg: {path}")
    _, err = limited.command("grant", expect=2)
    assert said in err
    assert str(path) in err
    assert "Traceback" not in err
    assert limited.query("SELECT count(*) FROM pg_roles WHERE rolname = 'r'") == [(0,)]


@pytest.mark.feature("LP-13")
@on_postgresql
def test_who_may_not_grant_is_told_so(limited: Instance) -> None:
    url = limited.database.engine.url.set(username="foo_runner").render_as_string(hide_password=False)
    _, err = limited.command("grant", expect=1, extra_env={"JOBCRON_DATABASE_URL": url})
    assert "refuses to grant: permission denied" in err or "refuses to grant: must" in err
    assert "Traceback" not in err


@pytest.mark.feature("LP-13")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_has_no_roles_and_says_so(limited: Instance) -> None:
    job = limited.act(("write", "x"))
    out, _ = limited.command("grant")
    assert out.startswith("SQLite has no roles")
    limited.command("run", "act")  # the section's dbuser means nothing here
    assert limited.row(job).status is JobStatus.COMPLETED


@pytest.mark.feature("LP-13")
@on_postgresql
def test_roles_are_made_where_none_are(limited: Instance) -> None:
    path = limited.path / "more.cfg"
    path.write_text("[brand_new]\ntype = user\ngroups = jobcron_reader\n")
    limited.configure(f"security_cfg: {path}")
    limited.command("grant")
    assert as_role(limited, "brand_new", "SELECT count(*) FROM jobcron_job") is None
    assert as_role(limited, "brand_new", "DELETE FROM jobcron_job") == "42501"
