-- name: one
SELECT n, state FROM task WHERE id = ?

-- name: ended
SELECT n FROM task INDEXED BY task_by_end WHERE ended <= ? ORDER BY ended LIMIT ?

-- name: created
SELECT body FROM event WHERE n = ? AND seq = 1

-- name: delete_tag
DELETE FROM tag WHERE key = ? AND value = ? AND n = ?

-- name: delete_tag_key
DELETE FROM tag_key WHERE key = ? AND n = ?

-- name: delete_tags
DELETE FROM tag WHERE n = ?

-- name: delete_tag_keys
DELETE FROM tag_key WHERE n = ?

-- name: delete_events
DELETE FROM event WHERE n = ?

-- name: delete_output
DELETE FROM output WHERE n = ?

-- name: delete_secret
DELETE FROM secret WHERE n = ?

-- name: delete_damaged
DELETE FROM damaged WHERE n = ?

-- name: delete_task
DELETE FROM task WHERE n = ?
