"""Several hosts with one database: instances that share nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text

from instances import Instance, wait_until
from jobcron.database.statements import execute
from runner_processes import Run, started

CLUSTER = """
[act]
source_interface: fooapp.IActJobSource
lock: cluster
lock_lease: {lease}
{more}
"""


class Hosts:
    """Hosts that run the section [act] with ``lock: cluster``.

    Args:
        first: the instance of the first host.
        count: how many hosts.
        lease: the key ``lock_lease``.
        more: more keys of the section.
    """

    def __init__(self, first: Instance, count: int = 2, *, lease: str = "1m", more: str = "") -> None:
        names = [first.path, *(first.path.with_name(f"host-{number}") for number in range(2, count + 1))]
        self.all = [first, *(Instance(path, first.url) for path in names[1:])]
        for host in self.all:
            host.configure(sections=CLUSTER.format(lease=lease, more=more))

    def close(self) -> None:
        """Close the connections of all but the first."""
        for host in self.all[1:]:
            host.database.close()


@contextmanager
def hosts_of(first: Instance, count: int = 2, *, lease: str = "1m", more: str = "") -> Iterator[list[Instance]]:
    """Return hosts, as `Hosts` makes them."""
    hosts = Hosts(first, count, lease=lease, more=more)
    try:
        yield hosts.all
    finally:
        hosts.close()


def row_of(instance: Instance) -> Any:
    """Return the row of the section's lock: token, holder, lease_expires; None: there is none."""
    with instance.database.reading.connect() as connection:
        wanted = text("SELECT token, holder, lease_expires FROM jobcron_lock WHERE section = 'act'")
        return connection.execute(wanted).first()


def wait_for_lease_end(instance: Instance) -> None:
    """Wait until the lease of the section's lock has ended, by the database's clock."""
    now = (
        "statement_timestamp()"
        if instance.database.dialect == "postgresql"
        else "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    )
    wanted = text(f"SELECT 1 FROM jobcron_lock WHERE section = 'act' AND lease_expires < {now}")

    def has_ended() -> bool:
        with instance.database.reading.connect() as connection:
            return connection.scalar(wanted) is not None

    wait_until(has_ended, "the lease of the lock to end", 60)


def end_lease(instance: Instance) -> None:
    """Move the lease of the section's lock into the past."""
    past = "'2020-01-01 00:00:00.000000'" + ("::timestamptz" if instance.database.dialect == "postgresql" else "")
    instance.query(f"UPDATE jobcron_lock SET lease_expires = {past} WHERE section = 'act'")


@contextmanager
def holding(instance: Instance, gate: Any, *arguments: str) -> Iterator[Run]:
    """Start a run whose job is at a gate, so that it holds the lock."""
    reached = gate.count() + 1
    with started(instance, "act", *arguments) as run:
        gate.reached(reached)
        yield run


def hold_elsewhere(instance: Instance, *, ago: int = 0, lease: int = 60) -> None:
    """Let a run on a host named far hold the section's lock, which it took some seconds ago."""
    parameters = {"section": "act", "place": "far", "holder": "far:4711/ab", "gone": "", "insists": 1}
    with instance.database.begin() as connection:
        execute(connection, "lock_take", {**parameters, "lease_seconds": lease - ago})
