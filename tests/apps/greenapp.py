"""An application that replaces threads and waiting when it is imported, as many web applications do."""

from __future__ import annotations

import shortleaseapp


def with_gevent() -> None:
    """Let gevent replace what it can."""
    from gevent import monkey

    if not monkey.saved:
        monkey.patch_all()
    shortleaseapp.register_with_quick_keeper()


def with_psycogreen() -> None:
    """Let gevent run other things while psycopg2 waits, as `psycogreen.gevent.patch_psycopg` does."""
    from gevent.socket import wait_read, wait_write
    from psycopg2 import extensions

    with_gevent()

    def wait(connection: extensions.connection) -> None:
        while True:
            match connection.poll():
                case extensions.POLL_OK:
                    return
                case extensions.POLL_READ:
                    wait_read(connection.fileno())
                case extensions.POLL_WRITE:
                    wait_write(connection.fileno())

    extensions.set_wait_callback(wait)


def with_eventlet() -> None:
    """Let eventlet replace what it can."""
    import eventlet

    if not eventlet.patcher.already_patched:
        eventlet.monkey_patch()
    shortleaseapp.register_with_quick_keeper()
