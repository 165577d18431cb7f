-- What the server said about the statement before this one.
-- yields: level, code, message
SHOW WARNINGS;
