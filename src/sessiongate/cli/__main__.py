"""``python -m sessiongate.cli``."""

from sessiongate.cli import app

if __name__ == "__main__":
    app(prog_name="sessiongate")
