"""Options of connections to PostgreSQL: each end notices within a minute that the other is gone.

A host that loses power closes no connection. With the system's defaults the server would wait for two hours,
and keep the dead host's locks for as long, such as that on a job's row; and a runner would wait as long for a
server that is gone.
"""

from __future__ import annotations

# why: decisions 2026-11-26, connections notice within a minute
CONNECT_ARGUMENTS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""libpq's options for our end of the connection, in seconds; the last one in milliseconds."""

SERVERS_END = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""The same for the server's end: towards the pooler, if there is one; without effect on a Unix socket."""
