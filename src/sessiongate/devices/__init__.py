"""“My devices”: where a user is logged in, and the buttons to end it.

``sessiongate.devices.flask`` and ``sessiongate.devices.starlette`` mount it;
here is what an app's own template gets. No I/O and no framework.
"""

from sessiongate.devices.listing import Device, DevicesPage

__all__ = ["Device", "DevicesPage"]
