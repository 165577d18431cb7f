-- Keep the progress bar out of piped output.
-- params: none
SET enable_progress_bar = FALSE;
