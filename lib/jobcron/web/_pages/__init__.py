"""The pages; importing this registers them all."""

from jobcron.web._pages import (
    acts,
    audit,
    channels,
    doctor,
    job,
    jobs,
    new_job,
    overview,
    reports,
    runners,
    schedules,
    sections,
)
from jobcron.web._routing import ROUTES

__all__ = ["ROUTES", "acts", "audit", "channels", "doctor", "job", "jobs", "new_job"]
__all__ += ["overview", "reports", "runners", "schedules", "sections"]
