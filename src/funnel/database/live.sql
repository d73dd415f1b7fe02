-- name: newest
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)

-- name: events
SELECT
  '[' || coalesce(group_concat(told) FILTER (WHERE seen), '') || ']',
  coalesce(max(position), :after)
FROM (
  SELECT
    position,
    '[' || position || ',' || seq || ',' || body || ']' AS told,
    :owner IS NULL OR (SELECT owner FROM task WHERE task.n = event.n) IS :owner AS seen
  FROM event WHERE position > :after ORDER BY position LIMIT :limit
)

-- name: told_of
SELECT DISTINCT n FROM (
  SELECT n FROM event WHERE position > :after ORDER BY position LIMIT :limit
)

-- name: number
SELECT n FROM task WHERE id = :id

-- name: events_of
SELECT '[' || coalesce(group_concat('[' || position || ',' || seq || ',' || body || ']'), '') || ']'
FROM (
  SELECT position, seq, body FROM event INDEXED BY event_by_task
  WHERE n = (SELECT n FROM task WHERE id = :id) AND position > :after
  ORDER BY seq LIMIT :limit
)

-- name: printed
SELECT json_group_array(json_array(attempt, executor, stream, start, stop, text)) FROM (
  SELECT * FROM output
  WHERE n = (SELECT n FROM task WHERE id = :id)
    AND (attempt, executor) >= (:attempt, :executor)
    AND (
      (attempt, executor) > (:attempt, :executor)
      OR stop > CASE stream WHEN 'stdout' THEN :stdout ELSE :stderr END
    )
  ORDER BY attempt, executor, stream, start
)
