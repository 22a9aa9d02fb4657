"""The bug zoo: faults of the systems before us, and others, each put back by a small edit that a proof must catch.

    python tests/proofs/zoo.py [NAME …]   all, or those named; prints the table, leaves with 1 if one got away

Each edit is made in a copy of the checkout, and one proof is run there: it has to fail. Where an edit does not fit
the code any more, that is an error: the zoo is kept, never thinned out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

DEATHS = "tests/proofs/test_deaths.py"
CUTS = "tests/proofs/test_cuts.py"
STORM = "tests/proofs/test_storm.py"
ORDERS = "tests/proofs/test_interleavings.py"
MODEL = "tests/proofs/test_model.py"
ACQUIRE = "tests/proofs/test_acquire.py"
RELEASE = "tests/jobs/graphs/test_release.py"


class Bug(NamedTuple):
    """A fault, and how it is put back.

    Attributes:
        name: of the fault, in a word or two.
        file: that is edited, below lib/jobcron.
        good: the text that is there, once.
        bad: what it becomes.
        proof: what catches it: a test's file, and words of its name.
        sample: how many places the proof tries, where it takes a sample.
    """

    name: str
    file: str
    good: str
    bad: str
    proof: tuple[str, str]
    sample: int = 0


BUGS = (
    Bug(
        "no fence at the end", "database/sql/complete.sql",
        "AND lease_token = :token AND status = 1", "AND :token = :token AND status = 1",
        (ORDERS, "two_runners"),
    ),
    Bug(
        "completed whatever its status", "database/sql/complete.sql",
        "AND lease_token = :token AND status = 1", "AND lease_token = :token",
        ("tests/runner/test_fence.py", "moved_by_hand"),
    ),
    Bug(
        "what code lacks is passed over", "runner/_executor.py",
        "            attempt.job.check_code(is_bare=attempt.is_bare)\n", "",
        ("tests/runner/test_releases.py", "waits_for_code_that_has_it"),
    ),
    Bug(
        "the tick believes old code", "scripts/code_stamp.py",
        "        is_same = all(_times_of(file) == times for file, times in stamp.files.items())\n",
        "        is_same = True\n",
        ("tests/scripts/test_code_stamp.py", "renamed_type"),
    ),
    Bug(
        "two applications share a type", "jobs/_job_class.py",
        '    return f"{prefix}." if prefix and prefix != "jobcron" else ""\n',
        '    return ""\n',
        ("tests/jobs/test_known_types.py", "renamed_whose_name or name_of_its_package"),
    ),
    Bug(
        "claims do not lock", "database/sql/claim.postgresql.sql",
        "        FOR NO KEY UPDATE SKIP LOCKED\n", "",
        ("tests/queue/test_claim.py", "four_runners"),
    ),
    Bug(
        "lease by the client's clock", "database/sql/__init__.py",
        'return f"({POSTGRESQL_NOW} + make_interval(secs => {seconds}))"',
        'import time; return f"(to_timestamp({time.time()}) + make_interval(secs => {seconds}))"',
        ("tests/database/test_clock.py", "wrong_clock"),
    ),
    Bug(
        "due times by the client's clock", "database/sql/__init__.py",
        'return text.replace("@now", POSTGRESQL_NOW if dialect == "postgresql" else SQLITE_NOW)',
        'import time; now = f"to_timestamp({time.time()})" if dialect == "postgresql" else SQLITE_NOW; '
        'return text.replace("@now", now)',
        ("tests/database/test_clock.py", "wrong_clock"),
    ),
    Bug(
        "two commits", "runner/_completion.py",
        '        is_deleted = not _written(session.connection(), attempt)\n',
        '        session.commit()\n'
        '        is_deleted = not _written(session.connection(), attempt)\n',
        (DEATHS, "any_line"), 400,
    ),
    Bug(
        "status before the work", "runner/_executor.py",
        "            self._run(attempt)\n"
        "            self._surroundings.put_back(attempt.name)\n"
        "            return self._failure.ended(complete(self._database, attempt))\n",
        "            from jobcron.database.statements import execute\n"
        "            with self._database.begin() as early:\n"
        '                nothing = dict.fromkeys(("steps", "next", "next_token"))\n'
        '                execute(early, "complete", {**attempt.parameters, **nothing})\n'
        "            self._run(attempt)\n"
        "            attempt.commit_begins()\n"
        "            attempt.session.commit()\n"
        "            return Ended(Completed())\n",
        (DEATHS, "any_line"), 400,
    ),
    Bug(
        "lock file removed", "scripts/locks/lock.py",
        "        if descriptor is not None:\n            os.close(descriptor)\n",
        "        if descriptor is not None:\n            os.unlink(self.path)\n            os.close(descriptor)\n",
        ("tests/scripts/locks/test_lock.py", "its_file_stays or left_behind or taken_again or letting_go_twice"),
    ),
    Bug(
        "lock not checked after locking", "scripts/locks/lock.py",
        "            if self._is_the_file(descriptor):\n", "            if True:\n",
        ("tests/scripts/locks/test_lock.py", "removed"),
    ),
    Bug(
        "lock shared with a child", "scripts/locks/lock.py",
        "os.register_at_fork(after_in_child=_close_in_fork)", "",
        ("tests/scripts/locks/test_lock.py", "child_that_outlives"),
    ),
    Bug(
        "a lock that cannot be signed is none", "scripts/locks/lock.py",
        "        with suppress(OSError):  # a full disk: the lock", "        if True:  # a full disk: the lock",
        ("tests/proofs/test_faults.py", "file_that_fails"),
    ),
    Bug(
        "lock through a link", "scripts/locks/lock.py",
        "os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC", "os.O_RDWR | os.O_CREAT | os.O_CLOEXEC",
        ("tests/scripts/locks/test_lock.py", "symbolic_link"),
    ),
    Bug(
        "reported twice", "runner/failure.py",
        "        report = self._report(attempt, ended)\n",
        "        report = self._report(attempt, ended)\n"
        "        if report is not None:\n"
        '            again = {**report.content, "id": report.id[:-8] + "ffffffff"}\n'
        "            self._reporter.utility.publish(again)\n",
        (DEATHS, "any_line"), 1,
    ),
    Bug(
        "row before report", "runner/failure.py",
        "        report = self._report(attempt, ended)\n",
        "        if ended.outcome.reported:\n"
        "            from jobcron.runner._telling import job_oops_id\n"
        "            early = job_oops_id(self._reporter.utility.prefix, attempt.claim, attempt.facts.uuid)\n"
        "            set_aside(self._database, attempt.claim, ended.outcome, oops_id=early)\n"
        "        report = self._report(attempt, ended)\n",
        (DEATHS, "any_line"), 400,
    ),
    Bug(
        "an error is swallowed", "runner/_executor.py",
        "            return self._judge(attempt, cause)\n",
        "            return Ended(Completed()) if type(cause) is ValueError else self._judge(attempt, cause)\n",
        (DEATHS, "any_line"), 1,
    ),
    Bug(
        "token reset at the end", "database/sql/set_aside.sql",
        "    lease_expires = NULL,\n", "    lease_expires = NULL, lease_token = 0,\n",
        (DEATHS, "any_line"), 1,
    ),
    Bug(
        "live jobs are taken over", "database/sql/__init__.py",
        'IS_DEAD = """(job.lease_expires <= @now', 'IS_DEAD = """(job.lease_expires IS NOT NULL',
        ("tests/runner/test_death.py", "runs_again_when_its_lease_has_ended"),
    ),
    Bug(
        "a renewal in between is overlooked", "database/sql/seize.postgresql.sql",
        "WHERE renewal.lease_token < excluded.lease_token - 1 OR renewal.lease_expires <= @now OR :is_gone = 1",
        "",
        (ORDERS, "renewal_and_a_takeover and postgresql"),
    ),
    Bug(
        "a takeover in between is overlooked", "database/sql/renew.sql",
        "WHERE renewal.lease_token <= excluded.lease_token", "",
        (ORDERS, "renewal_and_a_takeover and postgresql"),
    ),
    Bug(
        "renewals on the job's own row", "database/sql/renew.sql",
        "INSERT INTO jobcron_renewal AS renewal (job, lease_token, lease_expires, progress)",
        "UPDATE jobcron_job SET lease_expires = @after(:lease_seconds), progress = coalesce(:progress, progress) "
        "WHERE id = :id AND lease_token = :token AND status = 1; --",
        ("tests/runner/test_lease_renewal.py", "isolation_of_its_transaction"),
    ),
    Bug(
        "taken over under the old token", "database/sql/take_over.sql",
        "lease_token = lease_token + 1", "lease_token = lease_token",
        (ORDERS, "two_runners"),
    ),
    Bug(
        "never taken over", "database/sql/dead.sql",
        "WHERE status = 1 AND type = :type AND :section NOT IN", "WHERE 0 AND :type = 0 AND :section NOT IN",
        (DEATHS, "any_line"), 60,
    ),
    Bug(
        "deaths are not counted", "database/sql/take_over.sql",
        "crash_count = CASE WHEN crash_count < 2147483647 THEN crash_count + :begun ELSE 2147483647 END",
        "crash_count = crash_count",
        ("tests/runner/test_crash_limit.py", "fails_at_the_third_death"),
    ),
    Bug(
        "claimed counts as begun", "queue/claim.py",
        "_put_back(connection, Claim(row.id, row.lease_token)) for row in rows if not row.is_head",
        "_put_back(connection, Claim(row.id, row.lease_token)) for row in rows if not row",
        ("tests/runner/test_death.py", "harms_none_of_its_neighbours"),
    ),
    Bug(
        "poison takes its neighbours along", "database/sql/claim.sqlite.sql",
        "WHERE place = 1 OR crashes = 0", "WHERE place > 0",
        ("tests/queue/test_claim.py", "claimed_alone"),
    ),
    Bug(
        "a retry keeps its work", "runner/_executor.py",
        "            self._undo(attempt, raised, cause)\n",
        "            if type(cause).__name__ == 'NotYet':\n                attempt.session.commit()\n"
        "            self._undo(attempt, raised, cause)\n",
        (DEATHS, "any_line"), 1,
    ),
    Bug(
        "a job's log stays", "runner/surroundings/boundary.py",
        "            self._log.put_back()\n", "            pass\n",
        ("tests/runner/surroundings/test_boundary.py", "failure_is_told and sqlite"),
    ),
    Bug(
        "the keeper is a greenlet", "runner/surroundings/real.py",
        "        _start(self._run, ())", "        __import__('_thread').start_new_thread(self._run, ())",
        ("tests/runner/surroundings/test_greenlets.py", "computes_longer and gevent and sqlite"),
    ),
    Bug(
        "commits pass no fence", "runner/_fence.py",
        "if attempt is not None and attempt.needs_fence(connection):", "if False:",
        ("tests/runner/test_fence.py", "no_way_to_commit"),
    ),
    Bug(
        "only the session's commits pass a fence", "runner/_fence.py",
        '        listeners += [(engine, "commit", check), ',
        '        listeners += [(session_class, "before_commit", lambda s: check(s.connection())), ',
        ("tests/runner/test_fence.py", "no_way_to_commit and connection"),
    ),
    Bug(
        "no fence after a refused commit", "runner/_completion.py",
        "        attempt.commit_returned()  # whatever", "        pass  # whatever",
        ("tests/runner/test_fence.py", "commit_that_was_refused"),
    ),
    Bug(
        "a keeper blocked by a lock", "database/database.py",
        "            if self._lock_seconds is not None:\n", "            if False:\n",
        ("tests/runner/test_lease_renewal.py", "holds_what_the_keeper_wants"),
    ),
    Bug(
        "limits wait for the database", "runner/_keeper.py",
        "            self._turn.ring()\n\n", "            self._look_after(attempt, time.monotonic())\n\n",
        ("tests/runner/test_time_limit.py", "does_not_wait_for_a_keeper"),
    ),
    Bug(
        "an interruption is erased", "runner/_keeper.py",
        "            attempt.clock.withdraw(error)\n", "            attempt.clock.interrupted = None\n",
        ("tests/runner/test_time_limit.py", "swallows_its_time_limit"),
    ),
    Bug(
        "a job ends its connections for ever", "queue/error_rules.py",
        "    Interruption.CONNECTION_LOST,\n", "",
        ("tests/database/test_trouble.py", "always_loses_its_connection"),
    ),
    Bug(
        "acquire finds without a lock", "jobs/_creating/acquire.py",
        '    row = session.execute(\n'
        '        update(Job)\n'
        '        .where(Job.id == first.with_only_columns(Job.id).scalar_subquery(), *will_run)\n'
        '        .values(unique_key=Job.unique_key)  # changes nothing, and locks the row\n'
        '        .returning(Job.id, Job._status),\n'
        '        execution_options={"synchronize_session": False},\n'
        '    ).first()\n',
        "    row = session.execute(first.with_only_columns(Job.id, Job._status)).first()\n",
        ("tests/jobs/creating/test_acquire.py", "does_not_start_before_its_caller"),
    ),
    Bug(
        "acquire returns what has started", "jobs/_creating/acquire.py",
        "        has_status(*NOT_STARTED),\n        Job.begun_token == 0,\n",
        "        has_status(*NOT_STARTED, JobStatus.RUNNING),\n",
        ("tests/jobs/test_source.py", "once_the_old_one_has_started"),
    ),
    Bug(
        "a retry fights its twin", "queue/finish.py",
        "        twin, is_key_held = twins_of(connection, claim, outcome.delay)\n",
        "        twin, is_key_held = None, True\n",
        ("tests/queue/test_finish.py", "superseded"),
    ),
    Bug(
        "two last ends do not see each other", "database/schema/versions/0013_graphs.py",
        "            PERFORM 1 FROM jobcron_job WHERE id = waiting AND status = 7 FOR NO KEY UPDATE;\n"
        "            IF FOUND AND NOT EXISTS",
        "            IF NOT EXISTS",
        (RELEASE, "end_at_once"),
    ),
    Bug(
        "a failure releases what asks for success", "database/schema/versions/0013_graphs.py",
        'MET = "(NEW.status = 2 OR any_end AND NEW.status IN (3, 5, 6))"',
        'MET = "(NEW.status = 2 OR NEW.status IN (3, 5, 6))"',
        (RELEASE, "whoever_ends"),
    ),
    Bug(
        "a job that runs again is not waited for", "database/schema/versions/0013_graphs.py",
        "(NEW.status IN (2, 3, 5, 6) OR OLD.status IN (2, 3, 5, 6))", "NEW.status IN (2, 3, 5, 6)",
        (RELEASE, "waited_for_again"),
    ),
    Bug(
        "a superseded job keeps what waits for it", "queue/finish.py",
        "            hand_on_successors(connection, claim, twin)\n", "",
        (RELEASE, "supersedes"),
    ),
    Bug(
        "a graph is retried in any order", "jobs/moves/bulk_moves.py",
        "        forget_marks(connection, job_ids)\n", "",
        ("tests/jobs/moves/test_edges.py", "whole_graph or completed_runs_again"),
    ),
    Bug(
        "a needed job is pruned", "scripts/_pruning/pruner.py",
        ", ~is_waited_for())", ")",
        ("tests/scripts/test_prune.py", "as_predecessor"),
    ),
    Bug(
        "the sweep releases too much", "jobs/graphs/sweeping.py",
        "predecessor._status == COMPLETED, EdgeRow.any_end & ", "predecessor._status == COMPLETED, ",
        ("tests/jobs/graphs/test_sweeping.py", "after_the_end"),
    ),
    Bug(
        "a start is pushed back for ever", "jobs/_creating/acquire.py",
        "            start = min(start, ", "            start = max(start, ",
        ("tests/jobs/creating/test_acquire.py", "pushes_the_start"),
    ),
    Bug(
        "no renewal", "runner/attempt.py",
        '            is_ours = execute(connection, "renew", parameters).rowcount == 1\n',
        "            is_ours = True\n",
        ("tests/runner/test_lease_renewal.py", "longer_than_its_lease_is_not_taken"),
    ),
    Bug(
        "ends are written without a token", "database/sql/set_aside.sql",
        "AND lease_token = :token", "AND lease_token >= :token",
        ("tests/runner/test_fence.py", "no_other_end or interruption_is_not"),
    ),
    Bug(
        "a job that is stopped is over", "queue/outcome.py",
        'attempt, which does not count."""\n\n    status = JobStatus.WAITING\n',
        'attempt, which does not count."""\n\n    status = JobStatus.CANCELLED\n',
        (ACQUIRE, "in_the_middle and sqlite"),
    ),
    Bug(
        "a commit without an answer has failed", "runner/_completion.py",
        "    if row is not None and row == (attempt.end_status, claim.token):", "    if row is None:",
        (CUTS, "any_commit and after"),
    ),
    Bug(
        "a commit without an answer has arrived", "runner/_completion.py",
        '    stopped = Stopped(error, "the connection was lost while committing", 1.0)\n',
        '    return Completed(detail="surely")\n'
        '    stopped = Stopped(error, "the connection was lost while committing", 1.0)\n',
        ("tests/runner/test_death.py", "commit_without_an_answer and before"),
    ),
    Bug(
        "reports through a link", "settings/directories.py",
        "                os.link(temporary, path)\n",
        "                with open(path, \"wb\") as file:\n                    file.write(content)\n",
        ("tests/reports/test_publishers.py", "symbolic_link"),
    ),
    Bug(
        "due times are ignored", "database/sql/__init__.py",
        '"{row}.scheduled_start <= @now"', '"{row}.id > 0"',
        ("tests/queue/test_retry_backoff.py", "waits_for_its_delay"),
    ),
    Bug(
        "the worst priority first, of jobs that are loaded later", "queue/objects/awaited.py",
        "        for claim, facts in self._known.items():\n",
        "        for claim, facts in reversed(self._known.items()):\n",
        ("tests/queue/test_claim.py", "in_order_of_priority"),
    ),
    Bug(
        "the worst priority first", "queue/loading.py",
        "            jobs = source.load(session, [claim.id for claim in claims])\n",
        "            claims = claims[::-1]\n"
        "            jobs = source.load(session, [claim.id for claim in claims])\n",
        ("tests/queue/test_claim.py", "in_order_of_priority"),
    ),
    Bug(
        "a status that lies", "scripts/_endings.py",
        '_log(script, error).error("%s", error, extra=NO_OOPS)\n        return error.exit_status\n',
        '_log(script, error).error("%s", error)\n        return 0\n',
        ("tests/database/test_version.py", "another_version"),
    ),
    Bug(
        "what goes back has been counted", "queue/outcome.py",
        "    kind = EventKind.GIVEN_BACK\n    counted = False",
        "    kind = EventKind.GIVEN_BACK\n    counted = True",
        ("tests/runner/test_keeper.py", "given_back_and_another"),
    ),
    Bug(
        "a job's settings are left", "database/connecting/boundary.py",
        "        self.passed += 1\n", "        pass\n",
        ("tests/database/connecting/test_boundary.py", "nothing_of_a_session"),
    ),
    Bug(
        "the end of a job under its role", "runner/_completion.py",
        "        database.leave(session)\n", "",
        ("tests/runner/test_left_on_connection.py", "no_job_works"),
    ),
    Bug(
        "connections are taken as they are", "database/connecting/engine.py",
        "    _check_before_use(engine, _postgresql.is_alive)\n", "",
        ("tests/database/connecting/test_engine.py", "replaced"),
    ),
    Bug(
        "no transaction after a failed BEGIN", "database/transactions.py",
        "    engine.dialect.do_begin = _begin  # type: ignore[method-assign, assignment]\n",
        '    event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))\n',
        (ORDERS, "two_runners and sqlite"),
    ),
    Bug(
        "a requeue keeps its attempts", "jobs/status.py",
        '        "attempt_count": 0,\n        "crash_count": 0,\n', '        "crash_count": 0,\n',
        (MODEL, "oracle"),
    ),
    Bug(
        "expiry is ignored", "database/sql/__init__.py",
        '"({row}.expires_at IS NULL OR {row}.expires_at > @now OR {row}.begun_token > 0)"', '"{row}.id > 0"',
        (MODEL, "oracle and sqlite"),
    ),
    Bug(
        "bound to a session", "queue/claim.py",
        "    rows = sorted(_rows(connection, statement, parameters, parts), key=lambda row: row.place)\n",
        "    rows = sorted(_rows(connection, statement, parameters, parts), key=lambda row: row.place)\n"
        '    lock = "SELECT pg_advisory_lock_shared(7)"\n'
        "    if isinstance(connection, Brief):\n"
        "        connection.send(lock)\n"
        '    elif connection.dialect.name == "postgresql":\n'
        "        connection.exec_driver_sql(lock)\n",
        ("tests/proofs/test_pooling.py", "deaths or more_clients"),
    ),
    Bug(
        "one stray type breaks the run", "jobs/registry.py",
        "        return _classes[name]\n    except KeyError:\n",
        "        return _classes[name]\n    except ZeroDivisionError:\n",
        ("tests/jobs/test_registry.py", "type_without_a_class"),
    ),
    Bug(
        "a forked copy goes on", "runner/attempt.py",
        "os._exit(COPY_STATUS)", "pass",
        ("tests/runner/isolated/test_child_processes.py", "copy_that_a_job_makes"),
    ),
    Bug(
        "the parent renews nothing", "runner/isolated/runner.py",
        "now >= attempt.clock.renew_at", "now < 0",
        ("tests/runner/isolated/test_parent.py", "parent_renews"),
    ),
    Bug(
        "a dead child's commit is overlooked", "runner/isolated/_deaths.py",
        "status is not JobStatus.RUNNING:", "status is not JobStatus.COMPLETED:",
        ("tests/runner/isolated/test_runner.py", "committed_before_its_process_died"),
    ),
    Bug(
        "an earlier read is trusted", "database/_freshness/keeping.py",
        "        session.expire(state.obj(), stale)\n", "        pass\n",
        ("tests/database/test_freshness.py", "read_again_after_it"),
    ),
    Bug(
        "a change of others is overwritten", "database/_freshness/keeping.py",
        "            compare(session, state, {key: known[key][1] for key in keys})\n", "            pass\n",
        ("tests/proofs/test_second_session.py", "computed_before_the_transaction"),
    ),
    Bug(
        "a second connection is waited for under locks", "database/_freshness/comparing.py",
        "    if may_be_own(connection, mapper, identity):\n", "    if True:\n",
        ("tests/database/test_freshness_after_statements.py", "second_connection"),
    ),
    Bug(
        "a relationship overwrites what others wrote", "database/_freshness/keeping.py",
        "            found.setdefault(state, set()).add(key)\n", "            pass\n",
        ("tests/database/test_freshness_of_links.py", "put_elsewhere"),
    ),
    Bug(
        "JSON is trusted over transactions", "database/_freshness/keeping.py",
        "                kept[key].refill()\n", "                pass\n",
        ("tests/database/test_freshness_of_containers.py", "read_again_when_a_transaction_begins"),
    ),
    Bug(
        "a file that nobody reads", "database/connecting/sqlite_file.py",
        "        if found != self._known:\n", "        if False:\n",
        ("tests/database/connecting/test_sqlite_file.py", "another_one and over"),
    ),
    Bug(
        "damage is overlooked", "runner/job_runner.py",
        "        if is_unusable(error):\n", "        if False:\n",
        ("tests/database/connecting/test_sqlite_file.py", "meets_damage"),
    ),
    Bug(
        "tokens are given out twice", "jobs/moves/restored.py",
        "Job.lease_token + TOKEN_LEAP", "Job.lease_token",
        ("tests/jobs/moves/test_restored.py", "given_out_twice"),
    ),
    Bug(
        "a session outlives its job", "runner/_context.py",
        "            session.give_up()\n", "            session.close()\n",
        ("tests/database/test_freshness.py", "leaves_behind"),
    ),
    Bug(
        "a nested change is dropped", "jobs/arguments/document.py",
        "            flag_modified(row, name)", "            pass",
        ("tests/jobs/arguments/test_document.py", "by_a_job"),
    ),
    Bug(
        "a workspace stays behind", "steps/_workspace.py",
        "            self.keep(self._progress())", "            pass",
        ("tests/steps/test_progress.py", "on_the_way"),
    ),
    Bug(
        "a request writes over a run", "steps/_workspace.py",
        "Job.lease_token == self._token, Job._status != JobStatus.RUNNING", "Job.lease_token >= 0",
        ("tests/steps/test_progress.py", "saved_by_others"),
    ),
    Bug(
        "a task is known by its place", "steps/_progress.py",
        "            if done[name]:", "            if place < len(self.done):",
        ("tests/steps/test_progress.py", "wherever_it_is_moved"),
    ),
    Bug(
        "what a notification writes is undone", "runner/failure.py",
        "        raise lost(attempt.claim)\n    session.commit()",
        "        raise lost(attempt.claim)\n    session.rollback()",
        ("tests/runner/test_notification.py", "is_committed"),
    ),
    Bug(
        "a mail that is refused is forgotten", "reports/mail.py",
        "        kept.append(Unsent(message.as_bytes(), error))", "        pass",
        ("tests/runner/test_notification.py", "waits_in_the_history"),
    ),
    Bug(
        "a group completes what has not run", "runner/grouped/_group.py",
        "numbers = [ended.claim.id for ended in self._ended]",
        "numbers = [taken.claim.id for taken in locked.jobs]",
        ("tests/runner/grouped/test_groups.py", "its_time_is_over"),
    ),
    Bug(
        "a failed group keeps its work", "runner/grouped/_group.py",
        "                self._undo(connection, raised)\n",
        "                connection.connection.driver_connection.end_sharing()\n"
        "                connection.commit()\n",
        ("tests/runner/grouped/test_groups.py", "one_that_fails"),
    ),
    Bug(
        "the death of a group is forgotten", "runner/grouped/runs.py",
        "        return dead > 0\n", "        return False\n",
        ("tests/runner/grouped/test_runs.py", "found_once"),
    ),
    Bug(
        "a group's jobs share their settings", "database/connecting/_watch.py",
        "        if self._is_neighbours:\n            return self._clearing.entering + limit",
        "        if False:\n            return limit",
        ("tests/runner/grouped/test_groups.py", "settings_of_a_session"),
    ),
    Bug(
        "a key is held to the end of the group", "database/sql/take_group.postgresql.sql",
        "crash_count > 0 OR unique_key IS NOT NULL\n", "crash_count > 0\n",
        ("tests/runner/grouped/test_groups.py", "with_a_key"),
    ),
    Bug(
        "one more than the capacity", "database/sql/_room.py",
        "<= (SELECT coalesce(sum(occupied.jobs), 0)", "< (SELECT coalesce(sum(occupied.jobs), 0)",
        ("tests/queue/test_channels.py", "at_no_time and sqlite"),
    ),
    Bug(
        "two claims count one free place", "database/sql/lock_channels.sql",
        "    @locked_channel\n", "",
        ("tests/queue/test_channels.py", "at_no_time and postgresql"),
    ),
    Bug(
        "who has failed loses its turn", "database/sql/_room.py",
        "AND [[far:@has_turn(near)]][[!far:@has_turn(near.channel, near.channel_key, near)]]", "",
        ("tests/queue/test_sequential.py", "has_failed_holds_up and sqlite"),
    ),
    Bug(
        "a claim heeds the limits of before its lock", "database/sql/lock_channels.sql",
        "FROM held\n", "FROM jobcron_channel WHERE name IN (SELECT name FROM held)\n",
        ("tests/queue/test_channels.py", "changed_while"),
    ),
    Bug(
        "a job whose row is locked loses its turn", "database/sql/claim_limited.postgresql.sql",
        "[[heads: WHERE id NOT IN (SELECT id FROM behind)]] @in_line", " @in_line",
        ("tests/queue/test_sequential.py", "first_job_is_locked"),
    ),
    Bug(
        "what waits since the lock is not found", "queue/claim.py",
        "    return claims or taken(parts=limits | JOBS, batch=batch)\n", "    return claims\n",
        ("tests/queue/test_channels.py", "after_the_channels_are_locked and sqlite"),
    ),
    Bug(
        "a skip lets two run at once", "database/sql/_order.py",
        "[[!far: OR begun.runs]]", "",
        ("tests/queue/test_sequential.py", "after_a_skip and sqlite"),
    ),
    Bug(
        "of two types whichever is looked at first begins", "database/sql/_order.py",
        "(1 = 1[[mixed:[[halts:", "(1 = 1[[never:[[halts:",
        ("tests/queue/test_sequential.py", "no_job_begins_before_one_of_another_type and sqlite"),
    ),
    Bug(
        "a job for each slot that was missed", "schedules/creating.py",
        '    if row.missed != "all":\n', '    if row.missed == "skip":\n',
        ("tests/schedules/test_creating.py", "after_an_outage and sqlite"),
    ),
    Bug(
        "a slot gets its job again", "schedules/creating.py",
        ".returning(SlotRow.fold)).first() is not None\n", ".returning(SlotRow.fold)).first() is not ...\n",
        ("tests/schedules/test_creating.py", "never_gets_a_second_one and sqlite"),
    ),
    Bug(
        "an old release ignores what it lacks", "jobs/_job_class.py",
        "    missing = [name for name in _arguments_in(row) if not declares(owner, name)]\n",
        "    missing: list[str] = []\n",
        (STORM, "nothing and sqlite"),
    ),
    Bug(
        "a worker gives no sign of life", "scripts/worker/_presence.py",
        '        self._tell("worker_sign", {"processes"', '        dict({"processes"',
        ("tests/scripts/worker/test_presence.py", "has_a_row"),
    ),
    Bug(
        "the rows of dead workers stay", "scripts/worker/_presence.py",
        '            self._tell("worker_forgets", {})\n', "            pass\n",
        ("tests/scripts/worker/test_presence.py", "goes_when_another"),
    ),
    Bug(
        "a dead process's job waits for its lease", "scripts/worker/_processes.py",
        "                lock.died(process.claims_as)\n", "                lock.ended(process.claims_as)\n",
        ("tests/scripts/worker/test_script.py", "killed_process_runs_again and sqlite"),
    ),
    Bug(
        "the first signal drops the job", "runner/signals.py",
        "        elif not first and number == signal.SIGTERM:", "        elif number == signal.SIGTERM:",
        ("tests/scripts/worker/test_script.py", "sigterm_lets and sqlite"),
    ),
    Bug(
        "who comes too late leaves for a new run", "scripts/worker/_child.py",
        "self._is_to_renew = RENEW in words", "self._is_to_renew = words != RENEW",
        ("tests/scripts/worker/test_races.py", "others_took_waits"),
    ),
    Bug(
        "a claim whose answer was lost stays", "queue/type_feed.py",
        "            claims += self._line.claim(brief,", "            claims = self._line.claim(brief,",
        ("tests/database/connecting/test_alone.py", "got_no_answer"),
    ),
    Bug(
        "what a job left meets the next claim", "database/connecting/_watch.py",
        'left = self._clearing.entering if self._is_used else LOCKS if self._may_hold_locks else ""', 'left = ""',
        ("tests/database/connecting/test_alone.py", "before_the_next_claim"),
    ),
)  # fmt: skip


class Catch(NamedTuple):
    """What became of a bug."""

    bug: Bug
    is_caught: bool
    seconds: float
    said: str


def copy_of_the_checkout(folder: Path) -> Path:
    """Copy what the proofs need, and return the copy."""
    place = folder / "checkout"
    place.mkdir()
    for name in ("lib", "tests", "examples", "configs", "schema", "cronscripts", "docs"):
        # With what is compiled: times are copied as well, so only the changed file is compiled again.
        shutil.copytree(ROOT / name, place / name, symlinks=True, ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, place / name)
    return place


def catch(bug: Bug) -> Catch:
    """Put a bug back in a copy, and run its proof there.

    Raises:
        AssertionError: the bug's edit does not fit the code.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jobcron-zoo-") as folder:
        place = copy_of_the_checkout(Path(folder))
        path = place / "lib" / "jobcron" / bug.file
        text = path.read_text()
        assert text.count(bug.good) == 1, f"{bug.name}: expected its text once in {bug.file}: {bug.good!r}"
        path.write_text(text.replace(bug.good, bug.bad))
        file, words = bug.proof
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--tb=line"]
        environment = {**os.environ, "PYTHONPATH": str(place / "lib")}
        if bug.sample:
            environment["PROOF_SAMPLE"] = str(bug.sample)
        done = subprocess.run(
            [*command, file, "-k", words], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
    last = [line for line in done.stdout.splitlines() if line.strip()][-1:]
    # 1: a test failed. Anything else, no test or an error of pytest's own, has caught nothing.
    said = "".join(last)
    return Catch(bug, done.returncode == 1 and " failed" in said, time.monotonic() - started, said)


def main(names: list[str]) -> int:
    """Print the table, and return the exit status."""
    chosen = [bug for bug in BUGS if not names or bug.name in names]
    assert chosen, f"expected names of {', '.join(bug.name for bug in BUGS)}, got {names}"
    away = 0
    for bug in chosen:
        found = catch(bug)
        away += not found.is_caught
        verdict = "caught" if found.is_caught else "GOT AWAY"
        print(f"{verdict:<9} {found.seconds:5.0f} s  {bug.name:<40} {bug.proof[0]}: {bug.proof[1]}", flush=True)
        if not found.is_caught:
            print(f"          {found.said}", flush=True)
    print(f"{len(chosen) - away} of {len(chosen)} caught")
    return 1 if away else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
