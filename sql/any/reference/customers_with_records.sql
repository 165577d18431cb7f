-- Which of these customers have call detail records.
-- reads:  call_detail_record
-- params: customer_ids
-- yields: customer_id
SELECT DISTINCT customer_id FROM call_detail_record
WHERE customer_id IN :customer_ids
ORDER BY customer_id;
