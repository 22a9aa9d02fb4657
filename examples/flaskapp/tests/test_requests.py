"""What a request leaves behind: its rows and its jobs together, or neither."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from flaskapp.jobs import SendLetter, WriteInvoice
from flaskapp.models import Customer, Order, OrderJob, db
from jobcron import Job
from jobcron.testing import assert_waiting, run_waiting

LAMPS = {"article": "Lamp", "quantity": 2, "price": 1950}

REQUESTS = """
import sys
from flaskapp import create_app
client = create_app().test_client()
assert client.post("/customers", data={"name": "Ada", "email": "ada@example.com"}).status_code == 201
order = {"customer": 1, "article": "Lamp", "quantity": 2, "price": 1950}
assert client.post("/orders", data=order).status_code == 201
assert client.get("/orders/1").json["jobs"][0]["status"] == "Waiting"
runners = {f"jobcron.{name}" for name in ("runner", "script", "feed", "keeper", "finish")} | {"flaskapp.worker"}
print(sorted(runners & set(sys.modules)))
"""


@pytest.fixture
def ada(client: FlaskClient) -> FlaskClient:
    """Return the client, with the customer 1."""
    answer = client.post("/customers", data={"name": "Ada", "email": "ada@example.com"})
    assert (answer.status_code, answer.json) == (201, {"customer": 1})
    return client


def count(model: type[object]) -> int:
    """Return how many rows are committed."""
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_a_request_commits_its_rows_and_their_job_together(app: Flask, ada: FlaskClient) -> None:
    with app.app_context():
        (job,) = assert_waiting(SendLetter, db.session.get(Customer, 1))
        assert job.template == "welcome"


def test_a_request_that_fails_after_it_made_a_job_leaves_none(app: Flask, client: FlaskClient) -> None:
    @app.post("/crash")
    def crash() -> NoReturn:
        order = Order(customer=Customer(name="Ada", email="ada@example.com"))
        db.session.add(order)
        WriteInvoice.acquire(order)
        SendLetter.create(order.customer, template="welcome")
        assert (count(Order), count(OrderJob), count(Job)) == (1, 1, 2)
        raise RuntimeError("the request fails")

    assert client.post("/crash").status_code == 500
    with app.app_context():
        assert (count(Order), count(OrderJob), count(Job)) == (0, 0, 0)
    assert run_waiting(SendLetter) == ""


def test_what_the_tables_refuse_leaves_no_job(app: Flask, ada: FlaskClient) -> None:
    again = ada.post("/customers", data={"name": "Ada", "email": "ada@example.com"})
    nothing = ada.post("/orders", data={**LAMPS, "customer": 1, "quantity": 0})
    nobody = ada.post("/orders", data={**LAMPS, "customer": 7})
    assert (again.status_code, nothing.status_code, nobody.status_code) == (409, 409, 404)
    with app.app_context():
        assert (count(Customer), count(Order), count(Job)) == (1, 0, 1)


def test_lines_that_are_added_in_time_are_on_the_same_invoice(ada: FlaskClient) -> None:
    placed = ada.post("/orders", data={**LAMPS, "customer": 1}).json
    bulbs = {"article": "Bulb", "quantity": 4, "price": 250}
    assert ada.post("/orders/1/lines", data=bulbs).json == placed
    run_waiting(WriteInvoice)
    later = ada.post("/orders/1/lines", data=bulbs).json
    assert later is not None
    assert placed is not None
    assert later["job"] > placed["job"]
    shown = ada.get("/orders/1").json
    assert shown == {
        "customer": "Ada",
        "total": 5900,
        "invoice": f"1-{placed['job']}.html",
        "jobs": [
            {"id": placed["job"], "type": "Write the invoice", "status": "Completed", "error": None},
            {"id": later["job"], "type": "Write the invoice", "status": "Waiting", "error": None},
        ],
    }


def test_the_web_imports_no_runner(app: Flask) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REQUESTS],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
