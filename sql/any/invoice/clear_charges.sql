-- Make room for a new list of charges.
-- writes: customer_charge
-- params: none
DELETE FROM customer_charge;
