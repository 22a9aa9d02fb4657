"""``jobcron web``: serve the dashboard (OCQ-13)."""

from __future__ import annotations

import argparse
import os

from jobcron.commands._output import say
from jobcron.errors import ConfigurationError
from jobcron.scripts.instances import Patterns
from jobcron.settings.instance import DATABASE_VARIABLE, load_settings, presented

PLACE = "127.0.0.1:8765"

HEADER = "X-Remote-User"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Serve the dashboard on this machine, to people who have the link that is printed; or behind a proxy."
    )
    add = parser.add_argument
    add(
        "--listen",
        default=PLACE,
        metavar="HOST:PORT",
        help="where to listen; by default %(default)s; port 0: any free port",
    )
    add(
        "--instances",
        action="append",
        metavar="PATTERN",
        help="serve all instances whose configuration files match, each on a port of its own; may be repeated",
    )
    add("--read-only", action="store_true", help="let people with the link look, but not act")
    of_proxy = parser.add_argument_group(
        "behind a proxy", "The proxy logs people in, and names them in a header that nobody else can set."
    ).add_argument
    of_proxy(
        "--proxy", action="append", default=[], metavar="ADDRESS", help="the proxy's address; may be repeated"
    )
    of_proxy(
        "--proxy-secret-file",
        metavar="FILE",
        help="the file of the secret that the proxy sends as X-Jobcron-Proxy-Secret; needed for a proxy on this "
        "machine",
    )
    of_proxy("--user-header", metavar="NAME", help=f"the header with the user's name; by default {HEADER}")
    text = "a user who may {}; may be repeated; *: everybody whom the proxy lets in"
    of_proxy("--operator", action="append", default=[], metavar="USER", help=text.format("look and act"))
    of_proxy("--reader", action="append", default=[], metavar="USER", help=text.format("look"))


def perform(options: argparse.Namespace) -> int:
    """Serve until somebody ends it; return 0.

    Raises:
        ConfigurationError: an option or the configuration is wrong, or the extra is not installed.
    """
    try:
        from jobcron.web.serving import Proxy, place_of, secret_of, serve
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"expected the packages of the extra web, got: {error}; pip install 'jobcron[web]' brings them"
        ) from error
    proxy = None
    if options.proxy:
        if options.read_only:
            raise ConfigurationError("expected --read-only without --proxy: --reader says who may only look")
        header = options.user_header or HEADER
        secret = None if options.proxy_secret_file is None else secret_of(options.proxy_secret_file)
        proxy = Proxy(tuple(options.proxy), header, tuple(options.operator), tuple(options.reader), secret)
    elif options.operator or options.reader or options.user_header or options.proxy_secret_file:
        raise ConfigurationError(
            "expected --proxy together with --operator, --reader, --user-header and --proxy-secret-file, got none"
        )
    if options.instances is not None:
        return _serve_several(options)
    with presented(load_settings(options.config)):  # also for hooks of the application that read them
        serve(None, place_of(options.listen), proxy, say, may_act=not options.read_only)
    return 0


def _serve_several(options: argparse.Namespace) -> int:
    from jobcron.web.serving import place_of
    from jobcron.web.several import Served, serve_several

    if options.config is not None:
        raise ConfigurationError("expected --config or --instances, got both")
    if os.environ.get(DATABASE_VARIABLE):
        raise ConfigurationError(
            f"expected {DATABASE_VARIABLE} not to be set for several instances, each of which has its own database"
        )
    patterns = [os.path.abspath(os.path.expanduser(pattern)) for pattern in options.instances]
    found = [Served(one.name, one.path) for one in Patterns(patterns, "--instances").find_some()]
    place = place_of(options.listen)
    if place.port + len(found) > 65536:
        raise ConfigurationError(
            f"--listen: expected {len(found)} ports from {place.port} on, there are not so many"
        )
    given = vars(options)
    handed = [f"--{name}={value}" for name in ("proxy", "operator", "reader") for value in given[name]]
    for name in ("proxy_secret_file", "user_header"):
        if given[name] is not None:
            handed.append(f"--{name.replace('_', '-')}={given[name]}")
    return serve_several(found, place, handed + ["--read-only"] * options.read_only, say)
