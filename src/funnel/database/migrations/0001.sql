-- Tasks by a number of our own, newest first by `n` downwards. The row holds the progress and
-- what is filtered on; the spec stays in the first event, which is never written again.
CREATE TABLE task (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  queue TEXT NOT NULL,
  state TEXT NOT NULL,
  active INTEGER NOT NULL,      -- a backend has accepted it, and it has not ended
  name TEXT NOT NULL,
  progress TEXT NOT NULL
);
CREATE INDEX task_by_owner ON task (owner);
CREATE INDEX task_by_state ON task (state);
CREATE INDEX task_by_owner_and_state ON task (owner, state);
-- Names are sorted within blocks of 4,096 tasks, so that the newest with a prefix are found
-- by a look into each block, and nothing but a block is ever sorted.
CREATE INDEX task_by_name ON task (n / 4096, name);
CREATE INDEX task_active ON task (queue) WHERE active = 1;

CREATE TRIGGER task_frozen BEFORE UPDATE OF state ON task
WHEN old.state IN ('COMPLETE', 'EXECUTOR_ERROR', 'SYSTEM_ERROR', 'CANCELED')
  AND new.state <> old.state
BEGIN
  SELECT raise(ABORT, 'a task that has ended cannot change its state');
END;

CREATE TABLE tally (
  state TEXT PRIMARY KEY,
  tasks INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER task_added AFTER INSERT ON task BEGIN
  INSERT INTO tally VALUES (new.state, 1)
  ON CONFLICT (state) DO UPDATE SET tasks = tasks + 1;
END;
CREATE TRIGGER task_moved AFTER UPDATE OF state ON task WHEN new.state <> old.state BEGIN
  UPDATE tally SET tasks = tasks - 1 WHERE state = old.state;
  INSERT INTO tally VALUES (new.state, 1)
  ON CONFLICT (state) DO UPDATE SET tasks = tasks + 1;
END;
CREATE TRIGGER task_deleted AFTER DELETE ON task BEGIN
  UPDATE tally SET tasks = tasks - 1 WHERE state = old.state;
END;

CREATE TABLE tag (
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (key, value, n)
) WITHOUT ROWID;
-- An index on `tag` would hold each value a second time.
CREATE TABLE tag_key (
  key TEXT NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (key, n)
) WITHOUT ROWID;

CREATE TABLE idempotency (
  owner TEXT NOT NULL,
  key TEXT NOT NULL,
  task_id TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (at);

-- AUTOINCREMENT, because a reader's mark may stand at a position that has been deleted.
CREATE TABLE event (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  n INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  body TEXT NOT NULL
);
CREATE UNIQUE INDEX event_by_task ON event (n, seq);

-- The last bytes of each stream: pieces from byte `start` to byte `stop`.
CREATE TABLE output (
  n INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  executor INTEGER NOT NULL,
  stream TEXT NOT NULL,
  start INTEGER NOT NULL,
  stop INTEGER NOT NULL,
  keep INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (n, attempt, executor, stream, start)
) WITHOUT ROWID;

CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  queue TEXT NOT NULL,
  due REAL NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  work TEXT NOT NULL
);
CREATE INDEX outbox_by_queue ON outbox (queue, due);

CREATE TABLE reader (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL
) WITHOUT ROWID;
