-- From here on this connection refuses to change anything.
PRAGMA query_only = ON;
