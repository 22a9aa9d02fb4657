"""Applications of Flask and of Django that show the dashboard, as docs/how-to/dashboard.md says."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from flask import Flask, session
from flask_wtf import CSRFProtect

import fooapp
from instances import Instance
from jobcron.web import blueprint
from jobcron.web.mounting import close


@contextmanager
def flask_host(instance: Instance) -> Iterator[Flask]:
    """Yield an application of Flask that protects all its forms; who visits /login/ROLE has that role."""
    fooapp.register()
    app = Flask("shop")
    app.config["SECRET_KEY"] = "k" * 32
    CSRFProtect(app)
    app.register_blueprint(
        blueprint(str(instance.path), authorize=lambda environ: session.get("role")), url_prefix="/office/jobs"
    )

    @app.get("/login/<role>")
    def login(role: str) -> str:
        session["role"] = role
        return "in"

    yield app
    close(app)


URLS = """
import io
from django.http import HttpResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from jobcron.web import application

dashboard = application({instance!r}, authorize=lambda environ: environ["myapp.role"])


@csrf_exempt  # the dashboard protects its own forms
def jobs(request, path):
    role = {{"ada": "operator", "ben": "reader"}}.get(request.headers.get("X-User"))  # request.user in a real one
    environ = {{
        **request.environ, "SCRIPT_NAME": request.environ["SCRIPT_NAME"] + "/jobs", "myapp.role": role,
        "PATH_INFO": f"/{{path}}".encode().decode("latin-1"), "wsgi.input": io.BytesIO(request.body),
    }}
    said = {{}}
    body = b"".join(dashboard(environ, lambda status, headers: said.update(status=status, headers=headers)))
    answer = HttpResponse(body, status=int(said["status"][:3]))
    for name, value in said["headers"]:
        if name == "Set-Cookie":
            answer.cookies.load(value)
        else:
            answer[name] = value
    return answer


urlpatterns = [re_path("^jobs/(.*)$", jobs)]
"""
"""The views of an application of Django; the header X-User says who somebody is."""


def django_host(instance: Instance, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Flask]:
    """Return an application of Django that protects its forms, and its dashboard.

    Args:
        instance: what the dashboard shows.
        folder: where the module of its addresses is written.
        monkeypatch: undoes at the end of the test what is set for it.
    """
    name = f"urls_of_{os.urandom(4).hex()}"
    (folder / f"{name}.py").write_text(URLS.format(instance=str(instance.path)))
    monkeypatch.syspath_prepend(str(folder))
    if not settings.configured:
        settings.configure(
            SECRET_KEY="k" * 32, ALLOWED_HOSTS=["*"], ROOT_URLCONF=name, DEBUG=False, USE_TZ=True,
            MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
        )  # fmt: skip
        django.setup(set_prefix=False)
    monkeypatch.setattr(settings, "ROOT_URLCONF", name)
    return get_wsgi_application(), importlib.import_module(name).dashboard
