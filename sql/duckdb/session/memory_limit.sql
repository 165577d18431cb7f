-- How much memory to use before spilling, such as 512MB.
-- params: amount
SET memory_limit = $amount;
