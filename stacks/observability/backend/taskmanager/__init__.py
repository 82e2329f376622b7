"""The API of the Task Manager."""
