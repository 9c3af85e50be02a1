"""The schema's history: one file per revision under `versions`, run by `storage.schema`."""
