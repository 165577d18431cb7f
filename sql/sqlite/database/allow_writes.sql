-- From here on this connection may write again.
-- yields: none
PRAGMA query_only = OFF;
