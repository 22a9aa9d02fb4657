"""How each connection to PostgreSQL is made: so that each end notices within a minute that the other is gone.

A host that loses its power closes no connection. By the system's own settings the server would wait for two
hours, and keep what the dead host had locked for as long, a job's row for one; and a runner would wait as long for
a server that is gone.
"""

from __future__ import annotations

CONNECT_ARGUMENTS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Of libpq, for our end of the connection; seconds, but for the last, which is milliseconds."""

SERVERS_END = (
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; "
    "SET tcp_user_timeout = 60000"
)
"""The same for the server's end: towards the pooler, where there is one; of a Unix socket it means nothing."""
