"""Who is told what happens to tasks."""
