"""The status of a resource: conditions, problems, and when a changed status is worth a write. All pure."""
