-- What time it is by the database's clock.
-- reads:  none
-- params: none
-- yields: moment
SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') AS moment;
