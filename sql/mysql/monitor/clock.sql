-- What time it is by the database's clock.
-- reads:  none
-- params: none
-- yields: moment
SELECT CURRENT_TIMESTAMP(6) AS moment;
