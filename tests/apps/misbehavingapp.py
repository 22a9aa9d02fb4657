"""Jobs that crash, hang, leak or otherwise damage their process: for tests of the isolated runner."""

from __future__ import annotations

import ctypes
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from multiprocessing.pool import ThreadPool
from typing import ClassVar

from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobcron import BaseRunnableJob, JobType, after_commit

MEGABYTE = 1 << 20

SLOW_CHILD = "MISBEHAVING_SLOW_CHILD"
"""With this variable in its environment a child process takes minutes to import this module."""

if os.environ.get(SLOW_CHILD) and "jobcron.runner.isolated" in sys.orig_argv:
    time.sleep(300)


class Base(DeclarativeBase):
    """The application's table."""


class Process(Base):
    """Which process a job was run by: committed with it."""

    __tablename__ = "process"

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[int]
    number: Mapped[int]


class HarshJobType(JobType):
    """The types."""

    HARSH = 0
    LONG = 1


class HarshJob(BaseRunnableJob):
    """Does one bad thing, after it has written which process it is in."""

    class_job_type: ClassVar[JobType] = HarshJobType.HARSH
    lease_duration = timedelta(seconds=30)
    memory_limit = 400 * MEGABYTE
    output_limit = MEGABYTE

    do: str
    path: str = ""

    @property
    def time_limit(self) -> timedelta:  # type: ignore[override]
        """Be short for those that would run for ever, and generous to others on a busy machine."""
        if self.do == "have_no_limit_to_tell":
            sys.exit("no limit to tell")
        if self.do == "ask_for_the_limit":
            self.session.execute(text("SELECT count(*) FROM process"))
        return timedelta(seconds=1 if self.do in ("hang", "ignore_everything", "stop") else 600)

    @property
    def user_error_types(self) -> tuple[type[BaseException], ...]:  # type: ignore[override]
        """Mean nothing by it, where that is what is to be done."""
        return 7 if self.do == "die_without_sense" else ()  # type: ignore[return-value]

    def run(self) -> None:
        """Do it."""
        self.session.add(Process(job=self.job.id, number=os.getpid()))
        self.session.flush()
        getattr(self, f"do_{self.do}")()

    def do_well(self) -> None:
        """Do nothing bad."""

    def do_fail(self) -> None:
        """Raise an error."""
        raise ValueError("as any job may")

    def do_upset_the_process(self) -> None:
        """Leave the process as nobody wants it, and a thread in it."""
        os.chdir("/")
        os.environ["TENANT"] = "1"
        logging.disable(logging.CRITICAL)
        threading.Thread(target=time.sleep, args=(600,), name="a poller", daemon=True).start()

    def do_expect_a_good_process(self) -> None:
        """Fail where another job has left the process so."""
        assert os.getcwd() != "/", "the working directory was changed"
        assert "TENANT" not in os.environ, "a variable was left"
        logging.getLogger().warning("this is heard")

    def do_ask_for_the_limit(self) -> None:
        """Have a limit for which the database is asked."""

    def do_read_damage(self) -> None:
        """Read a table that the test has damaged."""
        self.session.execute(text("SELECT * FROM damaged"))

    def do_take_a_while(self) -> None:
        """Do nothing bad, slowly."""
        time.sleep(1)

    def do_die(self) -> None:
        """Die by a signal."""
        os.kill(os.getpid(), signal.SIGSEGV)

    def do_die_without_sense(self) -> None:
        """Die, and say nonsense of what that means."""
        self.do_die()

    def do_be_killed(self) -> None:
        """Die as by the kernel when memory has run out."""
        os.kill(os.getpid(), signal.SIGKILL)

    def do_leave(self) -> None:
        """Leave without a word."""
        print("these were its last words", flush=True)
        os._exit(0)

    def do_die_after_the_commit(self) -> None:
        """Die when the work is committed, before anybody is told."""
        after_commit(self.session, lambda: os._exit(9))

    def do_hang(self) -> None:
        """Hang."""
        sleep_in_c(600)

    def do_ignore_everything(self) -> None:
        """Ignore signals, and swallow all that is raised."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            try:
                time.sleep(600)
            except BaseException:
                continue

    def do_press_a_key(self) -> None:
        """Interrupt itself, as from the keyboard."""
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    def do_terminate_itself(self) -> None:
        """Ask its own process to stop, and then to do so at once."""
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
        time.sleep(60)

    def do_stop(self) -> None:
        """Stop, as by ^Z."""
        os.kill(os.getpid(), signal.SIGSTOP)

    def do_close_everything(self) -> None:
        """Close all descriptors, as a daemon does that begins."""
        os.closerange(0, 1 << 16)

    def do_say_nonsense(self) -> None:
        """Write to the parent what is no message."""
        os.write(socket_to_the_parent(), b'{"kind": "done", "is_completed": 1}\n')
        time.sleep(600)

    def do_say_too_much(self) -> None:
        """Write to the parent without an end."""
        while True:
            os.write(socket_to_the_parent(), b"x" * MEGABYTE)

    def do_say_it_is_done(self) -> None:
        """Tell the parent that this job has completed."""
        message = {"kind": "done", "is_completed": True, "oops_ids": [], "outcome": "completed", "seconds": 1}
        os.write(socket_to_the_parent(), json.dumps(message).encode() + b"\n")
        time.sleep(600)

    def do_say_it_starts_again(self) -> None:
        """Tell the parent each second that this job starts only now."""
        for _ in range(600):
            os.write(socket_to_the_parent(), b'{"kind": "started"}\n')
            time.sleep(1)

    def do_log_from_copies(self) -> None:
        """Log long lines from several copies of this process, and from threads of it, at the same time."""
        with multiprocessing.get_context("fork").Pool(3) as copies, ThreadPool(3) as threads:
            for result in [pool.map_async(log_long_lines, "abc") for pool in (copies, threads)]:
                result.get()
            copies.close()  # a copy that is killed may not have printed yet
            copies.join()

    def do_run_out_of_memory(self) -> None:
        """Take more memory than the kernel has for the control group `path`."""
        with open(f"{self.path}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        self.do_take_memory()

    def do_print(self) -> None:
        """Print a gigabyte."""
        for _ in range(1024):
            sys.stdout.write("x" * (MEGABYTE - 1) + "\n")

    def do_print_a_little(self) -> None:
        """Print two lines, one of them where errors go."""
        print("a line")
        print("another line\x1b[31m", file=sys.stderr)

    def do_take_memory(self) -> None:
        """Take more memory than there may be."""
        taken = [bytearray(50 * MEGABYTE) for _ in range(40)]
        raise AssertionError(f"{len(taken)} pieces were given")

    def do_take_memory_in_children(self) -> None:
        """Take more memory than there may be, in several processes of which none has too much."""
        code = f"piece = bytearray(b'x') * (150 * {MEGABYTE}); import time; time.sleep(600)"
        for child in [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]:
            child.wait()

    def do_nap(self) -> None:
        """Take a moment."""
        time.sleep(0.5)

    def do_fork(self) -> None:
        """Fork, and let both come back from here, the copy when the next job runs."""
        if os.fork() == 0:
            time.sleep(0.2)

    def do_fork_and_wait(self) -> None:
        """Fork, and let both come back from here, the copy first."""
        if os.fork() > 0:
            time.sleep(0.5)

    def do_end_a_copy(self) -> None:
        """Fork, and end the copy as multiprocessing does."""
        reading, writing = os.pipe()
        copy = os.fork()
        if copy == 0:
            os.write(writing, b"!")
            time.sleep(20)
        os.read(reading, 1)
        os.kill(copy, signal.SIGTERM)
        os.waitpid(copy, 0)
        time.sleep(0.5)

    def do_leave_behind(self) -> None:
        """Start a process that outlives the job, and note its number."""
        self._note(subprocess.Popen(["sleep", "600"]))

    def do_leave_in_a_session(self) -> None:
        """Start a process in a session and an environment of its own."""
        self._note(subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, env={}))

    def do_leave_an_orphan(self) -> None:
        """Start a process in a session of its own, by one that ends."""
        code = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
        with open(self.path, "w", encoding="ascii") as file:
            subprocess.run([sys.executable, "-S", "-c", code], stdout=file, check=True)

    def do_leave_an_orphan_and_die(self) -> None:
        """Start one, and die."""
        self.do_leave_an_orphan()
        self.do_die()

    def _note(self, child: subprocess.Popen[bytes]) -> None:
        with open(self.path, "w", encoding="ascii") as file:
            file.write(str(child.pid))


class LongJob(BaseRunnableJob):
    """Runs for longer than its lease, in code that lets nobody renew it from inside."""

    class_job_type = HarshJobType.LONG
    lease_duration = timedelta(seconds=1.5)

    seconds: int
    path: str

    def run(self) -> None:
        """Tell that it has begun, and hold the interpreter's lock."""
        with open(self.path, "a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
        sleep_in_c(self.seconds)


def socket_to_the_parent() -> int:
    """Return the descriptor of the socket that a child of the isolated runner has."""
    return int(sys.argv[2])


def log_long_lines(letter: str) -> None:
    """Log lines that do not go through a socket at once."""
    for _ in range(5):
        logging.getLogger("harsh").info("%s", letter * 60_000)


def sleep_in_c(seconds: int) -> None:
    """Sleep in C code that keeps the interpreter's lock: no other thread and no signal handler runs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    ctypes.PyDLL(None).sleep(seconds)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
