"""The application factory, and the order desk's commands."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from flask import Flask
from flask.cli import with_appcontext

from flaskapp.jobs import RecalculateTurnover
from flaskapp.models import db
from flaskapp.views import desk
from jobcron import load_settings, prepare_engine


def create_app() -> Flask:
    """Return the application, for the instance that JOBCRON_CONFIG names.

    Jobs are rows of the application's own database. Its address is in one place, jobcron's configuration: cron has
    to find it there without importing the application.
    """
    settings = load_settings()
    app = Flask(__name__)
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        INVOICES=Path(settings.state_dir, "invoices"),
        SERVER_NAME="localhost:5000",  # a job has no request that could tell the host of its links
    )
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)  # on SQLite two requests at once would else end with "database is locked"
    app.register_blueprint(desk)
    app.cli.add_command(init_db)
    app.cli.add_command(nightly)
    return app


@click.command("init-db")
@with_appcontext
def init_db() -> None:
    """Create the desk's tables; jobcron's tables must exist (`jobcron upgrade`)."""
    db.create_all()


@click.command("nightly")
@with_appcontext
def nightly() -> None:
    """Create the job of the coming night if there is none. After that, each job creates the next one."""
    job = RecalculateTurnover.acquire_after(datetime.now(UTC))
    db.session.commit()
    click.echo(f"Job {job.id} will recalculate the turnover at {job.scheduled_start:%Y-%m-%d %H:%M} UTC.")
