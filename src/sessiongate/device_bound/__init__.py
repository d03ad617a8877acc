"""Device-bound sessions (DBSC, a W3C draft): a key of the browser's device renews the cookie."""
