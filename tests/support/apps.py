"""The web application as tests make it, hundreds of times in a process."""

from typing import Final

from fastapi import FastAPI
from starlette.routing import BaseRoute

from app.core.settings import Settings
from app.main import create_app

_ROUTES: Final[list[BaseRoute]] = []


def make_app(settings: Settings) -> FastAPI:
    """`create_app`, with the routes of the process's first one.

    FastAPI finds out at an application's first requests what each of its routes asks for, which takes longer than most
    tests. Routes reach what is a test's own (settings, engine, files) through the request's application.
    """
    app = create_app(settings)
    if _ROUTES:
        app.router.routes[:] = _ROUTES
    else:
        _ROUTES.extend(app.router.routes)
    return app
