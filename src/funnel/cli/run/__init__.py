"""`funnel run`: from flags to tasks."""
