-- A statement that waited for a lock sees what the lock's last owner committed.
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
