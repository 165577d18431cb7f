-- Remove every customer, before the new ones are loaded in the same transaction.
-- writes: customer
-- params: none
DELETE FROM customer;
