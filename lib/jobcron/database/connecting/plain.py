"""Plain connections to PostgreSQL, over the driver that the URL names: for the tick and for notifications.

A tick must not import SQLAlchemy, nor a driver that the configuration does not name.
"""

from __future__ import annotations

from jobcron.database.connecting.options import CONNECT_ARGUMENTS
from jobcron.errors import ConfigurationError
from jobcron.settings.database_url import PSYCOPG, driver_of, libpq_url

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg
    from psycopg.rows import TupleRow
    from psycopg2.extensions import connection as Psycopg2

EXTRAS = {"psycopg2": "postgresql", "psycopg": "psycopg"}
"""jobcron's extras that bring a driver."""

OTHERS = {"psycopg2": "psycopg 3 write postgresql+psycopg://", "psycopg": "psycopg2 write postgresql://"}
"""How a URL names the driver that may be there in place of each."""


class Plain:
    """A connection without transactions: each text is one by itself.

    Args:
        url: the database's URL.
        user: connect as this role instead of the URL's; None: as the URL's.

    Raises:
        ConfigurationError: the driver is not installed.
        Exception: one of `errors_of`, if the server cannot be reached.
    """

    def __init__(self, url: str, user: str | None = None) -> None:
        self._psycopg: psycopg.Connection[TupleRow] | None = None
        self._psycopg2: Psycopg2 | None = None
        if driver_of(url) == PSYCOPG:
            from psycopg import ClientCursor
            from psycopg.conninfo import conninfo_to_dict, make_conninfo

            arguments = _arguments(conninfo_to_dict(libpq_url(url)), user)
            named = make_conninfo(**{"client_encoding": "UTF8", **arguments})  # type: ignore[arg-type]
            self._psycopg = self._psycopg_class().connect(named, autocommit=True, cursor_factory=ClientCursor)
        else:
            from psycopg2.extensions import parse_dsn

            self._psycopg2 = self._open_psycopg2(_arguments(parse_dsn(libpq_url(url)), user))

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed, or was lost."""
        return bool(self._driver().closed)

    @property
    def process(self) -> int:
        """The number of the server's process, as it was said when the connection was made."""
        return self._driver().info.backend_pid

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._driver().fileno()

    def ask(
        self, text: str, parameters: Mapping[str, object] | None = None, seconds: float | None = None
    ) -> tuple[object, ...] | None:
        """Return the first row of the last of some statements; None if it has none.

        Args:
            text: the statements.
            parameters: their parameters, as the driver takes them.
            seconds: how long a `Patient` connection waits for the answer.
        """
        if self._psycopg2 is not None:
            with self._psycopg2.cursor() as cursor:
                cursor.execute(text, parameters)
                self._await(self._psycopg2)
                return cursor.fetchone() if cursor.description else None
        assert self._psycopg is not None
        with self._psycopg.cursor() as asking:
            asking.execute(text.encode(), parameters)
            while asking.nextset():
                pass
            return asking.fetchone() if asking.description else None

    def drain(self) -> list[str]:
        """Take the notifications that have arrived, and return their payloads."""
        if self._psycopg2 is not None:
            self._psycopg2.poll()
            payloads = [found.payload for found in self._psycopg2.notifies]
            self._psycopg2.notifies.clear()
            return payloads
        assert self._psycopg is not None
        self._psycopg.pgconn.consume_input()
        return [found.extra.decode() for found in iter(self._psycopg.pgconn.notifies, None)]

    def close(self) -> None:
        """Close the connection."""
        self._driver().close()

    def _open_psycopg2(self, arguments: dict[str, str | int | None]) -> Psycopg2:
        import psycopg2
        from psycopg2.extensions import make_dsn

        opened = psycopg2.connect(make_dsn(**arguments))  # type: ignore[arg-type]
        opened.autocommit = True
        return opened

    def _await(self, opened: Psycopg2) -> None:
        """Wait for the answer to a statement: psycopg2 has done that."""

    def _psycopg_class(self) -> type[psycopg.Connection[TupleRow]]:
        from psycopg import Connection

        return Connection

    def _driver(self) -> Psycopg2 | psycopg.Connection[TupleRow]:
        driver = self._psycopg2 or self._psycopg
        assert driver is not None
        return driver


def errors_of(url: str) -> type[Exception]:
    """Return the base class of the errors of a URL's driver.

    Raises:
        ConfigurationError: the driver is not installed.
    """
    name = driver_of(url)
    try:
        if name == PSYCOPG:
            import psycopg

            return psycopg.Error
        import psycopg2
    except ImportError as error:
        raise missing_driver(name, error) from error
    return psycopg2.Error


def missing_driver(name: str, error: ImportError) -> ConfigurationError:
    """Return the error that says that a driver is not installed.

    Args:
        name: the driver's.
        error: of its import.
    """
    return ConfigurationError(
        f"expected the driver {name}, which database_url asks for, got: {' '.join(str(error).split())}; it comes "
        f"with the extra jobcron[{EXTRAS[name]}]; for {OTHERS[name]}"
    )


def _arguments(named: Mapping[str, str | int | None], user: str | None) -> dict[str, str | int | None]:
    """Return the arguments of a connection: what the URL names, and our options where it names none."""
    arguments: dict[str, str | int | None] = {**CONNECT_ARGUMENTS, **named}
    if user:
        arguments["user"] = user
        arguments.pop("password", None)  # it belongs to the URL's user
    return arguments
