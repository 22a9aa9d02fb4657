"""Mail reviewers, as a job that is a function.

The section ``[functions]`` of the configuration runs it, and every other function that is decorated so.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from codehost.model import MergeProposal
from jobcron import RetryableJobError, new_mail, send
from jobcron.functions import job


def request_review(session: Session, proposal: MergeProposal) -> None:
    """Create a job that mails the reviewers of a proposal, if none is waiting; the caller commits."""
    mail_reviewers.options(identity_key=mail_key(proposal)).delay(session, proposal.id)


def mail_key(proposal: MergeProposal) -> str:
    """Return the key of the jobs that mail the reviewers of a proposal."""
    return f"review of proposal {proposal.id}"


# If the mail server is unavailable, retry after ten seconds, and from the third time on after ten minutes.
@job(retry_pattern={1: 10, 3: 600}, max_retries=6)
def mail_reviewers(session: Session, number: int) -> str:
    """Mail the reviewers of a merge proposal."""
    proposal = session.get_one(MergeProposal, number)
    diff = proposal.preview_diff
    mail = new_mail(
        f"[Merge] {proposal.title}",
        f"{proposal.author} proposes to merge\n\n"
        f"    {proposal.source_commit}\n\n"
        f"into\n\n"
        f"    {proposal.target_commit}\n\n"
        f"of {proposal.repository.name}.\n\n"
        f"{diff.statistics if diff else 'There is no diff yet.'}\n",
        # If this attempt dies between sending and commit, the next one sends a mail that is recognisably the same.
        message_id=f"<proposal-{proposal.id}.{proposal.source_commit[:12]}@codehost.example.com>",
    )
    recipients = proposal.repository.reviewers
    # Only reads so far: end the transaction, so that nobody waits for it while the mail is delivered.
    session.commit()
    try:
        send(recipients, mail)
    except OSError as error:  # the mail server is unavailable, or refuses: smtplib's errors are OSErrors
        raise RetryableJobError(f"the mail was not taken: {error}") from error
    return f"mailed {', '.join(recipients)}"
