"""What the tests of the example apps share: the apps of this process hash passwords in no time."""

from tests.examples.quick_hashes import sitecustomize

__all__ = ["sitecustomize"]
