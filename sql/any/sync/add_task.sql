-- One time a feed was due, or one look at the schedule when none was.
-- writes: sync_task
-- params: sync_profile_id, provider, status, message
INSERT INTO sync_task (sync_profile_id, provider, status, message)
VALUES (:sync_profile_id, :provider, :status, :message);
