"""Scripts that serve several instances: how these are found, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from instances import run_jobcron
from jobcron.scripts.instances import Patterns
from several_instances import Pair, pair_of_instances
from worker_processes import is_completed


@pytest.fixture
def pair(tmp_path: Path, jobcron_sqlite: str, jobcron_postgresql: str) -> Iterator[Pair]:
    """Return two instances."""
    with pair_of_instances(tmp_path / "srv", jobcron_sqlite, jobcron_postgresql) as made:
        yield made


def test_files_and_folders_are_found_once_and_called_by_their_folders(tmp_path: Path) -> None:
    for name in ("a/one", "b/one", "b/two", "b/empty"):
        (tmp_path / name).mkdir(parents=True)
        if name != "b/empty":
            (tmp_path / name / "jobcron.conf").touch()
    patterns = [f"{tmp_path}/*/*", f"{tmp_path}/b/*/jobcron.conf", f"{tmp_path}/nobody/*"]
    files = [f"{tmp_path}/{name}/jobcron.conf" for name in ("a/one", "b/one", "b/two")]
    found = Patterns(patterns, "--instances").find()
    assert [(one.path, one.name) for one in found] == [
        (files[0], files[0]),
        (files[1], files[1]),
        (files[2], "two"),
    ]
    (one,) = Patterns([f"{tmp_path}/nobody/*"], "the key", files[2]).find()
    assert one.name == "two", "its own"


@pytest.mark.feature("OCQ-08")
def test_the_groups_of_all_instances_run_and_one_that_is_broken_or_away_stops_no_other(pair: Pair) -> None:
    broken = pair.add("broken", "[jobcron]\nnonsense: 1\n")
    pair.add("away")
    lite, post = pair.lite.act(), pair.post.act()
    _, log = run_jobcron("process-job-sources", "MAIN", "--instances", pair.pattern, expect=1)
    assert is_completed(pair.lite, lite)()
    assert is_completed(pair.post, post)()
    assert f"broken is not served: {broken}/jobcron.conf, line 2: section [jobcron]: unknown key nonsense" in log
    assert "INFO    post: Ran 1 ActJob jobs." in log
    assert "ERROR   away: 1 of 1 sections failed: act" in log


@pytest.mark.feature("OCQ-08")
def test_the_configuration_of_an_instance_may_name_others_for_its_groups(pair: Pair) -> None:
    text = (pair.lite.path / "jobcron.conf").read_text()
    (pair.lite.path / "jobcron.conf").write_text(text.replace("[jobcron]\n", "[jobcron]\ninstances: ../*\n", 1))
    lite, post = pair.lite.act(), pair.post.act()
    pair.lite.command("process-job-sources", "--all")
    assert is_completed(pair.lite, lite)()
    assert is_completed(pair.post, post)()


def test_a_group_that_only_one_instance_has_is_run_there(pair: Pair) -> None:
    pair.post.configure(sections="[act]\nsource_interface: fooapp.IActJobSource\ncrontab_group: OTHER\n")
    lite, post = pair.lite.act(), pair.post.act()
    run_jobcron("process-job-sources", "OTHER", "--instances", pair.pattern)
    assert is_completed(pair.post, post)()
    assert not is_completed(pair.lite, lite)()


@pytest.mark.parametrize("script", ["worker", "process-job-sources"])
@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["nobody"], {}, "of one of the instances, got: nobody"),
        (["/srv/x/jobcron.conf"], {}, "the pattern after --instances has to stand in quotes"),
        (["--config", "/tmp"], {}, "expected --config or --instances, got both"),
        ([], {"JOBCRON_DATABASE_URL": "sqlite:////tmp/one.db"}, "expected JOBCRON_DATABASE_URL not to be set"),
    ],
)
def test_what_cannot_be_for_several_instances_is_refused(
    pair: Pair, script: str, arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    words = arguments or ["act" if script == "worker" else "MAIN"]
    more = [] if script == "worker" or words[0] != "--config" else ["--all"]
    given = [script, *words, *more, "--instances", pair.pattern]
    _, log = run_jobcron(*given, expect=2, extra_env=environment)
    assert expected in log
    assert "Traceback" not in log


@pytest.mark.parametrize("script", ["worker", "process-job-sources"])
def test_a_pattern_that_nothing_matches_and_instances_that_are_all_broken_are_refused(
    pair: Pair, script: str
) -> None:
    nothing = [script, "--instances", f"{pair.folder}/no*", *(["--all"] if script != "worker" else [])]
    _, log = run_jobcron(*nothing, expect=2)
    assert f"--instances: expected patterns of configuration files, got: {pair.folder}/no*" in log
    pair.add("nonsense", "[jobcron]\n")
    _, log = run_jobcron(*nothing, expect=2 if script == "worker" else 1)
    assert "nonsense is not served: " in log


def test_check_config_looks_at_the_instances_that_a_configuration_names(pair: Pair) -> None:
    text = (pair.lite.path / "jobcron.conf").read_text()
    more = "[jobcron]\ninstances: ../po* ../bro* ../nobody/*.conf\n"
    (pair.lite.path / "jobcron.conf").write_text(text.replace("[jobcron]\n", more, 1))
    broken = pair.add("broken", "[jobcron]\nnonsense: 1\n")
    out, _ = pair.lite.command("check-config", expect=2)
    assert f"ok       instance post: {pair.post.path}/jobcron.conf\n" in out
    assert f"{broken}/jobcron.conf, line 2: section [jobcron]: unknown key nonsense" in out
    assert f"key instances: no file matches {pair.folder}/nobody/*.conf\n" in out
