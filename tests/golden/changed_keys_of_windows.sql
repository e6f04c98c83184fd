SELECT
  "tail",
  CAST($until AS BIGINT) AS "__hop",
  MAX(
    CASE
      WHEN "known_hop" <= (
        "event_hop" + 168
      )
      AND "event_hop" < (
        CAST($until AS BIGINT) - 168
      )
      THEN "event_hop" + 169
      WHEN "known_hop" <= (
        "event_hop" + 24
      )
      AND "event_hop" < (
        CAST($until AS BIGINT) - 24
      )
      THEN "event_hop" + 25
      ELSE "known_hop"
    END
  ) AS "__changed_hop"
FROM "windows@0"
WHERE
  (
    (
      "known_hop" <= CAST($until AS BIGINT) AND "known_hop" <= (
        "event_hop" + 168
      )
    )
    AND "known_hop" >= CAST($since AS BIGINT)
  )
  OR (
    "event_hop" >= (
      CAST($since AS BIGINT) - 24
    )
    AND (
      "known_hop" <= (
        "event_hop" + 24
      )
      AND "event_hop" < (
        CAST($until AS BIGINT) - 24
      )
    )
  )
  OR (
    "event_hop" >= (
      CAST($since AS BIGINT) - 168
    )
    AND (
      "known_hop" <= (
        "event_hop" + 168
      )
      AND "event_hop" < (
        CAST($until AS BIGINT) - 168
      )
    )
  )
GROUP BY
  "tail"
HAVING
  COUNT(*) > 0
