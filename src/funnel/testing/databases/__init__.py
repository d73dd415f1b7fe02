"""The parts of `DatabaseSuite`, one for each part of the port."""
