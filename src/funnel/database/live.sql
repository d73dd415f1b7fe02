-- name: newest
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)

-- name: marked
SELECT (SELECT position FROM reader WHERE name = ?)

-- name: events
SELECT
  '[' || coalesce(group_concat(
    '[' || position || ',' || seq || ',' || json_quote(id) || ',' || json_quote(owner) || ','
    || json_quote(queue) || ',' || body || ']'
  ) FILTER (WHERE :owner IS NULL OR owner = :owner), '') || ']',
  coalesce(max(position), :after)
FROM (
  SELECT position, seq, id, owner, queue, body
  FROM event CROSS JOIN task ON task.n = event.n
  WHERE position > :after ORDER BY position LIMIT :limit
)

-- name: size
SELECT coalesce(sum(length(body)), 0) FROM (
  SELECT body FROM event WHERE position > :after ORDER BY position LIMIT :limit
)

-- name: told_of
SELECT DISTINCT n FROM (
  SELECT n FROM event WHERE position > :after ORDER BY position LIMIT :limit
)

-- name: number
SELECT n FROM task WHERE id = :id

-- name: events_of
SELECT '[' || coalesce(group_concat(
    '[' || position || ',' || seq || ',' || json_quote(id) || ',' || json_quote(owner) || ','
    || json_quote(queue) || ',' || body || ']'
), '') || ']'
FROM (
  SELECT position, seq, id, owner, queue, body
  FROM task CROSS JOIN event INDEXED BY event_by_task ON event.n = task.n
  WHERE id = :id AND position > :after ORDER BY seq LIMIT :limit
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
