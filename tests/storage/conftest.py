"""Stores that are started when the first test asks for them: each in a file of its own."""
