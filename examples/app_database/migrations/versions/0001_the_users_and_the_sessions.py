"""The users and the sessions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "sessiongate_lock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        mariadb_engine="InnoDB",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "sessiongate_session",
        sa.Column("opened", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "sid",
            sa.LargeBinary(length=64)
            .with_variant(sa.VARBINARY(length=64), "mariadb")
            .with_variant(sa.VARBINARY(length=64), "mysql"),
            nullable=False,
        ),
        sa.Column(
            "username",
            sa.LargeBinary(length=1024)
            .with_variant(sa.VARBINARY(length=1024), "mariadb")
            .with_variant(sa.VARBINARY(length=1024), "mysql"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "data",
            sa.LargeBinary()
            .with_variant(mysql.MEDIUMBLOB(), "mariadb")
            .with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("opened"),
        mariadb_engine="InnoDB",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    op.create_index("sessiongate_by_expiry", "sessiongate_session", ["expires_at"], unique=False)
    op.create_index("sessiongate_by_sid", "sessiongate_session", ["sid"], unique=True)
    op.create_index(
        "sessiongate_of_user", "sessiongate_session", ["username", "opened"], unique=False
    )
    op.create_table(
        "shop_user",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("shop_user")
    op.drop_index("sessiongate_of_user", table_name="sessiongate_session")
    op.drop_index("sessiongate_by_sid", table_name="sessiongate_session")
    op.drop_index("sessiongate_by_expiry", table_name="sessiongate_session")
    op.drop_table("sessiongate_session")
    op.drop_table("sessiongate_lock")
