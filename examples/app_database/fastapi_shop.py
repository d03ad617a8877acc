"""A FastAPI app with an async engine: users and sessions in one database, by one engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Form, HTTPException, Request
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from app_database.models import User
from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.fastapi import CurrentUser, login_user, logout_user
from sessiongate.stores import SQLAlchemyStore


def create_app(database: str, secret_key: str) -> FastAPI:
    """Make the app; ``alembic upgrade head`` has made its tables."""
    engine = create_async_engine(database)
    rows = async_sessionmaker(engine)
    store = SQLAlchemyStore(async_engine=engine, create=False)
    manager = SessionManager(max_concurrent_sessions=None, store=store, secret_key=secret_key)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(SessionAuthMiddleware, manager=manager)

    @app.post("/login", status_code=204)
    async def log_in(
        request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]
    ) -> None:
        async with rows() as session:
            user = await session.get(User, username)
        if user is None or not user.knows(password):
            raise HTTPException(403)
        await login_user(request, user.name)

    @app.post("/logout", status_code=204)
    async def log_out(request: Request) -> None:
        await logout_user(request)

    @app.get("/")
    async def home(user: CurrentUser) -> str:
        async with rows() as session:
            found = await session.get_one(User, user.username)
        return f"Hello, {found.name}!"

    return app
