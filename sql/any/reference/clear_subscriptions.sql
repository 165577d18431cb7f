-- Remove every subscription, before the new ones are loaded in the same transaction.
-- writes: subscription
-- params: none
DELETE FROM subscription;
