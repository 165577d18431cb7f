-- Begins a transaction that holds the write lock from its first moment.
BEGIN IMMEDIATE;
