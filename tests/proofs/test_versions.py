"""Two versions of the code on one database, and two releases of an application.

The versions are the commit before this one, installed by pip, and this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from migrations import make_upgraded
from paths import ROOT
from proofapp import LEASE_VARIABLE, RELEASE_VARIABLE
from proving import HERE, IS_CHAOS, Proof

JOBS = 20_000 if IS_CHAOS else 300
MAKE_SECONDS = 3_600 if IS_CHAOS else 300

MAKE = """
import sys
from jobcron import Database
from proofapp import make_job
database = Database(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with database.session() as session:
        for kind in ("ledger", "bank", "checkpoint", "failing", "user", "retried", "unique"):
            make_job(session, kind)
        session.commit()
"""


@pytest.fixture(scope="session")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package as it was in the commit before, built and installed by pip."""
    folder = tmp_path_factory.mktemp("old")
    found = subprocess.run(["git", "archive", "HEAD~1"], cwd=ROOT, capture_output=True, check=False)
    assert found.returncode == 0, f"expected a clone with its history: {found.stderr.decode()}"
    (folder / "tree").mkdir()
    subprocess.run(["tar", "-x", "-C", folder / "tree"], input=found.stdout, check=True)
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder / "installed"), str(folder / "tree")], check=True)
    return folder / "installed"


def environment(code: Path | None) -> dict[str, str]:
    """Return the environment of a process with the old code, or with this one."""
    found = {**os.environ, LEASE_VARIABLE: "5"}
    folders = [HERE] if code is None else [code, HERE]
    found["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    return found


@pytest.mark.feature("LP-01", "LP-23")
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_two_versions_of_the_code_share_one_queue(proof: Proof, old_code: Path) -> None:
    where = [sys.executable, "-c", "import jobcron; print(jobcron.__file__)"]
    seen = subprocess.run(where, env=environment(old_code), capture_output=True, text=True, check=True).stdout
    assert seen.startswith(str(old_code)), "the old code is not what runs"
    make_upgraded(proof.query)
    if not serves(proof, old_code):
        assert "update this code" in refusal(proof, old_code)
        return
    stop, log = proof.path / "stop", (proof.path / "workers.log").open("a")
    workers = []
    for name, code in (("old", old_code), ("new", None)):
        command = [
            sys.executable,
            str(HERE / "worker.py"),
            str(proof.instance(name)),
            str(stop),
            str(proof.path / "r"),
        ]
        workers.append(subprocess.Popen(command, env=environment(code), stderr=log))
    makers = [
        subprocess.Popen([sys.executable, "-c", MAKE, proof.url, str(JOBS // 14)], env=environment(code))
        for code in (old_code, None)
    ]
    assert [maker.wait(MAKE_SECONDS) for maker in makers] == [0, 0]
    deadline = time.monotonic() + (3600 if IS_CHAOS else 90)
    while time.monotonic() < deadline:
        proof.hurry()
        if proof.is_drained():
            if len(claimants(proof)) == 2:
                break
            proof.make(["ledger"] * 50)  # one of them was quicker than the other
        time.sleep(0.2)
    stop.touch()
    assert [worker.wait(60) for worker in workers] == [0, 0], (proof.path / "workers.log").read_text()
    log.close()
    assert proof.verdict() == [], (proof.path / "workers.log").read_text()
    assert len(claimants(proof)) == 2, "expected both to have worked"


@pytest.mark.feature("LP-01", "LP-23")
@pytest.mark.timeout(20_000 if IS_CHAOS else 300)
def test_two_releases_of_an_application_share_one_queue(proof: Proof) -> None:
    stop, log = proof.path / "stop", (proof.path / "workers.log").open("a")
    workers = []
    for name in ("old", "new"):
        command = [str(HERE / "worker.py"), str(proof.instance(name)), str(stop), str(proof.path / "r")]
        released = {**environment(None), RELEASE_VARIABLE: name}
        workers.append(subprocess.Popen([sys.executable, *command], env=released, stderr=log))
    fresh = []
    for _ in range(JOBS // 30):
        proof.make(["ledger", "bank", "checkpoint", "function", "unique", "failing"])
        fresh += proof.make(["fresh", "function_fresh", "steps_fresh"])
        fresh += proof.make(["checkpoint"], is_fresh=True)
    deadline = time.monotonic() + (3600 if IS_CHAOS else 90)
    while time.monotonic() < deadline and not (proof.is_drained() and len(claimants(proof)) == 2):
        proof.hurry()
        if proof.is_drained():
            proof.make(["ledger"] * 50)  # one of them was quicker than the other
        time.sleep(0.2)
    stop.touch()
    assert [worker.wait(60) for worker in workers] == [0, 0], (proof.path / "workers.log").read_text()
    log.close()
    assert proof.verdict() == [], (proof.path / "workers.log").read_text()
    rows = proof.query("SELECT id, claimed_by FROM jobcron_job WHERE status = 2")
    by_old = {number for number, who in rows if who.partition("/")[0].endswith(f":{workers[0].pid}")}
    assert by_old, "expected both to have worked"
    assert by_old.isdisjoint(fresh), "the old release ran what it lacks the code for"
    found = proof.query("SELECT count(*) FROM jobcron_event WHERE kind = 'waits for code'")
    assert found > [(0,)], "the old release never met a job of the new one"


def claimants(proof: Proof) -> set[str]:
    """Return the processes that have completed jobs, each of which may have made several runs."""
    found = proof.query("SELECT DISTINCT claimed_by FROM jobcron_job WHERE status = 2")
    return {who.partition("/")[0] for (who,) in found}


def serves(proof: Proof, code: Path) -> bool:
    """Tell whether these tables are for the old code, too."""
    ask = [sys.executable, "-c", "from jobcron.database.version import REVISION; print(REVISION)"]
    old = subprocess.run(ask, env=environment(code), capture_output=True, text=True, check=True).stdout.strip()
    ((version, oldest),) = proof.query("SELECT version_num, oldest_code FROM jobcron_schema_version")
    return bool(old == version or oldest <= old)


def refusal(proof: Proof, code: Path) -> str:
    """Let the old code run the section, which it must refuse, while it may create jobs; return what it says."""
    subprocess.run([sys.executable, "-c", MAKE, proof.url, "1"], env=environment(code), check=True)
    run = [sys.executable, "-m", "jobcron.commands", "--config", str(proof.path / "instance"), "run", "work"]
    refused = subprocess.run(run, env=environment(code), capture_output=True, text=True, check=False)
    assert refused.returncode == 1, refused.stderr
    assert not claimants(proof)
    return refused.stderr
