"""An application with Alembic migrations of its own, in the database where the jobs are, needs no setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect

from instances import Instance, run_jobcron
from jobcron.database.version import VERSION_TABLE
from jobcron.testing.server import PrivatePostgreSQL

MODEL = """
from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from jobcron import FamilyRow, JobType, job_type_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "shop_order"
    __table_args__ = (Index("shop_order_name", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class OrderJobType(JobType):
    SHIP = 0


class OrderJob(FamilyRow, Base):
    __tablename__ = "order_job"
    job_type: Mapped[OrderJobType] = job_type_column(OrderJobType)
    order_id: Mapped[int] = mapped_column(ForeignKey("shop_order.id"))
    order: Mapped[Order] = relationship()
"""

ENV = """
import os

from alembic import context
from sqlalchemy import create_engine

import jobcron
from model import Base

with create_engine(os.environ["SHOP_URL"]).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata{option})
    with context.begin_transaction():
        context.run_migrations()
"""

INI = """
[alembic]
script_location = {folder}/migrations
prepend_sys_path = {folder}
path_separator = os
"""

MAKO = '''"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

def upgrade():
    ${upgrades if upgrades else "pass"}

def downgrade():
    ${downgrades if downgrades else "pass"}
'''


class Shop:
    """An application's checkout, with its own Alembic environment."""

    def __init__(self, folder: Path, instance: Instance) -> None:
        self.folder = folder
        self.instance = instance
        (folder / "migrations" / "versions").mkdir(parents=True)
        (folder / "model.py").write_text(MODEL)
        (folder / "alembic.ini").write_text(INI.format(folder=folder))
        (folder / "migrations" / "script.py.mako").write_text(MAKO)
        self.use_option("")

    def use_option(self, option: str) -> None:
        """Write env.py, with an option of ``context.configure``."""
        (self.folder / "migrations" / "env.py").write_text(ENV.format(option=option))

    def alembic(self, *arguments: str) -> str:
        """Run the alembic command, and return all that it printed."""
        command = ["alembic", "-c", str(self.folder / "alembic.ini"), *arguments]
        url = self.instance.database.engine.url.render_as_string(False)
        return "".join(run_jobcron(*command, extra_env={"SHOP_URL": str(url)}, program=Path("-m")))

    def migration(self, message: str) -> str:
        """Generate a migration, and return its text."""
        self.alembic("revision", "--autogenerate", "-m", message)
        (path,) = (self.folder / "migrations" / "versions").glob(f"*_{message}.py")
        return path.read_text()


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """Return an application beside an instance, on a database with nothing in it."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    server: PrivatePostgreSQL | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("server")
        server.create_database("shop")
        url = server.url("shop")
    instance = Instance(tmp_path / "instance", url)
    yield Shop(tmp_path, instance)
    instance.database.close()
    if server:
        server.drop_database("shop")


def test_their_migrations_and_ours_leave_each_other_alone(shop: Shop) -> None:
    instance = shop.instance
    instance.command("upgrade")
    theirs = shop.migration("first")
    assert "create_table('order_job'" in theirs
    assert "create_table('shop_order'" in theirs
    assert "drop_" not in theirs.partition("def downgrade")[0]
    assert "jobcron_job.id" in theirs  # the family's foreign key
    shop.alembic("upgrade", "head")
    (version,) = instance.query("SELECT version_num FROM alembic_version")
    before = {t: inspect(instance.database.engine).get_columns(t) for t in ("shop_order", "order_job")}
    instance.command("upgrade")
    assert instance.query("SELECT version_num FROM alembic_version") == [version]
    after = {t: inspect(instance.database.engine).get_columns(t) for t in ("shop_order", "order_job")}
    assert repr(after) == repr(before)
    assert instance.query(f"SELECT version_num FROM {VERSION_TABLE}")


OPTIONS = ", include_object=jobcron.include_object, render_item=jobcron.render_item"
"""What an env.py for Alembic before 1.18 says."""


@pytest.mark.parametrize("option", ["", OPTIONS])
def test_their_autogenerate_finds_nothing_to_change_once_all_is_there(shop: Shop, option: str) -> None:
    shop.use_option(option)
    shop.instance.command("upgrade")
    shop.migration("first")
    shop.alembic("upgrade", "head")
    shop.alembic("check")
    upgrade = shop.migration("second").partition("def upgrade")[2].partition("def downgrade")[0]
    assert "op." not in upgrade


OWN = """, include_object=lambda thing, name, kind, reflected, other: name != "shop_order",
    render_item=lambda kind, thing, used: "sa.SmallInteger()" if type(thing).__name__ == "EnumItem" else False"""


def test_what_their_env_says_itself_goes_first(shop: Shop) -> None:
    shop.instance.command("upgrade")
    shop.use_option(OWN)
    theirs = shop.migration("first")
    assert "sa.Column('job_type', sa.SmallInteger()" in theirs
    assert "create_table('shop_order'" not in theirs
    assert "jobcron_event" not in theirs


def test_what_they_have_in_their_metadata_and_not_in_the_database_is_theirs(shop: Shop) -> None:
    shop.instance.command("upgrade")
    shop.migration("first")
    shop.alembic("upgrade", "head")
    (shop.folder / "model.py").write_text(MODEL.partition("class OrderJobType")[0])
    assert "op.drop_table('order_job')" in shop.migration("second").partition("def downgrade")[0]


def test_ours_is_made_while_theirs_is_at_any_version(shop: Shop) -> None:
    instance = shop.instance
    instance.command("upgrade")
    shop.migration("first")
    shop.alembic("upgrade", "head")
    shop.alembic("downgrade", "base")
    instance.command("upgrade")
    assert inspect(instance.database.engine).has_table("jobcron_job")
    assert not inspect(instance.database.engine).has_table("order_job")
