"""What the shop keeps in its database: its users, and beside them their sessions."""

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

from sessiongate.stores import SQLAlchemyStore


class Base(DeclarativeBase):
    """The tables of the shop."""


class User(Base):
    """Who may log in."""

    __tablename__ = "shop_user"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    password: Mapped[str] = mapped_column(String(255))

    @classmethod
    def new(cls, name: str, password: str) -> "User":
        """Make a user; the password is kept as a hash."""
        return cls(name=name, password=generate_password_hash(password))

    def knows(self, password: str) -> bool:
        """Whether that is the password."""
        return check_password_hash(self.password, password)


# Now Alembic and `create_all` see the tables of the sessions too.
SQLAlchemyStore.tables(Base.metadata)
