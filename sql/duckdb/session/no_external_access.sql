-- Refuse files, network and extensions from here on.
-- params: none
SET enable_external_access = FALSE;
