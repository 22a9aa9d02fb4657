"""Make the tables as they were at an older revision."""

from __future__ import annotations

from alembic import command
from alembic.config import Config

from instances import Instance
from jobcron.settings.settings import PACKAGE


def upgrade_to(instance: Instance, revision: str) -> None:
    """Make the tables as they were at a revision."""
    config = Config()
    config.set_main_option("script_location", f"{PACKAGE}/database/schema")
    with instance.database.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
