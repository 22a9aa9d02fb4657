"""Send mail about failures and user errors, and mail that jobs send themselves.

No mail is sent before the transaction that it is about is committed: see `after_commit`.
"""

from __future__ import annotations

import email.policy
import os
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from email.errors import InvalidHeaderDefect
from email.headerregistry import AddressHeader, HeaderRegistry
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import formatdate, make_msgid
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from jobcron.errors import ConfigurationError, DirectoryError
from jobcron.reports.logs import visible
from jobcron.reports.oops import message_of
from jobcron.settings.directories import private_directory, write_whole
from jobcron.settings.secrets import cut, redactor, storable

MAX_SUBJECT = 200
"""The longest subject, in characters: the time to fold a longer one grows faster than its length."""

MAX_ADDRESS = 500

_HEADERS = HeaderRegistry()
_LOCAL_NAME = re.compile(r"[\w.+-]{1,64}")


class Transport(Protocol):
    """Delivers one complete mail, or raises."""

    def __call__(self, message: EmailMessage) -> None:
        """Deliver one mail."""


class Outbox(list[EmailMessage]):
    """Keeps mail in memory, for tests."""

    def __call__(self, message: EmailMessage) -> None:
        """Keep one mail."""
        self.append(message)


class MailDirectory:
    """Writes each mail to its own file; a mail with the same Message-ID replaces the earlier one.

    Args:
        path: the directory; it is created if it does not exist.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, message: EmailMessage) -> None:
        """Write one mail.

        Raises:
            DirectoryError: the directory or the file cannot be written.
        """
        private_directory(self.path, "the mail directory")
        name = "".join(c if c.isalnum() or c in "-_.@" else "_" for c in message["Message-ID"])
        path = os.path.join(self.path, f"{name.strip('_')}.eml")
        try:
            write_whole(path, message.as_bytes())
        except OSError as error:
            raise DirectoryError(f"the mail {path} cannot be written: {error.strerror}") from error


class Smtp:
    """Sends each mail through an SMTP server.

    Args:
        url: ``smtp://[user:password@]host[:port]``; STARTTLS is used if the server offers it. With
            a password, STARTTLS and a valid certificate are required.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def __call__(self, message: EmailMessage) -> None:
        """Send one mail.

        Raises:
            ConfigurationError: the server has no valid certificate, or refuses user and password.
            smtplib.SMTPException, OSError: the mail cannot be sent for another reason.
        """
        host, port = self._url.hostname or "localhost", self._url.port or 25
        try:
            self._send(message, host, port)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"section [jobcron], key mail: expected {host}:{port} to have a valid certificate and to "
                f"accept the user and the password, got: {type(error).__name__}: {error}"
            ) from error

    def _send(self, message: EmailMessage, host: str, port: int) -> None:
        with smtplib.SMTP(host, port, timeout=30) as smtp:
            smtp.ehlo()
            if self._url.username:
                # A password goes only to a server that proves who it is.
                smtp.starttls(context=ssl.create_default_context())
            elif smtp.has_extn("starttls"):
                smtp.starttls()
            if self._url.username:
                smtp.login(unquote(self._url.username), unquote(self._url.password or ""))
            smtp.send_message(message)


def discard(message: EmailMessage) -> None:
    """Discard the mail: none is configured."""


class Post:
    """The mail settings of this process.

    Attributes:
        transport: delivers a mail.
        sender: the address that mail comes from.
        failure_recipients: the addresses that are told of failed jobs whose class names no recipients.
    """

    def __init__(self) -> None:
        self.transport: Transport = discard
        self.sender = "jobcron@localhost"
        self.failure_recipients: list[str] = []

    def configure(self, mail: str | None, sender: str, failure_recipients: list[str]) -> None:
        """Set all from the keys ``mail``, ``mail_from`` and ``failure_recipients`` of a configuration."""
        self.sender = sender
        self.failure_recipients = failure_recipients
        if mail is None:
            self.transport = discard
        elif mail.startswith("file:"):
            self.transport = MailDirectory(mail.removeprefix("file:"))
        else:
            self.transport = Smtp(mail)


post = Post()


class Unsent(NamedTuple):
    """A mail that could not be sent.

    Attributes:
        content: the whole mail.
        error: the transport's error.
    """

    content: bytes
    error: Exception


_unsent: ContextVar[list[Unsent] | None] = ContextVar("jobcron_unsent", default=None)


def new_mail(subject: str, body: str, message_id: str | None = None) -> EmailMessage:
    """Create a mail without recipients, and hide known secrets of the configuration and the environment in it.

    Text that only looks like a secret is kept: the mail may exist to deliver it, such as a link with a token.

    Args:
        subject: the subject; line breaks become spaces, and a subject that is too long is cut in the middle.
        body: the plain text.
        message_id: the Message-ID, by default a new one. A job should use the same one in each attempt, so that a
            mail that was sent twice is shown once.
    """
    message = EmailMessage()
    known = redactor().known
    message["Subject"] = visible(storable(cut(" ".join(known(subject).split()), MAX_SUBJECT)))
    message["From"] = post.sender
    message["Date"] = formatdate()
    message["Message-ID"] = message_id or make_msgid(domain="jobcron")
    message.set_content(storable(known(body)))
    return message


def send(recipients: list[str], message: EmailMessage) -> None:
    """Send a mail now; do nothing if there are no recipients.

    Raises:
        ValueError: a recipient is not a single address, or `recipients` is a string instead of a list. The mail is
            sent to nobody.
        Exception: what the transport raises. Mail that `notifyUserError` and `notifyOops` send is kept instead,
            and later runs send it.
    """
    if not recipients:
        return
    if isinstance(recipients, str):
        raise ValueError(f"expected a list of addresses, got the text {cut(repr(recipients), MAX_ADDRESS)}")
    del message["To"]  # of an earlier attempt to send it
    message["To"] = ", ".join(map(_checked, recipients))
    try:
        post.transport(message)
    except Exception as error:
        kept = _unsent.get()
        if kept is None:
            raise
        kept.append(Unsent(message.as_bytes(), error))


@contextmanager
def keeping_unsent() -> Iterator[list[Unsent]]:
    """Return the list of mails that cannot be sent in the block, instead of raising what the transport raises."""
    unsent: list[Unsent] = []
    token = _unsent.set(unsent)
    try:
        yield unsent
    finally:
        _unsent.reset(token)


def deliver(content: bytes) -> None:
    """Send a mail that could not be sent before.

    Args:
        content: the whole mail.

    Raises:
        Exception: what the transport raises.
    """
    post.transport(BytesParser(policy=email.policy.default).parsebytes(content))


def _checked(recipient: str) -> str:
    """Return a recipient if it is a single address."""
    if _LOCAL_NAME.fullmatch(recipient):
        return recipient
    if len(recipient) <= MAX_ADDRESS:  # before it is read: that takes time
        found = _HEADERS("To", recipient)
        is_clear = not any(isinstance(defect, InvalidHeaderDefect) for defect in found.defects)
        if is_clear and isinstance(found, AddressHeader) and _is_single(found):
            return recipient
    raise ValueError(f"expected the address of one recipient, got {cut(repr(recipient), MAX_ADDRESS)}")


def _is_single(header: AddressHeader) -> bool:
    return len(header.addresses) == 1 and header.groups[0].display_name is None


def oops_mail(operation: str, oops: dict[str, object]) -> EmailMessage:
    """Create the mail that reports an OOPS."""
    operation = redactor().text(operation)
    return new_mail(
        f"A job failed: {operation}",
        f"An error happened during the following operation: {operation}.\n\n"
        f"Its report is {oops['id']}. An operator will look at it; you need not do anything.\n",
        message_id=f"<{oops['id']}@jobcron>",
    )


def send_failure(operation: str, oops: dict[str, object]) -> None:
    """Mail the ``failure_recipients`` of the configuration, if there are any, about an OOPS.

    Args:
        operation: what the job did, for people.
        oops: the report.

    Raises:
        Exception: as for `send`.
    """
    found: object = oops.get("req_vars")
    known = found if isinstance(found, dict) else {}
    job = f"{known.get('job_type', 'job')} {known.get('job_id', '')}".strip()
    hide = redactor().text
    message = new_mail(
        hide(f"{job} failed: {oops.get('type')}: {oops.get('value')}"),
        hide(
            f"The job {job} failed during the following operation: {operation}.\n\n"
            f"{oops.get('type')}: {oops.get('value')}\n\n"
            f"    jobcron oops {oops['id']}\n    jobcron job {known.get('job_id', 'NUMBER')}\n\n"
            "show its report and its history. You get this mail because failure_recipients in the configuration "
            "of jobcron names you.\n"
        ),
        message_id=f"<{oops['id']}@jobcron>",
    )
    send(post.failure_recipients, message)


def user_error_mail(operation: str, error: BaseException) -> EmailMessage:
    """Create the mail that explains a user error."""
    operation, message = redactor().text(operation), redactor().value(message_of(error))
    return new_mail(
        f"Error while {operation}",
        f"An error happened during the following operation: {operation}.\n\n{message}\n",
    )
