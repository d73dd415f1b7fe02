-- name: many_events
SELECT EXISTS (
  SELECT 1 FROM event WHERE n = ? AND seq > 500
)

-- name: newest
SELECT coalesce(max(n), 0) + 1 FROM task

-- name: floor_owner
SELECT n FROM task INDEXED BY task_by_owner
WHERE owner = ? AND n < ? ORDER BY n DESC LIMIT 1 OFFSET ?

-- name: floor_state
SELECT n FROM task INDEXED BY task_by_state
WHERE state = ? AND n < ? ORDER BY n DESC LIMIT 1 OFFSET ?

-- name: floor_owner_and_state
SELECT n FROM task INDEXED BY task_by_owner_and_state
WHERE owner = ? AND state = ? AND n < ? ORDER BY n DESC LIMIT 1 OFFSET ?

-- name: floor_tag
SELECT n FROM tag WHERE key = ? AND value = ? AND n < ? ORDER BY n DESC LIMIT 1 OFFSET ?

-- name: floor_tag_key
SELECT n FROM tag_key WHERE key = ? AND n < ? ORDER BY n DESC LIMIT 1 OFFSET ?

-- name: floor_name
WITH RECURSIVE
  asked (low, high, after, span) AS (SELECT ?, ?, ?, ?),
  block (b, found) AS (
    SELECT (after - 1) / 4096 + 1, 0 FROM asked
    UNION ALL
    SELECT b - 1, found + (
      SELECT count(*) FROM task INDEXED BY task_by_name
      WHERE n / 4096 = b - 1 AND name >= low AND name < high AND n < after
    )
    FROM asked CROSS JOIN block WHERE b > 0 AND found <= span
  )
SELECT min(b) * 4096 FROM block

-- name: page
-- All of a page of the minimal view, its last number, and whether there are more.
SELECT documents, last, EXISTS (SELECT 1 FROM task WHERE task.n < last)
FROM (
  SELECT json_group_array(json_object('id', id, 'state', state)) AS documents, min(n) AS last
  FROM (SELECT n, id, state FROM task WHERE n < ? ORDER BY n DESC LIMIT ?)
)

-- name: minimal
-- TES JSON at once: an id and a state are all there is to it.
SELECT json_group_array(json_array(n, json_object('id', id, 'state', state)))
FROM (
  SELECT task.n, task.id, task.state

-- name: seen
SELECT '[' || coalesce(group_concat('[' || n || ',' || progress || ']'), '') || ']'
FROM (
  SELECT task.n, task.progress

-- name: numbers
SELECT n FROM (
  SELECT task.n

-- name: basic
SELECT '[' || coalesce(group_concat('[' || n || ',' || progress || ',' || json_array(id, state) || ',' || body || ']'), '') || ']'
FROM (
  SELECT task.n, task.progress, task.id, task.state,
    coalesce((SELECT body FROM event WHERE event.n = task.n AND seq = 1), 'null') AS body

-- name: full
SELECT '[' || coalesce(group_concat(
  '[' || n || ',' || progress || ',' || json_array(id, state) || ',' || body
  || ',[' || events || '],' || outputs || ']'
), '') || ']'
FROM (
  SELECT task.n, task.progress, task.id, task.state,
    coalesce((SELECT body FROM event WHERE event.n = task.n AND seq = 1), 'null') AS body,
    (SELECT coalesce(group_concat(body), '') FROM (
      SELECT body FROM event INDEXED BY event_by_task
      WHERE event.n = task.n AND seq > 1
        AND (substr(body, 1, 1) = '[' OR substr(body, 1, 12) IN ('{"kind":"log', '{"kind":"req'))
      ORDER BY seq
    )) AS events,
    (SELECT json_group_array(
      json_array(attempt, executor, stream, start, stop, keep, text)
    ) FROM (
      SELECT * FROM output WHERE output.n = task.n ORDER BY attempt, executor, stream, start
    )) AS outputs

-- name: among_all
FROM task
WHERE task.n < ?

-- name: among_id
FROM task
WHERE task.id = ?

-- name: among_own
-- Of all tasks the last up to this id is read in any case: where one that is not there cost less than
-- one of somebody else, time would tell them apart. The signs keep SQLite from its shorter way.
FROM task
WHERE task.n = (SELECT n FROM task WHERE id <= ? ORDER BY id DESC LIMIT 1)
  AND +task.id = ? AND +task.owner = ?

-- name: among_some
-- In the order in which they are given.
FROM (SELECT value AS n FROM json_each(?)) AS lead CROSS JOIN task ON task.n = lead.n
WHERE true

-- name: list_owner
SELECT '[' || coalesce(group_concat(n), '') || ']' FROM (
  SELECT n FROM task INDEXED BY task_by_owner
  WHERE owner = ? AND n < ? AND n >= ? LIMIT ?
)

-- name: list_state
SELECT '[' || coalesce(group_concat(n), '') || ']' FROM (
  SELECT n FROM task INDEXED BY task_by_state
  WHERE state = ? AND n < ? AND n >= ? LIMIT ?
)

-- name: list_owner_and_state
SELECT '[' || coalesce(group_concat(n), '') || ']' FROM (
  SELECT n FROM task INDEXED BY task_by_owner_and_state
  WHERE owner = ? AND state = ? AND n < ? AND n >= ? LIMIT ?
)

-- name: list_tag
SELECT '[' || coalesce(group_concat(n), '') || ']' FROM (
  SELECT n FROM tag WHERE key = ? AND value = ? AND n < ? AND n >= ? LIMIT ?
)

-- name: list_tag_key
SELECT '[' || coalesce(group_concat(n), '') || ']' FROM (
  SELECT n FROM tag_key WHERE key = ? AND n < ? AND n >= ? LIMIT ?
)

-- name: list_name
SELECT '[' || coalesce(group_concat(n), '') || ']' FROM (
  WITH RECURSIVE
    asked (low, high, after, floor) AS (SELECT ?, ?, ?, ?),
    block (b) AS (
      SELECT (after - 1) / 4096 FROM asked
      UNION ALL
      SELECT b - 1 FROM asked CROSS JOIN block WHERE b > floor / 4096
    )
  SELECT task.n AS n
  FROM asked CROSS JOIN block CROSS JOIN task INDEXED BY task_by_name ON task.n / 4096 = block.b
    AND task.name >= asked.low AND task.name < asked.high
  WHERE task.n < asked.after AND task.n >= asked.floor LIMIT ?
)

-- name: check_owner
AND EXISTS (
  SELECT 1 FROM task AS one INDEXED BY task_by_owner WHERE one.owner = ? AND one.n = lead.n
)

-- name: check_state
AND EXISTS (
  SELECT 1 FROM task AS one INDEXED BY task_by_state WHERE one.state = ? AND one.n = lead.n
)

-- name: check_name
AND task.name >= ? AND task.name < ?

-- name: check_tag
AND EXISTS (SELECT 1 FROM tag WHERE tag.key = ? AND tag.value = ? AND tag.n = lead.n)

-- name: check_tag_key
AND EXISTS (SELECT 1 FROM tag_key WHERE tag_key.key = ? AND tag_key.n = lead.n)

-- name: newest_of_all
ORDER BY task.n DESC LIMIT ?)

-- name: as_given
LIMIT ?)
