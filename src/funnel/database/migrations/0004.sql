-- What could not be read any more, and was set aside so that its task does not hold up others.
CREATE TABLE damaged (
  n INTEGER NOT NULL,
  what TEXT NOT NULL,
  body,
  PRIMARY KEY (n, what)
) WITHOUT ROWID;
