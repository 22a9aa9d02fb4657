"""The pages of the dashboard that are measured, each with its filters.

They are listed by the names of the dashboard's routes, so that a page that is new is missed: see `paths`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

PATHS: dict[str, tuple[str, ...]] = {
    "overview": ("/", "/?window=hour", "/?window=week"),
    "jobs": (
        "/jobs",
        "/jobs?status=waiting",
        "/jobs?status=running",
        "/jobs?status=failed",
        "/jobs?status=completed",
        "/jobs?status=suspended",
        "/jobs?status=blocked",
        "/jobs?status=cancelled",
        "/jobs?status=ended",
        "/jobs?status=pending",
        "/jobs?section=common",
        "/jobs?section=rare&status=failed",
        "/jobs?type=bench.LargeJobType.RARE",
        "/jobs?queue=mail",
        "/jobs?queue=nothing",
        "/jobs?channel=root",
        "/jobs?channel=root.c7",
        "/jobs?channel=root.none",
        "/jobs?graph={graph}",
        "/jobs?requester=ann",
        "/jobs?requester=nobody",
        "/jobs?target=bench.None:7",
        "/jobs?error=ValueError",
        "/jobs?error=nothing-like-it",
        "/jobs?oops=OOPS-NONE",
        "/jobs?argument=n%3D2",
        "/jobs?created_on=2000-01-01",
        "/jobs?older_than=29d",
        "/jobs?ended_within=1h",
        "/jobs?due_within=0s",
        "/jobs?due_after=23h",
        "/jobs?unique_key=none",
        "/jobs?below={middle}",
        "/jobs?order=oldest",
        "/jobs?order=oldest&above={middle}",
        "/jobs?order=oldest&queue=nothing",
        "/jobs?order=start&status=waiting",
        "/jobs?order=start&status=waiting&queue=nothing",
        "/jobs?group=type",
        "/jobs?group=section",
        "/jobs?group=queue",
        "/jobs?group=channel",
        "/jobs?group=requester",
        "/jobs?group=day",
        "/jobs?group=error",
        "/jobs?group=error&section=rare&status=failed",
    ),
    "job": ("/jobs/{middle}", "/jobs/{last}", "/jobs/{graph}", "/jobs/{chained}"),
    "search": ("/search?q=ValueError", "/search?q={middle}", "/search?q={uuid}"),
    "sections": ("/sections",),
    "section": (
        "/sections/common",
        "/sections/common?window=week",
        "/sections/common?below={middle}",
        "/sections/rare",
    ),
    "schedules": ("/schedules",),
    "schedule": ("/schedules/{schedule}",),
    "channels": ("/channels",),
    "runners": ("/runners", "/runners?below={middle}"),
    "reports": ("/reports",),
    "report": ("/reports/{report}",),
    "doctor": ("/doctor",),
    "audit": ("/audit", "/audit?below=500"),
    "new_job": ("/new", "/new?name=bench.LargeJobType.COMMON"),
}  # fmt: skip


def paths(names: Iterable[str], **parts: object) -> Iterator[str]:
    """Yield the paths of pages, with the parts of an instance filled in.

    Args:
        names: of all routes of the dashboard that answer GET.
        parts: what stands in braces.

    Raises:
        ValueError: a page has no paths here, or there is no such page.
    """
    asked = set(names)
    if asked != PATHS.keys():
        missing, unknown = sorted(asked - PATHS.keys()), sorted(PATHS.keys() - asked)
        raise ValueError(f"expected paths for each page, got: none for {missing}, and some for {unknown}")
    for listed in PATHS.values():
        yield from (path.format(**parts) for path in listed)
