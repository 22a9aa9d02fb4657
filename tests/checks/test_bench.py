"""The benchmarks: who is compared with whom, and that what jobcron is compared with does the same work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from bench import TOP
from bench.bars import Best, Multiple, Share, Verdict
from bench.docs import PageHasNoPlace, write_docs
from bench.peers.contenders import STEADY
from bench.place import Place
from bench.race import Contender, Figures, Race, Result, WorkerFailed, run_race
from bench.report import Report, as_markdown, as_text
from bench.scale_model import Model
from bench.steady import JOBS_PER_SECOND, Told, steady_figures, steady_race
from bench.stopwatch import FIGURES_FILE
from bench.worker import staying

from instances import wait_until
from jobcron.testing.server import PrivatePostgreSQL

JOBS = 3

PREPARE = """
import sys
from bench.application import fill, fill_writing, make_tables
from jobcron import Database

database = Database(sys.argv[1])
make_tables(database)
{"NO_OP": fill, "WRITE": fill_writing}[sys.argv[2]](database, int(sys.argv[3]))
"""

COUNT = """
import sys
from sqlalchemy import text
from jobcron import Database

with Database(sys.argv[1]).begin() as connection:
    print(connection.scalar(text("SELECT count(*) FROM jobcron_job WHERE status = 2")))
"""


SOMEWHERE = cast("Place", SimpleNamespace(name="PostgreSQL"))


def always(rate: float) -> Callable[[], Figures]:
    """Return what measures this rate each time."""
    return lambda: {"per_second": rate}


def failing() -> Figures:
    """Fail as a measured process does."""
    raise WorkerFailed("left with status 1:\nno such module")


def raced(*contenders: Contender, least: float = 2.0) -> Result:
    """Race two rounds, with a bar against all peers."""
    peers = tuple(contender.name for contender in contenders if contender.is_peer)
    return run_race(Race("P1", "work", "a database", contenders, [Best(peers, least)]), 2, lambda text: None)


@pytest.mark.parametrize(("rate", "verdict"), [(59.0, Verdict.MISSED), (60.0, Verdict.MET)])
def test_a_bar_against_several_is_judged_by_the_best_of_them(rate: float, verdict: Verdict) -> None:
    slow, fast = (Contender(name, always(r), is_peer=True) for name, r in (("slow", 10.0), ("fast", 30.0)))
    result = raced(Contender("jobcron run", always(rate)), slow, fast)
    found = result.race.bars[0].judge(result)
    assert (found.verdict, found.theirs) == (verdict, "fast: 30 jobs/s")
    assert found.ratio.startswith(f"{rate / 30:.2f} × ")


@pytest.mark.parametrize(("ours", "verdict"), [(30.0, Verdict.MET), (31.0, Verdict.MISSED)])
def test_a_command_may_take_so_many_times_what_nothing_takes(ours: float, verdict: Verdict) -> None:
    contenders = [Contender("ours", lambda: {"wall_ms": ours}), Contender("none", lambda: {"wall_ms": 10.0})]
    race = Race("P14", "work", "–", contenders, [Multiple("none", 3.0)])
    assert race.bars[0].judge(run_race(race, 1, lambda text: None)).verdict is verdict


def test_a_peer_that_has_not_finished_leaves_a_bar_of_so_many_times_unmeasured() -> None:
    ours, peer = Contender("ours", lambda: {"p99_ms": 5.0}), Contender("peer", failing, is_peer=True)
    race = Race("P12", "work", "a database", [ours, peer], [Multiple("peer", 1.0, "p99_ms")])
    found = race.bars[0].judge(run_race(race, 1, lambda text: None))
    assert (found.verdict, found.theirs, found.ours) == (Verdict.NO_PEERS, "peer has not finished", "5 ms")


@pytest.mark.parametrize(("theirs", "verdict"), [(20.0, Verdict.MET), (19.0, Verdict.MISSED)])
def test_workers_under_a_steady_load_stand_beside_another_queues(theirs: float, verdict: Verdict) -> None:
    race = steady_race(SOMEWHERE, has_peers=True)
    assert [(contender.name, contender.is_peer) for contender in race.contenders] == [
        ("jobcron worker", False),
        (STEADY.name, True),
    ]
    ours = {"cpu_ms": [4.0], "p99_ms": [20.0]}
    result = Result(race, {"jobcron worker": ours, STEADY.name: {"p99_ms": [theirs]}})
    assert [bar.judge(result).verdict for bar in race.bars] == [Verdict.MET, Verdict.MET, verdict]
    alone = steady_race(SOMEWHERE, has_peers=False)
    found = [bar.judge(replace(result, race=alone)).verdict for bar in alone.bars]
    assert (len(alone.contenders), found) == (1, [Verdict.MET, Verdict.MET, Verdict.NO_PEERS])


BUSY = """
import os, sys, time
if os.fork() == 0:
    while not os.path.exists("go"):
        time.sleep(0.01)
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    open("done", "w").close()
else:
    print("here", file=sys.stderr, flush=True)
time.sleep(60)
"""


def test_what_workers_cost_is_what_their_processes_cost_and_the_first_second_of_waits_is_left_out(
    tmp_path: Path,
) -> None:
    def load() -> Told:
        (tmp_path / "go").touch()
        wait_until((tmp_path / "done").exists, "the process below to have worked")
        return Told(1.0, [9.0] * int(JOBS_PER_SECOND) + [0.001, 0.002, 0.003])

    program = f"import os; os.chdir({str(tmp_path)!r})\n{BUSY}"
    with staying([sys.executable, "-c", program], tmp_path / "log", "here") as pid:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found = steady_figures([pid], 10, load)
        for child in children:
            os.kill(int(child), signal.SIGKILL)
    assert 25 <= found["cpu_ms"] < 300  # the kernel tells hundredths of a second
    assert found["p50_ms"] == 2.0
    assert 2.9 < found["p99_ms"] < 3.1


def test_a_process_that_stays_is_ended_and_one_that_does_not_begin_is_told(tmp_path: Path) -> None:
    begins = "import sys, time; print('here', file=sys.stderr, flush=True); time.sleep(99)"
    with staying([sys.executable, "-c", begins], tmp_path / "log", "here") as pid:
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
    never = staying([sys.executable, "-c", "import sys; sys.exit('no such thing')"], tmp_path / "log", "here")
    with pytest.raises(WorkerFailed, match="did not begin:\nno such thing"), never:
        pass


def test_a_process_is_launched_so_often_and_its_status_is_checked() -> None:
    def launched(*arguments: str) -> subprocess.CompletedProcess[str]:
        launch = [sys.executable, str(TOP / "bench/launch.py"), *arguments]
        return subprocess.run(launch, capture_output=True, text=True, check=False)

    for status in (0, 2):
        speaking = f"import sys; print('said'); sys.exit({status})"
        done = launched("3", str(status), sys.executable, "-c", speaking)
        costs = json.loads(done.stdout)
        assert len(costs) == 3
        assert all(wall > 0 and memory > 0 for wall, _, memory in costs)
        assert "it left with" in launched("1", str(status + 1), sys.executable, "-c", speaking).stderr


def test_a_peer_that_fails_is_named_and_the_others_go_on() -> None:
    good, bad = Contender("good", always(10.0), is_peer=True), Contender("bad", failing, is_peer=True)
    result = raced(Contender("jobcron run", always(30.0)), bad, good)
    assert [len(found["per_second"]) for found in result.rounds.values()] == [2, 2]
    assert result.race.bars[0].judge(result).theirs == "good: 10 jobs/s"
    report = Report({"date": "today"}, {"rounds": 2}, [result])
    for text in (as_text(report), as_markdown(report)):
        assert "P1, a database: bad: left with status 1:" in text


def test_a_bar_is_not_met_where_no_peer_finished() -> None:
    result = raced(Contender("jobcron run", always(30.0)), Contender("bad", failing, is_peer=True))
    found = result.race.bars[0].judge(result)
    assert (found.verdict, found.theirs) == (Verdict.NO_PEERS, "none of bad finished")


def test_a_failure_of_jobcron_or_of_a_floor_ends_the_benchmark() -> None:
    race = Race("P1", "work", "a database", [Contender("floor", failing)], [Share("floor", 1.0)])
    with pytest.raises(WorkerFailed, match="left with status 1"):
        run_race(race, 1, lambda text: None)


def test_each_table_of_the_page_has_its_own_place(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- results -->\nold\n<!-- /results -->\nkept\n<!-- scale -->\nold\n<!-- /scale -->\n")
    write_docs("new\n", page, mark="scale")
    found = page.read_text().replace("\n", " ").split("kept")
    assert [" ".join(part.split()) for part in found] == [
        "<!-- results --> old <!-- /results -->",
        "<!-- scale --> new <!-- /scale -->",
    ]
    with pytest.raises(PageHasNoPlace, match="<!-- others -->"):
        write_docs("new\n", page, mark="others")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/bench.db"
        return
    server: PrivatePostgreSQL = request.getfixturevalue("server")
    server.create_database("bench_floor")
    try:
        yield server.url("bench_floor")
    finally:
        server.drop_database("bench_floor")


@pytest.mark.parametrize("kind", ["NO_OP", "WRITE"])
def test_the_floor_completes_all_jobs(url: str, kind: str, tmp_path: Path) -> None:
    def python(*arguments: str) -> str:
        env = {**os.environ, FIGURES_FILE: str(tmp_path / "figures")}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=TOP, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("-c", PREPARE, url, kind, str(JOBS))
    python("-m", "bench.floors.drain", url, "transactions", kind)
    assert json.loads((tmp_path / "figures").read_text())["jobs"] == JOBS
    assert python("-c", COUNT, url).split() == [str(JOBS)]


def modelled(runners: int, **times: float) -> Model:
    """Return the model of runners whose jobs do nothing, on 16 cores: a job costs the server 1 ms in all."""
    known = {"job_server_cpu": 1.0, "claim_of_1": 1.0, "claim_of_100": 10.0, "step_over_1000_locked": 0.0}
    return Model({**known, **times}, runners, 0.0, 16, 0.1)


def test_in_the_model_many_runners_get_what_the_cores_of_the_server_give_and_few_what_they_do_themselves() -> None:
    assert modelled(1000).per_second() == pytest.approx(16 / 0.001, rel=0.02)
    assert modelled(1000, job_server_cpu=2.0).per_second() == pytest.approx(16 / 0.002, rel=0.02)
    few = [modelled(runners).per_second() for runners in (1, 4)]
    assert few[1] == pytest.approx(4 * few[0], rel=0.05)


def test_in_the_model_claims_that_step_over_more_bend_the_rate_earlier() -> None:
    rates = [modelled(1000, step_over_1000_locked=cost).per_second() for cost in (0.0, 10.0, 100.0)]
    assert rates == sorted(rates, reverse=True)
    assert rates[2] < 0.8 * rates[0]
    alone = [modelled(1, step_over_1000_locked=cost).per_second() for cost in (0.0, 100.0)]
    assert alone[0] == alone[1]  # there is nothing to step over


def test_in_the_model_runners_that_start_together_wait_for_the_claims_of_all() -> None:
    assert modelled(16).first_claims() == pytest.approx(10.0, abs=0.3)
    assert modelled(160).first_claims() == pytest.approx(100.0, abs=0.3)
    dear = modelled(160, step_over_1000_locked=1.0).first_claims()
    assert 100.0 * 1.1 < dear < 100.0 * 1.3  # each steps over the batches of 15 others


def test_claims_with_each_kind_of_limit_stand_beside_one_without() -> None:
    command = [sys.executable, "-m", "bench.limits", "--only", "SQLite", "--jobs", "300"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=100, check=False)
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][2:]
    assert [row[0] for row in rows] == [
        "| no channel",
        "| a limit of jobs at once",
        "| the same, and one above it",
        "| a limit for each key",
        "| a limit of starts in a period",
        "| an order for each key",
        "| the same, with jobs of another type",
        "| a limit of the section's channel",
        "| half of the jobs in no channel",
    ], done.stderr
    for times in ([float(row[column].removesuffix(" |")) for row in rows] for column in (3, 5)):
        assert times[0] == 1.0
        assert min(times) > 0
    assert done.returncode in (0, 1)


def test_what_pruning_costs_is_measured_alone_and_the_other_figures_stay(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    file.write_text('{"sync": 0.5, "prune_server_cpu": 77.0}')
    command = [sys.executable, "-m", "bench.scale_times", "--only", "prune", "--pruned", "40", "--file", str(file)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    times = json.loads(file.read_text())
    assert times["sync"] == 0.5
    assert 0 <= times["prune_server_cpu"] < 77.0
    assert times["pruned_per_second"] > 0
    assert times["prune_wal_bytes"] > 100
