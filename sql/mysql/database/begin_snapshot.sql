-- Begins a transaction whose view is that of this moment, and which may not write.
START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;
