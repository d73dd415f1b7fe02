"""The schema, as numbered steps forward. A step that was released is never changed."""
