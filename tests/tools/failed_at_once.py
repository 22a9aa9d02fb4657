"""Print the name of a test at the moment when it fails, not only at the end of a run of many minutes."""

from __future__ import annotations

import pytest


class FailedAtOnce:
    """The plugin: hears of each report where the results of all workers come together.

    Args:
        reporter: writes to the terminal.
    """

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the name of a test that has failed."""
        if report.failed:
            word = "FAILED" if report.when == "call" else "ERROR"
            self._reporter.write(f"\n{word} {report.nodeid}\n", red=True, flush=True)


def show_failures_at_once(config: pytest.Config) -> None:
    """Register the plugin, but not in the worker processes of pytest-xdist, which have no terminal."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        config.pluginmanager.register(FailedAtOnce(reporter))
