-- Tasks are counted when somebody asks, which is rare; a tally cost every create and every move.
DROP TRIGGER task_added;
DROP TRIGGER task_moved;
DROP TRIGGER task_deleted;
DROP TABLE tally;
