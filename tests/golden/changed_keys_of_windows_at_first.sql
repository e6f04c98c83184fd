SELECT DISTINCT
  "tail",
  CAST($until AS BIGINT) AS "__hop"
FROM "windows@0"
WHERE
  "known_hop" <= CAST($until AS BIGINT)
  AND "event_hop" >= (
    CAST($until AS BIGINT) - 168
  )
