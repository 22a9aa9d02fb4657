"""``jobcron create``: a job from the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from operating import Operator


def test_a_job_is_created_with_its_values(operator: Operator) -> None:
    with operator.instance.session() as session:
        foo = operator.instance.foo(session).id
    out = operator(
        "create", "foo_job.ACT", "--target", foo, "--argument", 'metadata={"do": []}', "--priority", "-2",
        "--queue", "q", "--requester", "ada", "--description", "by hand", "--unique-key", "7",
        "--start", "2040-01-01T00:00+00:00",
    )  # fmt: skip
    assert out == "job 1 is waiting\n"
    row = operator.instance.row(1)
    assert (row.priority, row.queue_name, row.requester, row.description, row.unique_key, row.scheduled_start) == (
        -2, "q", "ada", "by hand", "7", datetime(2040, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    operator("create", "foo_job.ACT", "--target", foo, "--unique-key", "7", expect=2)
    assert "found job 1, which has not started\n" in operator.err
    assert "create foo_job.ACT: " in operator.err
    second = operator.json("create", "fooapp.ActJob", "--target", foo)["id"]
    operator.instance.run("act")
    assert operator.instance.row(second).status.name == "COMPLETED"


def test_a_job_is_created_in_a_channel_and_with_its_limits(operator: Operator) -> None:
    with operator.instance.session() as session:
        foo = operator.instance.foo(session).id
    operator(
        "create", "foo_job.ACT", "--target", foo, "--channel", "root.export", "--channel-key", "eu",
        "--max-retries", "2", "--expires", "2040-01-01T00:00+00:00",
    )  # fmt: skip
    row = operator.instance.row(1)
    assert (row.channel, row.channel_key, row.max_retries, row.expires_at) == (
        "root.export", "eu", 2, datetime(2040, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    operator("create", "foo_job.ACT", "--target", foo, "--channel", "export", expect=2)
    assert (
        "expected channel of ActJob to be the name of a channel such as root.export (root, or root. and"
        in operator.err
    )


def test_a_class_that_the_application_does_not_register_is_told_what_would_make_it_known(
    operator: Operator,
) -> None:
    operator("create", "shop.jobs.SendMail", expect=2)
    assert "; the application does not register shop.jobs.SendMail: it has to import shop.jobs, " in operator.err
    operator("create", "fooapp.AktJob", expect=2)
    assert "; did you mean fooapp.ActJob?" in operator.err


def test_what_does_not_fit_is_a_message(operator: Operator) -> None:
    operator("create", "no.such", expect=2)
    assert "create no.such: expected a job type, a job class or a registered function" in operator.err
    operator("create", "foo_job.ACT", "--target", "99", expect=2)
    assert "create foo_job.ACT: " in operator.err
    assert operator.instance.rows() == []


def test_a_row_that_the_database_refuses_is_a_message_and_nothing_is_created(operator: Operator) -> None:
    with operator.instance.session() as session:
        foo = operator.instance.foo(session).id
    operator.instance.query("CREATE UNIQUE INDEX one_job_of_a_foo ON foo_job (foo_id)")
    operator("create", "foo_job.ACT", "--target", foo)
    operator("create", "foo_job.ACT", "--target", foo, expect=2)
    assert "create foo_job.ACT: expected a row that the database takes, it refuses: " in operator.err
    assert "INSERT" not in operator.err
    assert len(operator.instance.rows()) == 1


def test_a_family_whose_table_is_missing_is_a_message(operator: Operator) -> None:
    with operator.instance.session() as session:
        foo = operator.instance.foo(session).id
    operator.instance.query("DROP TABLE foo_job")
    operator("create", "foo_job.ACT", "--target", foo, expect=2)
    assert "foo_job" in operator.err
    assert "; create it as you create the application's other tables, after `jobcron upgrade`\n" in operator.err
    assert operator.instance.rows() == []
