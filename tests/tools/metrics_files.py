"""An instance that writes metrics, and what its files say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from instances import Instance


class Metrics:
    """An instance that writes metrics, and what its files say."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.instance = instance
        self.folder = folder
        self.path = folder / "jobcron_act.prom"
        self.configure()

    def configure(self, more: str = "", section: str = "") -> None:
        """Write the configuration: more keys of [jobcron], and of the section."""
        act = f"[act]\nsource_interface: fooapp.IActJobSource\n{section}\n"
        do_foo = "[do_foo]\nsource_interface: fooapp.IDoFooJobSource\n"
        self.instance.configure(f"metrics_dir: {self.folder}\n{more}", act + do_foo)

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of the sample of [act] with these labels, as Prometheus would read it."""
        return self.values().get((name, *sorted({"section": "act", **labels}.items())))

    def jobs(self, name: str, **labels: str) -> float | None:
        """Return the value of the sample about `ActJob`."""
        return self.value(f"jobcron_{name}", job_class="ActJob", **labels)

    def values(self) -> dict[Any, float]:
        """Return all values of the file."""
        return values_in(self.path)


def values_in(path: Path) -> dict[Any, float]:
    """Return all values of a file of metrics, by their names and labels, as Prometheus would read it."""
    families = text_string_to_metric_families(path.read_text())
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


names = st.from_regex("[a-z][a-z_]{0,8}", fullmatch=True).filter(lambda name: name != "le")  # a bucket's bound


labels = st.dictionaries(names, st.text(st.characters(codec="utf-8")), max_size=3)
