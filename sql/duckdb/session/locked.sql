-- Refuse every further change of settings.
-- params: none
SET lock_configuration = TRUE;
