-- Begins a transaction whose view is fixed by its first read.
BEGIN DEFERRED;
