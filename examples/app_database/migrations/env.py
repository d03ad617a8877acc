"""What Alembic runs: it compares the database with the metadata of the shop."""

from alembic import context
from sqlalchemy import create_engine

from app_database.models import Base

engine = create_engine(context.config.get_main_option("sqlalchemy.url", ""))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
