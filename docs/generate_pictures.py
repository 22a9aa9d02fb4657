"""Generate the pictures of the documentation: ``python docs/generate_pictures.py`` writes them.

What they show comes from the code where it can: the moves of a status from the table that the trigger in the
database is checked against, the rooms from the contract of imports, the length of a lease from its default.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable
from pathlib import Path

from drawing import Picture, Point
from generate_bench import RESULTS, creating, running
from generate_moves import by_hand, by_itself
from generate_scale import scale
from generate_text import same

from jobcron.interfaces import DEFAULT_LEASE_SECONDS, JobStatus

HERE = Path(__file__).parent
FOLDER = HERE / "pictures"

WAITING, RUNNING, COMPLETED, FAILED, SUSPENDED, CANCELLED, EXPIRED, BLOCKED = JobStatus

COLOURS = {
    WAITING: "blue",
    RUNNING: "amber",
    COMPLETED: "green",
    FAILED: "red",
    SUSPENDED: "violet",
    CANCELLED: "plain",
    EXPIRED: "plain",
    BLOCKED: "plain",
}


# A job's way


def way() -> Picture:
    """Return who does what with a job, from its creation to its end."""
    picture = Picture(
        760,
        330,
        "A job's way",
        "Your application adds an order and a job in one transaction. The job is a row in your database, WAITING. "
        "Once a minute cron starts a run, which claims the job and runs it. If it returns, its work and COMPLETED "
        "are one commit. If it raises an error, its work is rolled back, and FAILED and one report remain.",
    )
    picture.box((16, 70), (170, 148))
    picture.box((286, 30), (188, 284), kind="area")
    picture.box((574, 70), (170, 172))
    picture.text((101, 58), "Your application", "head", "middle")
    picture.text((380, 54), "Your database", "head", "middle")
    picture.text((659, 58), "Cron, every minute", "head", "middle")
    for number, line in enumerate(("session.add(order)", "Confirm.create(order)", "session.commit()")):
        picture.text((101, 122 + 26 * number), line, "small code", "middle")
    for y, line in ((148, "jobcron run"), (214, "job.run()")):
        picture.text((659, y), line, "small code", "middle")
    picture.box((304, 70), (152, 34), ["your tables"], word="")
    picture.box((304, 124), (152, 40), ["job: WAITING"], "blue")
    picture.box((304, 190), (152, 40), ["job: COMPLETED"], "green")
    picture.box((304, 256), (152, 40), ["job: FAILED"], "red")
    picture.arrow((186, 144), (304, 144))
    picture.text((236, 132), "one", "small", "middle")
    picture.text((236, 164), "transaction", "small", "middle")
    picture.arrow((456, 144), (574, 144))
    picture.text((524, 136), "a claim", "small", "middle")
    picture.arrow((574, 210), (456, 210))
    picture.text((524, 183), "it returns:", "small", "middle")
    picture.text((524, 200), "one commit", "small", "middle")
    picture.arrow((659, 242), (659, 276), (456, 276), kind="bad")
    picture.text((564, 267), "it raises an error:", "small", "middle")
    picture.text((580, 297), "all rolled back, one report", "small", "middle")
    return picture


# The statuses

BOXES: dict[JobStatus, tuple[Point, Point]] = {
    WAITING: ((88, 34), (104, 220)),
    RUNNING: ((352, 34), (104, 220)),
    COMPLETED: ((628, 34), (116, 36)),
    FAILED: ((628, 95), (116, 36)),
    SUSPENDED: ((628, 156), (116, 36)),
    CANCELLED: ((628, 217), (116, 36)),
    EXPIRED: ((88, 310), (104, 36)),
    BLOCKED: ((88, 400), (104, 36)),
}

ARROWS: dict[tuple[JobStatus, JobStatus], tuple[tuple[Point, ...], tuple[tuple[Point, str], ...]]] = {
    (WAITING, RUNNING): (((192, 84), (352, 84)), (((272, 76), "a claim"), ((272, 101), "with lease and token"))),
    (RUNNING, WAITING): (
        ((352, 176), (192, 176)),
        (((272, 151), "a retry, an interruption,"), ((272, 168), "or it was not started")),
    ),
    (RUNNING, COMPLETED): (((456, 52), (628, 52)), (((542, 44), "it returned"),)),
    (RUNNING, FAILED): (
        ((456, 113), (628, 113)),
        (((542, 88), "an error, a time limit,"), ((542, 105), "or it died too often")),
    ),
    (RUNNING, SUSPENDED): (
        ((456, 174), (628, 174)),
        (((542, 149), "it raised"), ((542, 166), "SuspendJobException")),
    ),
    (RUNNING, CANCELLED): (
        ((456, 235), (628, 235)),
        (((542, 210), "to wait again, but its"), ((542, 227), "twin waits already")),
    ),
    (RUNNING, RUNNING): (
        ((378, 254), (378, 286), (430, 286), (430, 254)),
        (((404, 306), "its process died: another run takes it over"),),
    ),
    (WAITING, EXPIRED): (((140, 254), (140, 310)), (((208, 287), "expires_at is past"),)),
    (BLOCKED, EXPIRED): (((140, 400), (140, 346)), (((208, 377), "expires_at is past"),)),
    (BLOCKED, WAITING): (
        ((88, 418), (40, 418), (40, 230), (88, 230)),
        (((140, 456), "all jobs that it waits for have ended"),),
    ),
}
"""The way of the arrow of each move, and its words."""


def life() -> Picture:
    """Return the moves of status that happen by themselves."""
    moves = by_itself()
    same("arrows", moves, set(ARROWS))
    told = "; ".join(f"{old.name} to {new.name}: {words}" for (old, new), words in moves_and_words().items())
    picture = Picture(760, 472, "The life of a job", f"A job is created as WAITING. {told}.")
    picture.arrow((16, 144), (88, 144))
    picture.text((48, 136), "create", "small", "middle")
    for points, words in ARROWS.values():
        picture.arrow(*points)
        for at, line in words:
            picture.text(at, line, "small", "middle")
    for status, (at, size) in BOXES.items():
        picture.box(at, size, [status.name], COLOURS[status])
    return picture


def moves_and_words() -> dict[tuple[JobStatus, JobStatus], str]:
    """Return what the picture says at the arrow of each move."""
    return {move: " ".join(line for _, line in words) for move, (_, words) in ARROWS.items()}


def moves_by_hand() -> Picture:
    """Return which method of a job leads from where to where."""
    methods = by_hand()
    lines = [
        f"{method} leads to {goal.name} from {', '.join(status.name for status in olds)}."
        for (method, goal), olds in methods.items()
    ]
    picture = Picture(760, 52 + 42 * len(methods), "Moves of status by hand", " ".join(lines))
    for x, words in ((20, "method"), (112, "of a job that is"), (640, "makes it")):
        picture.text((x, 28), words, "small")
    for row, ((method, goal), olds) in enumerate(methods.items()):
        y = 42 + 42 * row
        picture.text((20, y + 19), method, "code")
        for number, status in enumerate(olds):
            picture.box((112 + 73 * number, y), (70, 28), [status.name.lower()], COLOURS[status], "small")
        picture.arrow((112 + 73 * len(olds) + 1, y + 14), (640, y + 14))
        picture.box((640, y), (104, 28), [goal.name], COLOURS[goal])
    return picture


# The lease


SPANS = (
    (24, 96, 246, "runs the job", "amber"),
    (24, 246, 520, "is suspended, and knows nothing", "plain"),
    (24, 520, 632, "runs on", "amber"),
    (114, 96, 400, "RUNNING, token 7", "amber"),
    (114, 400, 510, "token 8", "amber"),
    (114, 510, 744, "COMPLETED, token 8", "green"),
    (204, 400, 510, "runs the job", "amber"),
)
"""What lasts for a time: how far down, from where to where, words, colour."""

STEPS: tuple[tuple[tuple[Point, ...], Point, str, str], ...] = (
    (((96, 64), (96, 114)), (104, 94), "claims", ""),
    (((196, 64), (196, 114)), (204, 94), "renews the lease", ""),
    (((400, 204), (400, 154)), (408, 184), "takes it over", ""),
    (((510, 204), (510, 154)), (518, 184), "commits: its work, COMPLETED", ""),
    (((632, 64), (632, 114)), (518, 94), "commits under 7?", "bad"),
)
"""What happens at once: the way of its arrow, and its words."""


def lease() -> Picture:
    """Return how a runner that slept loses its job, and cannot commit it."""
    minutes = DEFAULT_LEASE_SECONDS / 60
    picture = Picture(
        760,
        290,
        "A lease and its fence",
        f"Host A claims a job under token 7, with a lease of {minutes:g} minutes, and renews it. Then A is "
        "suspended. The lease expires, and host B takes the job over under token 8 and commits its work with "
        "COMPLETED. A wakes up and wants to commit under token 7. The row has token 8, so all of A's work is "
        "rolled back.",
    )
    for y, end, words in ((24, 632, "Host A"), (114, 744, "The row"), (204, 744, "Host B")):
        picture.text((18, y + 24), words, "head")
        picture.arrow((88, y + 20), (end, y + 20), kind="dashed", has_tip=False)
    for y, x, end, words, kind in SPANS:
        picture.box((x, y), (end - x, 40), [words], kind, "name" if y == 114 else "")
    for points, at, words, kind in STEPS:
        picture.arrow(*points, kind=kind)
        picture.text(at, words, "small")
    picture.text((642, 40), "is refused:", "small")
    picture.text((642, 57), "all rolled back", "small")
    picture.arrow((200, 168), (396, 168))
    picture.arrow((396, 168), (200, 168))
    picture.text((298, 186), f"the lease: {minutes:g} minutes", "small", "middle")
    picture.arrow((88, 274), (744, 274))
    picture.text((96, 266), "time", "small")
    return picture


# The rooms

SUBJECTS = {
    "testing": "fixtures, assertions",
    "commands": "the jobcron command",
    "celery": "to and from Celery",
    "web": "the dashboard",
    "operations": "look, explain, move",
    "scripts": "what cron starts",
    "runner": "one attempt, its lease and fence",
    "schedules": "create jobs, each slot once",
    "queue": "which job is next",
    "functions": "plain functions",
    "steps": "jobs of several tasks",
    "jobs": "the row, classes, creation",
    "dispatch": "who is told of new jobs",
    "database": "transactions, SQL, tables",
    "reports": "log, OOPS, mail, metrics",
    "settings": "the configuration",
    "errors": "every exception",
    "interfaces": "every contract",
    "_version": "the version",
}


def layers() -> list[list[str]]:
    """Return the rooms from the top down, as the contract of imports has them."""
    setup = configparser.ConfigParser()
    setup.read(HERE.parent / "setup.cfg", encoding="utf-8")
    lines = setup["importlinter:contract:rooms"]["layers"].split("\n")
    return [[name.strip() for name in line.split("|")] for line in lines if line.strip()]


def rooms() -> Picture:
    """Return the rooms of the package, one layer upon the other."""
    floors = layers()
    same("rooms", {name for floor in floors for name in floor}, set(SUBJECTS))
    told = "; ".join(" and ".join(floor) for floor in floors)
    height = 44 * len(floors) + 24
    picture = Picture(
        760, height, "The rooms of the package", f"Rooms import only from those below. From the top: {told}."
    )
    for number, floor in enumerate(floors):
        width = (664 - 8 * (len(floor) - 1)) / len(floor)
        for place, name in enumerate(floor):
            x, y = 80 + place * (width + 8), 12 + 44 * number
            picture.box((x, y), (width, 38), kind="blue" if len(floor) == 1 else "violet")
            picture.text((x + 12, y + 24), name, "name code")
            picture.text((x + 12 + 8 * len(name) + 10, y + 24), SUBJECTS[name], "small")
    picture.arrow((64, 14), (64, height - 14))
    picture.text((56, height / 2), "imports", "small", "end")
    return picture


PICTURES: dict[str, Callable[[], Picture]] = {
    "way": way,
    "life": life,
    "by-hand": moves_by_hand,
    "lease": lease,
    "rooms": rooms,
    "scale": scale,
    **({"bench-running": running, "bench-creating": creating} if RESULTS.exists() else {}),
}
"""What is in the folder ``pictures``, by the names of the files without their ending."""


def write() -> None:
    """Write all pictures."""
    for name, make in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(make().svg(), encoding="utf-8")


if __name__ == "__main__":
    write()
