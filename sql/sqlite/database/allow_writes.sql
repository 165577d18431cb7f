-- From here on this connection may write again.
PRAGMA query_only = OFF;
