-- Remove who has which rate plan, before the new rows are loaded in the same transaction.
-- writes: customer_rate_plan
-- params: none
DELETE FROM customer_rate_plan;
