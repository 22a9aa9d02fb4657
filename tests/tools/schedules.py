"""An instance with schedules, and what they have done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from instances import FUNCTIONS, Instance

AGO = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-{} seconds')",
    "postgresql": "statement_timestamp() - interval '{} seconds'",
}


class Scheduled:
    """An instance whose schedules call the functions of `functionapp`."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def define(self, keys: str = "cron: 0 3 * * *", name: str = "nightly", more: str = "") -> None:
        """Write the configuration, with one schedule."""
        schedule = f'[schedule:{name}]\njob: functionapp.export\narguments: {{"model": "{name}"}}\n{keys}\n'
        self.instance.configure(sections=f"{FUNCTIONS}{schedule if keys else ''}{more}")
        path = self.instance.path / "jobcron.conf"
        path.write_text(path.read_text().replace("fooapp:register", "functionapp"))

    def define_in_code(self, name: str) -> None:
        """Write the configuration, with an application that defines one schedule, each hour."""
        (self.instance.path / "codeapp.py").write_text(
            "from jobcron.schedules.definitions import add_schedule\nimport functionapp\n"
            f"add_schedule({name!r}, functionapp.export, every=3600, arguments={{'model': 'a'}})\n"
        )
        self.define("")
        path = self.instance.path / "jobcron.conf"
        text = path.read_text().replace("application: functionapp", "application: codeapp")
        path.write_text(text.replace("python_path:", f"python_path: {self.instance.path}"))

    def run(self, expect: int = 0) -> str:
        """Run the section, as cron does; return its log."""
        return self.instance.command("run", "functions", expect=expect)[1]

    def told(self, expect: int) -> str:
        """Return what check-runs says about schedules."""
        out, _ = self.instance.command("check-runs", expect=expect)
        return next((text for text in out.splitlines()[1:] if "all schedules:" in text), "")

    def missed_since(self, seconds: int, name: str = "nightly") -> None:
        """Let nothing have run for some seconds: the database's clock cannot be moved, its rows can."""
        ago = AGO[self.instance.database.dialect].format(seconds)
        self.instance.query(
            f"UPDATE jobcron_schedule SET due_at = {ago}, look_at = {ago}, others_look_at = {ago} "
            f"WHERE name = '{name}'"
        )

    def ran_ahead(self, seconds: int) -> None:
        """Let all that has been written of schedules and runs be of a clock that was so far ahead."""
        for table, names in (
            ("jobcron_schedule", ("due_at", "look_at", "others_look_at", "seen_at")),
            ("jobcron_run", ("date_started", "date_completed")),
        ):
            later = {
                "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', {}, '+{} seconds')",
                "postgresql": "{} + interval '{} seconds'",
            }[self.instance.database.dialect]
            values = ", ".join(f"{name} = {later.format(name, seconds)}" for name in names)
            self.instance.query(f"UPDATE {table} SET {values}")

    def unconfirmed_for(self, seconds: int, name: str = "nightly") -> None:
        """Let no run have confirmed a schedule for some seconds."""
        ago = AGO[self.instance.database.dialect].format(seconds)
        self.instance.query(f"UPDATE jobcron_schedule SET seen_at = {ago} WHERE name = '{name}'")

    def let_wait(self) -> None:
        """Let the jobs be waiting, for a time that does not come, and forget the slots that they were for."""
        never = "scheduled_start = '2999-01-01 00:00:00.000000'"
        self.instance.query(f"UPDATE jobcron_job SET status = 0, date_finished = NULL, {never}")
        self.instance.query("DELETE FROM jobcron_slot")

    def row(self, *columns: str, name: str = "nightly") -> tuple[Any, ...]:
        """Return columns of a schedule's row."""
        found: list[tuple[Any, ...]] = self.instance.query(
            f"SELECT {', '.join(columns)} FROM jobcron_schedule WHERE name = :name", name=name
        )
        return found[0]

    def slots(self) -> list[tuple[str, int, bool]]:
        """Return of each slot its outcome, how many it stands for that were missed, and whether it has a job."""
        rows = self.instance.query("SELECT outcome, missed, job FROM jobcron_slot ORDER BY due_at, local_time")
        return [(outcome, missed, job is not None) for outcome, missed, job in rows]

    def due_in(self, name: str = "nightly") -> float:
        """Return in how many seconds a schedule is due."""
        (due,) = self.row("due_at", name=name)
        if isinstance(due, str):
            due = datetime.fromisoformat(due).replace(tzinfo=UTC)
        assert isinstance(due, datetime)
        return (due - datetime.now(UTC)).total_seconds()

    @property
    def jobs(self) -> int:
        """How many jobs there are."""
        return len(self.instance.rows())
