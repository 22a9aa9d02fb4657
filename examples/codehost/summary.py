"""The summary that the demonstration prints at its end."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from codehost.history import History
from codehost.jobs import GenerateDiffJob, MergeProposalJob
from codehost.model import MergeProposal, Repository
from codehost.proposals import proposals_of
from codehost.review import mail_key, mail_reviewers
from jobcron import Job, JobStatus
from jobcron.settings.settings import Settings

HEADINGS = ("Proposal", "Commits", "Files", "+", "-", "Diff job", "Attempts", "Mail", "OOPS")
NUMBERS = ("Files", "+", "-", "Attempts")
SHORTEST_TITLE = 20


def print_summary(session: Session, settings: Settings, repository: Repository, new: int) -> None:
    """Print the state of the proposals of a repository, and where to look next.

    Args:
        session: from which to read.
        settings: the instance.
        repository: whose proposals.
        new: how many of them this run made.
    """
    proposals = proposals_of(session, repository)
    diff_jobs = _latest_diff_jobs(session, proposals)
    mail_jobs = _latest_mail_jobs(session, proposals)
    known = len(proposals) - new
    print(f"\nMerge proposals in {repository.name}: {new or 'nothing'} new, {known} known.")
    if new:
        print("Each new one got jobs, which the commands above have run:")
    else:
        print("So there was nothing to do: the commands above found no job that is ready. What earlier runs did:")
    print()
    _print_table([_line(p, diff_jobs[p.id], mail_jobs.get(p.id)) for p in proposals])
    print()
    for hot in dict.fromkeys(p.repository for p in proposals):
        print(f"{hot.name} has heat {hot.heat}, a measure of its activity that a job computes.")
    history = session.get(History, repository.id)
    if history is not None:
        found = f"{history.commits} commits by {history.authors} author{'s' * (history.authors != 1)}"
        print(f"The history of {repository.name}, which a job of three tasks has read: {found}.")
    print("\nWhere to look next:")
    for what, where in _places(session, settings, diff_jobs):
        print(f"  {what:16}  {where}")


def _latest_diff_jobs(session: Session, proposals: list[MergeProposal]) -> dict[int, Job]:
    """Return the latest job that generates a diff of each proposal, by the proposal's number."""
    rows = session.scalars(
        select(MergeProposalJob)
        .where(
            MergeProposalJob.job_type == GenerateDiffJob.class_job_type,
            MergeProposalJob.merge_proposal_id.in_([p.id for p in proposals]),
        )
        .options(joinedload(MergeProposalJob.job))
        .order_by(MergeProposalJob.id)
    )
    return {row.merge_proposal_id: row.job for row in rows}


def _latest_mail_jobs(session: Session, proposals: list[MergeProposal]) -> dict[int, Job]:
    """Return the latest job that mails the reviewers of each proposal, by the proposal's number."""
    numbers = {mail_reviewers.unique_key(mail_key(proposal)): proposal.id for proposal in proposals}
    rows = session.scalars(select(Job).where(Job.unique_key.in_(numbers)).order_by(Job.id))
    return {numbers[row.unique_key]: row for row in rows if row.unique_key}


def _line(proposal: MergeProposal, diff_job: Job, mail_job: Job | None) -> Sequence[str]:
    diff = proposal.preview_diff
    changes = (diff.files_changed, diff.insertions, diff.deletions) if diff else ("", "", "")
    mail = "" if mail_job is None else mail_job.status.title
    return (
        # Anybody may have written a title: control characters in it must not reach the terminal.
        "".join(c if c.isprintable() else " " for c in proposal.title),
        f"{proposal.target_commit[:7]}..{proposal.source_commit[:7]}",
        *map(str, changes),
        diff_job.status.title,
        str(diff_job.attempt_count),
        "Sent" if mail == JobStatus.COMPLETED.title else mail,
        diff_job.oops_id or "",
    )


def _places(session: Session, settings: Settings, jobs: dict[int, Job]) -> list[tuple[str, object]]:
    """Return things to look at, and their places."""
    reports = Path(settings.section("generate_diff").error_dir or settings.error_dir)
    oopses = [path for job in jobs.values() if job.oops_id for path in reports.glob(f"*/{job.oops_id}")]
    mail = urlsplit(settings.mail or "file:nowhere, none is configured")
    database = session.get_bind().engine.url.render_as_string(hide_password=True)
    return [
        *(("why a job failed", path) for path in oopses),
        ("the mail", mail.hostname or mail.path),
        ("the jobs", f"view jobcron_jobs in {database}"),
        ("more commands", ".venv/bin/jobcron jobs, sections, doctor, --help"),
        ("the code", Path(__file__).parent),
    ]


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    """Print the proposals, with titles cut to fit the terminal, and numbers aligned to the right."""
    widths = [max(map(len, column)) for column in zip(HEADINGS, *lines, strict=True)]
    too_much = sum(widths) + 2 * len(widths) - shutil.get_terminal_size((120, 24)).columns
    widths[0] = max(SHORTEST_TITLE, widths[0] - max(0, too_much))
    for line in (HEADINGS, *lines):
        cells = []
        for heading, text, width in zip(HEADINGS, line, widths, strict=True):
            cut = text if len(text) <= width else text[: width - 1] + "…"
            cells.append(cut.rjust(width) if heading in NUMBERS else cut.ljust(width))
        print("  ".join(cells).rstrip())
