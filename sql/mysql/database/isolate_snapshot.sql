-- The next transaction of this session sees one state of the database throughout.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
