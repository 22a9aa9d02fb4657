"""Isolated runs in the tests' own process have children that are forked, and are its own all the same."""

from __future__ import annotations

import os
from pathlib import Path

from forked_children import AdoptedChild
from instances import fork_server
from jobcron.runner.isolated._child import Child


def test_a_child_of_an_isolated_run_is_forked_and_is_a_child_of_this_process() -> None:
    child = Child({})
    try:
        assert isinstance(child._process, AdoptedChild)
        assert f"\nPPid:\t{os.getpid()}\n" in Path(f"/proc/{child.number}/status").read_text()
        assert os.getsid(child.number) == child.number
    finally:
        child.end()
    assert not Path(f"/proc/{child.number}").exists()


def test_a_child_whose_python_would_read_another_environment_is_started() -> None:
    os.environ["PYTHONHASHSEED"] = "7"
    try:
        child = Child({})
    finally:
        del os.environ["PYTHONHASHSEED"]
    child.end()
    assert not isinstance(child._process, AdoptedChild)


def test_a_fork_of_the_tests_process_which_could_not_adopt_a_child_starts_it() -> None:
    fork_server()
    fork = os.fork()
    if fork == 0:
        try:
            child = Child({})
            child.end()
            os._exit(isinstance(child._process, AdoptedChild))
        finally:
            os._exit(2)
    assert os.waitpid(fork, 0)[1] == 0
