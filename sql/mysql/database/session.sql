-- Makes a new session strict, patient and UTC, whatever the server's own defaults are; in
-- the repeated hour of autumn a local clock would let a lease end an hour late. The records
-- of one customer, packed into one text, may fill 2 MiB: some 60,000 of them.
SET SESSION
    time_zone = '+00:00',
    sql_mode
    = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,'
      'ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION',
    max_error_count = 65535,
    group_concat_max_len = 2097152,
    innodb_lock_wait_timeout = 20,
    net_read_timeout = 120,
    net_write_timeout = 600;
