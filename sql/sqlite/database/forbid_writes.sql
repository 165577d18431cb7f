-- From here on this connection refuses to change anything.
-- yields: none
PRAGMA query_only = ON;
