"""The dashboard: pages for people who would rather look than read; the extra ``web``.

It is built on `jobcron.operations`, and has no query and no rule of its own. Nothing of jobcron imports it but
the subcommand that starts it.

`application` and `blueprint` are for applications that show it among their own pages (`mounting`); `serving` is
`jobcron web`. ``docs/how-to/dashboard.md`` says what it takes and what it refuses.
"""

from jobcron.web.mounting import Authorize, Visitor, application, blueprint

__all__ = ["Authorize", "Visitor", "application", "blueprint"]
