"""Forward auth: what a proxy asks before it passes a request to any backend.

nginx, Caddy, Traefik and Envoy ask ``ForwardAuth``, an ASGI app, or ``WSGIForwardAuth``. Both
answer who a request comes from, or why it is refused.
"""

from sessiongate.forward.asgi import ForwardAuth
from sessiongate.forward.wsgi import WSGIForwardAuth

__all__ = ["ForwardAuth", "WSGIForwardAuth"]
